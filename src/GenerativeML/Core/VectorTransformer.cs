using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained model of vectors as a step of a pipeline: adds scores, latent vectors or reconstructions to rows.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public class VectorTransformer : GenerativeTransformer, IAnomalyDetector
{
    private readonly VectorModelState _state;
    private readonly VectorBatchModel _rows;

    internal VectorTransformer(VectorModelState state)
        : this(state, new VectorBatchModel(state))
    {
    }

    private VectorTransformer(VectorModelState state, VectorBatchModel rows)
        : base(rows)
    {
        _state = state;
        _rows = rows;
    }

    /// <inheritdoc/>
    public float Threshold
    {
        get => _rows.Threshold;
        set => _rows.Threshold = float.IsNaN(value)
            ? throw new ArgumentOutOfRangeException(nameof(value), "The threshold is NaN; a number is expected.")
            : value;
    }

    /// <summary>Features of the input column.</summary>
    public int InputWidth => _state.Model.Network.Input.Width;

    /// <summary>Features of a latent vector; zero for a model that has none.</summary>
    public int LatentDimension => (_state.Model.Network as IEncoder)?.LatentDimension ?? 0;

    /// <summary>The trained model and all that is saved of it.</summary>
    private protected VectorModelState State => _state;

    private protected override string Family => _state.Family.Name;

    /// <summary>What a family saves beside what all save; null for nothing.</summary>
    private protected virtual JsonElement? Extra => _state.Extra;

    private protected override void WriteOptions(Utf8JsonWriter writer) => _state.Write(writer, Threshold, Extra);

    private protected override void WriteWeights(Stream stream) => _state.Model.Save(stream);

    /// <summary>
    /// Writes the networks' weights as a safetensors file, named and shaped as PyTorch's own layers have them: the
    /// <c>weight</c> of a dense layer is (outputs, inputs).
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    public void SaveWeights(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        AtomicFile.Write(path, _state.Model.ExportWeights);
    }

    /// <summary>
    /// Takes the networks' weights from a file such as <see cref="SaveWeights"/> writes. All else that was learned, such
    /// as the scale of the inputs and a threshold, stays.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FormatException">
    /// The file is damaged, or does not hold exactly the weights of networks of this shape; nothing has changed then.
    /// </exception>
    public void LoadWeights(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using FileStream file = File.OpenRead(path);
        _state.Model.ImportWeights(file);
    }
}

/// <summary>A trained model of vectors that also generates rows like those that it was trained on.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public class VectorGenerator : VectorTransformer, IDataGenerator
{
    internal VectorGenerator(VectorModelState state)
        : base(state) => GeneratedSchema = state.Schema.ToSchema();

    /// <summary>
    /// The columns of generated rows: the vector and the condition columns, in the order of the training data, with
    /// their types and annotations.
    /// </summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <inheritdoc/>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null)
    {
        if (rows < 0)
            throw new ArgumentOutOfRangeException(nameof(rows), rows, $"The number of rows is {rows}; zero or more is expected.");
        return new GeneratedDataView(new GeneratedVectors(State, GeneratedSchema, seed, where), rows);
    }
}

/// <summary>A trained model of vectors with all that is saved of it beside its weights.</summary>
internal sealed record VectorModelState(
    VectorFamily Family, VectorOptions Options, TrainedVector Model, float Threshold, VectorSchema Schema,
    NonFiniteReplacement? Replacement, JsonElement? Extra = null)
{
    /// <summary>What is read: the vector first.</summary>
    public IReadOnlyList<RowField> Fields { get; } = Options.Columns.Inputs(Model.Network.Input);

    /// <summary>Writes <c>options</c> of the saved model.</summary>
    public void Write(Utf8JsonWriter writer, float threshold, JsonElement? extra) => JsonSerializer.Serialize(
        writer,
        new Saved
        {
            Options = JsonSerializer.SerializeToElement(Options, Family.OptionsType, ModelJson.Options),
            Input = Model.Network.Input,
            Threshold = float.IsFinite(threshold) ? threshold : null,
            Schema = Schema,
            Replacement = Replacement?.Fields,
            Extra = extra,
        },
        ModelJson.Options);

    /// <summary>How models of a family are loaded.</summary>
    public static ModelFamily Loader(VectorFamily family) => new(
        family.Name, (environment, options, weights) => family.Wrap(Load(family, environment, options, weights)));

    private static VectorModelState Load(
        VectorFamily family, IHostEnvironment environment, JsonElement element, Stream weights)
    {
        Saved saved = ModelJson.Read<Saved>(element);
        saved.Input.Check();
        VectorOptions options = (VectorOptions)ModelJson.Read(saved.Options, family.OptionsType);
        try
        {
            options.Validate();
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved model's options are wrong: {invalid.Message}");
        }
        if (options.Columns.Conditions.Count != saved.Input.ConditionWidths.Count)
            throw new FormatException("The saved model's conditions do not fit its columns.");
        VectorNetwork network = Create(family, options, saved.Input);
        HostWeights read = HostWeights.Load(weights, network.Tensors());
        var model = new TrainedVector(
            network, read, HostDefaults.LoadingDevice(environment), MLNetInternals.FallbackToCpuOf(environment));
        NonFiniteReplacement? replacement = saved.Replacement is null ? null : new(saved.Replacement);
        var state = new VectorModelState(
            family, options, model, saved.Threshold ?? float.PositiveInfinity, saved.Schema, replacement, saved.Extra);
        saved.Schema.Check(state.Fields);
        if (replacement?.Fits(state.Fields) == false)
            throw new FormatException("The saved model's replacements for NaN do not fit its input.");
        return state;
    }

    private static VectorNetwork Create(VectorFamily family, VectorOptions options, VectorInput input)
    {
        try
        {
            return family.Create(options, input);
        }
        catch (InvalidOperationException open) // a value that is null
        {
            throw new FormatException("The saved model's options leave open what training decides.", open);
        }
    }

    /// <summary>What <c>options.json</c> holds.</summary>
    private sealed record Saved
    {
        public required JsonElement Options { get; init; }

        public required VectorInput Input { get; init; }

        public float? Threshold { get; init; }

        public required VectorSchema Schema { get; init; }

        public IReadOnlyList<NonFiniteReplacement.SlotRange>? Replacement { get; init; }

        public JsonElement? Extra { get; init; }
    }
}
