using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>The options of what a score is worth beside those before it.</summary>
public sealed record AnomalyLikelihoodOptions
{
    /// <summary>The column of a detector's scores, a Single: the higher, the stranger. Default <c>Score</c>.</summary>
    public string ScoreColumnName { get; init; } = "Score";

    /// <summary>
    /// The column of the series itself, a Single or a vector of <see cref="float"/> of known size: rows with a value beyond
    /// all before it count as stranger. Default: none, scores alone count.
    /// </summary>
    public string? ValueColumnName { get; init; }

    /// <summary>
    /// The column, a text, key or number, that tells series apart, as the detector has it. Default: all rows are one series.
    /// </summary>
    public string? GroupColumnName { get; init; }

    /// <summary>The column that is added for the likelihood, a Single. Default <c>Likelihood</c>.</summary>
    public string LikelihoodColumnName { get; init; } = "Likelihood";

    /// <summary>
    /// The column that is added for whether the likelihood reaches the threshold. Null: none is. Default
    /// <c>PredictedLabel</c>.
    /// </summary>
    public string? PredictedLabelColumnName { get; init; } = "PredictedLabel";

    /// <summary>
    /// Rows, the row itself and those before it, whose mean score is looked at: more find what lasts, one what is sudden.
    /// From 1 to 100,000. Default 1.
    /// </summary>
    public int ShortWindow { get; init; } = 1;

    /// <summary>Rows before it that it is compared with. From 10 to 100,000. Default 10,000.</summary>
    public int LongWindow { get; init; } = 10_000;

    /// <summary>Rows at the beginning of a series that are ordinary whatever they score. At least 1. Default 20.</summary>
    public int Warmup { get; init; } = 20;

    /// <summary>
    /// What is added, in nats, where a value lies beyond all before it by more than <see cref="ExtremeMargin"/>. Zero or
    /// more. Default 6.
    /// </summary>
    public double ExtremeWeight { get; init; } = 6;

    /// <summary>How far beyond, in shares of the range of the values before it. Zero or more. Default 0.005.</summary>
    public double ExtremeMargin { get; init; } = 0.005;

    /// <summary>
    /// Values, the row's own and those before it, whose mean is compared with that of ten times as many before them: how
    /// rare so large a shift is, in nats, counts by <see cref="ShiftWeight"/>. From 1 to 10,000. Default 20.
    /// </summary>
    public int ShiftWindow { get; init; } = 20;

    /// <summary>What a shift of the values counts; of several features the rarest one. Zero: nothing. Default 0.25.</summary>
    public double ShiftWeight { get; init; } = 0.25;

    /// <summary>
    /// Rows before it that a row has to be stranger than, or it is ordinary: so that one event is reported once. Zero:
    /// none. Up to 100,000. Default 100.
    /// </summary>
    public int RestPeriod { get; init; } = 100;

    /// <summary>
    /// A row is predicted to be an anomaly where a score so strange is seen once in so many rows: by scores alone, without
    /// <see cref="ValueColumnName"/>, none is before so many rows of a series. Above 1, and without such a column at most
    /// <see cref="LongWindow"/> + 1. Default 1000.
    /// </summary>
    public double OneIn { get; init; } = 1000;

    /// <summary>The columns that are added.</summary>
    internal IReadOnlyList<OutputColumn> Outputs
    {
        get
        {
            OutputColumn likelihood = new(LikelihoodColumnName, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore };
            return PredictedLabelColumnName is string label
                ? [new(label, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel }, likelihood]
                : [likelihood];
        }
    }

