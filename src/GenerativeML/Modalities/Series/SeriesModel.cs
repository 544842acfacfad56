using System.Numerics.Tensors;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>What a network says of a series: a score of each step, NaN where it was not observed, and what it expected.</summary>
/// <param name="Scores">(T).</param>
/// <param name="Expected">Standardised, (T × C); null where nobody asked for it.</param>
internal sealed record SeriesResult(float[] Scores, float[]? Expected);

/// <summary>A family's network over windows of series, without weights.</summary>
internal abstract class SeriesNetwork(SeriesOptions options, SeriesInput input) : Network
{
    /// <summary>Steps of a window, W.</summary>
    public int Window => options.WindowLength;

    /// <summary>Features of a step, C.</summary>
    public int StepWidth => input.StepWidth;

    protected int LayerCount => options.Layers!.Value;

    public override int PositionsPerRow => Window;

    // The mean is over steps that were observed.
    public override bool TakesTotals => true;

    // Inputs, outputs and what two convolutions, or the gates of cells, keep.
    public override long NumbersPerRow => (long)Window * LayerCount * options.Width * 8;

    /// <summary>Where the training windows of a series of so many steps begin.</summary>
    public abstract IEnumerable<int> Starts(int length);

    /// <summary>
    /// A pass over windows in the units of the data, (B, W·C), NaN where steps were not observed: the scores of steps, (B, W),
    /// NaN there, and what else there is to be said of them.
    /// </summary>
    public abstract (IForwardPass Pass, string Said) Windows();

    /// <summary>Scores the steps of a series.</summary>
    public abstract SeriesResult Compute(TrainedSeries model, SeriesSteps steps, bool expected);

    /// <summary>Every tensor of a saved model: the network's own, and the scaler's.</summary>
    public IReadOnlyList<TensorSpec> Tensors()
    {
        LayerSpecs layers = Declared();
        (string mean, string scale, string limit) = VectorNetwork.FeatureScalerNames;
        layers.Buffer(mean, StepWidth);
        layers.Buffer(scale, StepWidth);
        layers.Buffer(limit, StepWidth);
        return layers.Tensors;
    }

    /// <summary>Declares layers of the kind that the options name, (B, W, inputs) → (B, W, width).</summary>
    protected void DeclareLayers(Layers layers, string name, int inputs)
    {
        if (options.Layer == SequenceLayer.Lstm)
            layers.Recurrent(name, RecurrentCell.Lstm, inputs, options.Width, LayerCount);
        else
            DilatedConvolution.DeclareStack(layers, name, inputs, options.Width, LayerCount, options.KernelSize);
    }

    /// <summary>Computes them.</summary>
    protected T Run<T>(Scope<T> w, string name, T x, bool causal)
        where T : struct, ITensor<T>
    {
        if (options.Layer == SequenceLayer.DilatedConvolution)
            return DilatedConvolution.RunStack(w, name, x, Window, LayerCount, options.KernelSize, causal, options.Dropout);
        Scope<T> cells = w.Of(name);
        for (int layer = 0; layer < LayerCount; layer++)
            x = w.Dropout(cells.Recurrent(RecurrentCell.Lstm, layer, x), options.Dropout);
        return x;
    }

    /// <summary>
    /// Windows in the units of the data, (B, W·C) → standardised, (B, W·C), and which steps were observed, (B, W); and zeros for
    /// these, NaN for others, (B, W).
    /// </summary>
    protected (T Steps, T Observed, T Unknown) Read<T>(Scope<T> w, T windows)
        where T : struct, ITensor<T>
    {
        ScalerPart<T> scaler = ScalerPart<T>.OfFeatures(w);
        T raw = windows.Reshape(-1, Window, StepWidth);
        T finite = T.OneIfLess(raw.Apply(Function.Abs), w.Constant(float.PositiveInfinity)).Reduce(Reduction.Min, 2);
        // As SeriesSteps has it: all features of a step that was not observed are their means, zeros.
        T steps = T.IfLess(scaler.No, finite, scaler.Apply(raw), scaler.No);
        return (
            steps.Reshape(-1, (long)Window * StepWidth), finite.Reshape(-1, Window), (raw * 0f).Reduce(Reduction.Sum, 2).Reshape(-1, Window));
    }

    /// <summary>Steps with a feature that says which were observed: (B, W·C) and (B, W) → (B, W, C + 1).</summary>
    protected T Marked<T>(T steps, T observed)
        where T : struct, ITensor<T> => T.Concat(2, steps.Reshape(-1, Window, StepWidth), observed.Unsqueeze(2));
}

