using System.Numerics;

namespace GenerativeML.Torch;

/// <summary>Sums and multiples of vectors.</summary>
internal static class VectorSum
{
    /// <summary>y += x.</summary>
    public static void AddTo(Span<float> y, ReadOnlySpan<float> x)
    {
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
            (new Vector<float>(y[i..]) + new Vector<float>(x[i..])).CopyTo(y[i..]);
        for (; i < x.Length; i++)
            y[i] += x[i];
    }

    /// <summary>x *= factor.</summary>
    public static void Scale(Span<float> x, float factor)
    {
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
            (new Vector<float>(x[i..]) * factor).CopyTo(x[i..]);
        for (; i < x.Length; i++)
            x[i] *= factor;
    }
}
