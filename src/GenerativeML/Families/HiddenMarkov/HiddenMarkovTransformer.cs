using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained hidden Markov model as a step of a pipeline: adds states, scores and forecasts to rows, and generates other
/// sequences. It computes in double precision on the CPU, without torch.
/// </summary>
/// <remarks>
/// <para>
/// Where rows are steps, those of one sequence stand next to each other, in the order of time, and a sequence is computed
/// when its first row is read: an error names a row whose sequence goes on after another one. Views are not shuffled, and
/// a prediction engine is refused.
/// </para>
/// <para>
/// A step with NaN or infinity, or with a missing key, was not observed: what is told of its state follows from the
/// other steps, its scores are NaN, and it is predicted to be an anomaly, unless the model was trained with
/// <see cref="NonFiniteValues.Replace"/>. A step that is impossible after those before it has a log-likelihood of −∞ and
/// a score of ∞; for the steps after it, it counts as one that was not observed.
/// </para>
/// </remarks>
public sealed class HiddenMarkovTransformer : GenerativeTransformer, IAnomalyDetector, IDataGenerator
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("hidden markov", Load);

    private readonly HiddenMarkovRows _rows;

    internal HiddenMarkovTransformer(HiddenMarkovRows rows)
        : base(rows)
    {
        _rows = rows;
        var builder = new DataViewSchema.Builder();
        if (rows.Input.Group is { } group)
            builder.AddColumn(group.Name, group.Type.ToType());
        builder.AddColumn(rows.Input.Column.Name, rows.Input.Column.Type.ToType(), TableAnnotation.Build(rows.Input.Column.Annotations));
        GeneratedSchema = builder.ToSchema();
    }

    /// <inheritdoc/>
    public float Threshold
    {
        get => _rows.Threshold;
        set => _rows.Threshold = OptionChecks.Threshold(value);
    }

    /// <summary>Hidden states.</summary>
    public int States => _rows.Model.States;

    /// <summary>The model, in the units of the data.</summary>
    public HiddenMarkovParameters Parameters => _rows.Input.ToParameters(_rows.Model);

    /// <summary>
    /// The columns of generated rows: that of the sequence, where training had one, and the input. Sequences are
    /// numbered from one, keys of them modulo their number.
    /// </summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <inheritdoc/>
    /// <remarks>
    /// Sequences are as long as those of training were; without a column that tells them apart, all rows are one.
    /// There are no conditions.
    /// </remarks>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        RowCondition.RequireNone(where, "a hidden Markov model has no conditions");
        return new GeneratedDataView(new GeneratedSteps(_rows, GeneratedSchema, seed), rows);
    }

    private protected override bool MapsRows => _rows.Input.RowsAreSequences;

    private protected override IDataView View(BatchRowMapper mapper, IDataView input) =>
        MapsRows ? base.View(mapper, input) : new SequenceDataView(mapper, _rows, input);

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer,
        new Saved(
            _rows.Options, _rows.Input, ModelJson.Threshold(Threshold), _rows.Calibration?.Sorted),
        ModelJson.Options);

    private protected override void WriteWeights(Stream stream)
    {
        (TensorSpec Spec, double[] Values)[] tensors =
            [.. Tensors(_rows.Options, _rows.Input).Zip(ValuesOf(_rows.Model))];
        SafetensorsWriter.Write(
            stream, tensors.Select(t => t.Spec),
            (spec, write) => write(MemoryMarshal.AsBytes<double>(Array.Find(tensors, t => t.Spec == spec).Values)));
    }

    private static HiddenMarkovTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        Saved saved = ModelJson.Read<Saved>(json);
        ModelJson.Check(saved.Options.Validate);
        (HiddenMarkovOptions options, HiddenMarkovInput input) = (saved.Options, saved.Input);
        input.Check(options);
        TensorSpec[] specs = Tensors(options, input);
        SafetensorsReader reader = SafetensorsReader.Open(weights);
        reader.Require(specs); // before anything is allocated
        double[][] values = Array.ConvertAll(specs, spec =>
        {
            double[] numbers = new double[spec.Length / sizeof(double)];
            reader.Read(reader.ByName[spec.Name], 0, MemoryMarshal.AsBytes(numbers.AsSpan()));
            return Array.TrueForAll(numbers, double.IsFinite)
                ? numbers : throw new FormatException($"{TensorSpec.Quote(spec.Name)} has elements that are NaN or infinite.");
        });
        // Distributions are checked as those that a user gives.
        HiddenMarkovModel model;
        try
        {
            HiddenMarkovEmissions emissions = input.IsCategorical
                ? new CategoricalEmissions(values[2], input.Categories, options.PseudoCount!.Value)
                : new GaussianEmissions(options.States, values[2], values[3], values[4], input.Limits(options));
            model = new HiddenMarkovModel(values[0], values[1], emissions);
            input.ToParameters(model).Validate();
        }
        catch (Exception invalid) when (invalid is ArgumentException or InvalidOperationException)
        {
            throw new FormatException($"The saved model is damaged: {invalid.Message}");
        }
        return new(new HiddenMarkovRows(model, input, options)
        {
            Threshold = saved.Threshold ?? float.PositiveInfinity,
            Calibration = CalibrationScores.Load(saved.Calibration, options.PValueColumnName),
        });
    }

    // In double precision; those of vectors or those of categories.
    private static TensorSpec[] Tensors(HiddenMarkovOptions options, HiddenMarkovInput input)
    {
        int k = options.States, m = options.MixtureComponents, d = input.StepWidth;
        TensorSpec start = new("start", TensorType.F64, k), transitions = new("transitions", TensorType.F64, k, k);
        return input.IsCategorical
            ? [start, transitions, new("emissions", TensorType.F64, k, input.Categories)]
            :
            [
                start, transitions, new("weights", TensorType.F64, k, m), new("means", TensorType.F64, k, m, d),
                new("covariances", TensorType.F64, k, m, input.Limits(options).Square),
            ];
    }

    private static double[][] ValuesOf(HiddenMarkovModel model) => model.Emissions switch
    {
        CategoricalEmissions categorical => [model.Start, model.Transitions, categorical.Probabilities],
        GaussianEmissions gaussian =>
            [model.Start, model.Transitions, gaussian.Weights, gaussian.Means, gaussian.Covariances],
        _ => throw new NotSupportedException(),
    };

    /// <summary>What <c>options.json</c> holds.</summary>
    private sealed record Saved(
        HiddenMarkovOptions Options, HiddenMarkovInput Input, float? Threshold = null, IReadOnlyList<float>? Calibration = null);
}

