namespace GenerativeML;

/// <summary>
/// The training rows of a table; they can be read again and again, always the same in the same order.
/// </summary>
internal interface ITableSource
{
    /// <summary>What is known of the columns.</summary>
    TableShape Shape { get; }

    /// <summary>The number of rows; at least one.</summary>
    long RowCount { get; }

    /// <summary>Starts a pass over all rows.</summary>
    ITableReader Open();
}

/// <summary>One pass over the rows of an <see cref="ITableSource"/>; used by one thread at a time.</summary>
internal interface ITableReader : IDisposable
{
    /// <summary>
    /// Reads up to <paramref name="count"/> rows into <paramref name="block"/>, from row
    /// <paramref name="start"/> of it on.
    /// </summary>
    /// <returns>The number of rows read; less than asked for, and then zero, only at the end.</returns>
    int Read(TableBlock block, int start, int count);
}
