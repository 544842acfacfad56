using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// What ML.NET's logistic regression can learn from rows: whether they are real, and what predicts a label.
/// </summary>
internal sealed class LinearJudge(SyntheticDataReportOptions options)
{
    private const int Folds = 3, MostDetectionRows = 10_000, MostDetectionPairs = 300, MostClasses = 100;

    private readonly MLContext _ml = new(options.Seed);

    /// <summary>
    /// The area under the ROC curve of telling synthetic rows from real ones, over rows that were left out in turn.
    /// </summary>
    public double Detect(ReportTable real, ReportTable synthetic)
    {
        int rows = Math.Min(MostDetectionRows, Math.Min(real.Rows, synthetic.Rows));
        (int, int)[] pairs = Pairs(real.Columns.Count, MostDetectionPairs, options.Seed);
        TableFeatures features = new(real, without: -1, pairs);
        SplitMix64 random = new(SplitMix64.Derive(options.Seed, RandomPurpose.Validation));
        ClassifiedRow[] all =
        [
            .. Chosen(real, rows, ref random).Select(row => new ClassifiedRow(features.Of(real, row), false)),
            .. Chosen(synthetic, rows, ref random).Select(row => new ClassifiedRow(features.Of(synthetic, row), true)),
        ];
        double sum = 0;
        for (int fold = 0; fold < Folds; fold++)
        {
            int left = fold;
            sum += Grade(
                [.. all.Where((_, i) => i % rows % Folds != left)],
                [.. all.Where((_, i) => i % rows % Folds == left)],
                features.Width).Auroc;
        }
        return sum / Folds;
    }

    /// <summary>How well classifiers trained on the one, the other and both do on held-out real rows.</summary>
    /// <exception cref="ArgumentException">The label has fewer than two values, or too many.</exception>
    public LabelUtility Use(ReportTable real, ReportTable synthetic, ReportTable holdOut, int label)
    {
        string name = real.Columns[label].Name;
        long[] counts = ColumnShapes.Counts(real, label), tested = ColumnShapes.Counts(holdOut, label);
        int[] classes = [.. Enumerable.Range(0, counts.Length).Where(code => counts[code] > 0)];
        if (classes.Length is < 2 or > MostClasses)
        {
            throw new ArgumentException(
                $"Label column '{name}' has {classes.Length} different values in the real table: between 2 and "
                + $"{MostClasses} are expected.",
                nameof(real));
        }
        // Of two classes the rarer one stands for both; classes that no held-out row has cannot be tested.
        int[] asked = classes.Length == 2
            ? [counts[classes[0]] <= counts[classes[1]] ? classes[0] : classes[1]]
            : classes;
        asked = [.. asked.Where(code => tested[code] > 0 && tested[code] < holdOut.Rows)];
        if (asked.Length == 0)
        {
            throw new ArgumentException(
                $"Label column '{name}' has only one value in the held-out rows.", nameof(holdOut));
        }

        TableFeatures features = new(real, label, pairs: []);
        VBuffer<float>[] realRows = Rows(features, real), madeRows = Rows(features, synthetic);
        VBuffer<float>[] testRows = Rows(features, holdOut);
        ClassifierQuality Quality(params (VBuffer<float>[] Features, ReportTable Table)[] training)
        {
            double f1 = 0, auroc = 0;
            foreach (int code in asked)
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                ClassifierQuality one = Grade(
                    [.. training.SelectMany(part => Classified(part.Features, part.Table, label, code))],
                    Classified(testRows, holdOut, label, code),
                    features.Width);
                f1 += one.F1 / asked.Length;
                auroc += one.Auroc / asked.Length;
            }
            return new(f1, auroc);
        }
        return new(
            name,
            Quality((realRows, real)),
            Quality((madeRows, synthetic)),
            Quality((realRows, real), (madeRows, synthetic)));
    }

    /// <summary>All pairs of columns, or <paramref name="most"/> of them drawn at random, in order.</summary>
    public static (int First, int Second)[] Pairs(int columns, int most, int seed)
    {
        long all = (long)columns * (columns - 1) / 2;
        if (all <= most)
        {
            return
            [
                .. from i in Enumerable.Range(0, columns)
                   from j in Enumerable.Range(i + 1, columns - i - 1)
                   select (i, j),
            ];
        }
        SplitMix64 random = new(SplitMix64.Derive(seed, RandomPurpose.Order));
        HashSet<(int, int)> drawn = [];
        while (drawn.Count < most)
        {
            int i = random.Next(columns), j = random.Next(columns);
            if (i != j)
                drawn.Add((Math.Min(i, j), Math.Max(i, j)));
        }
        return [.. drawn.Order()];
    }

    private ClassifierQuality Grade(ClassifiedRow[] training, ClassifiedRow[] test, int width)
    {
        options.CancellationToken.ThrowIfCancellationRequested();
        // From one class alone nothing can be learned.
        if (Array.TrueForAll(training, row => row.Label) || !Array.Exists(training, row => row.Label))
            return new(F1: 0, Auroc: 0.5);
        var model = _ml.BinaryClassification.Trainers.LbfgsLogisticRegression().Fit(View(training, width));
        CalibratedBinaryClassificationMetrics metrics = _ml.BinaryClassification.Evaluate(
            model.Transform(View(test, width)));
        return new(double.IsNaN(metrics.F1Score) ? 0 : metrics.F1Score, metrics.AreaUnderRocCurve);
    }

    private IDataView View(ClassifiedRow[] rows, int width)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(ClassifiedRow));
        schema[nameof(ClassifiedRow.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, width);
        return _ml.Data.LoadFromEnumerable(rows, schema);
    }

    private static VBuffer<float>[] Rows(TableFeatures features, ReportTable table) =>
        [.. Enumerable.Range(0, table.Rows).Select(row => features.Of(table, row))];

    private static ClassifiedRow[] Classified(VBuffer<float>[] features, ReportTable table, int label, int code)
    {
        ReadOnlySpan<int> codes = table.Codes(label);
        var rows = new ClassifiedRow[features.Length];
        for (int row = 0; row < rows.Length; row++)
            rows[row] = new(features[row], codes[row] == code);
        return rows;
    }

    private static int[] Chosen(ReportTable table, int count, ref SplitMix64 random)
    {
        int[] rows = [.. Enumerable.Range(0, table.Rows)];
        random.Shuffle<int>(rows);
        return rows[..count];
    }

    private sealed class ClassifiedRow(VBuffer<float> features, bool label)
    {
        public VBuffer<float> Features { get; set; } = features;

        public bool Label { get; set; } = label;
    }
}
