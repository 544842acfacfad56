using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>Learns a table of mixed columns with a variational autoencoder, to generate rows like its own.</summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.TabularVae(string?, int?)"/> or
/// <see cref="GenerativeCatalog.TabularVae(TabularVaeOptions)"/>.
/// </para>
/// <inheritdoc cref="TabularEstimator" path="/remarks"/>
/// </remarks>
public sealed class TabularVaeTrainer : TabularEstimator
{
    internal TabularVaeTrainer(IHostEnvironment environment, TabularVaeOptions options)
        : base(environment, nameof(TabularVaeTrainer), options)
    {
    }
}
