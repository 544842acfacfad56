using System.Numerics;
using System.Runtime.InteropServices;

namespace GenerativeML.Torch;

/// <summary>Finds the smallest of many numbers. Of equal ones the first count.</summary>
internal static class Nearest
{
    /// <summary>Takes numbers into a list of the smallest so far.</summary>
    /// <param name="values">The numbers; a multiple of four vectors.</param>
    /// <param name="first">What the first of them is called.</param>
    /// <param name="least">The smallest so far, in order; infinite at first.</param>
    /// <param name="which">What they are called.</param>
    public static void Update(ReadOnlySpan<float> values, int first, Span<float> least, Span<int> which)
    {
        int width = Vector<float>.Count;
        float most = least[^1];
        for (int i = 0; i < values.Length; i += 4 * width)
        {
            // After some hundred numbers, most are too large: four vectors at once are passed over.
            Vector<float> smallest = Vector.MinNative(
                Vector.MinNative(new Vector<float>(values[i..]), new Vector<float>(values[(i + width)..])),
                Vector.MinNative(new Vector<float>(values[(i + 2 * width)..]), new Vector<float>(values[(i + 3 * width)..])));
            if (!Vector.LessThanAny(smallest, new Vector<float>(most)))
                continue;
            for (int j = i; j < i + 4 * width; j++)
            {
                if (values[j] < most)
                {
                    Insert(values[j], first + j, least, which);
                    most = least[^1];
                }
            }
        }
    }

    /// <summary>The positions of the <paramref name="k"/> smallest of a few numbers, in order of position.</summary>
    /// <param name="values">The numbers, at most <see cref="StoredRows.Group"/>.</param>
    /// <param name="k">How many; at most as many as there are.</param>
    /// <param name="chosen">Where they go.</param>
    /// <returns>How many there are: fewer than <paramref name="k"/> at most where NaN are among the numbers.</returns>
    public static int Choose(ReadOnlySpan<float> values, int k, Span<int> chosen)
    {
        // As integers they have the same order, and halving the range that holds the k-th ends after 32 steps.
        Span<int> keys = stackalloc int[StoredRows.Group];
        keys.Fill(int.MaxValue);
        int low = int.MaxValue, high = int.MinValue;
        for (int i = 0; i < values.Length; i++)
        {
            int bits = BitConverter.SingleToInt32Bits(values[i]);
            int key = bits ^ ((bits >> 31) & int.MaxValue);
            keys[i] = key;
            low = Math.Min(low, key);
            high = Math.Max(high, key);
        }
        int reached = values.Length; // how many are at most high
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
        for (int i = 0; i < values.Length && found < k; i++)
        {
            if (keys[i] < high || keys[i] == high && equal-- > 0)
                chosen[found++] = i;
        }
        return found;
    }

    private static int CountUpTo(ReadOnlySpan<int> keys, int most)
    {
        Vector<int> count = Vector<int>.Zero, limit = new(most);
        foreach (Vector<int> key in MemoryMarshal.Cast<int, Vector<int>>(keys))
            count -= Vector.LessThanOrEqual(key, limit);
        return Vector.Sum(count);
    }

    private static void Insert(float value, int name, Span<float> least, Span<int> which)
    {
        int at = least.Length - 1;
        for (; at > 0 && least[at - 1] > value; at--)
            (least[at], which[at]) = (least[at - 1], which[at - 1]);
        (least[at], which[at]) = (value, name);
    }
}