    internal void Validate()
    {
        OptionChecks.Within(ShortWindow, 1, 100_000);
        OptionChecks.Within(LongWindow, 10, 100_000);
        OptionChecks.AtLeast(Warmup, 1);
        OptionChecks.NonNegativeFinite(ExtremeWeight);
        OptionChecks.NonNegativeFinite(ExtremeMargin);
        OptionChecks.Within(ShiftWindow, 1, 10_000);
        OptionChecks.NonNegativeFinite(ShiftWeight);
        OptionChecks.Within(RestPeriod, 0, 100_000);
        OptionChecks.PositiveFinite(OneIn);
        if (!(OneIn > 1))
            throw new ArgumentOutOfRangeException(
                nameof(OneIn), OneIn, FormattableString.Invariant($"Option {nameof(OneIn)} must be above 1, but is {OneIn}."));
        if (ValueColumnName is null && OneIn > LongWindow + 1)
            throw new ArgumentOutOfRangeException(nameof(OneIn), OneIn, FormattableString.Invariant(
                $"Option {nameof(OneIn)} is {OneIn}, but of {LongWindow} rows (option {nameof(LongWindow)}) none is seen so rarely: no row would be an anomaly."));
        string?[] read = [ScoreColumnName, ValueColumnName, GroupColumnName];
        ColumnNames.Check(read.OfType<string>(), Outputs.Select(c => c.Name));
    }
}

/// <summary>
/// Turns scores of a detector of series into how strange each is beside those before it, so that one threshold does for
/// all series, and one event is reported once.
/// </summary>
/// <remarks>
/// <para>To create this estimator, use
/// <see cref="SeriesCatalog.AnomalyLikelihood(TransformsCatalog, AnomalyLikelihoodOptions)"/>. Nothing is learned.</para>
/// <para>
/// The likelihood is −log p, in nats, where p is the share of the scores before it, and of its own, that are as high: what
/// conformal prediction calls a p-value (Vovk 2005). In a series that stays as it is, a likelihood of log n or more is
/// seen in one of n rows; what values add to it, a value beyond all before it or a shift of their level, is not such a
/// share. It follows from the rows up to it, as far as its score does: that of windows on both sides does not. A row without a score has no likelihood, and
/// is no anomaly. Rows of one series stand next to each other, in the order of time; one series is held in memory.
/// </para>
/// </remarks>
public sealed class AnomalyLikelihoodEstimator : IEstimator<AnomalyLikelihoodTransformer>
{
    private readonly AnomalyLikelihoodOptions _options;

    internal AnomalyLikelihoodEstimator(IHostEnvironment environment, AnomalyLikelihoodOptions options)
    {
        ArgumentNullException.ThrowIfNull(environment);
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _options = options;
    }

    /// <summary>Finds the columns; no row is read.</summary>
    /// <param name="input">Rows with the columns.</param>
    /// <returns>The transformer.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of the wrong type.</exception>
    public AnomalyLikelihoodTransformer Fit(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        InputColumns.Find(input.Schema, LikelihoodRows.ScoreField(_options), nameof(input));
        if (_options.GroupColumnName is string group)
            SequenceRows.FindGroup(input.Schema, group, nameof(input));
        int width = _options.ValueColumnName is string value
            ? InputColumns.Describe(input.Schema, value, InputKind.Series, nameof(input)).Width : 0;
        return new(new LikelihoodRows(_options, width));
    }

    /// <inheritdoc/>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        foreach (string name in new[] { _options.ScoreColumnName, _options.ValueColumnName }.OfType<string>())
            InputColumns.Check(inputSchema, name, InputKind.Series, nameof(inputSchema));
        if (_options.GroupColumnName is string group)
            SequenceRows.CheckGroup(inputSchema, group, nameof(inputSchema));
        SchemaShape added = OutputAnnotations.Promise(_options.Outputs);
        return new SchemaShape(inputSchema.Where(c => added.All(a => a.Name != c.Name)).Concat(added));
    }
}

