using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>What logistic regression can learn from rows: whether they are real, and what predicts a label.</summary>
internal sealed class LinearJudge(SyntheticDataReportOptions options)
{
    private const int Folds = 3, MaxDetectionRows = 10_000, MaxDetectionPairs = 300, MaxClasses = 100;

    private readonly MLContext _ml = new(options.Seed);

    /// <summary>The AUROC of telling synthetic rows from real ones, over rows that were left out in turn.</summary>
    public double Detect(ReportTable real, ReportTable synthetic)
    {
        int rows = Math.Min(MaxDetectionRows, Math.Min(real.Rows, synthetic.Rows));
        TableFeatures features = new(real, without: -1, Pairs(real.Columns.Count, MaxDetectionPairs, options.Seed));
        SplitMix64 random = new(SplitMix64.Derive(options.Seed, RandomPurpose.Validation));
        ClassifiedRow[] all = [.. Chosen(real, isSynthetic: false), .. Chosen(synthetic, isSynthetic: true)];
        return Enumerable.Range(0, Folds).Average(fold => Grade(
            [.. all.Where((_, i) => i % rows % Folds != fold)],
            [.. all.Where((_, i) => i % rows % Folds == fold)],
            features.Width).Auroc);

        IEnumerable<ClassifiedRow> Chosen(ReportTable table, bool isSynthetic)
        {
            int[] order = [.. Enumerable.Range(0, table.Rows)];
            random.Shuffle<int>(order);
            return order[..rows].Select(row => new ClassifiedRow(features.Of(table, row), isSynthetic));
        }
    }

    /// <summary>How well classifiers trained on the one, the other and both do on held-out real rows.</summary>
    /// <exception cref="ArgumentException">The label has fewer than two values, or too many.</exception>
    public LabelUtility Use(ReportTable real, ReportTable synthetic, ReportTable holdOut, int label)
    {
        string name = real.Columns[label].Name;
        int[] counts = real.Counts(label), tested = holdOut.Counts(label);
        int[] classes = [.. Enumerable.Range(0, counts.Length).Where(code => counts[code] > 0)];
        if (classes.Length is < 2 or > MaxClasses)
        {
            throw new ArgumentException(
                $"Label column '{name}' has {classes.Length} different values in the real table: between 2 and "
                + $"{MaxClasses} are expected.",
                nameof(real));
        }
        // Of two classes the rarer one stands for both; classes that no held-out row has cannot be tested.
        int[] asked = classes.Length == 2 ? [classes.MinBy(code => counts[code])] : classes;
        asked = [.. asked.Where(code => tested[code] > 0 && tested[code] < holdOut.Rows)];
        if (asked.Length == 0)
        {
            throw new ArgumentException(
                $"Label column '{name}' has only one value in the held-out rows.", nameof(holdOut));
        }

        TableFeatures features = new(real, label, pairs: []);
        (VBuffer<float> Features, int Code)[] realRows = Rows(real), madeRows = Rows(synthetic);
        (VBuffer<float> Features, int Code)[] testRows = Rows(holdOut);
        return new(name, Quality(realRows), Quality(madeRows), Quality([.. realRows, .. madeRows]));

        (VBuffer<float>, int)[] Rows(ReportTable table) => [.. Enumerable.Range(0, table.Rows)
            .Select(row => (features.Of(table, row), (int)table.Values(label)[row]))];

        ClassifierQuality Quality((VBuffer<float> Features, int Code)[] training)
        {
            ClassifierQuality[] each =
            [
                .. asked.Select(code => Grade(
                    Array.ConvertAll(training, row => new ClassifiedRow(row.Features, row.Code == code)),
                    Array.ConvertAll(testRows, row => new ClassifiedRow(row.Features, row.Code == code)),
                    features.Width)),
            ];
            return new(each.Average(quality => quality.F1), each.Average(quality => quality.Auroc));
        }
    }

