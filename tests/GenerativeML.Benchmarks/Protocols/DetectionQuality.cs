namespace GenerativeML.Benchmarks;

/// <summary>How well scores rank anomalies above normal rows, whatever the threshold.</summary>
internal static class DetectionQuality
{
    /// <summary>
    /// The area under the ROC curve: the chance that an anomaly scores higher than a normal row, a tie counting half.
    /// </summary>
    /// <exception cref="ArgumentException">All rows are of one kind, or a score is NaN.</exception>
    public static double Auroc(ReadOnlySpan<float> scores, ReadOnlySpan<bool> isAnomaly)
    {
        (int[] order, int anomalies) = RankDescending(scores, isAnomaly);
        double normals = scores.Length - anomalies, wins = 0, normalsBelow = normals;
        foreach ((int hits, int misses) in Steps(scores, isAnomaly, order))
        {
            normalsBelow -= misses;
            wins += hits * (normalsBelow + misses / 2.0);
        }
        return wins / (anomalies * normals);
    }

    /// <summary>
    /// The area under the precision-recall curve as a sum of steps: over the distinct scores from the highest down, the
    /// gain in recall times the precision reached; rows of equal score are one step.
    /// </summary>
    /// <exception cref="ArgumentException">All rows are of one kind, or a score is NaN.</exception>
    public static double AveragePrecision(ReadOnlySpan<float> scores, ReadOnlySpan<bool> isAnomaly)
    {
        (int[] order, int anomalies) = RankDescending(scores, isAnomaly);
        double found = 0, flagged = 0, sum = 0;
        foreach ((int hits, int misses) in Steps(scores, isAnomaly, order))
        {
            found += hits;
            flagged += hits + misses;
            sum += hits * found / flagged;
        }
        return sum / anomalies;
    }

    private static (int[] Order, int Anomalies) RankDescending(ReadOnlySpan<float> scores, ReadOnlySpan<bool> isAnomaly)
    {
        if (scores.Length != isAnomaly.Length)
            throw new ArgumentException($"{scores.Length} scores for {isAnomaly.Length} rows.");
        foreach (float score in scores)
        {
            if (float.IsNaN(score))
                throw new ArgumentException("A score is NaN.");
        }
        int anomalies = isAnomaly.Count(true);
        if (anomalies == 0 || anomalies == scores.Length)
            throw new ArgumentException("There must be both normal and anomalous rows.");
        int[] order = [.. Enumerable.Range(0, scores.Length)];
        float[] keys = scores.ToArray();
        Array.Sort(keys, order);
        Array.Reverse(order);
        return (order, anomalies);
    }

    /// <summary>How many anomalies and normal rows share each score, from the highest score down.</summary>
    private static List<(int Hits, int Misses)> Steps(
        ReadOnlySpan<float> scores, ReadOnlySpan<bool> isAnomaly, int[] order)
    {
        List<(int, int)> steps = [];
        int hits = 0, misses = 0;
        for (int i = 0; i < order.Length; i++)
        {
            if (isAnomaly[order[i]])
                hits++;
            else
                misses++;
            if (i + 1 < order.Length && scores[order[i + 1]] == scores[order[i]])
                continue;
            steps.Add((hits, misses));
            (hits, misses) = (0, 0);
        }
        return steps;
    }
}
