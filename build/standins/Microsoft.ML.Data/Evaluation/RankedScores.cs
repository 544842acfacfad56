namespace Microsoft.ML.Data;

internal static class RankedScores
{
    /// <summary>The share of pairs in which the positive row scores higher; equal scores count half.</summary>
    public static double AreaUnderRoc(List<(float Score, bool IsPositive)> sorted, long positives)
    {
        double area = 0;
        long above = 0;
        for (int first = 0; first < sorted.Count;)
        {
            long ties = 0, negatives = 0;
            float score = sorted[first].Score;
            for (; first < sorted.Count && sorted[first].Score == score; first++)
            {
                ties += sorted[first].IsPositive ? 1 : 0;
                negatives += sorted[first].IsPositive ? 0 : 1;
            }

            area += negatives * (above + 0.5 * ties);
            above += ties;
        }

        return area / ((double)positives * (sorted.Count - positives));
    }
}
