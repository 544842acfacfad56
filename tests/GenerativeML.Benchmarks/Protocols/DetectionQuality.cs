namespace GenerativeML.Benchmarks;

/// <summary>How well scores rank anomalies above normal rows, whatever the threshold.</summary>
internal static class DetectionQuality
{
    /// <summary>
    /// The area under the ROC curve: the chance that an anomaly scores higher than a normal row, a tie counting half.
    /// </summary>
    /// <exception cref="ArgumentException">All rows are of one kind, or a score is NaN.</exception>
    public static double Auroc(ReadOnlySpan<float> scores, ReadOnlySpan<bool> isAnomaly) => Tally(scores, isAnomaly).Auroc()!.Value.Area;

    /// <summary>
    /// The area under the precision-recall curve as a sum of steps: over the distinct scores from the highest down, the
    /// gain in recall times the precision reached; rows of equal score are one step.
    /// </summary>
    /// <exception cref="ArgumentException">All rows are of one kind, or a score is NaN.</exception>
    public static double AveragePrecision(ReadOnlySpan<float> scores, ReadOnlySpan<bool> isAnomaly) =>
        Tally(scores, isAnomaly).AveragePrecision()!.Value;

    /// <summary>
    /// The volume under the surface of precision and recall (VUS-PR, Paparrizos 2022), for rows in the order of time whose
    /// anomalies last for some rows: the mean, over buffers from none to the most, of the area under range-based precision and
    /// recall. A buffer of ℓ rows makes each of the ℓ/2 rows to either side of an anomaly, d rows away, √(1 − d/ℓ) of one;
    /// recall is told by the mean of both numbers of anomalous rows, times the share of anomalies, with their buffers, of which
    /// any row is detected. Thresholds are, as published, 250 scores evenly spaced in their order.
    /// </summary>
    /// <exception cref="ArgumentException">All rows are of one kind, or a score is NaN.</exception>
    public static double VolumeUnderPrecisionRecall(ReadOnlySpan<float> scores, ReadOnlySpan<bool> isAnomaly, int mostBuffer = 100)
    {
        const int thresholds = 250;
        Tally(scores, isAnomaly); // checks them
        float[] all = scores.ToArray(), falling = [.. all.OrderDescending()];
        int[] order = [.. Enumerable.Range(0, all.Length).OrderByDescending(i => all[i])];
        // Each threshold with how many rows are detected.
        (float Threshold, int Count)[] cuts =
        [
            .. Enumerable.Range(0, thresholds).Select(k => falling[(int)(k * (all.Length - 1L) / (thresholds - 1))]).Distinct()
                .Select(threshold => (threshold, falling.Count(score => score >= threshold))),
        ];
        double real = isAnomaly.Count(true), sum = 0;
        for (int buffer = 0; buffer <= mostBuffer; buffer++)
        {
            double[] soft = Buffered(isAnomaly, buffer);
            float[] highest = Highest(all, soft);
            double whole = (real + soft.Sum()) / 2, found = 0, last = 0;
            int seen = 0;
            foreach ((float threshold, int count) in cuts)
            {
                for (; seen < count; seen++)
                    found += soft[order[seen]];
                double recall = Math.Min(found / whole, 1) * highest.Count(score => score >= threshold) / highest.Length;
                sum += (recall - last) * found / count;
                last = recall;
            }
        }
        return sum / (mostBuffer + 1);
    }

    // How much of an anomaly each row is.
    private static double[] Buffered(ReadOnlySpan<bool> isAnomaly, int buffer)
    {
        double[] soft = new double[isAnomaly.Length];
        for (int i = 0; i < soft.Length; i++)
        {
            bool begins = isAnomaly[i] && (i == 0 || !isAnomaly[i - 1]), ends = isAnomaly[i] && (i == soft.Length - 1 || !isAnomaly[i + 1]);
            soft[i] = isAnomaly[i] ? 1 : soft[i];
            for (int d = 1; d <= buffer / 2; d++)
            {
                double share = Math.Sqrt(1 - (double)d / buffer);
                if (begins && i >= d)
                    soft[i - d] = Math.Min(1, soft[i - d] + share);
                if (ends && i + d < soft.Length)
                    soft[i + d] = Math.Min(1, soft[i + d] + share);
            }
        }
        return soft;
    }

    // The highest score of each run of rows that are at all part of an anomaly.
    private static float[] Highest(float[] scores, double[] soft)
    {
        List<float> highest = [];
        for (int i = 0; i < soft.Length; i++)
        {
            if (soft[i] > 0 && (i == 0 || soft[i - 1] == 0))
                highest.Add(scores[i]);
            else if (soft[i] > 0)
                highest[^1] = Math.Max(highest[^1], scores[i]);
        }
        return [.. highest];
    }

    private static ScoreTally Tally(ReadOnlySpan<float> scores, ReadOnlySpan<bool> isAnomaly)
    {
        if (scores.Length != isAnomaly.Length)
            throw new ArgumentException($"{scores.Length} scores for {isAnomaly.Length} rows.");
        var tally = new ScoreTally(maxScores: int.MaxValue); // all are told apart
        for (int i = 0; i < scores.Length; i++)
        {
            if (float.IsNaN(scores[i]))
                throw new ArgumentException("A score is NaN.");
            tally.Add(scores[i], isAnomaly[i] ? RowLabel.Anomalous : RowLabel.Normal);
        }
        return tally.Total is { Normal: > 0, Anomalous: > 0 } ? tally : throw new ArgumentException("There must be both normal and anomalous rows.");
    }
}
