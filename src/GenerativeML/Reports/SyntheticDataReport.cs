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
/// in everything but privacy. Columns that tell rows apart are compared in nothing but their values: none should be a
/// real one. Shapes and trends are those of SDMetrics
/// (https://docs.sdv.dev/sdmetrics/metrics/metrics-glossary). Vectors are compared slot by slot.
/// </remarks>
public sealed class SyntheticDataReport
{
    private const int MaxPairs = 5000, RowsForDistances = 2000;

    private SyntheticDataReport(ReportTable real, ReportTable synthetic) => (Real, Synthetic) = (real, synthetic);

    /// <summary>Each column, in the order of the real table.</summary>
    public required IReadOnlyList<ColumnComparison> Columns { get; init; }

    /// <summary>
    /// Each pair of columns that the real table has values in; of more than 5,000 pairs, so many drawn at random.
    /// </summary>
    public required IReadOnlyList<PairComparison> Pairs { get; init; }

    /// <summary>
    /// The mean of <see cref="ColumnComparison.Shape"/> over the columns that are neither empty nor identifiers; NaN
    /// where there is none.
    /// </summary>
    public double MeanShape => Mean(column => column.Shape);

    /// <summary>The mean of <see cref="PairComparison.Trend"/> over the pairs; 1 with only one column.</summary>
    public double MeanTrend => Pairs.Count == 0 ? 1 : Pairs.Average(pair => pair.Trend);

    /// <summary>The mean of <see cref="ColumnComparison.Coverage"/> over the same columns.</summary>
    public double MeanCoverage => Mean(column => column.Coverage);

    /// <summary>The mean of <see cref="ColumnComparison.MissingSimilarity"/> over all columns.</summary>
    public double MeanMissingSimilarity => Columns.Average(column => column.MissingSimilarity);

    /// <summary>The share of synthetic rows that equal no real row, identifiers left out.</summary>
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

        // Identifiers are like no others by their nature: they are left out of all that likeness is measured by.
        int[] identifiers = tables.Identifiers(realRows);
        ColumnComparison[] columns =
        [
            .. realRows.Columns.Select((column, c) => new ColumnComparison(
                column.Name, column.IsNumeric, double.NaN, double.NaN, realRows.MissingShare(c),
                syntheticRows.MissingShare(c))
            {
                IsIdentifier = identifiers.Contains(c),
                RealValueShare = RealValues(c),
            }),
        ];
        int label = tables.LabelColumn - identifiers.Count(c => c < tables.LabelColumn);
        (realRows, syntheticRows) = (realRows.Without(identifiers), syntheticRows.Without(identifiers));
        heldOut = heldOut?.Without(identifiers);

        LinearJudge judge = new(options);
        LabelUtility? utility = heldOut is null || tables.LabelColumn < 0
            ? null
            : judge.Use(realRows, syntheticRows, heldOut, label);
        TableLikeness likeness = new(realRows, syntheticRows);
        RowDistances distances = new(realRows);
        double copies = distances.Copies(syntheticRows);
        return new SyntheticDataReport(realRows, syntheticRows)
        {
            Columns =
            [
                .. columns.Select((column, c) => column.IsIdentifier ? column : column with
                {
                    Shape = likeness.Shape(c - identifiers.Count(i => i < c)),
                    Coverage = likeness.Coverage(c - identifiers.Count(i => i < c)),
                }),
            ],
            Pairs =
            [
                .. from pair in LinearJudge.Pairs(realRows.Columns.Count, MaxPairs, options.Seed)
                   where !likeness.IsEmpty(pair.First) && !likeness.IsEmpty(pair.Second)
                   select Compared(pair.First, pair.Second),
            ],
            NewRowShare = 1 - copies,
            ClosestRecords = heldOut is null ? null : new(
                distances.Median(syntheticRows, RowsForDistances, options.CancellationToken),
                distances.Median(heldOut, RowsForDistances, options.CancellationToken),
                copies,
                distances.Copies(heldOut)) { Rows = (syntheticRows.Rows, heldOut.Rows) },
            DetectionAuroc = options.Detection && Math.Min(realRows.Rows, syntheticRows.Rows) >= 30
                ? judge.Detect(realRows, syntheticRows)
                : null,
            Utility = utility,
        };

