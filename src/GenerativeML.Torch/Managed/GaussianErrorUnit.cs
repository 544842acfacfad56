using System.Numerics;
using System.Runtime.CompilerServices;

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

    /// <summary>The way back: what it makes of x, and a loss's gradient by that turned into the one by x.</summary>
    /// <param name="form">Which form.</param>
    /// <param name="x">What it was given.</param>
    /// <param name="y">As long: overwritten with what it makes of it.</param>
    /// <param name="slope">As long: the gradient by y, replaced by the one by x.</param>
    public static void Back(GeluForm form, ReadOnlySpan<float> x, Span<float> y, Span<float> slope)
    {
        if (form == GeluForm.Tanh)
            Back<TanhForm>(x, y, slope);
        else
            Back<ErfForm>(x, y, slope);
    }

    private static void Back<TForm>(ReadOnlySpan<float> x, Span<float> y, Span<float> slope)
        where TForm : struct, IForm
    {
        int width = Vector<float>.Count;
        int i = 0;
        for (; i <= x.Length - width; i += width)
        {
            TForm.Compute(new Vector<float>(x[i..]), out Vector<float> rises).CopyTo(y[i..]);
            (new Vector<float>(slope[i..]) * rises).CopyTo(slope[i..]);
        }
        if (i == x.Length)
            return;
        Span<float> last = stackalloc float[width], lastRises = stackalloc float[width];
        last.Clear();
        x[i..].CopyTo(last);
        TForm.Compute(new Vector<float>(last), out Vector<float> someRises).CopyTo(last);
        someRises.CopyTo(lastRises);
        for (int j = i; j < x.Length; j++)
            (y[j], slope[j]) = (last[j - i], slope[j] * lastRises[j - i]);
    }

    private static void Apply<TForm>(Span<float> x)
        where TForm : struct, IForm
    {
        int width = Vector<float>.Count;
        int i = 0;
        for (; i <= x.Length - width; i += width)
            TForm.Compute(new Vector<float>(x[i..]), out _).CopyTo(x[i..]);
        if (i == x.Length)
            return;
        Span<float> last = stackalloc float[width];
        last.Clear();
        x[i..].CopyTo(last);
        TForm.Compute(new Vector<float>(last), out _).CopyTo(last);
        last[..(x.Length - i)].CopyTo(x[i..]);
    }

    private interface IForm
    {
        static abstract Vector<float> Compute(Vector<float> x, out Vector<float> slope);
    }

    private readonly struct TanhForm : IForm
    {
        // (1 + tanh u) / 2 = 1 / (1 + e^−2u), and its derivative by 2u is s·(1 − s).
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<float> Compute(Vector<float> x, out Vector<float> slope)
        {
            const float scale = 2 * 0.7978845608f, cubic = 0.044715f;
            Vector<float> squares = x * x;
            Vector<float> u = x * scale * (Vector<float>.One + squares * cubic); // 2u
            Vector<float> s = Vector<float>.One / (Vector<float>.One + Vector.Exp(-u));
            Vector<float> rise = (Vector<float>.One + squares * (3 * cubic)) * scale; // of 2u
            slope = s + x * s * (Vector<float>.One - s) * rise;
            return x * s;
        }
    }

    private readonly struct ErfForm : IForm
    {
        // Abramowitz and Stegun 7.1.26: 1 − erf z = (a₁t + … + a₅t⁵)·e^−z², t = 1/(1 + pz), for z ≥ 0.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector<float> Compute(Vector<float> x, out Vector<float> slope)
        {
            const float density = 0.3989422804f; // 1/√2π
            Vector<float> z = Vector.Abs(x) * 0.70710678f;
            Vector<float> t = Vector<float>.One / (Vector<float>.One + z * 0.3275911f);
            Vector<float> sum = new(1.061405429f);
            sum = sum * t + new Vector<float>(-1.453152027f);
            sum = sum * t + new Vector<float>(1.421413741f);
            sum = sum * t + new Vector<float>(-0.284496736f);
            sum = sum * t + new Vector<float>(0.254829592f);
            Vector<float> bell = Vector.Exp(-z * z);
            Vector<float> tail = sum * t * bell * 0.5f; // Φ(−|x|)
            Vector<float> below = Vector.ConditionalSelect(
                Vector.GreaterThanOrEqual(x, Vector<float>.Zero), Vector<float>.One - tail, tail);
            slope = below + x * bell * density;
            return x * below;
        }
    }
}
