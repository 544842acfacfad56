namespace GenerativeML;

/// <summary>Draws by running sums.</summary>
internal static class Cumulative
{
    /// <summary>
    /// The first of ascending sums that is greater than <paramref name="value"/>, or the last of all.
    /// </summary>
    public static int Find(ReadOnlySpan<double> upTo, double value)
    {
        int low = 0, high = upTo.Length - 1;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (upTo[middle] > value)
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }
}
