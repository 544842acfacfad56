namespace GenerativeML;

/// <summary>Mean, deviation and range of each slot of a Single field over the training rows.</summary>
internal sealed class ColumnMoments(int field, int width) : IRowObserver
{
    private readonly double[] _squares = new double[width];

    /// <summary>Rows seen.</summary>
    public long Count { get; private set; }

    /// <summary>The mean of each slot, (Width).</summary>
    public double[] Mean { get; } = new double[width];

    /// <summary>The population standard deviation of each slot, (Width); zero for a constant one.</summary>
    public double[] Deviation => [.. Enumerable.Range(0, width).Select(j =>
        Maximum[j] > Minimum[j] ? Math.Sqrt(_squares[j] / Count) : 0)];

    /// <summary>The smallest value of each slot, (Width).</summary>
    public float[] Minimum { get; } = Filled(width, float.PositiveInfinity);

    /// <summary>The largest value of each slot, (Width).</summary>
    public float[] Maximum { get; } = Filled(width, float.NegativeInfinity);

    /// <inheritdoc />
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
            }
        }
    }

    private static float[] Filled(int width, float value)
    {
        float[] array = new float[width];
        Array.Fill(array, value);
        return array;
    }
}