        double RealValues(int column)
        {
            HashSet<double> known = [.. realRows.Present(column)];
            return syntheticRows.Present(column).Select(value => known.Contains(value) ? 1.0 : 0)
                .DefaultIfEmpty(double.NaN).Average();
        }

        PairComparison Compared(int first, int second)
        {
            options.CancellationToken.ThrowIfCancellationRequested();
            return new(
                realRows.Columns[first].Name, realRows.Columns[second].Name, likeness.Trend(first, second));
        }
    }

    /// <summary>The verdicts, a line each: how it is, about what, and why.</summary>
    public override string ToString() => string.Join(
        Environment.NewLine, Verdicts.Select(verdict => $"{verdict.Level}: {verdict.Topic}. {verdict.Text}"));

    private double Mean(Func<ColumnComparison, double> of) =>
        Columns.Where(column => column.IsCompared).Select(of).DefaultIfEmpty(double.NaN).Average();

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
}

/// <summary>The options of <see cref="SyntheticDataReport"/>.</summary>
public sealed class SyntheticDataReportOptions
{
    /// <summary>
    /// Real rows that the generator was not trained on, with the same columns. They say how far real rows are from one
    /// another, and test the classifiers. Default: none; the report then says nothing of privacy and use.
    /// </summary>
    public IDataView? HoldOut { get; init; }

    /// <summary>
    /// The column that classifiers are to predict, a scalar of any type with 2 to 100 different values; needs
    /// <see cref="HoldOut"/>. Default: none.
    /// </summary>
    public string? LabelColumnName { get; init; }

    /// <summary>
    /// The columns that tell rows apart, such as keys and names; empty for none. Default: those of 20 real values or more
    /// that never come twice, of text, keys, and whole numbers of 32 and 64 bits that lie closely together.
    /// </summary>
    public IReadOnlyList<string>? IdentifierColumnNames { get; init; }

    /// <summary>
    /// At most this many rows of each table are compared, 10 at least, drawn at random where there are more: every row
    /// is read, and memory stays bounded. Default 50,000.
    /// </summary>
    public int MaximumRows { get; init; } = 50_000;

    /// <summary>Whether classifiers try to tell the rows apart, which takes the most time. Default true.</summary>
    public bool Detection { get; init; } = true;

    /// <summary>The seed of samples and folds: the same seed gives the same report. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Stops the comparison. Default: never.</summary>
    public CancellationToken CancellationToken { get; init; }

    internal void Validate()
    {
        OptionChecks.AtLeast(MaximumRows, 10);
        if (LabelColumnName is not null && HoldOut is null)
        {
            throw new ArgumentException(
                $"Option {nameof(LabelColumnName)} is '{LabelColumnName}', but option {nameof(HoldOut)} is not set: "
                + "classifiers are tested on real rows that the generator was not trained on.",
                nameof(HoldOut));
        }
    }
}

/// <summary>How much a synthetic column is like the real one.</summary>
/// <param name="Name">The column's name; for a slot of a vector, the column's and the slot's.</param>
/// <param name="IsNumeric">Whether it is compared as numbers, or as categories.</param>
/// <param name="Shape">
/// From 0 to 1, the more the better. Numbers: 1 − the Kolmogorov–Smirnov statistic, missing ones left out. Categories:
/// 1 − the total variation distance of their shares. SDMetrics calls them KSComplement and TVComplement. NaN where the
/// real column is empty, and of identifiers.
/// </param>
/// <param name="Coverage">
/// From 0 to 1: the share of the real range of numbers, or of the real categories, that occurs in the synthetic column.
/// NaN where the real column is empty, and of identifiers.
/// </param>
/// <param name="RealMissing">The share of real rows in which a number is missing, or a category empty.</param>
/// <param name="SyntheticMissing">The same share of the synthetic rows.</param>
public sealed record ColumnComparison(
    string Name, bool IsNumeric, double Shape, double Coverage, double RealMissing, double SyntheticMissing)
{
    /// <summary>Whether the real column holds no value at all, so that there is nothing to be like.</summary>
    public bool IsEmpty => RealMissing == 1;

    /// <summary>
    /// Whether the column tells rows apart, see <see cref="SyntheticDataReportOptions.IdentifierColumnNames"/>. It counts
    /// in no figure about likeness.
    /// </summary>
    public bool IsIdentifier { get; init; }

    /// <summary>
    /// The share of the synthetic values that are in the real column, among the rows that are compared. Nearly all of
    /// most columns; of an identifier, those that are copied. NaN where there are no synthetic values.
    /// </summary>
    public double RealValueShare { get; init; }

    internal bool IsCompared => !IsEmpty && !IsIdentifier;

    /// <summary>
    /// From 0 to 1, the more the better: 1 − the difference of the two missing shares. SDMetrics calls it
    /// MissingValueSimilarity.
    /// </summary>
    public double MissingSimilarity => 1 - Math.Abs(RealMissing - SyntheticMissing);
}

