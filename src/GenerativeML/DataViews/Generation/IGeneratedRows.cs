using Microsoft.ML;

namespace GenerativeML;

/// <summary>
/// What a family gives <see cref="GeneratedDataView"/>: rows in blocks of a fixed size, any of which can be made at any
/// time. Calls come from any number of threads at once.
/// </summary>
internal interface IGeneratedRows
{
    /// <summary>The columns; always the same object, since ML.NET compares schemas by reference.</summary>
    DataViewSchema Schema { get; }

    /// <summary>Rows of a block, always the same number.</summary>
    int BlockRows { get; }

    /// <summary>Memory for one block, of the columns that are <paramref name="active"/>.</summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    IGeneratedBlock Open(bool[] active);
}

/// <summary>One block of generated rows at a time; belongs to one cursor, and so to one thread at a time.</summary>
internal interface IGeneratedBlock
{
    /// <summary>
    /// Makes all rows of block <paramref name="number"/>, wholly even where the view ends before: so its rows have the
    /// same bits whoever asks, and in views of any length.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    void Compute(long number);

    /// <summary>
    /// A <see cref="ValueGetter{TValue}"/> for an active column, by its index in the schema, of the row of the block
    /// that <paramref name="at"/> names.
    /// </summary>
    Delegate Getter(int column, IBatchPosition at);
}
