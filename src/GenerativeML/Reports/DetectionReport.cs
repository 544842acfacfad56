using System.Text;
using Microsoft.ML;
using Microsoft.ML.Data;
using static System.FormattableString;

namespace GenerativeML;

/// <summary>
/// What a detector makes of rows: how their scores are spread and where the threshold lies; where there is a label, how well
/// scores tell anomalies, at every threshold and at the detector's own; which rows are the strangest; and, where there is a latent
/// column, how rows lie in it.
/// </summary>
/// <remarks>
/// Every row is read once, and memory does not grow with their number. Scores are told apart exactly up to 262,144 different ones,
/// and beyond by their leading bits, see <see cref="AurocError"/>. The latent map shows rows drawn at random.
/// </remarks>
/// <example>
/// <code>
/// DetectionReport report = DetectionReport.Create(detector.Transform(test), new() { LabelColumnName = "Fault" });
/// Console.WriteLine(report);
/// report.SaveHtml("report.html");
/// </code>
/// </example>
public sealed record DetectionReport
{
    private const int Bins = 48, MaxKinds = 1000, MaxStrangest = 10;
    private const double CurveStep = 1 / 400.0;

    /// <summary>The number of rows with a score.</summary>
    public required long Rows { get; init; }

    /// <summary>The number of rows whose score is NaN. They count in nothing else.</summary>
    public required long MissingScores { get; init; }

    /// <summary>
    /// The number of rows that the detector calls anomalies; null without
    /// <see cref="DetectionReportOptions.PredictedLabelColumnName"/>.
    /// </summary>
    public long? Flagged { get; init; }

    /// <summary>
    /// The score above which rows are flagged: <see cref="DetectionReportOptions.Threshold"/>, or else the highest of a row that is
    /// not flagged. Null where none is flagged or all are, or where flags do not follow from scores.
    /// </summary>
    public double? Threshold { get; init; }

    /// <summary>The number of rows that are labelled as normal.</summary>
    public required long NormalRows { get; init; }

    /// <summary>The number of rows that are labelled as anomalies.</summary>
    public required long AnomalousRows { get; init; }

    /// <summary>
    /// The area under the ROC curve: how likely an anomaly has a higher score than a normal row, equal scores counting half. Null
    /// without labelled rows of both kinds; so are the next four.
    /// </summary>
    public double? Auroc { get; init; }

    /// <summary>
    /// By how much <see cref="Auroc"/> can be wrong, because more different scores came than are told apart: 0 for up to 262,144.
    /// </summary>
    public double? AurocError { get; init; }

    /// <summary>
    /// The average precision, which is the area under the precision-recall curve drawn in steps: the mean, over the anomalies, of
    /// the share of anomalies among the labelled rows with a score as high or higher. By chance it is the share of anomalies.
    /// </summary>
    public double? AveragePrecision { get; init; }

    /// <summary>The share of anomalies among the flagged rows with a label; NaN where none is flagged. Null also without flags.</summary>
    public double? Precision { get; init; }

    /// <summary>The share of the anomalies that are flagged. Null also without flags.</summary>
    public double? Recall { get; init; }

    /// <summary>The harmonic mean of <see cref="Precision"/> and <see cref="Recall"/>; 0 where no anomaly is flagged.</summary>
    public double? F1 => Precision is null ? null : Recall == 0 ? 0 : 2 * Precision * Recall / (Precision + Recall);

    /// <summary>The share of the normal rows that are flagged. Null as <see cref="Recall"/> is.</summary>
    public double? FalseAlarmRate { get; init; }

    /// <summary>
    /// How the scores are spread, in bins of equal width or, where all are positive and some more than three times others, of
    /// equal ratio. Infinite scores are in the outer bins.
    /// </summary>
    public required IReadOnlyList<ScoreBin> Histogram { get; init; }

    /// <summary>
    /// What each threshold would find, from the highest score down, without those that differ by less than a 400th; empty where
    /// <see cref="Auroc"/> is null.
    /// </summary>
    public required IReadOnlyList<DetectionPoint> Curve { get; init; }

    /// <summary>
    /// How many rows of each kind of anomaly are flagged, the most frequent first, where a label that is no Boolean tells more
    /// than one. The first thousand kinds are told apart.
    /// </summary>
    public required IReadOnlyList<AnomalyKind> Kinds { get; init; }

    /// <summary>The ten rows with the highest scores.</summary>
    public required IReadOnlyList<StrangeRow> Strangest { get; init; }

    /// <summary>
    /// Rows in the plane in which they differ most, by principal components; empty without
    /// <see cref="DetectionReportOptions.LatentColumnName"/>.
    /// </summary>
    public required IReadOnlyList<LatentPoint> LatentMap { get; init; }