/// <summary>A model with the columns that it reads and adds: computes rows that are sequences, or sequences of rows.</summary>
internal sealed class HiddenMarkovRows : ISequenceModel
{
    private readonly Dictionary<string, int> _symbols;

    public HiddenMarkovRows(HiddenMarkovModel model, HiddenMarkovInput input, HiddenMarkovOptions options)
    {
        (Model, Input, Options) = (model, input, options);
        _symbols = input.Symbols.Select((symbol, i) => (symbol, i)).ToDictionary(s => s.symbol, s => s.i, StringComparer.Ordinal);
        Inputs = [input.Field];
        Outputs = options.Outputs(model.States, model.Emissions.ForecastWidth);
        // Values as they are: a step that is not finite is one that was not observed.
        float[] none = [.. Enumerable.Repeat(float.NaN, input.Field.Width)];
        Replacement = options.NonFiniteValues == NonFiniteValues.Replace && !input.IsCategorical
            ? new([new(none, none, none)]) : null;
    }

    public HiddenMarkovModel Model { get; }

    public HiddenMarkovInput Input { get; }

    public HiddenMarkovOptions Options { get; }

    public IReadOnlyList<RowField> Inputs { get; }

    public IReadOnlyList<OutputColumn> Outputs { get; }

    public int BatchSize => 64;

    public int BatchesAhead => 4;

    public NonFiniteReplacement? Replacement { get; }

    public string? GroupColumn => Input.Group?.Name;

    /// <summary>Rows with a higher score are predicted to be anomalies.</summary>
    public float Threshold { get; set; } = float.PositiveInfinity;

    /// <summary>What p-values are told by; null where there is no column of them.</summary>
    public CalibrationScores? Calibration { get; set; }

    /// <summary>Emissions and the forward pass of a sequence.</summary>
    public static HiddenMarkovInference Infer(HiddenMarkovModel model, float[] sequence)
    {
        var inferred = new HiddenMarkovInference(model, sequence);
        inferred.Allocate();
        if (inferred.Chunks > 1)
            Parallel.For(0, inferred.Chunks, inferred.Emit);
        else if (inferred.Chunks == 1)
            inferred.Emit(0);
        inferred.Forward();
        return inferred;
    }

    public Action<List<float>> OpenSteps(DataViewRow row, DataViewSchema.Column column) => Input.Steps(row, column);

