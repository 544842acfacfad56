using System.Numerics;

namespace GenerativeML.Torch;

/// <summary>Layer normalisation (Ba 2016): a row has mean 0 and variance 1, then a gain and a bias.</summary>
internal static class LayerNormalization
{
    /// <summary>y = (x − mean) / √(variance + ε) · gain + bias; the variance is the population's.</summary>
    /// <param name="x">(width).</param>
    /// <param name="gain">(width).</param>
    /// <param name="bias">(width), or empty for none.</param>
    /// <param name="epsilon">ε.</param>
    /// <param name="y">(width): overwritten; may be <paramref name="x"/>.</param>
    /// <returns>The mean, and 1 / √(variance + ε).</returns>
    public static (float Mean, float Scale) Apply(
        ReadOnlySpan<float> x, ReadOnlySpan<float> gain, ReadOnlySpan<float> bias, float epsilon, Span<float> y)
    {
        int whole = x.Length - x.Length % Vector<float>.Count;
        Vector<float> sums = Vector<float>.Zero;
        for (int i = 0; i < whole; i += Vector<float>.Count)
            sums += new Vector<float>(x[i..]);
        float sum = Vector.Sum(sums);
        for (int i = whole; i < x.Length; i++)
            sum += x[i];
        float mean = sum / x.Length;

        sums = Vector<float>.Zero;
        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> centered = new Vector<float>(x[i..]) - new Vector<float>(mean);
            sums += centered * centered;
        }
        float squares = Vector.Sum(sums);
        for (int i = whole; i < x.Length; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        float scale = 1 / MathF.Sqrt(squares / x.Length + epsilon);

        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> centered = new Vector<float>(x[i..]) - new Vector<float>(mean);
            Vector<float> scaled = centered * scale * new Vector<float>(gain[i..]);
            (bias.IsEmpty ? scaled : scaled + new Vector<float>(bias[i..])).CopyTo(y[i..]);
        }
        for (int i = whole; i < x.Length; i++)
        {
            float scaled = (x[i] - mean) * scale * gain[i];
            y[i] = bias.IsEmpty ? scaled : scaled + bias[i];
        }
        return (mean, scale);
    }

    /// <summary>The way back: from a loss's gradient by y to those by x, gain and bias, which are added to.</summary>
    /// <param name="x">(width).</param>
    /// <param name="mean">What <see cref="Apply"/> gave.</param>
    /// <param name="scale">What <see cref="Apply"/> gave.</param>
    /// <param name="gain">(width).</param>
    /// <param name="slope">(width): the gradient by y.</param>
    /// <param name="xSlope">(width): the gradient by x is added.</param>
    /// <param name="gainSlope">(width): the gradient by the gain is added.</param>
    /// <param name="biasSlope">(width): the gradient by the bias is added; empty for none.</param>
    public static void Back(
        ReadOnlySpan<float> x, float mean, float scale, ReadOnlySpan<float> gain, ReadOnlySpan<float> slope,
        Span<float> xSlope, Span<float> gainSlope, Span<float> biasSlope)
    {
        int whole = x.Length - x.Length % Vector<float>.Count;
        Vector<float> sums = Vector<float>.Zero, products = Vector<float>.Zero;
        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> normal = (new Vector<float>(x[i..]) - new Vector<float>(mean)) * scale;
            var dy = new Vector<float>(slope[i..]);
            Vector<float> dn = dy * new Vector<float>(gain[i..]);
            sums += dn;
            products += dn * normal;
            (new Vector<float>(gainSlope[i..]) + dy * normal).CopyTo(gainSlope[i..]);
        }
        float sum = Vector.Sum(sums), product = Vector.Sum(products);
        for (int i = whole; i < x.Length; i++)
        {
            float normal = (x[i] - mean) * scale;
            sum += slope[i] * gain[i];
            product += slope[i] * gain[i] * normal;
            gainSlope[i] += slope[i] * normal;
        }
        if (!biasSlope.IsEmpty)
            VectorSum.AddTo(biasSlope, slope);

        // Neither moving x as a whole nor stretching it would change y.
        float constant = sum / x.Length, stretch = product / x.Length;
        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> normal = (new Vector<float>(x[i..]) - new Vector<float>(mean)) * scale;
            Vector<float> dn = new Vector<float>(slope[i..]) * new Vector<float>(gain[i..]);
            Vector<float> dx = (dn - new Vector<float>(constant) - normal * stretch) * scale;
            (new Vector<float>(xSlope[i..]) + dx).CopyTo(xSlope[i..]);
        }
        for (int i = whole; i < x.Length; i++)
        {
            float normal = (x[i] - mean) * scale;
            xSlope[i] += (slope[i] * gain[i] - constant - normal * stretch) * scale;
        }
    }
}
