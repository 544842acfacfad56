using System.Numerics;

namespace GenerativeML.Torch;

/// <summary>Sums of vectors.</summary>
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
}
