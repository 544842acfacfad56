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
    public static void Apply(
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
    }
}