/// <summary>How much two synthetic columns go together as the real ones do.</summary>
/// <param name="First">The one column's name.</param>
/// <param name="Second">The other column's name.</param>
/// <param name="Trend">
/// From 0 to 1, the more the better. Two columns of numbers: 1 − half the difference of their correlations. Otherwise:
/// 1 − the total variation distance of their joint shares, numbers in ten bins of equal width over the real range.
/// SDMetrics calls them CorrelationSimilarity and ContingencySimilarity.
/// </param>
public sealed record PairComparison(string First, string Second, double Trend);

/// <summary>
/// How near synthetic rows come to real training rows, and held-out real rows for comparison. Numbers are measured in
/// deviations of the training rows; two different categories are one apart.
/// </summary>
/// <param name="Synthetic">The median distance of 2,000 synthetic rows to their closest training row.</param>
/// <param name="HoldOut">The same for 2,000 held-out rows.</param>
/// <param name="SyntheticCopies">The share of synthetic rows that equal a training row.</param>
/// <param name="HoldOutCopies">The share of held-out rows that equal a training row.</param>
public sealed record ClosestRecords(double Synthetic, double HoldOut, double SyntheticCopies, double HoldOutCopies)
{
    /// <summary>
    /// <see cref="Synthetic"/> by <see cref="HoldOut"/>: below 1, the synthetic rows are nearer to the training rows
    /// than other real rows are. NaN where held-out rows are mostly copies and synthetic ones are not.
    /// </summary>
    public double Ratio => HoldOut > 1e-6 ? Synthetic / HoldOut : Synthetic <= 1e-6 ? 1 : double.NaN;

    /// <summary>How many rows of each the shares of copies are of.</summary>
    internal (long Synthetic, long HoldOut) Rows { get; init; }

    /// <summary>By how much more synthetic rows are copies than chance explains: beyond two standard errors of the difference.</summary>
    internal double ExtraCopies => SyntheticCopies - HoldOutCopies
        - 2 * Math.Sqrt(HoldOutCopies * (1 - HoldOutCopies) * (1.0 / Rows.Synthetic + 1.0 / Rows.HoldOut));
}

/// <summary>
/// What the rows are worth for predicting a label: logistic regression (ML.NET's, by L-BFGS) trained on them, tested on
/// held-out real rows. It sees one-hot categories, and numbers in standard units and in bins.
/// </summary>
/// <param name="Label">The label's column.</param>
/// <param name="Real">Trained on real rows.</param>
/// <param name="Synthetic">Trained on synthetic rows.</param>
/// <param name="Both">Trained on both.</param>
public sealed record LabelUtility(
    string Label, ClassifierQuality Real, ClassifierQuality Synthetic, ClassifierQuality Both);

/// <summary>How well a classifier does on held-out rows.</summary>
/// <param name="F1">
/// Of the rarer class, where there are two; the mean over the classes, each against the rest, where there are more.
/// </param>
/// <param name="Auroc">The area under the ROC curve, of the same.</param>
public sealed record ClassifierQuality(double F1, double Auroc);

/// <summary>What a figure of a <see cref="SyntheticDataReport"/> means.</summary>
public enum VerdictLevel
{
    /// <summary>As good as can be hoped for.</summary>
    Good,

    /// <summary>Good enough for many uses; worth a look.</summary>
    Fair,

    /// <summary>Something is wrong with the synthetic table, for this purpose.</summary>
    Poor,
}

/// <summary>One of the report's conclusions, in words.</summary>
/// <param name="Level">How it is.</param>
/// <param name="Topic">What it is about.</param>
/// <param name="Text">A sentence or two.</param>
public sealed record ReportVerdict(VerdictLevel Level, string Topic, string Text);
