using System.Numerics;

namespace GenerativeML.Torch;

/// <summary>GELU (Hendrycks and Gimpel 2016), x·Φ(x), in both forms that released weights were trained with.</summary>
internal static class GaussianErrorUnit
{
    /// <summary>The approximation 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), to float accuracy.</summary>
    /// <param name="x">Replaced by the result.</param>
    public static void ApplyTanh(Span<float> x) => Apply<TanhForm>(x);

    /// <summary>With the error function, to 2·10⁻⁷·|x|.</summary>
    /// <param name="x">Replaced by the result.</param>
    public static void ApplyErf(Span<float> x) => Apply<ErfForm>(x);

    /// <summary>With the error function, of a vector.</summary>
    public static Vector<float> Erf(Vector<float> x) => ErfForm.Compute(x);

    private static void Apply<TForm>(Span<float> x)
        where TForm : struct, IForm
    {
        int width = Vector<float>.Count;
        int i = 0;
        for (; i <= x.Length - width; i += width)
            TForm.Compute(new Vector<float>(x[i..])).CopyTo(x[i..]);
        if (i == x.Length)
            return;
        Span<float> last = stackalloc float[width];
        last.Clear();
        x[i..].CopyTo(last);
        TForm.Compute(new Vector<float>(last)).CopyTo(last);
        last[..(x.Length - i)].CopyTo(x[i..]);
    }

    private interface IForm
    {
        static abstract Vector<float> Compute(Vector<float> x);
    }

    private readonly struct TanhForm : IForm
    {
        // (1 + tanh u) / 2 = 1 / (1 + e^−2u).
        public static Vector<float> Compute(Vector<float> x)
        {
            const float scale = -2 * 0.7978845608f;
            Vector<float> u = x * scale * (Vector<float>.One + x * x * 0.044715f);
            return x / (Vector<float>.One + Vector.Exp(u));
        }
    }

    private readonly struct ErfForm : IForm
    {
        // Abramowitz and Stegun 7.1.26: 1 − erf z = (a₁t + … + a₅t⁵)·e^−z², t = 1/(1 + pz), for z ≥ 0.
        public static Vector<float> Compute(Vector<float> x)
        {
            Vector<float> z = Vector.Abs(x) * 0.70710678f;
            Vector<float> t = Vector<float>.One / (Vector<float>.One + z * 0.3275911f);
            Vector<float> sum = new(1.061405429f);
            sum = sum * t + new Vector<float>(-1.453152027f);
            sum = sum * t + new Vector<float>(1.421413741f);
            sum = sum * t + new Vector<float>(-0.284496736f);
            sum = sum * t + new Vector<float>(0.254829592f);
            Vector<float> tail = sum * t * Vector.Exp(-z * z) * 0.5f; // Φ(−|x|)
            return x * Vector.ConditionalSelect(
                Vector.GreaterThanOrEqual(x, Vector<float>.Zero), Vector<float>.One - tail, tail);
        }
    }
}