    public void Run(float[] sequence, OutputBlock outputs)
    {
        HiddenMarkovInference inferred = Infer(Model, sequence);
        Write(inferred, outputs, firstStep: 0, row: 0);
    }

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        for (int row = 0; row < rows; row++)
        {
            float[] sequence = Input.IsText
                ? Input.Encode(inputs.Texts(0)[row], _symbols) : inputs.SingleRow(0, row).ToArray();
            if (sequence.Length == 0)
                outputs.SetUnknown(row);
            else
                Write(Infer(Model, sequence), outputs, sequence.Length / Input.StepWidth - 1, row);
        }
    }

    public void Dispose()
    {
        // There is nothing but managed memory.
    }

    // Writes the steps from one on to rows from one on; of a row that is a sequence, what is known at its last step.
    private void Write(HiddenMarkovInference inferred, OutputBlock outputs, int firstStep, int row)
    {
        int k = Model.States, label = Wanted(Options.PredictedLabelColumnName), score = Wanted(Options.ScoreColumnName);
        int pValue = Wanted(Options.PValueColumnName), own = Wanted(Options.LogLikelihoodColumnName);
        int whole = Wanted(Options.SequenceLogLikelihoodColumnName), state = Wanted(Options.StateColumnName);
        int smoothed = Wanted(Options.SmoothedColumnName), filtered = Wanted(Options.FilteredColumnName);
        int forecast = Wanted(Options.ForecastColumnName), deviation = Wanted(Options.ForecastDeviationColumnName);
        int[] path = [];
        if (state >= 0)
            inferred.Path(path = new int[inferred.Steps]);
        if (smoothed >= 0)
            inferred.Backward();
        double[] probabilities = new double[k];
        for (int t = firstStep; t < inferred.Steps; t++, row++)
        {
            double log = Input.RowsAreSequences ? inferred.LogLikelihood : inferred.StepLogLikelihood(t);
            float strange = (float)-(Input.RowsAreSequences ? log / inferred.ObservedSteps : log);
            if (label >= 0)
                outputs.Booleans(label)[row] = strange > Threshold || float.IsNaN(strange) && Options.NonFiniteValues != NonFiniteValues.Replace;
            if (score >= 0)
                outputs.Singles(score)[row] = strange;
            if (pValue >= 0)
                outputs.Singles(pValue)[row] = Calibration!.PValue(strange);
            if (own >= 0)
                outputs.Singles(own)[row] = (float)log;
            if (whole >= 0)
                outputs.Singles(whole)[row] = (float)inferred.LogLikelihood;
            if (state >= 0)
                outputs.Keys(state)[row] = (uint)path[t] + 1;
            if (smoothed >= 0)
            {
                inferred.Smoothed(t, probabilities);
                TensorPrimitives.ConvertChecked<double, float>(probabilities, outputs.Singles(smoothed).Slice(row * k, k));
            }
            for (int i = 0; i < k && (filtered >= 0 || forecast >= 0 || deviation >= 0); i++)
                probabilities[i] = Math.Exp(inferred.LogFiltered(t, i));
            if (filtered >= 0)
                TensorPrimitives.ConvertChecked<double, float>(probabilities, outputs.Singles(filtered).Slice(row * k, k));
            if (forecast >= 0 || deviation >= 0)
            {
                int width = Model.Emissions.ForecastWidth * Options.ForecastHorizon;
                Forecast(
                    probabilities,
                    forecast >= 0 ? outputs.Singles(forecast).Slice(row * width, width) : [],
                    deviation >= 0 ? outputs.Singles(deviation).Slice(row * width, width) : []);
            }
        }

        int Wanted(string? name) => outputs.NumberOf(name);
    }

    private void Forecast(double[] states, Span<float> means, Span<float> deviations)
    {
        int width = Model.Emissions.ForecastWidth;
        double[] now = [.. states], next = new double[now.Length], mean = new double[width], variance = new double[width];
        for (int h = 0; h < Options.ForecastHorizon; h++)
        {
            Array.Clear(next);
            for (int i = 0; i < now.Length; i++)
                TensorPrimitives.MultiplyAdd(Model.Transitions.AsSpan(i * now.Length, now.Length), now[i], next, next);
            (now, next) = (next, now);
            Model.Emissions.Forecast(now, mean, variance);
            for (int j = 0; j < width; j++)
            {
                if (means.Length > 0)
                    means[h * width + j] = (float)mean[j];
                if (deviations.Length > 0)
                    deviations[h * width + j] = (float)Math.Sqrt(variance[j]);
            }
        }
    }
}

