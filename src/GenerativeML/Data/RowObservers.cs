using System.Globalization;
using System.Numerics;

namespace GenerativeML;

/// <summary>Sees every training row once, in the source's order, before training begins.</summary>
internal interface IRowObserver
{
    /// <summary>One row of a block.</summary>
    void Observe(RowBlock block, int row);
}

/// <summary>Mean, deviation and range of each slot of a Single field over the training rows.</summary>
internal sealed class ColumnMoments(int field, int width) : IRowObserver
{
    private const float LargestWhole = 1 << 22;

    private readonly double[] _squares = new double[width];

    /// <summary>Which slots hold nothing but zeros and ones, (Width).</summary>
    public bool[] IsBinary { get; } = [.. Enumerable.Repeat(true, width)];

    /// <summary>Which slots hold nothing but whole numbers, small enough that half a one can be told, (Width).</summary>
    public bool[] IsWhole { get; } = [.. Enumerable.Repeat(true, width)];

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

    public void Observe(RowBlock block, int row) => Observe(block.SingleRow(field, row));

    /// <summary>One row's values.</summary>
    public void Observe(ReadOnlySpan<float> values)
    {
        Count++;
        for (int j = 0; j < values.Length; j++)
        {
            // Welford's update: sums of squares of large values would cancel.
            double distance = values[j] - Mean[j];
            Mean[j] += distance / Count;
            _squares[j] += distance * (values[j] - Mean[j]);
            Minimum[j] = Math.Min(Minimum[j], values[j]);
            Maximum[j] = Math.Max(Maximum[j], values[j]);
            IsBinary[j] &= values[j] is 0 or 1;
            IsWhole[j] &= MathF.Abs(values[j]) <= LargestWhole && MathF.Round(values[j]) == values[j];
        }
    }
}

/// <summary>
/// A random sample of rows of a Single field, in one pass (Vitter's algorithm R 1985); of few, all in their order.
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

    public void Observe(RowBlock block, int row)
    {
        ReadOnlySpan<float> values = block.SingleRow(field, row);
        _seen++;
        if (_rows.Count < size)
            _rows.Add(values.ToArray());
        else if (_random.Next() % (ulong)_seen is ulong at && at < (ulong)size)
            values.CopyTo(_rows[(int)at]);
    }
}

/// <summary>A hash of values in their order, by which data is known again: quick rather than safe.</summary>
internal struct Fingerprint()
{
    private const ulong Factor = 0x9E3779B97F4A7C15;

    private ulong _state = Factor;

    public void Add(ulong value) => _state = BitOperations.RotateLeft((_state ^ value) * Factor, 29);

    public void Add(ReadOnlySpan<float> values)
    {
        foreach (float value in values)
            Add(BitConverter.SingleToUInt32Bits(value));
    }

    public void Add(ReadOnlySpan<long> values)
    {
        foreach (long value in values)
            Add((ulong)value);
    }

    public void Add(string text)
    {
        Add((ulong)text.Length);
        foreach (char c in text)
            Add(c);
    }

    /// <summary>16 hexadecimal digits.</summary>
    public override readonly string ToString() =>
        new SplitMix64(_state).Next().ToString("x16", CultureInfo.InvariantCulture);
}

/// <summary>The fingerprint of each field of rows, whatever the blocks in which they are read.</summary>
internal sealed class RowFingerprint(IReadOnlyList<RowField> fields)
{
    private readonly Fingerprint[] _fields = [.. fields.Select(_ => new Fingerprint())];

    /// <summary>Adds the first <paramref name="count"/> rows of a block.</summary>
    public void Add(RowBlock block, int count)
    {
        for (int f = 0; f < _fields.Length; f++)
        {
            int values = count * fields[f].Width;
            if (fields[f].Kind == FieldKind.Single)
                _fields[f].Add(block.Singles(f)[..values]);
            else if (fields[f].Kind == FieldKind.Int64)
                _fields[f].Add(block.Int64s(f)[..values]);
            else
                foreach (string text in block.Texts(f)[..values])
                    _fields[f].Add(text);
        }
    }

    /// <summary>One for each field.</summary>
    public IReadOnlyList<string> Values => [.. _fields.Select(f => f.ToString())];
}
