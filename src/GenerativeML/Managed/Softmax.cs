using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>Exponentials and their sums, safe from overflow.</summary>
internal static unsafe class Softmax
{
    /// <summary>Replaces numbers by e^(scale·x) / Σ e^(scale·x).</summary>
    /// <param name="x">The numbers, not all −∞.</param>
    /// <param name="scale">Positive.</param>
    public static void Apply(Span<float> x, float scale = 1)
    {
        fixed (float* numbers = x)
        {
            if (Avx512F.IsSupported)
                Apply<Lanes512, Vector512<float>>(numbers, x.Length, scale);
            else if (Vector256.IsHardwareAccelerated)
                Apply<Lanes256, Vector256<float>>(numbers, x.Length, scale);
            else
                Apply<Lanes128, Vector128<float>>(numbers, x.Length, scale);
        }
    }

    /// <summary>The way back: a loss's gradient by the shares becomes the one by the numbers they came from.</summary>
    /// <param name="shares">What <see cref="Apply"/> gave.</param>
    /// <param name="slope">As long: the gradient by them, replaced.</param>
    /// <param name="scale">As given to <see cref="Apply"/>.</param>
    public static void Back(ReadOnlySpan<float> shares, Span<float> slope, float scale = 1)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(slope.Length, shares.Length);
        fixed (float* given = shares, slopes = slope)
        {
            if (Avx512F.IsSupported)
                Back<Lanes512, Vector512<float>>(given, slopes, shares.Length, scale);
            else if (Vector256.IsHardwareAccelerated)
                Back<Lanes256, Vector256<float>>(given, slopes, shares.Length, scale);
            else
                Back<Lanes128, Vector128<float>>(given, slopes, shares.Length, scale);
        }
    }

    /// <summary>log Σ eˣ.</summary>
    /// <param name="x">The numbers, not all −∞.</param>
    public static float LogSumOfExponentials(ReadOnlySpan<float> x)
    {
        float max = Max(x);
        return max + MathF.Log(ExponentialsOf(x, max));
    }

    /// <summary>The largest.</summary>
    public static float Max(ReadOnlySpan<float> x)
    {
        fixed (float* numbers = x)
        {
            return Avx512F.IsSupported ? Max<Lanes512, Vector512<float>>(numbers, x.Length)
                : Vector256.IsHardwareAccelerated ? Max<Lanes256, Vector256<float>>(numbers, x.Length)
                : Max<Lanes128, Vector128<float>>(numbers, x.Length);
        }
    }

    private static float ExponentialsOf(ReadOnlySpan<float> x, float shift)
    {
        fixed (float* numbers = x)
        {
            return Avx512F.IsSupported
                ? ExponentialsOf<Lanes512, Vector512<float>>(numbers, x.Length, shift, 1, null)
                : Vector256.IsHardwareAccelerated
                ? ExponentialsOf<Lanes256, Vector256<float>>(numbers, x.Length, shift, 1, null)
                : ExponentialsOf<Lanes128, Vector128<float>>(numbers, x.Length, shift, 1, null);
        }
    }

    private static void Apply<TLanes, TVector>(float* x, int count, float scale)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        float max = Max<TLanes, TVector>(x, count);
        float share = 1 / ExponentialsOf<TLanes, TVector>(x, count, max, scale, x);
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
            TLanes.Store(TLanes.Multiply(TLanes.Load(x + i), TLanes.All(share)), x + i);
        for (; i < count; i++)
            x[i] *= share;
    }

    // dx = scale · y · (dy − Σ dy·y).
    private static void Back<TLanes, TVector>(float* y, float* slope, int count, float scale)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector sums = TLanes.All(0f);
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
            sums = TLanes.MultiplyAdd(TLanes.Load(y + i), TLanes.Load(slope + i), sums);
        float sum = TLanes.Sum(sums);
        for (; i < count; i++)
            sum += y[i] * slope[i];
        for (i = 0; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TVector centered = TLanes.Subtract(TLanes.Load(slope + i), TLanes.All(sum));
            TVector scaled = TLanes.Multiply(TLanes.Load(y + i), TLanes.All(scale));
            TLanes.Store(TLanes.Multiply(scaled, centered), slope + i);
        }
        for (; i < count; i++)
            slope[i] = y[i] * scale * (slope[i] - sum);
    }

    private static float Max<TLanes, TVector>(float* x, int count)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector maxima = TLanes.All(float.NegativeInfinity);
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
            maxima = TLanes.Max(maxima, TLanes.Load(x + i));
        float max = TLanes.Largest(maxima);
        for (; i < count; i++)
            max = MathF.Max(max, x[i]);
        return max;
    }

    /// <summary>Writes e^(scale·(x − shift)), if there is where, and sums them.</summary>
    private static float ExponentialsOf<TLanes, TVector>(float* x, int count, float shift, float scale, float* y)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector sums = TLanes.All(0f);
        int i = 0;
        for (; i <= count - TLanes.Count; i += TLanes.Count)
        {
            TVector e = Exponential.Of<TLanes, TVector>(
                TLanes.Multiply(TLanes.Subtract(TLanes.Load(x + i), TLanes.All(shift)), TLanes.All(scale)));
            sums = TLanes.Add(sums, e);
            if (y != null)
                TLanes.Store(e, y + i);
        }
        if (i < count)
        {
            // The last few by the same instructions, among numbers whose exponential is zero.
            float* last = stackalloc float[TLanes.Count];
            TLanes.Store(TLanes.All(float.NegativeInfinity), last);
            for (int j = i; j < count; j++)
                last[j - i] = (x[j] - shift) * scale;
            TVector e = Exponential.Of<TLanes, TVector>(TLanes.Load(last));
            sums = TLanes.Add(sums, e);
            TLanes.Store(e, last);
            for (int j = i; j < count && y != null; j++)
                y[j] = last[j - i];
        }
        return TLanes.Sum(sums);
    }
}
