namespace GenerativeML.Tests;

/// <summary>A table in memory.</summary>
internal sealed class ArrayTable(TableShape shape, IReadOnlyList<Array> columns) : ITableSource
{
    public TableShape Shape => shape;

    public long RowCount => columns[0].Length;

    /// <summary>A column of numbers, rounded as its values are.</summary>
    public static TableColumn Number(string name, double[] values, int? decimals = null) =>
        new(name, TableColumnKind.Continuous)
        {
            HasMissing = values.Any(double.IsNaN),
            Min = values.Where(v => !double.IsNaN(v)).DefaultIfEmpty(0).Min(),
            Max = values.Where(v => !double.IsNaN(v)).DefaultIfEmpty(0).Max(),
            Step = decimals ?? 10,
        };

    public static TableColumn Category(string name, int categories) =>
        new(name, TableColumnKind.Categorical) { Categories = categories };

    public ITableReader Open() => new Reader(this, columns);

    /// <summary>
    /// Rows with a joint distribution that is known: two categories a and b, of which c is the sum with chance 0.8, and
    /// a number that is a tenth of a row's share beside 10·a; every tenth number is missing.
    /// </summary>
    public static ArrayTable Known(int rows, ulong seed)
    {
        var random = new SplitMix64(seed);
        int[] a = new int[rows], b = new int[rows], c = new int[rows];
        double[] x = new double[rows];
        for (int i = 0; i < rows; i++)
        {
            a[i] = random.NextDouble() < 0.3 ? 1 : 0;
            b[i] = random.NextDouble() < 0.5 ? 1 : 0;
            c[i] = random.NextDouble() < 0.8 ? a[i] + b[i] : random.Next(3);
            x[i] = random.NextDouble() < 0.1 ? double.NaN : Math.Round(10 * a[i] + random.NextDouble(), 2);
        }
        var shape = new TableShape([Category("a", 2), Category("b", 2), Category("c", 3), Number("x", x, 2)], Label: 1);
        return new ArrayTable(shape, [a, b, c, x]);
    }

    private sealed class Reader(ArrayTable table, IReadOnlyList<Array> columns) : ITableReader
    {
        private int _next;

        public int Read(TableBlock block, int count)
        {
            int n = (int)Math.Min(count, table.RowCount - _next);
            for (int c = 0; c < columns.Count; c++)
            {
                for (int row = 0; row < n; row++)
                    block[c][row] = Convert.ToDouble(columns[c].GetValue(_next + row), null);
            }
            _next += n;
            return n;
        }

        public void Dispose()
        {
        }
    }
}
