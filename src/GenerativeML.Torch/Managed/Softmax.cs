using System.Numerics;

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
    private static float ExponentialsOf(ReadOnlySpan<float> x, float shift, float scale, Span<float> y)
    {
        int width = Vector<float>.Count;
        Vector<float> sums = Vector<float>.Zero;
        int i = 0;
        for (; i <= x.Length - width; i += width)
        {
            Vector<float> e = Vector.Exp((new Vector<float>(x[i..]) - new Vector<float>(shift)) * scale);
            sums += e;
            if (!y.IsEmpty)
                e.CopyTo(y[i..]);
        }
        if (i < x.Length)
        {
            // The last few by the same instructions, among numbers whose exponential is zero.
            Span<float> last = stackalloc float[width];
            last.Fill(float.NegativeInfinity);
            x[i..].CopyTo(last);
            Vector<float> e = Vector.Exp((new Vector<float>(last) - new Vector<float>(shift)) * scale);
            sums += e;
            e.CopyTo(last);
            if (!y.IsEmpty)
                last[..(x.Length - i)].CopyTo(y[i..]);
        }
        return Vector.Sum(sums);
    }
}
