using System.Numerics;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>Sums of vectors.</summary>
internal static class VectorSum
{
    /// <summary>y += x.</summary>
    public static void AddTo(Span<float> y, ReadOnlySpan<float> x)
    {
        ref float to = ref MemoryMarshal.GetReference(y[..x.Length]), from = ref MemoryMarshal.GetReference(x);
        int i = 0;
        for (; i <= x.Length - Vector<float>.Count; i += Vector<float>.Count)
            (Vector.LoadUnsafe(ref to, (nuint)i) + Vector.LoadUnsafe(ref from, (nuint)i)).StoreUnsafe(ref to, (nuint)i);
        for (; i < x.Length; i++)
            y[i] += x[i];
    }

    /// <summary>y *= factor.</summary>
    public static void Scale(Span<float> y, float factor)
    {
        int i = 0;
        for (; i <= y.Length - Vector<float>.Count; i += Vector<float>.Count)
            (new Vector<float>(y[i..]) * factor).CopyTo(y[i..]);
        for (; i < y.Length; i++)
            y[i] *= factor;
    }

    /// <summary>Σ x·y of whole vectors.</summary>
    /// <param name="x">(length), a multiple of <see cref="Vector{T}.Count"/>.</param>
    /// <param name="y">(length).</param>
    public static float Dot(ReadOnlySpan<float> x, ReadOnlySpan<float> y)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(x.Length % Vector<float>.Count, 0);
        ref float a = ref MemoryMarshal.GetReference(x), b = ref MemoryMarshal.GetReference(y[..x.Length]);
        Vector<float> sum = Vector<float>.Zero;
        for (int i = 0; i < x.Length; i += Vector<float>.Count)
            sum = Vector.FusedMultiplyAdd(Vector.LoadUnsafe(ref a, (nuint)i), Vector.LoadUnsafe(ref b, (nuint)i), sum);
        return Vector.Sum(sum);
    }

    /// <summary>Σ x of whole vectors.</summary>
    /// <param name="x">A multiple of <see cref="Vector{T}.Count"/> long.</param>
    public static float Of(ReadOnlySpan<float> x)
    {
        Vector<float> sum = Vector<float>.Zero;
        for (int i = 0; i < x.Length; i += Vector<float>.Count)
            sum += new Vector<float>(x[i..]);
        return Vector.Sum(sum);
    }
}