    /// <summary>All pairs of columns, or <paramref name="most"/> of them drawn at random, in order.</summary>
    public static (int First, int Second)[] Pairs(int columns, int most, int seed)
    {
        if ((long)columns * (columns - 1) / 2 <= most)
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
        if (training.DistinctBy(row => row.Label).Count() < 2)
            return new(F1: 0, Auroc: 0.5);
        SchemaDefinition schema = SchemaDefinition.Create(typeof(ClassifiedRow));
        schema[nameof(ClassifiedRow.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, width);
        var model = _ml.BinaryClassification.Trainers.LbfgsLogisticRegression()
            .Fit(_ml.Data.LoadFromEnumerable(training, schema));
        CalibratedBinaryClassificationMetrics metrics = _ml.BinaryClassification.Evaluate(
            model.Transform(_ml.Data.LoadFromEnumerable(test, schema)));
        return new(double.IsNaN(metrics.F1Score) ? 0 : metrics.F1Score, metrics.AreaUnderRocCurve);
    }

    private sealed class ClassifiedRow(VBuffer<float> features, bool label)
    {
        public VBuffer<float> Features { get; set; } = features;

        public bool Label { get; set; } = label;
    }
}

/// <summary>
/// Rows as a linear classifier sees them: each category as a slot that is 0 or 1, the rarest ones together; each number
/// in standard units and as a slot for the bin it is in, with as many training rows in each bin; and, on request, a
/// slot for each combination of two columns, so that a linear classifier sees how columns go together.
/// </summary>
internal sealed class TableFeatures
{
    private const int NumberBins = 16, MaxCategories = 100;
    private const int MaxPairSlots = 1024; // of one pair: combinations beyond share them

    private readonly Dictionary<int, (Func<double, int> Bin, int Count, double Mean, double Deviation)> _columns = [];
    private readonly List<(int First, int Second, int Start, int Slots)> _pairs = [];

    /// <summary>Learns bins and scales of all columns but one; −1 leaves out none.</summary>
    public TableFeatures(ReportTable training, int without, IReadOnlyList<(int First, int Second)> pairs)
    {
        foreach (int c in Enumerable.Range(0, training.Columns.Count).Where(c => c != without))
        {
            bool isNumeric = training.Columns[c].IsNumeric;
            (Func<double, int> bin, int count) = isNumeric ? BinsOf(training.Sorted(c)) : BinsOf(training.Counts(c));
            (double mean, double deviation) = isNumeric ? training.Scale(c) : default;
            _columns.Add(c, (bin, count, mean, deviation));
            Width += count + (isNumeric ? 1 : 0);
        }
        foreach ((int first, int second) in pairs)
        {
            int slots = Math.Min(_columns[first].Count * _columns[second].Count, MaxPairSlots);
            _pairs.Add((first, second, Width, slots));
            Width += slots;
        }
    }

    /// <summary>The number of slots.</summary>
    public int Width { get; }

    /// <summary>The row as a sparse vector.</summary>
    public VBuffer<float> Of(ReportTable table, int row)
    {
        List<int> slots = [];
        List<float> values = [];
        int[] bins = new int[table.Columns.Count];
        int at = 0;
        foreach ((int c, (Func<double, int> bin, int count, double mean, double deviation)) in _columns)
        {
            double value = table.Values(c)[row];
            bins[c] = bin(value);
            if (table.Columns[c].IsNumeric)
            {
                slots.Add(at++);
                // A single value far out must not decide everything.
                values.Add(double.IsNaN(value) ? 0 : (float)Math.Clamp((value - mean) / deviation, -10, 10));
            }
            slots.Add(at + bins[c]);
            values.Add(1);
            at += count;
        }
        foreach ((int first, int second, int start, int count) in _pairs)
        {
            slots.Add(start + (bins[first] * _columns[second].Count + bins[second]) % count);
            values.Add(1);
        }
        return new VBuffer<float>(Width, slots.Count, [.. values], [.. slots]);
    }

    /// <summary>Bins of numbers, each with its upper end, and one for missing ones.</summary>
    private static (Func<double, int> Bin, int Count) BinsOf(double[] sorted)
    {
        double[] ends =
        [
            .. Enumerable.Range(1, sorted.Length == 0 ? 0 : NumberBins - 1)
                .Select(i => sorted[(int)((long)i * sorted.Length / NumberBins)]).Distinct(),
        ];
        return (number => double.IsNaN(number) ? ends.Length + 1 : ends.Count(end => end < number), ends.Length + 2);
    }

    /// <summary>A bin for each of the most frequent categories, and one for all others.</summary>
    private static (Func<double, int> Bin, int Count) BinsOf(int[] counts)
    {
        Dictionary<double, int> frequent = Enumerable.Range(0, counts.Length).Where(code => counts[code] > 0)
            .OrderByDescending(code => counts[code]).ThenBy(code => code).Take(MaxCategories)
            .Index().ToDictionary(f => (double)f.Item, f => f.Index);
        return (code => frequent.GetValueOrDefault(code, frequent.Count), frequent.Count + 1);
    }
}
