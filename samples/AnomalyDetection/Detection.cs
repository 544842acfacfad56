using Microsoft.ML;
using Microsoft.ML.Data;

namespace AnomalyDetection;

/// <summary>A row of the detector's output, as <c>CreateEnumerable</c> fills it in.</summary>
internal sealed class ScoredRow
{
    /// <summary>What the file says about the row; null in a file without a label column.</summary>
    public string? Label { get; set; }

    /// <summary>The features as they stand in the file.</summary>
    public float[] Readings { get; set; } = [];

    /// <summary>How strange the row is.</summary>
    public float Score { get; set; }

    /// <summary>Whether the score is above the detector's threshold.</summary>
    public bool PredictedLabel { get; set; }

    /// <summary>How much each feature contributed to the score.</summary>
    public float[] FeatureScore { get; set; } = [];
}

/// <summary>What the detector said of a row that it was not trained on, and what the file says.</summary>
/// <param name="Score">How strange the row is.</param>
/// <param name="Flagged">Whether the detector calls it an anomaly.</param>
/// <param name="Label">The label as it stands in the file, such as a fault's name; null where there is none.</param>
internal sealed record Outcome(float Score, bool Flagged, string? Label)
{
    /// <summary>Whether the file calls the row an anomaly.</summary>
    public bool IsAnomaly { get; } = Label is not null && Readings.IsAnomaly(Label);
}

/// <summary>One of the strangest rows; the first after the file's header has number 1.</summary>
internal sealed record StrangeRow(int Row, float Score, string? Label, IReadOnlyList<Reason> Reasons);

/// <summary>A feature's part in a row's score.</summary>
/// <param name="Feature">The feature's name.</param>
/// <param name="Value">Its value in the row; NaN where the file has none.</param>
/// <param name="Usual">Its mean over the rows that are not flagged.</param>
/// <param name="Share">Which part of the row's score is its doing, from 0 to 1.</param>
internal sealed record Reason(string Feature, float Value, double Usual, double Share)
{
    /// <summary>The value as people read it.</summary>
    public string Shown => float.IsNaN(Value) ? "missing" : $"{Value:G4}";
}

/// <summary>How the flags fare against the labels.</summary>
internal sealed class Grades(IReadOnlyCollection<Outcome> outcomes)
{
    private readonly double _found = outcomes.Count(o => o.Flagged && o.IsAnomaly);

    public int Flagged { get; } = outcomes.Count(o => o.Flagged);

    public int Anomalies { get; } = outcomes.Count(o => o.IsAnomaly);

    public double Precision => Flagged == 0 ? 0 : _found / Flagged;

    public double Recall => Anomalies == 0 ? 0 : _found / Anomalies;

    public double F1 => _found == 0 ? 0 : 2 * _found / (Flagged + Anomalies);

    /// <summary>For each kind of anomaly, how many are flagged; empty where the labels do not tell kinds.</summary>
    public IReadOnlyList<(string Kind, int Found, int All)> Kinds { get; } =
        outcomes.Where(o => o.IsAnomaly).GroupBy(o => o.Label!).OrderBy(kind => kind.Key)
            .Select(kind => (kind.Key, kind.Count(o => o.Flagged), kind.Count())).ToArray()
            is { Length: > 1 and < 13 } kinds ? kinds : [];
}

/// <summary>Reads what a detector says of many rows.</summary>
internal static class Detection
{
    /// <summary>The rows of a detector's output.</summary>
    public static List<ScoredRow> Rows(MLContext ml, IDataView scored) =>
        [.. ml.Data.CreateEnumerable<ScoredRow>(scored, reuseRowObject: false, ignoreMissingColumns: true)];

    /// <summary>Score, verdict and label of every row.</summary>
    public static List<Outcome> Outcomes(MLContext ml, IDataView scored) =>
        [.. Rows(ml, scored).Select(row => new Outcome(row.Score, row.PredictedLabel, row.Label))];

    /// <summary>ROC area and detection rate, or null where the rows are not labelled or all of one kind.</summary>
    public static AnomalyDetectionMetrics? Grade(MLContext ml, IReadOnlyCollection<Outcome> outcomes) =>
        outcomes.All(o => o.IsAnomaly) || !outcomes.Any(o => o.IsAnomaly)
            ? null
            : ml.AnomalyDetection.Evaluate(ml.Data.LoadFromEnumerable(
                // A Boolean label is refused.
                outcomes.Select(o => new { o.Score, PredictedLabel = o.Flagged, Label = o.IsAnomaly ? 1f : 0f })));

    /// <summary>The strangest rows with the three features that made them so.</summary>
    public static List<StrangeRow> Strangest(List<ScoredRow> rows, string[] features, int count)
    {
        double[] usual = [.. features.Select((_, i) => rows.Where(row => !row.PredictedLabel)
            .Select(row => row.Readings[i]).Where(float.IsFinite).DefaultIfEmpty(float.NaN).Average())];
        return [.. rows.Index().OrderByDescending(row => row.Item.Score).Take(count).Select(row => new StrangeRow(
            row.Index + 1, row.Item.Score, row.Item.Label, Reasons(row.Item)))];

        List<Reason> Reasons(ScoredRow row)
        {
            float total = Math.Max(row.FeatureScore.Sum(), float.Epsilon);
            return [.. row.FeatureScore.Index().OrderByDescending(feature => feature.Item).Take(3).Select(
                f => new Reason(features[f.Index], row.Readings[f.Index], usual[f.Index], f.Item / total))];
        }
    }
}
