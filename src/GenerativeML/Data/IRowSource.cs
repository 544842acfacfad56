namespace GenerativeML;

/// <summary>Rows that can be read again and again, always the same and in the same order.</summary>
internal interface IRowSource
{
    /// <summary>What a row holds.</summary>
    IReadOnlyList<RowField> Fields { get; }

    /// <summary>Starts a pass over all rows.</summary>
    IRowReader Open();
}

/// <summary>One pass over the rows of an <see cref="IRowSource"/>; used by one thread at a time.</summary>
internal interface IRowReader : IDisposable
{
    /// <summary>
    /// Reads up to <paramref name="count"/> rows into <paramref name="block"/>, from row
    /// <paramref name="start"/> of it on.
    /// </summary>
    /// <returns>The number of rows read; less than asked for, and then zero, only at the end.</returns>
    int Read(RowBlock block, int start, int count);
}