/// <summary>A family of models of series.</summary>
internal sealed record SeriesFamily(
    string Name, Type OptionsType, Func<SeriesOptions, SeriesInput, SeriesNetwork> Create,
    Func<SeriesModelState, SeriesTransformer> Wrap)
{
    public static SeriesFamily Of<TOptions>(
        string name, Func<TOptions, SeriesInput, SeriesNetwork> create, Func<SeriesModelState, SeriesTransformer> wrap)
        where TOptions : SeriesOptions => new(
            name, typeof(TOptions), (options, input) => create((TOptions)options, input), wrap);
}

/// <summary>A trained network of series. Safe to use from several threads.</summary>
internal sealed class TrainedSeries(SeriesNetwork network, HostWeights weights, ComputeDevice device, bool fallbackToCpu)
    : IDisposable
{
    // Windows that are computed at once, to hold a long series' no longer than need be, and numbers of them all.
    private const int MaxWindows = 2048, MaxNumbers = 1 << 26;

    private readonly InferenceCache _inference = new(weights, device, fallbackToCpu);

    public SeriesNetwork Network => network;

    public HostWeights Weights => _inference.Weights;

    public VectorScaler Scaler { get; } = VectorNetwork.FeatureScaler(weights);

    /// <summary>What the network says of a series in the units of the data, (T × C).</summary>
    public SeriesResult Compute(ReadOnlySpan<float> raw, bool expected = false)
    {
        SeriesResult result = network.Compute(this, SeriesSteps.Of(raw, Scaler), expected);
        if (result.Expected is not null)
            Scaler.Undo(result.Expected);
        return result;
    }

    /// <summary>
    /// Computes a pass over windows of a series, of which each begins at a step, and shows what it gave: the number of the
    /// first window, how many there are, and (windows × width) for each width.
    /// </summary>
    public void ForWindows(
        string key, Func<IForwardPass> pass, SeriesSteps steps, int[] starts, int[] widths, Action<int, int, float[][]> take)
    {
        int window = network.Window, width = network.StepWidth;
        int together = Math.Clamp(MaxNumbers / Math.Max(window * width, widths.Max()), 1, MaxWindows);
        for (int first = 0; first < starts.Length; first += together)
        {
            int count = Math.Min(together, starts.Length - first);
            float[] values = new float[count * window * width], observed = new float[count * window];
            for (int i = 0; i < count; i++)
            {
                steps.CopyWindow(
                    starts[first + i], values.AsSpan(i * window * width, window * width), observed.AsSpan(i * window, window));
            }
            take(first, count, Run(key, pass, values, observed, count, widths));
        }
    }

    /// <summary>Computes a pass over windows, (count × W·C) and (count × W): (count × width) for each width.</summary>
    public float[][] Run(string key, Func<IForwardPass> pass, float[] values, float[] observed, int count, int[] widths)
    {
        float[][] results = [.. widths.Select(width => new float[count * width])];
        _inference.Run(key, pass, count, [values, observed], [.. results.Select(r => r.AsMemory())]);
        return results;
    }

    public void Dispose() => _inference.Dispose();
}

/// <summary>Trains networks of series.</summary>
internal static class SeriesFit
{
    private const int ScaledSteps = 10_000, ManySeries = 10, HeldBackPart = 5, CheckedSteps = 256;

