namespace GenerativeML;

/// <summary>
/// What takes the place of NaN and infinity in a row: of NaN the mean, of ±infinity the largest and smallest of the
/// finite values that the slot had in training. Zero for a slot that never had a finite value.
/// </summary>
/// <param name="Fields">One entry for each field.</param>
internal sealed record NonFiniteReplacement(IReadOnlyList<NonFiniteReplacement.SlotRange> Fields)
{
    /// <summary>Replaces in place what is not finite in one row of field <paramref name="field"/>.</summary>
    public void Apply(int field, Span<float> row)
    {
        SlotRange range = Fields[field];
        for (int i = 0; i < row.Length; i++)
        {
            row[i] = row[i] switch
            {
                float.NaN => range.Mean[i],
                float.PositiveInfinity => range.Max[i],
                float.NegativeInfinity => range.Min[i],
                float finite => finite,
            };
        }
    }

    /// <summary>Whether this fits <paramref name="fields"/> and holds nothing but finite values.</summary>
    public bool Fits(IReadOnlyList<RowField> fields) => Fields.Count == fields.Count
        && Fields.Zip(fields).All(pair => new[] { pair.First.Mean, pair.First.Min, pair.First.Max }.All(
            values => values?.Length == pair.Second.Width && values.All(float.IsFinite)));

    /// <summary>The finite values of each slot of a field, in three numbers.</summary>
    internal sealed record SlotRange(float[] Mean, float[] Min, float[] Max);

    /// <summary>Gathers the ranges of one field, row by row.</summary>
    internal sealed class Collector(int width)
    {
        private readonly double[] _sum = new double[width];
        private readonly long[] _count = new long[width];
        private readonly float[] _min = new float[width], _max = new float[width];

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