/// <summary>Turns scores of a detector of series into how strange each is beside those before it.</summary>
/// <remarks><inheritdoc cref="AnomalyLikelihoodEstimator" path="/remarks/para[2]"/></remarks>
public sealed class AnomalyLikelihoodTransformer : GenerativeTransformer, IAnomalyDetector
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("anomaly likelihood", (_, json, weights) =>
    {
        Saved saved = ModelJson.Read<Saved>(json);
        HostWeights.Load(weights, []);
        ModelJson.Check(() =>
        {
            saved.Options.Validate();
            OptionChecks.Within(saved.ValueWidth, saved.Options.ValueColumnName is null ? 0 : 1, VectorInput.MaxWidth);
        });
        return new AnomalyLikelihoodTransformer(new LikelihoodRows(saved.Options, saved.ValueWidth)
        {
            Threshold = saved.Threshold ?? float.PositiveInfinity,
        });
    });

    private readonly LikelihoodRows _rows;

    internal AnomalyLikelihoodTransformer(LikelihoodRows rows)
        : base(rows) => _rows = rows;

    /// <summary>
    /// Rows with this likelihood, in nats, or a higher one are predicted to be anomalies. It begins as the logarithm of
    /// <see cref="AnomalyLikelihoodOptions.OneIn"/>.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The value set is NaN.</exception>
    public float Threshold
    {
        get => _rows.Threshold;
        set => _rows.Threshold = OptionChecks.Threshold(value);
    }

    private protected override bool MapsRows => false;

    private protected override string Family => SavedFamily.Name;

    private protected override IDataView View(BatchRowMapper mapper, IDataView input) => new SequenceDataView(mapper, _rows, input);

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer, new Saved(_rows.Options, _rows.ValueWidth, ModelJson.Threshold(Threshold)), ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => new HostWeights([]).Save(stream);

    private sealed record Saved(AnomalyLikelihoodOptions Options, int ValueWidth, float? Threshold);
}

/// <summary>Likelihoods of the rows of a series, each of a score, with the values beside it where they are wanted.</summary>
internal sealed class LikelihoodRows(AnomalyLikelihoodOptions options, int valueWidth) : ISequenceModel
{
    public AnomalyLikelihoodOptions Options => options;

    public int ValueWidth => valueWidth;

    public IReadOnlyList<RowField> Inputs { get; } =
    [
        ScoreField(options),
        .. options.ValueColumnName is string name ? [new RowField(name, FieldKind.Single, valueWidth) { IsSeries = true }] : (RowField[])[],
    ];

    public IReadOnlyList<OutputColumn> Outputs { get; } = options.Outputs;

    public int BatchSize => 1;

    public NonFiniteReplacement? Replacement => null;

    public string? GroupColumn => options.GroupColumnName;

    public float Threshold { get; set; } = (float)Math.Log(options.OneIn);

    public static RowField ScoreField(AnomalyLikelihoodOptions options) =>
        new(options.ScoreColumnName, FieldKind.Single, 1) { IsSeries = true };

    public Action<List<float>> OpenSteps(DataViewRow row, DataViewSchema.Column column)
    {
        Action<List<float>> score = SequenceRows.Numbers(row, column, 1);
        return options.ValueColumnName is string name
            ? score + SequenceRows.Numbers(row, row.Schema[name], valueWidth)
            : score;
    }

    public void Run(float[] sequence, OutputBlock outputs)
    {
        int label = outputs.NumberOf(options.PredictedLabelColumnName), likelihood = outputs.NumberOf(options.LikelihoodColumnName);
        float[] all = Likelihoods(sequence);
        for (int t = 0; t < all.Length; t++)
        {
            if (label >= 0)
                outputs.Booleans(label)[t] = all[t] >= Threshold;
            if (likelihood >= 0)
                outputs.Singles(likelihood)[t] = all[t];
        }
    }

    public void Run(RowBlock inputs, int rows, OutputBlock outputs) =>
        throw new NotSupportedException("A likelihood is of a row among others.");

    public void Dispose()
    {
        // There is nothing but managed memory.
    }

    // How much larger than a sum a number is beside which that sum was lost.
    private const double Huge = 1e8;

