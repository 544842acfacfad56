namespace GenerativeML;

/// <summary>Sees every training row once, in the source's order, before training begins.</summary>
internal interface IRowObserver
{
    /// <summary>So many rows of a block, from one on.</summary>
    void Observe(RowBlock block, int start, int count);
}

/// <summary>Mean, deviation and range of each slot of a Single field over the training rows.</summary>
internal sealed class ColumnMoments(int field, int width) : IRowObserver
{
    private readonly double[] _squares = new double[width];

    /// <summary>Which slots hold nothing but zeros and ones, (Width).</summary>
    public bool[] IsBinary { get; } = [.. Enumerable.Repeat(true, width)];

    /// <summary>Rows seen.</summary>
    public long Count { get; private set; }

    /// <summary>The mean of each slot, (Width).</summary>
    public double[] Mean { get; } = new double[width];

    /// <summary>The population standard deviation of each slot, (Width); zero for a constant one.</summary>
    public double[] Deviation => [.. Enumerable.Range(0, width).Select(j =>
        Maximum[j] > Minimum[j] ? Math.Sqrt(_squares[j] / Count) : 0)];

    /// <summary>The smallest value of each slot, (Width).</summary>
    public float[] Minimum { get; } = [.. Enumerable.Repeat(float.PositiveInfinity, width)];

    /// <summary>The largest value of each slot, (Width).</summary>
    public float[] Maximum { get; } = [.. Enumerable.Repeat(float.NegativeInfinity, width)];

    public void Observe(RowBlock block, int start, int count)
    {
        for (int i = start; i < start + count; i++)
        {
            Count++;
            ReadOnlySpan<float> row = block.SingleRow(field, i);
            for (int j = 0; j < row.Length; j++)
            {
                // Welford's update: sums of squares of large values would cancel.
                double distance = row[j] - Mean[j];
                Mean[j] += distance / Count;
                _squares[j] += distance * (row[j] - Mean[j]);
                Minimum[j] = Math.Min(Minimum[j], row[j]);
                Maximum[j] = Math.Max(Maximum[j], row[j]);
                IsBinary[j] &= row[j] is 0 or 1;
            }
        }
    }
}

/// <summary>
/// A bounded random sample of the rows of a Single field, every row equally likely, in one pass (Vitter's algorithm R
/// 1985). With no more rows than its size it holds them all, in their order.
/// </summary>
internal sealed class RowSample(int field, int width, int size, int seed) : IRowObserver
{
    private readonly List<float[]> _rows = [];
    private SplitMix64 _random = new(SplitMix64.Derive(seed, RandomPurpose.Sample));
    private long _seen;

    /// <summary>Slots of a row.</summary>
    public int Width => width;

    /// <summary>The number of rows in the sample.</summary>
    public int Count => _rows.Count;

    /// <summary>The rows, row-major, (Count × Width).</summary>
    public float[] ToArray()
    {
        float[] all = new float[_rows.Count * width];
        for (int i = 0; i < _rows.Count; i++)
            _rows[i].CopyTo(all, i * width);
        return all;
    }

    public void Observe(RowBlock block, int start, int count)
    {
        for (int i = start; i < start + count; i++)
        {
            ReadOnlySpan<float> row = block.SingleRow(field, i);
            if (_rows.Count < size)
            {
                _rows.Add(row.ToArray());
            }
            else
            {
                ulong at = _random.Next() % (ulong)(_seen + 1);
                if (at < (ulong)size)
                    row.CopyTo(_rows[(int)at]);
            }
            _seen++;
        }
    }
}
