using System.Numerics;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>Squared differences of rows.</summary>
internal static class SquaredDifference
{
    /// <summary>Σ (a − b)².</summary>
    public static float Sum(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        int whole = a.Length - a.Length % Vector<float>.Count;
        ref float first = ref MemoryMarshal.GetReference(a), second = ref MemoryMarshal.GetReference(b[..a.Length]);
        Vector<float> sums = Vector<float>.Zero;
        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> difference = Vector.LoadUnsafe(ref first, (nuint)i) - Vector.LoadUnsafe(ref second, (nuint)i);
            sums = Vector.FusedMultiplyAdd(difference, difference, sums);
        }
        float sum = Vector.Sum(sums);
        for (int i = whole; i < a.Length; i++)
            sum += (a[i] - b[i]) * (a[i] - b[i]);
        return sum;
    }

    /// <summary>Σ w·(a − b)².</summary>
    public static float WeightedSum(ReadOnlySpan<float> w, ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        int whole = w.Length - w.Length % Vector<float>.Count;
        ref float weight = ref MemoryMarshal.GetReference(w);
        ref float first = ref MemoryMarshal.GetReference(a[..w.Length]);
        ref float second = ref MemoryMarshal.GetReference(b[..w.Length]);
        Vector<float> sums = Vector<float>.Zero;
        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> difference = Vector.LoadUnsafe(ref first, (nuint)i) - Vector.LoadUnsafe(ref second, (nuint)i);
            sums = Vector.FusedMultiplyAdd(difference * difference, Vector.LoadUnsafe(ref weight, (nuint)i), sums);
        }
        float sum = Vector.Sum(sums);
        for (int i = whole; i < w.Length; i++)
            sum += w[i] * (a[i] - b[i]) * (a[i] - b[i]);
        return sum;
    }

    /// <summary>y += (a − b)², of whole vectors.</summary>
    public static void AddTo(Span<float> y, ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(y.Length % Vector<float>.Count, 0);
        ref float to = ref MemoryMarshal.GetReference(y);
        ref float first = ref MemoryMarshal.GetReference(a[..y.Length]);
        ref float second = ref MemoryMarshal.GetReference(b[..y.Length]);
        for (nuint i = 0; i < (nuint)y.Length; i += (nuint)Vector<float>.Count)
        {
            Vector<float> difference = Vector.LoadUnsafe(ref first, i) - Vector.LoadUnsafe(ref second, i);
            Vector.FusedMultiplyAdd(difference, difference, Vector.LoadUnsafe(ref to, i)).StoreUnsafe(ref to, i);
        }
    }

    /// <summary>The mean over some rows, slot by slot.</summary>
    /// <param name="row">(width).</param>
    /// <param name="others">(any × width).</param>
    /// <param name="numbers">Which of the others.</param>
    /// <param name="count">What the sum is divided by.</param>
    /// <param name="mean">(width): overwritten.</param>
    public static void Mean(
        ReadOnlySpan<float> row, ReadOnlySpan<float> others, ReadOnlySpan<int> numbers, int count, Span<float> mean)
    {
        int width = row.Length, whole = width - width % Vector<float>.Count, stored = others.Length / width;
        foreach (int number in numbers)
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)number, (uint)stored);
        ref float other = ref MemoryMarshal.GetReference(others);
        float factor = 1f / count;
        for (int i = 0; i < whole; i += Vector<float>.Count)
        {
            Vector<float> sum = Vector<float>.Zero, x = new(row[i..]);
            foreach (int number in numbers)
            {
                Vector<float> difference = x - Vector.LoadUnsafe(ref other, (nuint)number * (nuint)width + (nuint)i);
                sum = Vector.FusedMultiplyAdd(difference, difference, sum);
            }
            (sum * factor).CopyTo(mean[i..]);
        }
        for (int i = whole; i < width; i++)
        {
            float sum = 0;
            foreach (int number in numbers)
                sum += (row[i] - others[number * width + i]) * (row[i] - others[number * width + i]);
            mean[i] = sum * factor;
        }
    }
}
