namespace GenerativeML;

/// <summary>Finds the tokens of a column of numbers from a sample of its values.</summary>
internal static class NumberTokenBuilder
{
    // The share of an interval's size that is measured by its width and not by the values in it: so that a long tail
    // has more than the one interval that its few values would be given.
    private const double WidthShare = 0.25;

    private const int MostSegments = 2048;

    /// <summary>Chooses tokens.</summary>
    /// <param name="column">The column.</param>
    /// <param name="sample">Values of it; NaN is a missing one.</param>
    /// <param name="most">About how many tokens there may be. Few values get fewer.</param>
    public static NumberTokens Build(TableColumn column, ReadOnlySpan<double> sample, int most)
    {
        double[] values = [.. sample.ToArray().Where(v => !double.IsNaN(v)).Order()];
        most = Math.Clamp(sample.Length / 8, 4, most);
        (double[] distinct, int[] counts) = CountDistinct(values);
        bool[] frequent = Frequent(counts, values.Length, most);
        List<NumberSegment[]> tokens =
        [
            .. Enumerable.Range(0, distinct.Length).Where(i => frequent[i])
                .Select(i => new[] { new NumberSegment(distinct[i], distinct[i], counts[i]) }),
        ];

        int[] others = [.. Enumerable.Range(0, distinct.Length).Where(i => !frequent[i])];
        if (others.Length > 0)
        {
            int left = others.Sum(i => counts[i]);
            int least = Math.Clamp(values.Length / 200, 2, 20);
            int intervals = Math.Clamp(left / least, 1, Math.Max(1, most - tokens.Count / 2));
            int together = (others.Length + MostSegments - 1) / MostSegments;
            foreach (int[] interval in Intervals(others, distinct, counts, left, intervals, least))
                tokens.Add([.. Segments(interval, distinct, counts, together)]);
        }
        if (column.HasMissing || tokens.Count == 0)
            tokens.Add([]);
        return new NumberTokens(column, tokens);
    }

    private static (double[] Distinct, int[] Counts) CountDistinct(double[] sorted)
    {
        var distinct = new List<double>();
        var counts = new List<int>();
        foreach (double value in sorted)
        {
            if (distinct.Count > 0 && distinct[^1] == value)
            {
                counts[^1]++;
            }
            else
            {
                distinct.Add(value);
                counts.Add(1);
            }
        }
        return ([.. distinct], [.. counts]);
    }

    /// <summary>Which values occur often enough for a token: half as often as an interval of the rarer ones.</summary>
    private static bool[] Frequent(int[] counts, int rows, int most)
    {
        bool[] frequent = new bool[counts.Length];
        if (counts.Length == 1)
        {
            frequent[0] = true;
            return frequent;
        }
        int least = Math.Clamp(rows / 200, 2, 10);
        double left = rows;
        foreach (int i in Enumerable.Range(0, counts.Length).OrderByDescending(i => counts[i]).Take(most))
        {
            if (counts[i] < least || counts[i] < 0.5 * left / most)
                break;
            frequent[i] = true;
            left -= counts[i];
        }
        return frequent;
    }

    /// <summary>Cuts ascending values into intervals, each with a least number of rows.</summary>
    private static IEnumerable<int[]> Intervals(
        int[] others, double[] distinct, int[] counts, int rows, int intervals, int least)
    {
        // Halved, for the difference of the two greatest numbers is infinite.
        double low = distinct[others[0]] / 2, span = distinct[others[^1]] / 2 - low;
        var current = new List<int>();
        int inCurrent = 0, before = 0, part = 0;
        foreach (int i in others)
        {
            double width = span > 0 ? (distinct[i] / 2 - low) / span : 0;
            double position = (1 - WidthShare) * (before + counts[i]) / rows + WidthShare * width;
            int next = Math.Min((int)(position * intervals), intervals - 1);
            if (next != part && inCurrent >= least && rows - before >= least)
            {
                yield return [.. current];
                current.Clear();
                inCurrent = 0;
            }
            part = next;
            current.Add(i);
            inCurrent += counts[i];
            before += counts[i];
        }
        yield return [.. current];
    }

    /// <summary>
    /// How values are spread in an interval: repeated ones as they are, and each of the others somewhere between the
    /// middles to its neighbours, so that few rare values are copies. Many are taken together, some at a time.
    /// </summary>
    private static IEnumerable<NumberSegment> Segments(int[] interval, double[] distinct, int[] counts, int together)
    {
        for (int first = 0; first < interval.Length; first += together)
        {
            int last = Math.Min(first + together, interval.Length) - 1;
            int from = interval[first], to = interval[last];
            if (from == to && counts[from] > 1)
            {
                yield return new NumberSegment(distinct[from], distinct[from], counts[from]);
                continue;
            }
            double low = first > 0 ? Middle(distinct[interval[first - 1]], distinct[from]) : distinct[from];
            double high = last == interval.Length - 1
                ? distinct[to]
                : Middle(distinct[to], distinct[interval[last + 1]]);
            yield return new NumberSegment(low, high, interval[first..(last + 1)].Sum(i => (double)counts[i]));
        }

        static double Middle(double a, double b) => a / 2 + b / 2;
    }
}
