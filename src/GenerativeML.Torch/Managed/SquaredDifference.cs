using System.Numerics;

namespace GenerativeML.Torch;

/// <summary>Squared differences of two rows.</summary>
internal static class SquaredDifference
{
    /// <summary>Σ (a − b)².</summary>
    public static float Sum(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        int whole = a.Length - a.Length % Vector<float>.Count;
        Vector<float> sums = Vector<float>.Zero;
        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> difference = new Vector<float>(a[i..]) - new Vector<float>(b[i..]);
            sums = Vector.FusedMultiplyAdd(difference, difference, sums);
        }
        float sum = Vector.Sum(sums);
        for (int i = whole; i < a.Length; i++)
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        return sum;
    }

    /// <summary>y += (a − b)².</summary>
    public static void AddTo(Span<float> y, ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        int whole = y.Length - y.Length % Vector<float>.Count;
        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> difference = new Vector<float>(a[i..]) - new Vector<float>(b[i..]);
            Vector.FusedMultiplyAdd(difference, difference, new Vector<float>(y[i..])).CopyTo(y[i..]);
        }
        for (int i = whole; i < y.Length; i++)
            y[i] += (a[i] - b[i]) * (a[i] - b[i]);
    }
}