    /// <summary>Trains on series in the units of the data, (T × C) each.</summary>
    /// <exception cref="InvalidOperationException">There are too few steps, or training diverged.</exception>
    public static SeriesModelState Run(
        IReadOnlyList<float[]> raw, SeriesInput input, SeriesFamily family, SeriesOptions options, TrainingContext context)
    {
        using IDisposable running = RunningComputations.Enter();
        int width = input.StepWidth;
        long rows = input.RowsAreSeries ? raw.Count : raw.Sum(s => (long)s.Length) / width;
        if (options.Calibrates && rows < CalibrationPlan.MinRows)
            throw CalibrationPlan.TooFew(rows);
        if (rows < 2 && raw[0].Length / width < 2)
            throw new InvalidOperationException(
                $"Column '{options.FeatureColumnName}' has one step to train on; at least 2 are needed.");
        VectorScaler scaler = Scaler(raw, width, options, context);
        (float[][] training, Func<TrainedSeries, IEnumerable<float>> fresh) = Divide(raw, input, options, context.Seed);
        SeriesSteps[] series = [.. training.Select(s => SeriesSteps.Of(s, scaler))];
        // Where windows begin does not depend on what is still open.
        SeriesNetwork open = family.Create(options.Resolve(1, width), input);
        (int, int)[] windows =
        [
            .. series.SelectMany((s, number) => open.Starts(s.Length)
                .Where(start => s.Observed.AsSpan(Math.Max(0, start), Math.Min(start + open.Window, s.Length) - Math.Max(0, start)).Contains(1f))
                .Select(start => (number, start))),
        ];
        if (windows.Length == 0)
            throw new InvalidOperationException(
                $"There is nothing to train on: in no row of column '{options.FeatureColumnName}' all features of a step are finite.");
        options = options.Resolve(windows.Length, width);
        SeriesNetwork network = family.Create(options, input);
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(
            new SeriesWindowRows(series, windows, network.Window, width), options, context.Seed, device, []);
        int batch = (int)Math.Min(options.BatchSize!.Value, data.TrainingRows);
        bool bfloat16 = PrecisionChoice.UseBFloat16(options.Precision, device, options.Width, options.AtOnce(batch * (long)network.Window));
        TrainingRun run = TrainingRun.Of(
            options, context, batch, options.Epochs!.Value, options.LearningRate!.Value, options.WeightDecay!.Value,
            ("family", family.Name), ("bfloat16", bfloat16));
        HostWeights weights = NetworkFit.Run(network, network.Tensors(), Initialize, data, run, device, bfloat16);
        var model = new TrainedSeries(network, weights, context.Device, context.FallbackToCpu);
        try
        {
            float[] some = raw[0][..Math.Min(raw[0].Length, CheckedSteps * width)];
            if (model.Compute(some).Scores.Zip(SeriesSteps.Of(some, scaler).Observed).Any(s => s.Second > 0 && !float.IsFinite(s.First)))
            {
                throw new InvalidOperationException(
                    "Training diverged: what the network makes of the training rows is NaN or infinite. Lower LearningRate.");
            }
            float[] held = options.Calibrates ? [.. fresh(model).Where(float.IsFinite)] : [];
            if (options.Calibrates && held.Length == 0)
                throw new InvalidOperationException(
                    "No step is left to calibrate the threshold by: a fifth of each series is held back for that, or of ten and more series "
                    + "a fifth of them. Give longer series, or more of them.");
            CalibrationScores? calibration = options.Calibrates ? new(held) : null;
            return new(family, options, model, input.With(raw))
            {
                Threshold = calibration?.Threshold(options.Contamination) ?? float.PositiveInfinity,
                Calibration = options.PValueColumnName is null ? null : calibration,
            };
        }
        finally
        {
            model.Dispose(); // it is made anew where it is used
        }

        void Initialize(HostWeights all)
        {
            (string mean, string scale, string limit) = VectorNetwork.FeatureScalerNames;
            scaler.CopyTo(all[mean], all[scale], all[limit]);
        }
    }

    private static VectorScaler Scaler(IReadOnlyList<float[]> raw, int width, SeriesOptions options, TrainingContext context)
    {
        var moments = new ColumnMoments(0, width);
        var sample = new RowSample(0, width, ScaledSteps, context.Seed);
        var block = new RowBlock([new RowField(options.FeatureColumnName, FieldKind.Single, width)], 1);
        foreach (float[] series in raw)
        {
            for (int at = 0; at < series.Length; at += width)
            {
                ReadOnlySpan<float> step = series.AsSpan(at, width);
                if (step.ContainsAnyExceptInRange(float.MinValue, float.MaxValue))
                    continue;
                step.CopyTo(block.SingleRow(0, 0));
                moments.Observe(block, 0);
                sample.Observe(block, 0);
            }
        }
        return options.ScalerOf(moments, sample, context.Warning);
    }

    // The series to train on, and what the others score.
    private static (float[][] Training, Func<TrainedSeries, IEnumerable<float>> Fresh) Divide(
        IReadOnlyList<float[]> raw, SeriesInput input, SeriesOptions options, int seed)
    {
        if (!options.Calibrates)
            return ([.. raw], _ => []);
        if (raw.Count >= ManySeries)
        {
            int[] order = [.. Enumerable.Range(0, raw.Count)];
            new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Calibration)).Shuffle(order.AsSpan());
            int held = raw.Count / HeldBackPart;
            return (
                [.. order[held..].Order().Select(i => raw[i])],
                model => order[..held].SelectMany(i => SeriesRows.RowScores(model.Compute(raw[i]).Scores, input.RowsAreSeries)));
        }
        int Trained(float[] series) => series.Length / input.StepWidth - series.Length / input.StepWidth / HeldBackPart;
        return (
            [.. raw.Select(s => s[..(Trained(s) * input.StepWidth)])],
            model => raw.SelectMany(s => model.Compute(s).Scores[Trained(s)..]));
    }
}