    /// <summary>Which share of the variance of these rows the map shows, from 0 to 1; null without a map.</summary>
    public double? LatentMapShare { get; init; }

    /// <summary>Reads what a detector made of rows.</summary>
    /// <param name="scored">The detector's output: with its score, its flag, and the label where there is one.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of the wrong type, or an option is out of its range.</exception>
    /// <exception cref="ArgumentException">No row has a score.</exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public static DetectionReport Create(IDataView scored, DetectionReportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(scored);
        options ??= new();
        options.Validate();
        using var reader = new DetectionReader(scored, options);
        ScoreTally tally = new();
        var kinds = new OrderedDictionary<string, AnomalyKind>();
        var strangest = new PriorityQueue<(StrangeRow Row, int[] Features), (float, long)>();
        var latent = new LatentSample(options.MaximumPoints, options.Seed);
        ScoreCount flagged = default;
        long missing = 0;
        (float highestUnflagged, float lowestFlagged) = (float.NegativeInfinity, float.PositiveInfinity);
        while (reader.MoveNext())
        {
            float score = reader.Score;
            if (float.IsNaN(score))
            {
                missing++;
                continue;
            }
            RowLabel label = reader.Label;
            tally.Add(score, label);
            if (reader.IsFlagged)
            {
                flagged.Add(ScoreCount.Of(label));
                lowestFlagged = Math.Min(lowestFlagged, score);
            }
            else
            {
                highestUnflagged = Math.Max(highestUnflagged, score);
            }
            if (label == RowLabel.Anomalous && reader.TellsKinds)
            {
                string kind = kinds.Count < MaxKinds || kinds.ContainsKey(reader.LabelText!) ? reader.LabelText! : "(others)";
                AnomalyKind known = kinds.GetValueOrDefault(kind) ?? new(kind, 0, 0);
                kinds[kind] = known with { Rows = known.Rows + 1, Flagged = known.Flagged + (reader.IsFlagged ? 1 : 0) };
            }
            // Of equal scores, the first rows stay.
            if (strangest.Count < MaxStrangest || score > strangest.Peek().Row.Score)
            {
                strangest.Enqueue(reader.Strange(), (score, -reader.Row));
                if (strangest.Count > MaxStrangest)
                    strangest.Dequeue();
            }
            reader.AddTo(latent);
        }
        ScoreCount total = tally.Total;
        long rows = total.All;
        if (rows == 0)
            throw new ArgumentException($"No row has a score{(missing > 0 ? $": in all {missing} it is NaN" : "")}.", nameof(scored));
        bool graded = total.Normal > 0 && total.Anomalous > 0, flags = reader.HasFlags;
        double? threshold = options.Threshold
            ?? (flags && flagged.All > 0 && flagged.All < rows && highestUnflagged < lowestFlagged ? highestUnflagged : null);
        (LatentPoint[] map, double? share) = latent.Map();
        (double Area, double Error)? auroc = tally.Auroc();
        (StrangeRow, int[])[] strange = [.. strangest.UnorderedItems.OrderByDescending(item => item.Priority).Select(item => item.Element)];
        return new DetectionReport
        {
            Rows = rows,
            MissingScores = missing,
            Flagged = flags ? flagged.All : null,
            Threshold = threshold,
            NormalRows = total.Normal,
            AnomalousRows = total.Anomalous,
            Auroc = auroc?.Area,
            AurocError = auroc?.Error,
            AveragePrecision = tally.AveragePrecision(),
            Precision = graded && flags ? (double)flagged.Anomalous / (flagged.Anomalous + flagged.Normal) : null,
            Recall = graded && flags ? (double)flagged.Anomalous / total.Anomalous : null,
            FalseAlarmRate = graded && flags ? (double)flagged.Normal / total.Normal : null,
            Histogram = Spread(tally, out bool logarithmic),
            IsLogarithmic = logarithmic,
            Curve = graded ? [.. Points(tally)] : [],
            Kinds = kinds.Count > 1 ? [.. kinds.Values.OrderByDescending(kind => kind.Rows)] : [],
            Strangest = [.. strange.Select(reader.WithUsual)],
            LatentMap = map,
            LatentMapShare = share,
        };
    }

    /// <summary>Writes one HTML page that needs no other file: figures, histogram, curves, map, the strangest rows.</summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <param name="title">The page's heading.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void SaveHtml(string path, string title = "Detection report")
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentNullException.ThrowIfNull(title);
        byte[] page = Encoding.UTF8.GetBytes(new DetectionPage(this, title).Write());
        AtomicFile.Write(path, stream => stream.Write(page));
    }

    /// <summary>The figures, one a line.</summary>
    public override string ToString() => string.Join('\n', Figures().Select(figure => $"{figure.Name}: {figure.Value}"));

    /// <summary>Whether the bins are of equal ratio.</summary>
    internal bool IsLogarithmic { get; init; }

    internal IEnumerable<(string Name, string Value)> Figures()
    {
        if (Auroc is double auroc)
        {
            yield return ("AUROC", Invariant($"{auroc:F4}"));
            yield return ("average precision", Invariant($"{AveragePrecision:F4}"));
        }
        if (Precision is double precision)
        {
            yield return ("precision", Invariant($"{precision:P1}"));
            yield return ("recall", Invariant($"{Recall:P1}"));
            yield return ("F1", Invariant($"{F1:F3}"));
            yield return ("false alarms, of the normal rows", Invariant($"{FalseAlarmRate:P2}"));
        }
        yield return ("rows", Invariant($"{Rows:N0}"));
        if (NormalRows + AnomalousRows > 0)
            yield return ("labelled as anomalies", Invariant($"{AnomalousRows:N0}"));
        if (Flagged is long flagged)
            yield return ("flagged", Invariant($"{flagged:N0}"));
        if (Threshold is double threshold)
            yield return ("threshold", Invariant($"{threshold:G4}"));
        if (MissingScores > 0)
            yield return ("without a score", Invariant($"{MissingScores:N0}"));
    }

    private static ScoreBin[] Spread(ScoreTally tally, out bool isLogarithmic)
    {
        (float Score, ScoreCount Count)[] scores = [.. tally.Descending()];
        float[] finite = [.. scores.Select(s => s.Score).Where(float.IsFinite)];
        (double least, double most) = finite.Length == 0 ? (0, 0) : (finite[^1], finite[0]);
        bool logarithmic = isLogarithmic = least > 0 && most > 3 * least;
        (double low, double high) = logarithmic ? (Math.Log(least), Math.Log(most)) : (least, most);
        if (high <= low)
            (low, high) = (low - 0.5, high + 0.5);
        ScoreCount[] bins = new ScoreCount[Bins];
        foreach ((float score, ScoreCount count) in scores)
        {
            double at = ((logarithmic && score > 0 ? Math.Log(score) : score) - low) / (high - low) * Bins;
            bins[(int)Math.Clamp(at, 0, Bins - 1)].Add(count);
        }
        return [.. bins.Select((count, i) => new ScoreBin(Edge(i), Edge(i + 1), count.Unlabelled, count.Normal, count.Anomalous))];

        double Edge(int i) => i == 0 && logarithmic ? least
            : i == Bins && logarithmic ? most
            : low + (high - low) * i / Bins is var edge && logarithmic ? Math.Exp(edge) : edge;
    }

    private static IEnumerable<DetectionPoint> Points(ScoreTally tally)
    {
        double found = 0, wrong = 0;
        DetectionPoint? kept = null, last = null;
        foreach ((float score, ScoreCount count) in tally.Descending())
        {
            (found, wrong) = (found + count.Anomalous, wrong + count.Normal);
            if (found + wrong == 0)
                continue; // only rows without a label so far
            last = new(score, wrong / tally.Total.Normal, found / tally.Total.Anomalous, found / (found + wrong));
            if (kept is null || last.FalseAlarmRate - kept.FalseAlarmRate >= CurveStep || last.Recall - kept.Recall >= CurveStep
                || Math.Abs(last.Precision - kept.Precision) >= CurveStep)
            {
                yield return kept = last;
            }
        }
        if (last is not null && last != kept)
            yield return last;
    }
}

