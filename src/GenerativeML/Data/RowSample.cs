namespace GenerativeML;

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

    /// <inheritdoc />
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
