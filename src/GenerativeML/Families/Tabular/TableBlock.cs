namespace GenerativeML;

/// <summary>Host memory for a number of rows of a table, column by column.</summary>
internal sealed class TableBlock
{
    private readonly Array[] _columns;

    /// <summary>Allocates room for <paramref name="capacity"/> rows.</summary>
    public TableBlock(TableShape shape, int capacity)
    {
        ArgumentNullException.ThrowIfNull(shape);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
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
        ArgumentNullException.ThrowIfNull(target);
        for (int c = 0; c < _columns.Length; c++)
            Array.Copy(_columns[c], from, target._columns[c], to, 1);
    }
}