/// <summary>The options of <see cref="DetectionReport"/>.</summary>
public sealed class DetectionReportOptions
{
    /// <summary>The column of scores, each a Single, the higher the stranger. Default "Score".</summary>
    public string ScoreColumnName { get; init; } = "Score";

    /// <summary>The detector's verdicts, a Boolean each; null for none. Default "PredictedLabel".</summary>
    public string? PredictedLabelColumnName { get; init; } = "PredictedLabel";

    /// <summary>
    /// The column that says what rows are: a Boolean, true for an anomaly; a number, anything but 0 for an anomaly; a text or a key
    /// to texts, see <see cref="NormalLabels"/>. Rows in which a number or key is missing are unlabelled, and those whose text is NaN,
    /// NA, N/A, #N/A, null, ? or a dash, unless that is among the normal ones. Default: none.
    /// </summary>
    public string? LabelColumnName { get; init; }

    /// <summary>
    /// The texts, in any case, that call a row normal, as a zero does; others name a kind of anomaly. Default: nothing, normal, none,
    /// no, ok, false.
    /// </summary>
    public IReadOnlyList<string> NormalLabels { get; init; } = ["", "normal", "none", "no", "ok", "false"];

    /// <summary>
    /// How much each feature contributed to the score, a vector of Single that detectors add on request: it names what made the
    /// strangest rows strange. Default: none.
    /// </summary>
    public string? FeatureScoreColumnName { get; init; }

