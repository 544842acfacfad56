using Microsoft.ML;

namespace GenerativeML;

/// <summary>A trained model that makes rows like those it was trained on.</summary>
internal interface IRowGenerator : IDisposable
{
    /// <summary>The columns of generated rows.</summary>
    DataViewSchema GeneratedSchema { get; }

    /// <summary>So many rows, the same for the same seed; all of them with a given value, where one is given.</summary>
    IDataView Generate(long rows, int seed, ColumnValue? where);
}

/// <summary>A value of a column.</summary>
/// <param name="Column">The column's name.</param>
/// <param name="Value">A text, which stands for a key too, or a number or Boolean.</param>
internal sealed record ColumnValue(string Column, object Value);