/// <summary>A trained model of series with all that is saved of it beside its weights.</summary>
internal sealed record SeriesModelState(SeriesFamily Family, SeriesOptions Options, TrainedSeries Model, SeriesInput Input)
{
    public float Threshold { get; init; } = float.PositiveInfinity;

    /// <summary>What p-values are told by; null where there is no column of them.</summary>
    public CalibrationScores? Calibration { get; init; }

    /// <summary>Writes <c>options</c> of the saved model.</summary>
    public void Write(Utf8JsonWriter writer, float threshold) => JsonSerializer.Serialize(
        writer,
        new Saved(
            JsonSerializer.SerializeToElement(Options, Family.OptionsType, ModelJson.Options), Input,
            ModelJson.Threshold(threshold), Calibration?.Sorted),
        ModelJson.Options);

    /// <summary>How models of a family are loaded.</summary>
    public static ModelFamily Loader(SeriesFamily family) => new(
        family.Name, (environment, options, weights) => family.Wrap(Load(family, environment, options, weights)));

    private static SeriesModelState Load(
        SeriesFamily family, IHostEnvironment environment, JsonElement element, Stream weights)
    {
        Saved saved = ModelJson.Read<Saved>(element);
        var options = (SeriesOptions)ModelJson.Read(saved.Options, family.OptionsType);
        (SeriesNetwork network, IReadOnlyList<TensorSpec> tensors) = ModelJson.Checked(() =>
        {
            options.Validate();
            saved.Input.Check(options);
            SeriesNetwork made = family.Create(options, saved.Input);
            return (made, made.Tensors());
        });
        HostWeights read = HostWeights.Load(weights, tensors);
        var model = new TrainedSeries(
            network, read, HostDefaults.LoadingDevice(environment), MLNetInternals.FallbackToCpuOf(environment));
        return new(family, options, model, saved.Input)
        {
            Threshold = saved.Threshold ?? float.PositiveInfinity,
            Calibration = CalibrationScores.Load(saved.Calibration, options.PValueColumnName),
        };
    }

    /// <summary>What <c>options.json</c> holds.</summary>
    private sealed record Saved(
        JsonElement Options, SeriesInput Input, float? Threshold = null, IReadOnlyList<float>? Calibration = null);
}

/// <summary>A model with the columns that it reads and adds: computes rows that are series, or series of rows.</summary>
internal sealed class SeriesRows(SeriesModelState state) : ISequenceModel
{
    public IReadOnlyList<RowField> Inputs { get; } = [state.Input.Field];

    public IReadOnlyList<OutputColumn> Outputs { get; } = state.Options.Outputs(state.Input.OutputWidth);

    public int BatchSize => 64;

    public int BatchesAhead => 4;

    public NonFiniteReplacement? Replacement => null;

    public bool TakesNonFinite => state.Options.NonFiniteValues == NonFiniteValues.Replace;

    public string? GroupColumn => state.Input.Group?.Name;

    /// <summary>Rows with a higher score are predicted to be anomalies.</summary>
    public float Threshold { get; set; } = state.Threshold;

    /// <summary>The scores of rows: of steps, or of the series that they are, whose steps' mean it is.</summary>
    public static float[] RowScores(float[] scores, bool rowsAreSeries)
    {
        if (!rowsAreSeries)
            return scores;
        float[] observed = Array.FindAll(scores, s => !float.IsNaN(s));
        return [observed.Length == 0 ? float.NaN : TensorPrimitives.Sum<float>(observed) / observed.Length];
    }

    public Action<List<float>> OpenSteps(DataViewRow row, DataViewSchema.Column column) =>
        SequenceRows.Numbers(row, column, state.Input.RowWidth);

    public void Run(float[] sequence, OutputBlock outputs) => Write(sequence, outputs, 0);

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        for (int row = 0; row < rows; row++)
            Write(inputs.SingleRow(0, row), outputs, row);
    }

    public void Dispose() => state.Model.Dispose();

    // Writes the steps of a series to rows from one on; or the one row that it is.
    private void Write(ReadOnlySpan<float> series, OutputBlock outputs, int row)
    {
        int label = outputs.NumberOf(state.Options.PredictedLabelColumnName), score = outputs.NumberOf(state.Options.ScoreColumnName);
        int pValue = outputs.NumberOf(state.Options.PValueColumnName), expected = outputs.NumberOf(state.Options.ExpectedColumnName);
        SeriesResult result = state.Model.Compute(series, expected >= 0);
        float[] scores = RowScores(result.Scores, state.Input.RowsAreSeries);
        for (int i = 0; i < scores.Length; i++)
        {
            float strange = scores[i];
            if (label >= 0)
                outputs.Booleans(label)[row + i] = strange > Threshold || float.IsNaN(strange) && !TakesNonFinite;
            if (score >= 0)
                outputs.Singles(score)[row + i] = strange;
            if (pValue >= 0)
                outputs.Singles(pValue)[row + i] = state.Calibration!.PValue(strange);
        }
        if (expected >= 0)
            result.Expected!.CopyTo(outputs.Singles(expected)[(row * state.Input.RowWidth)..]);
    }
}