    /// <summary>The features' values, a vector as wide as the feature scores, for the same. Default: none.</summary>
    public string? FeatureColumnName { get; init; }

    /// <summary>Latent vectors of Single, to draw a map of. Default: none.</summary>
    public string? LatentColumnName { get; init; }

    /// <summary>
    /// The threshold to draw and to tell, not NaN; verdicts, and what is counted by them, stay those of
    /// <see cref="PredictedLabelColumnName"/>. Default: it is told from scores and verdicts.
    /// </summary>
    public double? Threshold { get; init; }

    /// <summary>At most this many rows are on the map, drawn at random where there are more; 10 to 100,000. Default 2000.</summary>
    public int MaximumPoints { get; init; } = 2000;

    /// <summary>The seed of the rows on the map. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Stops the reading. Default: never.</summary>
    public CancellationToken CancellationToken { get; init; }

    internal void Validate()
    {
        OptionChecks.Within(MaximumPoints, 10, 100_000);
        if (Threshold is double.NaN)
            throw new ArgumentOutOfRangeException(nameof(Threshold), Threshold, $"Option {nameof(Threshold)} is not a number.");
        ArgumentException.ThrowIfNullOrWhiteSpace(ScoreColumnName);
        ArgumentNullException.ThrowIfNull(NormalLabels);
        if (FeatureColumnName is not null && FeatureScoreColumnName is null)
        {
            throw new ArgumentException(
                $"Option {nameof(FeatureColumnName)} is '{FeatureColumnName}', but option {nameof(FeatureScoreColumnName)} is not set: values are "
                + "shown where feature scores say which made a row strange.",
                nameof(FeatureScoreColumnName));
        }
    }
}

/// <summary>How many rows have scores from one to below another, the last bin's end included.</summary>
/// <param name="From">The least score.</param>
/// <param name="To">The next bin's least score.</param>
/// <param name="Unlabelled">Rows without a label.</param>
/// <param name="Normal">Rows that are labelled as normal.</param>
/// <param name="Anomalous">Rows that are labelled as anomalies.</param>
public sealed record ScoreBin(double From, double To, long Unlabelled, long Normal, long Anomalous);

/// <summary>What would be found if the rows with at least a score were flagged.</summary>
/// <param name="Threshold">The score.</param>
/// <param name="FalseAlarmRate">The share of the normal rows that would be flagged.</param>
/// <param name="Recall">The share of the anomalies that would be flagged.</param>
/// <param name="Precision">The share of anomalies among what would be flagged.</param>
public sealed record DetectionPoint(double Threshold, double FalseAlarmRate, double Recall, double Precision);

/// <summary>A kind of anomaly, as the label tells it.</summary>
/// <param name="Name">The label.</param>
/// <param name="Rows">The rows with it.</param>
/// <param name="Flagged">How many of them are flagged.</param>
public sealed record AnomalyKind(string Name, long Rows, long Flagged);

/// <summary>A row with a high score.</summary>
/// <param name="Row">Its number, from 1.</param>
/// <param name="Score">Its score.</param>
/// <param name="Label">Its label as text; null where there is none.</param>
/// <param name="Reasons">The three features that contributed most, where feature scores are given.</param>
public sealed record StrangeRow(long Row, float Score, string? Label, IReadOnlyList<FeatureReason> Reasons);

/// <summary>A feature's part in a row's score.</summary>
/// <param name="Feature">Its name, or its number from 0.</param>
/// <param name="Share">Its share of the sum of the row's feature scores.</param>
/// <param name="Value">Its value in the row, NaN for a missing one; null where values are not given.</param>
/// <param name="Usual">The mean of its values in rows that are not flagged; null where values are not given.</param>
public sealed record FeatureReason(string Feature, double Share, float? Value, double? Usual);

/// <summary>A row on a latent map.</summary>
/// <param name="X">Along the direction in which rows differ most.</param>
/// <param name="Y">Along the next.</param>
/// <param name="Score">Its score.</param>
/// <param name="IsAnomaly">Whether its label calls it an anomaly; null without a label.</param>
public sealed record LatentPoint(float X, float Y, float Score, bool? IsAnomaly);
