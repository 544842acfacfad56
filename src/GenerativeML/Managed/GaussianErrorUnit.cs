using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>GELU (Hendrycks and Gimpel 2016), x·Φ(x), in both forms that released weights were trained with.</summary>
internal static unsafe class GaussianErrorUnit
{
    /// <summary>
    /// In the form with tanh, 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), to float accuracy; in the one with the error
    /// function to 2·10⁻⁷·|x|.
    /// </summary>
    /// <param name="form">Which form.</param>
    /// <param name="x">What it is given.</param>
    /// <param name="y">As long: overwritten with what it makes of it; may be <paramref name="x"/>.</param>
    public static void Apply(GeluForm form, ReadOnlySpan<float> x, Span<float> y) => Run(form, x, y, []);

    /// <summary>The way back: what it makes of x, and a loss's gradient by that turned into the one by x.</summary>
    /// <param name="form">Which form.</param>
    /// <param name="x">What it was given.</param>
    /// <param name="y">As long: overwritten with what it makes of it.</param>
    /// <param name="slope">As long: the gradient by y, replaced by the one by x.</param>
    public static void Back(GeluForm form, ReadOnlySpan<float> x, Span<float> y, Span<float> slope) =>
        Run(form, x, y, slope);

    private static void Run(GeluForm form, ReadOnlySpan<float> x, Span<float> y, Span<float> slope)
    {
        if (form == GeluForm.Tanh)
            Run<TanhForm>(x, y, slope);
        else
            Run<ErfForm>(x, y, slope);
    }

    private static void Run<TForm>(ReadOnlySpan<float> x, Span<float> y, Span<float> slope)
        where TForm : struct, IDifferentiable
    {
        fixed (float* from = x, to = y, slopes = slope)
        {
            if (Avx512F.IsSupported)
                Run<TForm, Lanes512, Vector512<float>>(from, to, slopes, x.Length);
            else if (Vector256.IsHardwareAccelerated)
                Run<TForm, Lanes256, Vector256<float>>(from, to, slopes, x.Length);
            else
                Run<TForm, Lanes128, Vector128<float>>(from, to, slopes, x.Length);
        }
    }

    private static void Run<TForm, TLanes, TVector>(float* x, float* y, float* slopes, int count)
        where TForm : struct, IDifferentiable
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
            One<TForm, TLanes, TVector>(x + i, y + i, slopes == null ? null : slopes + i);
        if (i == count)
            return;
        // The last few by the same instructions.
        float* last = stackalloc float[3 * TLanes.Count];
        new Span<float>(last, 3 * TLanes.Count).Clear();
        float* lastY = last + TLanes.Count, lastSlopes = lastY + TLanes.Count;
        for (int j = i; j < count; j++)
        {
            last[j - i] = x[j];
            if (slopes != null)
                lastSlopes[j - i] = slopes[j];
        }
        One<TForm, TLanes, TVector>(last, lastY, lastSlopes);
        for (int j = i; j < count; j++)
        {
            y[j] = lastY[j - i];
            if (slopes != null)
                slopes[j] = lastSlopes[j - i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void One<TForm, TLanes, TVector>(float* x, float* y, float* slopes)
        where TForm : struct, IDifferentiable
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TLanes.Store(TForm.Compute<TLanes, TVector>(TLanes.Load(x), out TVector rise), y);
        if (slopes != null)
            TLanes.Store(TLanes.Multiply(TLanes.Load(slopes), rise), slopes);
    }

    private readonly struct TanhForm : IDifferentiable
    {
        // (1 + tanh u) / 2 = 1 / (1 + e^−2u), and its derivative by 2u is s·(1 − s).
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            const float scale = 2 * 0.7978845608f, cubic = 0.044715f;
            TVector one = TLanes.All(1f), squares = TLanes.Multiply(x, x);
            TVector bent = TLanes.MultiplyAdd(squares, TLanes.All(-scale * cubic), TLanes.All(-scale));
            TVector down = Exponential.Of<TLanes, TVector>(TLanes.Multiply(x, bent)); // e^−2u
            TVector s = TLanes.Divide(one, TLanes.Add(one, down));
            TVector rise = TLanes.MultiplyAdd(squares, TLanes.All(3 * scale * cubic), TLanes.All(scale)); // of 2u
            TVector curve = TLanes.Multiply(s, TLanes.Subtract(one, s));
            slope = TLanes.MultiplyAdd(TLanes.Multiply(x, rise), curve, s);
            return TLanes.Multiply(x, s);
        }
    }

    /// <summary>With the error function.</summary>
    public readonly struct ErfForm : IDifferentiable
    {
        // Abramowitz and Stegun 7.1.26: 1 − erf z = (a₁t + … + a₅t⁵)·e^−z², t = 1/(1 + pz), for z ≥ 0.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static TVector Compute<TLanes, TVector>(TVector x, out TVector slope)
            where TLanes : struct, ILanes<TVector>
            where TVector : struct
        {
            const float density = 0.3989422804f; // 1/√2π
            TVector one = TLanes.All(1f), z = TLanes.Multiply(TLanes.Abs(x), TLanes.All(0.70710678f));
            TVector t = TLanes.Divide(one, TLanes.MultiplyAdd(z, TLanes.All(0.3275911f), one));
            TVector sum = TLanes.All(1.061405429f);
            sum = TLanes.MultiplyAdd(sum, t, TLanes.All(-1.453152027f));
            sum = TLanes.MultiplyAdd(sum, t, TLanes.All(1.421413741f));
            sum = TLanes.MultiplyAdd(sum, t, TLanes.All(-0.284496736f));
            sum = TLanes.MultiplyAdd(sum, t, TLanes.All(0.254829592f));
            TVector bell = Exponential.Of<TLanes, TVector>(TLanes.Multiply(TLanes.Multiply(x, x), TLanes.All(-0.5f)));
            TVector tail = TLanes.Multiply(TLanes.Multiply(sum, t), TLanes.Multiply(bell, TLanes.All(0.5f))); // Φ(−|x|)
            TVector below = TLanes.Select(x, TLanes.All(0f), TLanes.Subtract(one, tail), tail);
            slope = TLanes.MultiplyAdd(TLanes.Multiply(x, bell), TLanes.All(density), below);
            return TLanes.Multiply(x, below);
        }
    }
}