/// <summary>What all trainers of models of series have in common.</summary>
/// <typeparam name="TTransformer">What training makes.</typeparam>
/// <remarks>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>These trainers</description></listheader>
/// <item><term>Input</term><description>In each row a step of a series: a Single, or a vector of <see cref="float"/> of
/// known size; or in each row a whole series. No label is read.</description></item>
/// <item><term>Order</term><description>Steps of one series stand next to each other, in the order of time. Rows are not
/// shuffled, and a prediction engine, which has one row alone, is refused where a row is a step.</description></item>
/// <item><term>Normalization</term><description>Done inside: each feature by its own mean and deviation over all
/// steps.</description></item>
/// <item><term>Memory</term><description>Fit holds all steps, and windows of them within
/// <see cref="TrainingOptions.CacheBudgetBytes"/>; Transform holds one series.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to compute on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// </remarks>
public abstract class SeriesTrainer<TTransformer> : GenerativeEstimator<TTransformer>
    where TTransformer : SeriesTransformer
{
    private readonly SeriesFamily _family;
    private readonly SeriesOptions _options;

    private protected SeriesTrainer(IHostEnvironment environment, SeriesFamily family, SeriesOptions options)
        : base(environment, family.Name, options) => (_family, _options) = (family, options);

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        SeriesInput.Check(inputSchema, _options, parameter);

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => _options.Outputs(
        inputSchema.Last(c => c.Name == _options.FeatureColumnName).Kind == SchemaShape.Column.VectorKind.Scalar ? 0 : 1);

    private protected override TTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var source = SeriesInput.Of(input.Schema, _options, parameter);
        List<float[]> series = SequenceRows.ReadAll(
            input, _options.FeatureColumnName, _options.GroupColumnName, source.RowsAreSeries, _options,
            (row, column) => SequenceRows.Numbers(row, column, source.RowWidth));
        return (TTransformer)_family.Wrap(SeriesFit.Run(series, source, _family, _options, context));
    }
}

/// <summary>
/// A trained model of series as a step of a pipeline: scores steps, or series, and says what it expects.
/// </summary>
/// <remarks>
/// <para>
/// Steps of one series stand next to each other, in the order of time, and a series is computed when its first row is
/// read: an error names a row whose series goes on after another one. Views are not shuffled, and a prediction engine is
/// refused. A step with NaN or infinity has no score, and is predicted to be an anomaly, unless the model was trained with
/// <see cref="NonFiniteValues.Replace"/>.
/// </para>
/// </remarks>
public class SeriesTransformer : GenerativeTransformer, IAnomalyDetector
{
    private readonly SeriesRows _rows;

    internal SeriesTransformer(SeriesModelState state)
        : this(state, new SeriesRows(state))
    {
    }

    private SeriesTransformer(SeriesModelState state, SeriesRows rows)
        : base(rows) => (State, _rows) = (state, rows);

    /// <inheritdoc/>
    public float Threshold
    {
        get => _rows.Threshold;
        set => _rows.Threshold = OptionChecks.Threshold(value);
    }

    /// <summary>The trained model and all that is saved of it.</summary>
    internal SeriesModelState State { get; }

    private protected override bool MapsRows => State.Input.RowsAreSeries;

    private protected override IDataView View(BatchRowMapper mapper, IDataView input) =>
        MapsRows ? base.View(mapper, input) : new SequenceDataView(mapper, _rows, input);

    private protected override string Family => State.Family.Name;

    internal override OnnxPass? PassOf(OnnxContent content)
    {
        if (content != OnnxContent.Windows)
            return null;
        SeriesNetwork network = State.Model.Network;
        (IForwardPass pass, string said) = network.Windows();
        string column = State.Input.Column.Name;
        return new(
            State.Model.Weights, pass, [(column, network.Window * network.StepWidth)],
            [VectorOnnx.OutputName("score", [column]), VectorOnnx.OutputName(said, [column])],
            ("window", FormattableString.Invariant($"{network.Window} steps of {network.StepWidth}")));
    }

    private protected override void WriteOptions(Utf8JsonWriter writer) => State.Write(writer, Threshold);

    private protected override void WriteWeights(Stream stream) => State.Model.Weights.Save(stream);
}
