using System.Numerics.Tensors;

namespace GenerativeML;

/// <summary>
/// The standardisation of rows: by mean and deviation, and beyond a limit, five deviations, by the logarithm, so that
/// one wild value, in training or in scoring, does not outweigh everything else. It can be undone.
/// </summary>
/// <param name="mean">Of each feature, (D).</param>
/// <param name="scale">One over the deviation of each feature, zero where it is constant, (D).</param>
/// <param name="limit">In deviations, (D).</param>
internal sealed class VectorScaler(float[] mean, float[] scale, float[] limit)
{
    /// <summary>The limit of a feature that is scaled.</summary>
    public const float Linear = 5;

    // Differences and counts of deviations are cut off here: larger ones would overflow, and the logarithm no longer
    // tells them apart.
    public const float Largest = 1e30f;

    // The logarithm of the largest: no standardised value lies farther beyond its limit.
    public const float LargestBeyond = 69.07755f;

    // Without a value this far out there is none that could be wild.
    private const double WildDeviations = 6;

    private readonly float _leastLimit = limit.Length == 0 ? Linear : limit.Min();

    /// <summary>Features of a row, D.</summary>
    public int Width => mean.Length;

    /// <summary>The mean of each feature.</summary>
    public float[] Means => mean;

    /// <summary>Whether a feature had but one value in training.</summary>
    public bool IsConstant(int feature) => scale[feature] == 0;

    /// <summary>The features that had but one value in training.</summary>
    public int[] Constants { get; } = [.. Enumerable.Range(0, scale.Length).Where(j => scale[j] == 0)];

    /// <summary>One over the deviation of a feature, or what stands in its place.</summary>
    public float Scale(int feature) => scale[feature];

    /// <summary>The one value of a constant feature, the mean of any.</summary>
    public float Mean(int feature) => mean[feature];

    /// <summary>
    /// A scaler by the moments of training values. Values that lie ten times as far out as the middle half of them is
    /// wide do not count, or a single wild one would hide all others. Unscaled features are only centred, so that rare
    /// ones are not amplified.
    /// </summary>
    public static VectorScaler Of(ColumnMoments moments, RowSample sample, bool[]? unscaled = null)
    {
        int width = moments.Mean.Length;
        float[] mean = new float[width], scale = new float[width], limit = new float[width];
        double[] deviations = moments.Deviation;
        float[]? rows = null;
        for (int j = 0; j < width; j++)
        {
            bool plain = unscaled?[j] == true;
            (double center, double deviation) = (moments.Mean[j], deviations[j]);
            double farthest = Math.Max(moments.Maximum[j] - center, center - moments.Minimum[j]);
            if (!plain && farthest > WildDeviations * deviation)
                (center, deviation) = WithoutWild(rows ??= sample.ToArray(), j, width, (center, deviation));
            mean[j] = (float)center;
            scale[j] = plain ? 1 : deviation > 0 ? (float)Math.Min(1 / deviation, float.MaxValue) : 0;
            limit[j] = plain ? Largest : Linear;
        }
        return new(mean, scale, limit);
    }

    /// <summary>A scaler of one scale for all features, without a limit.</summary>
    public static VectorScaler Of(float[] mean, double scale) =>
        new(mean, [.. mean.Select(_ => (float)scale)], [.. mean.Select(_ => Largest)]);

    /// <summary>Writes what the constructor takes, (D) each.</summary>
    public void CopyTo(Span<float> toMean, Span<float> toScale, Span<float> toLimit)
    {
        mean.CopyTo(toMean);
        scale.CopyTo(toScale);
        limit.CopyTo(toLimit);
    }

    private static (double Mean, double Deviation) WithoutWild(
        float[] rows, int feature, int width, (double, double) all)
    {
        float[] values = new float[rows.Length / width];
        for (int i = 0; i < values.Length; i++)
            values[i] = rows[i * width + feature];
        Array.Sort(values);
        float low = values[values.Length / 4], high = values[values.Length * 3 / 4];
        if (low == high) // mostly one value: how far the others lie is told by more of them
            (low, high) = (values[values.Length / 20], values[values.Length * 19 / 20]);
        if (low == high)
            return all;
        double reach = 10 * ((double)high - low);
        double[] kept = [.. values.Where(v => v >= low - reach && v <= high + reach).Select(v => (double)v)];
        double mean = kept.Average(), variance = kept.Average(v => (v - mean) * (v - mean));
        return variance > 0 ? (mean, Math.Sqrt(variance)) : all;
    }

    /// <summary>Rows in the units of the data → standardised rows, (rows × D); may be in place.</summary>
    public void Apply(ReadOnlySpan<float> rows, Span<float> standardized)
    {
        int width = Width;
        for (int at = 0; at < rows.Length; at += width)
        {
            Span<float> z = standardized.Slice(at, width);
            TensorPrimitives.Subtract(rows.Slice(at, width), mean, z);
            TensorPrimitives.Multiply(z, scale, z);
            if (MathF.Abs(TensorPrimitives.MaxMagnitude<float>(z)) <= _leastLimit)
                continue;
            for (int j = 0; j < width; j++)
            {
                // Of a difference beyond every number a constant feature makes NaN.
                float size = float.IsNaN(z[j]) ? 0 : Math.Min(MathF.Abs(z[j]), Largest);
                z[j] = MathF.CopySign(size <= limit[j] ? size : limit[j] + MathF.Log(1 + (size - limit[j])), z[j]);
            }
        }
    }

    /// <summary>Standardised rows → rows in the units of the data, in place, (rows × D).</summary>
    public void Undo(Span<float> rows)
    {
        for (int at = 0; at < rows.Length; at += Width)
        {
            Span<float> row = rows.Slice(at, Width);
            for (int j = 0; j < row.Length; j++)
            {
                float size = MathF.Abs(row[j]);
                if (size > limit[j])
                {
                    float beyond = MathF.Exp(Math.Min(size - limit[j], LargestBeyond)) - 1;
                    row[j] = MathF.CopySign(limit[j] + beyond, row[j]);
                }
                row[j] = IsConstant(j) ? mean[j] : row[j] / scale[j] + mean[j];
            }
        }
    }

    /// <summary>The same without the logarithm beyond limits, as for noise that goes far beyond rows.</summary>
    public void UndoLinearly(Span<float> rows)
    {
        for (int i = 0; i < rows.Length; i++)
            rows[i] = IsConstant(i % Width) ? mean[i % Width] : rows[i] / scale[i % Width] + mean[i % Width];
    }

    /// <summary>The log derivative of <see cref="Apply"/> in a feature; zero where it is constant.</summary>
    public float LogDerivative(int feature, float standardized)
    {
        float beyond = Math.Clamp(MathF.Abs(standardized) - limit[feature], 0, LargestBeyond); // log(1 + distance)
        return IsConstant(feature) ? 0 : MathF.Log(scale[feature]) - beyond;
    }
}