/// <summary>
/// Generated rows: steps of sequences, or sequences. What is drawn for a row follows from the seed and the row's number;
/// where states follow each other, those at the beginning of each block are remembered.
/// </summary>
internal sealed class GeneratedSteps(HiddenMarkovRows rows, DataViewSchema schema, int seed) : IGeneratedRows
{
    private readonly List<Place> _starts = [new(-1, 0, 0)]; // before the first row of each block

    public DataViewSchema Schema => schema;

    public int BlockRows => 256;

    public IGeneratedBlock Open() => new Block(this, rows);

    // Where a row stands: its state, how many rows of its sequence follow, and the number of the sequence.
    private readonly record struct Place(int State, long Left, long Sequence);

    private Place StartOf(long block)
    {
        lock (_starts)
        {
            while (_starts.Count <= block)
            {
                Place place = _starts[^1];
                for (long row = (_starts.Count - 1) * (long)BlockRows, end = row + BlockRows; row < end; row++)
                {
                    SplitMix64 random = RandomOf(row);
                    place = Next(place, ref random);
                }
                _starts.Add(place);
            }
            return _starts[(int)block];
        }
    }

    private SplitMix64 RandomOf(long row) => new(SplitMix64.Derive(seed, RandomPurpose.Generation, row));

    private Place Next(Place before, ref SplitMix64 random)
    {
        HiddenMarkovModel model = rows.Model;
        int k = model.States;
        double uniform = random.NextDouble(), length = random.NextDouble();
        if (before.Left > 0)
        {
            return before with
            {
                State = SplitMix64.Choose(model.Transitions.AsSpan(before.State * k, k), uniform),
                Left = before.Left - 1,
            };
        }
        IReadOnlyList<int> lengths = rows.Input.Lengths;
        return new(
            SplitMix64.Choose(model.Start, uniform),
            rows.Input.Group is null && !rows.Input.RowsAreSequences
                ? long.MaxValue : lengths[(int)(length * lengths.Count)] - 1,
            before.Sequence + 1);
    }

    private sealed class Block(GeneratedSteps source, HiddenMarkovRows rows) : IGeneratedBlock
    {
        private readonly int _width = rows.Input.IsCategorical ? 1 : rows.Input.Field.Width;
        private readonly float[] _values = new float[256 * (rows.Input.IsCategorical ? 1 : rows.Input.Field.Width)];
        private readonly string[] _texts = new string[rows.Input.IsText ? 256 : 0];
        private readonly long[] _sequences = new long[256];

        public int Compute(long number, int row, int wanted)
        {
            Place place = rows.Input.RowsAreSequences ? default : source.StartOf(number);
            for (int r = 0; r < source.BlockRows; r++)
            {
                SplitMix64 random = source.RandomOf(number * source.BlockRows + r);
                Span<float> values = _values.AsSpan(r * _width, _width);
                if (!rows.Input.RowsAreSequences)
                {
                    place = source.Next(place, ref random);
                    _sequences[r] = place.Sequence;
                    rows.Model.Emissions.Sample(place.State, ref random, values);
                }
                else if (rows.Input.IsText)
                {
                    _texts[r] = Text(ref random);
                }
                else
                {
                    place = new(-1, 0, 0);
                    for (int at = 0; at < _width; at += rows.Input.StepWidth)
                    {
                        place = source.Next(place, ref random) with { Left = _width };
                        rows.Model.Emissions.Sample(place.State, ref random, values.Slice(at, rows.Input.StepWidth));
                    }
                }
            }
            return source.BlockRows;
        }

        public Delegate Getter(int column, IBatchPosition at)
        {
            DataViewType type = source.Schema[column].Type;
            if (column < source.Schema.Count - 1)
                return GeneratedGroups.Getter(type, () => _sequences[at.Row]);
            return type switch
            {
                TextDataViewType => (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) =>
                    value = _texts[at.Row].AsMemory()),
                VectorDataViewType => (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
                    VBuffer<float>.Copy(_values, at.Row * _width, ref value, _width)),
                _ => GeneratedGroups.Getter(type, () => (long)_values[at.Row] + 1),
            };
        }

        private string Text(ref SplitMix64 random)
        {
            var text = new StringBuilder();
            float category = 0;
            Place place = source.Next(new(-1, 0, 0), ref random);
            for (long left = place.Left; ; left--)
            {
                rows.Model.Emissions.Sample(place.State, ref random, MemoryMarshal.CreateSpan(ref category, 1));
                // What stands for all other characters is none that could be written.
                text.Append(category < rows.Input.Symbols.Count ? rows.Input.Symbols[(int)category] : "\uFFFD");
                if (left == 0)
                    return text.ToString();
                place = source.Next(place with { Left = 1 }, ref random);
            }
        }
    }
}
