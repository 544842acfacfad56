using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML.Torch;

/// <summary>Exponentials and their sums, safe from overflow.</summary>
internal static class Softmax
{
    /// <summary>Replaces numbers by e^(scale·x) / Σ e^(scale·x).</summary>
    /// <param name="x">The numbers, not all −∞.</param>
    /// <param name="scale">Positive.</param>
    public static void Apply(Span<float> x, float scale = 1)
    {
        float max = Max(x);
        float share = 1 / ExponentialsOf(x, max, scale, x);
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
            (new Vector<float>(x[i..]) * share).CopyTo(x[i..]);
        for (; i < x.Length; i++)
            x[i] *= share;
    }

    /// <summary>log Σ eˣ.</summary>
    /// <param name="x">The numbers, not all −∞.</param>
    public static float LogSumOfExponentials(ReadOnlySpan<float> x)
    {
        float max = Max(x);
        return max + MathF.Log(ExponentialsOf(x, max, 1, []));
    }

    /// <summary>The largest.</summary>
    public static float Max(ReadOnlySpan<float> x)
    {
        var maxima = new Vector<float>(float.NegativeInfinity);
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
            maxima = Vector.Max(maxima, new Vector<float>(x[i..]));
        float max = float.NegativeInfinity;
        for (int lane = 0; lane < Vector<float>.Count; lane++)
            max = MathF.Max(max, maxima[lane]);
        for (; i < x.Length; i++)
            max = MathF.Max(max, x[i]);
        return max;
    }

    /// <summary>Writes e^(scale·(x − shift)), if there is where, and sums them.</summary>
    private static unsafe float ExponentialsOf(ReadOnlySpan<float> x, float shift, float scale, Span<float> y)
    {
        fixed (float* from = x, to = y)
        {
            return Avx512F.IsSupported
                ? ExponentialsOf<Lanes512, Vector512<float>>(from, x.Length, shift, scale, to)
                : Vector256.IsHardwareAccelerated
                ? ExponentialsOf<Lanes256, Vector256<float>>(from, x.Length, shift, scale, to)
                : ExponentialsOf<Lanes128, Vector128<float>>(from, x.Length, shift, scale, to);
        }
    }

    private static unsafe float ExponentialsOf<TLanes, TVector>(
        float* x, int count, float shift, float scale, float* y)
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
            new Span<float>(last, TLanes.Count).Fill(float.NegativeInfinity);
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
