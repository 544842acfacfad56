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
