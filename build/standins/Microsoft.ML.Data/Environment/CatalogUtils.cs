using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>What every catalog has and shows to ML.NET's own assemblies only.</summary>
internal interface IInternalCatalog
{
    IHostEnvironment Environment { get; }
}

internal static class CatalogUtils
{
    public static IHostEnvironment GetEnvironment(this IInternalCatalog catalog) => catalog.Environment;
}
