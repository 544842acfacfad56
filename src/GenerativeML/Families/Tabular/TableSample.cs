namespace GenerativeML;

/// <summary>
/// A bounded random sample of a table's rows, every row equally likely, in one pass (Vitter's algorithm R 1985), and
/// how often each category occurs in all of them. With no more rows than its size it holds them all, in their order.
/// </summary>
internal sealed class TableSample
{
    private const int ReadRows = 1024;

    private readonly TableBlock _rows;
    private readonly long[][] _counts;

    private TableSample(TableShape shape, int size)
    {
        _rows = new TableBlock(shape, size);
        _counts = [.. shape.Columns.Select(c => new long[c.Categories])];
    }

    /// <summary>The number of rows in the sample.</summary>
    public int Count { get; private set; }

    /// <summary>The sampled values of a continuous column, (Count); NaN is a missing one.</summary>
    public ReadOnlySpan<double> Numbers(int column) => _rows.Numbers(column).AsSpan(0, Count);

    /// <summary>How often each category of a column occurs in all rows.</summary>
    public IReadOnlyList<long> Counts(int column) => _counts[column];

    /// <summary>Reads a table once.</summary>
    /// <param name="source">The table.</param>
    /// <param name="most">The most rows to hold.</param>
    /// <param name="seed">The seed of the choice.</param>
    /// <param name="cancellation">Stops it.</param>
    public static TableSample Take(ITableSource source, int most, int seed, CancellationToken cancellation)
    {
        var sample = new TableSample(source.Shape, (int)Math.Min(most, source.RowCount));
        var random = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Sample));
        long seen = 0;
        var block = new TableBlock(source.Shape, ReadRows);
        using ITableReader reader = source.Open();
        for (int n; (n = reader.Read(block, 0, ReadRows)) > 0;)
        {
            cancellation.ThrowIfCancellationRequested();
            for (int row = 0; row < n; row++, seen++)
            {
                ulong at = seen < sample._rows.Capacity ? (ulong)seen : random.Next() % (ulong)(seen + 1);
                if (at < (ulong)sample._rows.Capacity)
                    block.CopyRow(row, sample._rows, (int)at);
            }
            sample.CountCategories(block, n);
        }
        sample.Count = (int)Math.Min(seen, sample._rows.Capacity);
        return sample;
    }

    private void CountCategories(TableBlock block, int rows)
    {
        for (int c = 0; c < _counts.Length; c++)
        {
            if (_counts[c].Length == 0)
                continue;
            foreach (int code in block.Codes(c).AsSpan(0, rows))
                _counts[c][code]++;
        }
    }
}
