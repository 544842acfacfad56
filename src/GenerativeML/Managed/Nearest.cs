using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace GenerativeML;

/// <summary>Finds the smallest of many numbers. Of equal ones the first count.</summary>
internal static class Nearest
{
    /// <summary>How many numbers are looked at together.</summary>
    public const int Block = 128;

    /// <summary>Takes the sums of two lists into a list of the smallest so far.</summary>
    /// <param name="values">The first terms, <see cref="Block"/> of them.</param>
    /// <param name="terms">The second.</param>
    /// <param name="first">What the first sum is called.</param>
    /// <param name="least">The smallest so far, in order; infinite at first.</param>
    /// <param name="which">What they are called.</param>
    public static void Update(
        ReadOnlySpan<float> values, ReadOnlySpan<float> terms, int first, Span<float> least, Span<int> which)
    {
        ref float a = ref MemoryMarshal.GetReference(values[..Block]);
        ref float b = ref MemoryMarshal.GetReference(terms[..Block]);
        Vector256<float> most = Vector256.Create(least[^1]);
        for (nuint i = 0; i < Block; i += 4 * (nuint)Vector256<float>.Count)
        {
            // After some hundred numbers, most are too large: four vectors at once are passed over.
            Vector256<float> s0 = Sum(ref a, ref b, i), s1 = Sum(ref a, ref b, i + 8);
            Vector256<float> s2 = Sum(ref a, ref b, i + 16), s3 = Sum(ref a, ref b, i + 24);
            Vector256<float> smallest = Vector256.MinNative(Vector256.MinNative(s0, s1), Vector256.MinNative(s2, s3));
            if (!Vector256.LessThanAny(smallest, most))
                continue;
            int name = first + (int)i;
            Insert(s0, name, least, which);
            Insert(s1, name + 8, least, which);
            Insert(s2, name + 16, least, which);
            Insert(s3, name + 24, least, which);
            most = Vector256.Create(least[^1]);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        static Vector256<float> Sum(ref float a, ref float b, nuint at) =>
            Vector256.LoadUnsafe(ref a, at) + Vector256.LoadUnsafe(ref b, at);
    }

    /// <summary>The positions of the <paramref name="k"/> smallest of a few numbers, in order of position.</summary>
    /// <param name="values">The numbers, at most <see cref="Block"/>.</param>
    /// <param name="k">How many; at most as many as there are.</param>
    /// <param name="chosen">Where they go.</param>
    /// <returns>How many there are: fewer than <paramref name="k"/> at most where NaN are among the numbers.</returns>
    [SkipLocalsInit]
    public static int Choose(ReadOnlySpan<float> values, int k, Span<int> chosen)
    {
        // As integers they have the same order, and halving the range that holds the k-th ends after 32 steps.
        Span<int> numbers = stackalloc int[Block];
        MemoryMarshal.Cast<float, int>(values).CopyTo(numbers);
        numbers[values.Length..].Fill(int.MaxValue);
        Span<Vector256<int>> keys = MemoryMarshal.Cast<int, Vector256<int>>(numbers);
        Vector256<int> lows = Vector256.Create(int.MaxValue), highs = Vector256.Create(int.MinValue);
        foreach (ref Vector256<int> key in keys)
        {
            key ^= (key >> 31) & Vector256.Create(int.MaxValue);
            lows = Vector256.Min(lows, key);
            highs = Vector256.Max(highs, key);
        }
        int low = int.MaxValue, high = int.MinValue;
        for (int i = 0; i < Vector256<int>.Count; i++)
            (low, high) = (Math.Min(low, lows[i]), Math.Max(high, highs[i]));
        int reached = Block; // how many are at most high
        while (low < high && reached != k)
        {
            int middle = (int)(((long)low + high) >> 1);
            int count = CountUpTo(keys, middle);
            if (count >= k)
                (high, reached) = (middle, count);
            else
                low = middle + 1;
        }
        int equal = reached == k ? k : k - CountUpTo(keys, high - 1), found = 0;
        for (int v = 0; v < keys.Length; v++)
        {
            uint bits = Vector256.LessThanOrEqual(keys[v], Vector256.Create(high)).ExtractMostSignificantBits();
            for (; bits != 0 && found < k; bits &= bits - 1)
            {
                int i = v * Vector256<int>.Count + BitOperations.TrailingZeroCount(bits);
                if (i < values.Length && (numbers[i] < high || equal-- > 0))
                    chosen[found++] = i;
            }
        }
        return found;
    }

    private static int CountUpTo(Span<Vector256<int>> keys, int most)
    {
        Vector256<int> count = default, limit = Vector256.Create(most);
        foreach (Vector256<int> key in keys)
            count -= Vector256.LessThanOrEqual(key, limit);
        return Vector256.Sum(count);
    }

    private static void Insert(Vector256<float> values, int first, Span<float> least, Span<int> which)
    {
        int last = least.Length - 1;
        uint bits = Vector256.LessThan(values, Vector256.Create(least[last])).ExtractMostSignificantBits();
        for (; bits != 0; bits &= bits - 1)
        {
            int lane = BitOperations.TrailingZeroCount(bits), at = last;
            float value = values[lane];
            if (!(value < least[last]))
                continue;
            for (; at > 0 && least[at - 1] > value; at--)
                (least[at], which[at]) = (least[at - 1], which[at - 1]);
            (least[at], which[at]) = (value, first + lane);
        }
    }
}
