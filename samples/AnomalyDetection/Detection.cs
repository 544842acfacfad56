using Microsoft.ML;
using Microsoft.ML.Data;

namespace AnomalyDetection;

/// <summary>Reads what a detector says of many rows, in one pass each.</summary>
internal static class Detection
{
    /// <summary>Score, verdict and label of every row.</summary>
    public static List<Outcome> Outcomes(MLContext ml, IDataView scored) =>
        [.. Rows(ml, scored).Select(row => new Outcome(row.Score, row.PredictedLabel, row.Label))];

    /// <summary>ROC area and detection rate, or null where the rows are not labelled or all of one kind.</summary>
    public static AnomalyDetectionMetrics? Grade(MLContext ml, IReadOnlyCollection<Outcome> outcomes)
    {
        if (outcomes.All(o => o.IsAnomaly) || !outcomes.Any(o => o.IsAnomaly))
            return null;
        IDataView graded = ml.Data.LoadFromEnumerable(outcomes.Select(o =>
            new GradedRow { Score = o.Score, PredictedLabel = o.Flagged, Label = o.IsAnomaly ? 1 : 0 }));
        return ml.AnomalyDetection.Evaluate(graded);
    }

    /// <summary>
    /// The scores of all rows in order, and the strangest rows with the three features that made them so.
    /// </summary>
    public static (float[] Scores, List<StrangeRow> Strangest) Strangest(
        MLContext ml, IDataView scored, string[] features, int count)
    {
        var scores = new List<float>();
        var kept = new PriorityQueue<(int Row, ScoredRow Scored), float>();
        double[] sum = new double[features.Length];
        long[] usualRows = new long[features.Length];
        foreach (ScoredRow row in Rows(ml, scored))
        {
            scores.Add(row.Score);
            kept.Enqueue((scores.Count, row), row.Score);
            if (kept.Count > count)
                kept.Dequeue();
            for (int i = 0; i < features.Length && !row.PredictedLabel; i++)
            {
                if (!float.IsFinite(row.Readings[i]))
                    continue;
                sum[i] += row.Readings[i];
                usualRows[i]++;
            }
        }

        IEnumerable<StrangeRow> strangest =
            from item in kept.UnorderedItems.Select(item => item.Element)
            orderby item.Scored.Score descending, item.Row
            select new StrangeRow(item.Row, item.Scored.Score, item.Scored.Label, Reasons(item.Scored));
        return ([.. scores], [.. strangest]);

        List<Reason> Reasons(ScoredRow row)
        {
            float total = Math.Max(row.FeatureScore.Sum(), float.Epsilon);
            return [.. Enumerable.Range(0, features.Length)
                .OrderByDescending(i => row.FeatureScore[i])
                .Take(3)
                .Select(i => new Reason(
                    features[i], row.Readings[i], sum[i] / usualRows[i], row.FeatureScore[i] / total))];
        }
    }

    private static IEnumerable<ScoredRow> Rows(MLContext ml, IDataView scored) =>
        ml.Data.CreateEnumerable<ScoredRow>(scored, reuseRowObject: false, ignoreMissingColumns: true);
}
