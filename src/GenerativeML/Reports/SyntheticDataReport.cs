using System.Text;
using Microsoft.ML;

namespace GenerativeML;

/// <summary>
/// Whether a synthetic table is any good: how much its columns, and pairs of them, are like the real ones; whether its
/// rows are new, and not too near to single real rows; whether a classifier can tell them from real rows; and what they
/// are worth for training.
/// </summary>
/// <remarks>
/// No figure counts alone: columns sampled one by one have perfect shapes and are of no use, and copied rows are good
/// in everything but privacy. Shapes and trends are those of SDMetrics
/// (https://docs.sdv.dev/sdmetrics/metrics/metrics-glossary). Vectors are compared slot by slot.
/// </remarks>
public sealed class SyntheticDataReport
{
    private const int MostPairs = 5000, RowsForDistances = 2000;

    private SyntheticDataReport(ReportTable real, ReportTable synthetic)
    {
        Real = real;
        Synthetic = synthetic;
    }

    /// <summary>Each column, in the order of the real table.</summary>
    public required IReadOnlyList<ColumnComparison> Columns { get; init; }

    /// <summary>Each pair of columns; of more than 5,000 pairs, so many drawn at random.</summary>
    public required IReadOnlyList<PairComparison> Pairs { get; init; }

    /// <summary>The mean of <see cref="ColumnComparison.Shape"/> over the columns.</summary>
    public double MeanShape => Columns.Average(column => column.Shape);

    /// <summary>The mean of <see cref="PairComparison.Trend"/> over the pairs; 1 with only one column.</summary>
    public double MeanTrend => Pairs.Count == 0 ? 1 : Pairs.Average(pair => pair.Trend);

    /// <summary>The mean of <see cref="ColumnComparison.Coverage"/> over the columns.</summary>
    public double MeanCoverage => Columns.Average(column => column.Coverage);

    /// <summary>The share of synthetic rows that equal no real row.</summary>
    public required double NewRowShare { get; init; }

    /// <summary>
    /// How near the synthetic rows come to single real ones; null without
    /// <see cref="SyntheticDataReportOptions.HoldOut"/>.
    /// </summary>
    public ClosestRecords? ClosestRecords { get; init; }

    /// <summary>
    /// The area under the ROC curve of logistic regression (ML.NET's, by L-BFGS) telling synthetic rows from real ones:
    /// 0.5 is by chance, 1 without fail. It sees one-hot categories, numbers in standard units and in bins, and all
    /// combinations of two columns; up to 10,000 rows of each table, three folds. Null where
    /// <see cref="SyntheticDataReportOptions.Detection"/> is off, and for tables of fewer than 30 rows.
    /// </summary>
    public double? DetectionAuroc { get; init; }

    /// <summary>
    /// What the rows are worth for predicting the label; null where
    /// <see cref="SyntheticDataReportOptions.LabelColumnName"/> names none.
    /// </summary>
    public LabelUtility? Utility { get; init; }

    /// <summary>The figures in words.</summary>
    public IReadOnlyList<ReportVerdict> Verdicts => field ??= ReportWords.Verdicts(this);

    /// <summary>The number of rows of the real table.</summary>
    public long RealRows => Real.SourceRows;

    /// <summary>The number of rows of the synthetic table.</summary>
    public long SyntheticRows => Synthetic.SourceRows;

    internal ReportTable Real { get; }

    internal ReportTable Synthetic { get; }

    /// <summary>Compares two tables.</summary>
    /// <param name="real">The rows that the generator was trained on.</param>
    /// <param name="synthetic">
    /// Generated rows, with the columns of the real ones by name and type; further columns are ignored.
    /// </param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is missing, or of a type that cannot be compared; or an option is out of its range.
    /// </exception>
    /// <exception cref="ArgumentException">
    /// A table has no rows; or a label is named without held-out rows, or has fewer than two values.
    /// </exception>
    /// <exception cref="OperationCanceledException">The options' token was cancelled.</exception>
    public static SyntheticDataReport Compare(
        IDataView real, IDataView synthetic, SyntheticDataReportOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(real);
        ArgumentNullException.ThrowIfNull(synthetic);
        options ??= new();
        options.Validate();
        ReportTables tables = new(real.Schema, options);
        ReportTable realRows = tables.Read(real, nameof(real));
        ReportTable syntheticRows = tables.Read(synthetic, nameof(synthetic));
        ReportTable? heldOut = options.HoldOut is null ? null : tables.Read(options.HoldOut, nameof(options.HoldOut));

        LinearJudge judge = new(options);
        LabelUtility? utility = heldOut is null || tables.LabelColumn < 0
            ? null
            : judge.Use(realRows, syntheticRows, heldOut, tables.LabelColumn);
        RowDistances distances = new(realRows);
        double copies = distances.Copies(syntheticRows);
        return new SyntheticDataReport(realRows, syntheticRows)
        {
            Columns = [.. Enumerable.Range(0, realRows.Columns.Count).Select(c => Column(realRows, syntheticRows, c))],
            Pairs = PairsOf(realRows, syntheticRows, options),
            NewRowShare = 1 - copies,
            ClosestRecords = heldOut is null ? null : new(
                distances.Median(syntheticRows, RowsForDistances, options.CancellationToken),
                distances.Median(heldOut, RowsForDistances, options.CancellationToken),
                copies,
                distances.Copies(heldOut)),
            DetectionAuroc = options.Detection && Math.Min(realRows.Rows, syntheticRows.Rows) >= 30
                ? judge.Detect(realRows, syntheticRows)
                : null,
            Utility = utility,
        };
    }

    /// <summary>Writes one HTML page that needs no other file: figures, histograms, heat maps, verdicts.</summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <param name="title">The page's heading.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public void SaveHtml(string path, string title = "Synthetic data report")
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        ArgumentNullException.ThrowIfNull(title);
        byte[] page = Encoding.UTF8.GetBytes(new ReportPage(this, title).Write());
        AtomicFile.Write(path, stream => stream.Write(page));
    }

    private static ColumnComparison Column(ReportTable real, ReportTable synthetic, int column) => new(
        real.Columns[column].Name,
        real.Columns[column].IsNumeric,
        ColumnShapes.Shape(real, synthetic, column),
        ColumnShapes.Coverage(real, synthetic, column),
        real.MissingShare(column),
        synthetic.MissingShare(column));

    private static List<PairComparison> PairsOf(
        ReportTable real, ReportTable synthetic, SyntheticDataReportOptions options)
    {
        PairTrends trends = new(real, synthetic);
        List<PairComparison> pairs = [];
        foreach ((int i, int j) in LinearJudge.Pairs(real.Columns.Count, MostPairs, options.Seed))
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            pairs.Add(new(real.Columns[i].Name, real.Columns[j].Name, trends.Trend(i, j)));
        }
        return pairs;
    }
}
