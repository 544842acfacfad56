namespace GenerativeML;

/// <summary>Host memory for a number of rows of a table, column by column.</summary>
internal sealed class TableBlock
{
    private readonly Array[] _columns;

    /// <summary>Allocates room for <paramref name="capacity"/> rows.</summary>
    public TableBlock(TableShape shape, int capacity)
    {
        Shape = shape;
        Capacity = capacity;
        _columns =
        [
            .. shape.Columns.Select(c => (Array)(c.Kind == TableColumnKind.Continuous
                ? new double[capacity]
                : new int[capacity])),
        ];
    }

    /// <summary>The columns.</summary>
    public TableShape Shape { get; }

    /// <summary>The number of rows there is room for.</summary>
    public int Capacity { get; }

    /// <summary>The values of a continuous column, (Capacity); NaN is a missing one.</summary>
    public double[] Numbers(int column) => (double[])_columns[column];

    /// <summary>The codes of a categorical column, (Capacity).</summary>
    public int[] Codes(int column) => (int[])_columns[column];

    /// <summary>Copies one row, all columns, to a row of another block of the same shape.</summary>
    public void CopyRow(int from, TableBlock target, int to)
    {
        for (int c = 0; c < _columns.Length; c++)
            CopyColumn(c, from, target, c, to, 1);
    }

    /// <summary>Copies rows of one column to a column of the same kind of another block.</summary>
    public void CopyColumn(int column, int from, TableBlock target, int targetColumn, int to, int count) =>
        Array.Copy(_columns[column], from, target._columns[targetColumn], to, count);
}

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
