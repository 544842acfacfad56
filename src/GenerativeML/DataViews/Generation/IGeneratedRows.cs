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
    /// Makes rows of block <paramref name="number"/>, from the first at least to <paramref name="row"/>; those that it
    /// has made already stay. They have the same bits however many are made at once, and in views of any length.
    /// </summary>
    /// <param name="number">The number of the block.</param>
    /// <param name="row">The row that is wanted now.</param>
    /// <param name="wanted">The rows of the block that will be wanted, from the first.</param>
    /// <returns>How many rows there are now, from the first.</returns>
    int Compute(long number, int row, int wanted);

    /// <summary>
    /// A <see cref="ValueGetter{TValue}"/> for an active column, by its index in the schema, of the row of the block
    /// that <paramref name="at"/> names.
    /// </summary>
    Delegate Getter(int column, IBatchPosition at);
}
