
namespace GenerativeML;

/// <summary>
/// What takes the place of NaN and infinity in a row: of NaN the mean, of ±infinity the largest and smallest of the
/// finite values that the slot had in training. Zero for a slot that never had a finite value.
/// </summary>
internal sealed class NonFiniteReplacement
{
    public NonFiniteReplacement(IReadOnlyList<SlotRange> fields) => Fields = fields;

    /// <summary>One entry for each field.</summary>
    public IReadOnlyList<SlotRange> Fields { get; }

    /// <summary>Replaces in place what is not finite in one row of field <paramref name="field"/>.</summary>
    public void Apply(int field, Span<float> row)
    {
        SlotRange range = Fields[field];
        for (int i = 0; i < row.Length; i++)
        {
            float x = row[i];
            if (float.IsNaN(x))
                row[i] = range.Mean[i];
            else if (float.IsInfinity(x))
                row[i] = x > 0 ? range.Max[i] : range.Min[i];
        }
    }

    /// <summary>Whether this fits <paramref name="fields"/> and holds nothing but finite values.</summary>
    public bool Fits(IReadOnlyList<RowField> fields) =>
        Fields.Count == fields.Count
        && Fields.Zip(fields).All(pair => pair.First.Fits(pair.Second.Width));

    /// <summary>The finite values of each slot of a field, in three numbers.</summary>
    internal sealed record SlotRange(float[] Mean, float[] Min, float[] Max)
    {
        public bool Fits(int width) => Fits(Mean, width) && Fits(Min, width) && Fits(Max, width);

        private static bool Fits(float[] values, int width) => values?.Length == width && values.All(float.IsFinite);
    }

    /// <summary>Gathers the ranges of one field, row by row.</summary>
    internal sealed class Collector(int width)
    {
        private readonly double[] _sum = new double[width];
        private readonly long[] _count = new long[width];
        private readonly float[] _min = new float[width];
        private readonly float[] _max = new float[width];

        public void Add(ReadOnlySpan<float> row)
        {
            for (int i = 0; i < row.Length; i++)
            {
                float x = row[i];
                if (!float.IsFinite(x))
                    continue;
                _min[i] = _count[i] == 0 ? x : Math.Min(_min[i], x);
                _max[i] = _count[i] == 0 ? x : Math.Max(_max[i], x);
                _sum[i] += x;
                _count[i]++;
            }
        }

        public SlotRange Finish() =>
            new([.. _sum.Zip(_count, (sum, n) => n == 0 ? 0f : (float)(sum / n))], _min, _max);
    }
}