    /// <summary>The likelihoods of a series, (T), by its scores and values, (T × (1 + C)).</summary>
    public float[] Likelihoods(ReadOnlySpan<float> rows)
    {
        int width = 1 + valueWidth, count = rows.Length / width;
        float[] result = new float[count], alone = new float[count]; // before the rest period counts
        float[] lowest = [.. Enumerable.Repeat(float.PositiveInfinity, valueWidth)], highest = [.. lowest.Select(v => -v)];
        LevelShift[] shifts =
            [.. Enumerable.Range(0, options.ShiftWeight > 0 ? valueWidth : 0).Select(_ => new LevelShift(options.ShiftWindow, options.LongWindow))];
        var past = new PastNumbers(options.LongWindow);
        var recent = new Queue<float>();
        double sum = 0;
        for (int t = 0; t < count; t++)
        {
            float score = rows[t * width];
            ReadOnlySpan<float> values = rows.Slice(t * width + 1, valueWidth);
            double more = IsExtreme(values, lowest, highest) ? options.ExtremeWeight : 0, shift = 0;
            for (int j = 0; j < shifts.Length; j++)
                shift = Math.Max(shift, shifts[j].Add(values[j]));
            more += options.ShiftWeight * shift;
            if (!float.IsFinite(score))
            {
                // An infinite one is stranger than all; it is none to compare others with.
                alone[t] = float.IsNaN(score) ? float.NaN
                    : score > 0 && t >= options.Warmup ? (float)(Math.Log(past.Count + 1) + more) : 0;
                result[t] = Rested(alone, t);
                continue;
            }
            recent.Enqueue(score);
            sum += score;
            if (recent.Count > options.ShortWindow)
            {
                float gone = recent.Dequeue();
                sum -= gone;
                // What was lost beside a huge score does not come back with it.
                if (Math.Abs(gone) > Huge * Math.Abs(sum))
                    sum = recent.Sum(s => (double)s);
            }
            double rare = past.Add(options.ShortWindow == 1 ? score : sum / recent.Count);
            alone[t] = t >= options.Warmup ? (float)(rare + more) : 0;
            result[t] = Rested(alone, t);
        }
        return result;
    }

    // Zero where one of the rows before it was as strange.
    private float Rested(float[] alone, int t)
    {
        for (int before = Math.Max(0, t - options.RestPeriod); before < t; before++)
        {
            if (alone[before] >= alone[t])
                return 0;
        }
        return alone[t];
    }

    // Whether a value is beyond all before it, which it then is among.
    private bool IsExtreme(ReadOnlySpan<float> values, float[] lowest, float[] highest)
    {
        bool extreme = false;
        for (int j = 0; j < values.Length; j++)
        {
            float value = values[j];
            if (!float.IsFinite(value))
                continue;
            double margin = options.ExtremeMargin * Math.Max(0, (double)highest[j] - lowest[j]);
            extreme |= lowest[j] <= highest[j] && (value > highest[j] + margin || value < lowest[j] - margin); // not the first
            (lowest[j], highest[j]) = (Math.Min(lowest[j], value), Math.Max(highest[j], value));
        }
        return extreme;
    }
}

/// <summary>The last so many numbers, in order: how rare one is that is as high.</summary>
internal sealed class PastNumbers(int length)
{
    private readonly List<double> _sorted = [];
    private readonly Queue<double> _inTime = new();

    public int Count => _sorted.Count;

    /// <summary>−log of the share of the numbers, this one among them, that are as high as it; then it is one of them.</summary>
    public double Add(double number)
    {
        int lower = Below(number);
        double rare = Math.Log((Count + 1.0) / (Count - lower + 1.0));
        _sorted.Insert(lower, number);
        _inTime.Enqueue(number);
        if (Count > length)
            _sorted.RemoveAt(Below(_inTime.Dequeue()));
        return rare;
    }

    // How many are lower.
    private int Below(double number)
    {
        int below = 0, end = _sorted.Count;
        while (below < end)
        {
            int middle = (below + end) / 2;
            (below, end) = _sorted[middle] < number ? (middle + 1, end) : (below, middle);
        }
        return below;
    }
}

/// <summary>How rare the shift is between the mean of a feature's last values and that of ten times as many before them.</summary>
internal sealed class LevelShift(int window, int length)
{
    private const int Before = 10;

    private readonly List<double> _sums = [0]; // of all values up to each
    private readonly PastNumbers _past = new(length);
    private double _last = double.NaN;

    /// <summary>
    /// Takes a value; one that is missing counts as the one before it, and before the first there is nothing. −log of how
    /// rare so large a shift is.
    /// </summary>
    public double Add(float value)
    {
        _last = float.IsFinite(value) ? value : _last;
        if (double.IsNaN(_last))
            return 0;
        _sums.Add(_sums[^1] + _last);
        int end = _sums.Count - 1, start = end - window, first = Math.Max(0, start - Before * window);
        if (start - first < Before) // too few to compare with
            return 0;
        double now = (_sums[end] - _sums[start]) / window, before = (_sums[start] - _sums[first]) / (start - first);
        return _past.Add(Math.Abs(now - before));
    }
}
