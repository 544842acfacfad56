using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>What all trainers of models of vectors have in common.</summary>
/// <typeparam name="TTransformer">What training makes.</typeparam>
/// <remarks>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>These trainers</description></listheader>
/// <item><term>Input</term><description>One vector of <see cref="float"/> of known size. No label is read, but columns
/// of conditions may be, and by a deep belief network a label.</description></item>
/// <item><term>Normalization</term><description>Done inside: each feature by its own mean and deviation; of zeros and
/// ones that a VAE or a Boltzmann machine takes for such only the mean.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to compute on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// </remarks>
public abstract class VectorTrainer<TTransformer> : GenerativeEstimator<TTransformer>
    where TTransformer : VectorTransformer
{
    private readonly VectorFamily _family;
    private readonly VectorOptions _options;

    private protected VectorTrainer(IHostEnvironment environment, VectorFamily family, VectorOptions options)
        : base(environment, family.Name, options) => (_family, _options) = (family, options);

    /// <summary>The rows as training sees them. Default: as they are.</summary>
    /// <exception cref="InvalidOperationException">They cannot be trained on.</exception>
    private protected virtual IRowSource Arrange(DataViewRowSource rows) => rows;

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) =>
        _options.Columns.Outputs(
            width: 1, latent: 1, _options.Images?.Of(inputSchema, _options.FeatureColumnName, nameof(inputSchema)),
            _options.Columns.Class is string label
                ? VectorSchemaColumn.Promise(inputSchema.First(column => column.Name == label))
                : null);

    private protected override void CheckInput(SchemaShape inputSchema, string parameter)
    {
        if (_options.Images is { } images)
            images.Of(inputSchema, _options.FeatureColumnName, parameter);
        else
            InputColumns.Check(inputSchema, _options.FeatureColumnName, InputKind.Vector, parameter);
        foreach (string name in _options.Columns.Conditions)
            InputColumns.Check(inputSchema, name, _options.Captions is null ? InputKind.Label : InputKind.Condition, parameter);
        if (_options.Columns.Class is string label)
            InputColumns.Check(inputSchema, label, InputKind.Class, parameter);
    }

    private protected override TTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var rows = new DataViewRowSource(
            input, [_options.FeatureColumnName], _options.NonFiniteValues, parameter, _options.Columns.Conditions,
            _options.Images, _options.Columns.Class, _options.MarksMissing, _options.Captions is not null,
            // Of several processes, one alone must not stop reading: they stop together, after a step.
            _options.Distributed is null ? _options.CancellationToken : default);
        // It may refuse a column: that is said before any work.
        var schema = VectorSchema.Of(rows.Columns, rows.Fields[0].Image, _options.Columns.Class is not null);
        rows.FindCategories();
        if (_options.Captions is { } reading)
            rows.LearnCaptions(reading);
        VectorFitResult fit = VectorFit.Fit(Arrange(rows), _family, _options, context);
        return (TTransformer)_family.Wrap(new(
            _family, fit.Options, fit.Model, fit.Threshold, schema, rows.Replacement, fit.Extra)
        {
            Calibration = _options.Columns.PValue is null ? null : fit.Calibration,
        });
    }
}

/// <summary>
/// A trained model of vectors as a step of a pipeline: adds scores, latent vectors or reconstructions to rows.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public class VectorTransformer : GenerativeTransformer, IAnomalyDetector
{
    private readonly VectorBatchModel _rows;

    internal VectorTransformer(VectorModelState state)
        : this(state, new VectorBatchModel(state))
    {
    }

    private VectorTransformer(VectorModelState state, VectorBatchModel rows)
        : base(rows)
    {
        State = state;
        _rows = rows;
    }

    /// <inheritdoc/>
    public float Threshold
    {
        get => _rows.Threshold;
        set => _rows.Threshold = OptionChecks.Threshold(value);
    }

    /// <summary>Features of the input column.</summary>
    public int InputWidth => State.Model.Network.Input.Width;

    /// <summary>Features of a latent vector; zero for a model that has none.</summary>
    public int LatentDimension => (State.Model.Network as IEncoder)?.LatentDimension ?? 0;

    /// <summary>The trained model and all that is saved of it.</summary>
    internal VectorModelState State { get; private protected set; }

    private protected override string Family => State.Family.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => State.Write(writer, Threshold);

    private protected override void WriteWeights(Stream stream) => State.Model.Save(stream);

    internal override OnnxExport ToOnnx(OnnxContent? content) => (content ?? OnnxContent.Transform) switch
    {
        OnnxContent.Transform => VectorOnnx.Transform(State, Threshold),
        OnnxContent.Generate => VectorOnnx.Generate(State),
        OnnxContent.Denoise => VectorOnnx.Denoise(State),
        _ => throw new NotSupportedException($"A model of vectors has no {content}: that is for GPTs and other models of texts."),
    };

    internal override OnnxExport ToOnnxStep(int opset) => VectorOnnx.Transform(State, Threshold, opset);

    /// <summary>
    /// Writes the networks' weights as a safetensors file, named and shaped as PyTorch's own layers have them: the
    /// <c>weight</c> of a dense layer is (outputs, inputs).
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    public void SaveWeights(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        AtomicFile.Write(path, State.Model.ExportWeights);
    }

    /// <summary>
    /// Takes the networks' weights from a file such as <see cref="SaveWeights"/> writes. All else that was learned, such
    /// as the scale of the inputs and a threshold, stays.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FormatException">
    /// The file is damaged, does not hold exactly the weights of networks of this shape, or holds NaN or infinity;
    /// nothing has changed then.
    /// </exception>
    public void LoadWeights(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        using FileStream file = File.OpenRead(path);
        State.Model.ImportWeights(file);
    }
}

/// <summary>
/// A trained model of vectors that also generates rows like those that it was trained on. A saved one with condition
/// columns holds those of up to 10,000 training rows.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public class VectorGenerator : VectorTransformer, IDataGenerator
{
    internal VectorGenerator(VectorModelState state)
        : base(state) => GeneratedSchema = state.Schema.ToSchema(state.Model.Network.Input.Image);

    /// <summary>
    /// The columns of generated rows: the vector and the condition columns, in the order of the training data, with
    /// their types and annotations.
    /// </summary>
    public DataViewSchema GeneratedSchema { get; }

    /// <inheritdoc/>
    public IDataView Generate(long rows, int seed = 0, RowCondition? where = null) =>
        new GeneratedDataView(new GeneratedVectors(State, GeneratedSchema, seed, where), rows);

    /// <summary>Rows on the way from one row to another, by even steps between the latent vectors of both.</summary>
    /// <remarks>For VAEs and flows, which make rows of latent vectors. A VAE's ends are what it makes of the two rows, not these.</remarks>
    /// <param name="from">Where the way begins, (D), in the units of the training rows; of an image (C, H, W).</param>
    /// <param name="to">Where it ends.</param>
    /// <param name="rows">How many, with both ends; two or more. Default 10.</param>
    /// <param name="where">The values of all condition columns, for all rows. Default: none, for models without conditions.</param>
    /// <returns>The rows, with <see cref="GeneratedSchema"/>: without details that are drawn, such as a feature's own noise.</returns>
    /// <exception cref="NotSupportedException">Rows of this model are not made of latent vectors that rows have.</exception>
    /// <exception cref="ArgumentOutOfRangeException">Fewer than two rows are asked for.</exception>
    /// <exception cref="ArgumentException">
    /// A row has not as many features as the model's, or some that are no finite numbers; or a condition is left open, or cannot be met.
    /// </exception>
    public IDataView Interpolate(ReadOnlySpan<float> from, ReadOnlySpan<float> to, int rows = 10, RowCondition? where = null)
    {
        if (State.Model.Network is not ILatentSampler sampler)
        {
            throw new NotSupportedException(
                "Rows of this model are not made of latent vectors that other rows have; those of VAEs and flows are.");
        }
        OptionChecks.AtLeast(rows, 2);
        float[] conditions = VectorCondition.Resolve(where, State);
        if (conditions.Length < State.Model.ConditionMeans.Length || conditions.Any(float.IsNaN))
        {
            string names = string.Join(", ", State.Fields.Skip(1).Select(field => $"'{field.Name}'"));
            throw new ArgumentException(
                $"A condition is left open: of rows between two others, values of all condition columns are expected: {names}.",
                nameof(where));
        }
        var ends = new RowBlock([.. State.Fields], 2);
        Take(from, 0, nameof(from));
        Take(to, 1, nameof(to));
        float[] latents = new float[2 * sampler.LatentDimension];
        State.Model.Compute(ends, 2, new VectorResults { Latent = latents });
        var path = new LatentPath(latents[..sampler.LatentDimension], latents[sampler.LatentDimension..], rows);
        return new GeneratedDataView(new GeneratedVectors(State, GeneratedSchema, seed: 0, where, path: path), rows);

        void Take(ReadOnlySpan<float> features, int row, string parameter)
        {
            CheckGiven(features, parameter);
            features.CopyTo(ends.SingleRow(0, row));
            for (int column = 1, slot = 0; column < State.Fields.Count; slot += State.Fields[column++].Width)
                conditions.AsSpan(slot, State.Fields[column].Width).CopyTo(ends.SingleRow(column, row));
        }
    }

    /// <summary>
    /// Images on the way from one to another, for a model of a column of images; other sizes are brought to its own, as in
    /// training.
    /// </summary>
    /// <remarks>
    /// For VAEs and flows, which make rows of latent vectors. A VAE's ends are what it makes of the two images, not these.
    /// ML.NET disposes images that a view gives, as by <c>GetColumn&lt;MLImage&gt;</c>, when its cursor moves on: give images of
    /// your own, such as <see cref="MLImage.CreateFromFile"/> makes.
    /// </remarks>
    /// <inheritdoc cref="Interpolate(ReadOnlySpan{float}, ReadOnlySpan{float}, int, RowCondition)"/>
    public IDataView Interpolate(MLImage from, MLImage to, int rows = 10, RowCondition? where = null)
    {
        ArgumentNullException.ThrowIfNull(from);
        ArgumentNullException.ThrowIfNull(to);
        float[] first = new float[State.Fields[0].Width], last = new float[first.Length];
        ImagePixels.Read(from, Pictures, first);
        ImagePixels.Read(to, Pictures, last);
        return Interpolate(first, last, rows, where);
    }

    /// <summary>How pictures become features.</summary>
    /// <exception cref="NotSupportedException">The model is not one of a column of images.</exception>
    private protected ImageFormat Pictures => State.Model.Network.Input.Image is { IsPicture: true } format
        ? format
        : throw new NotSupportedException("The model is not one of a column of images: give it numbers (to inpaint, with NaN where they are to be made).");

    /// <summary>Checks a row that is given as numbers, some of which may be NaN, to be made, where <paramref name="isOpen"/>.</summary>
    /// <exception cref="ArgumentException">It has not as many features as the model's, or others that are no finite numbers.</exception>
    private protected void CheckGiven(ReadOnlySpan<float> features, string parameter, bool isOpen = false)
    {
        RowField field = State.Fields[0];
        if (features.Length != field.Width)
            throw new ArgumentException($"{features.Length} features are given, and column '{field.Name}' has {field.Width}.", parameter);
        for (int i = 0; i < features.Length; i++)
        {
            if (float.IsFinite(features[i]) || isOpen && float.IsNaN(features[i]))
                continue;
            throw new ArgumentException(
                $"Feature {i} of column '{field.Name}' is given as {features[i]}; a finite number is expected"
                + (isOpen ? ", or NaN where it is to be made." : "."),
                parameter);
        }
    }
}

/// <summary>A trained model of vectors with all that is saved of it beside its weights.</summary>
internal sealed record VectorModelState(
    VectorFamily Family, VectorOptions Options, TrainedVector Model, float Threshold, VectorSchema Schema,
    NonFiniteReplacement? Replacement, JsonElement? Extra = null)
{
    /// <summary>What is read: the vector first.</summary>
    public IReadOnlyList<RowField> Fields { get; } = Options.Columns.Inputs(Model.Network.Input);

    /// <summary>What p-values are told by; null where there is no column of them.</summary>
    public CalibrationScores? Calibration { get; init; }

    /// <summary>Writes <c>options</c> of the saved model.</summary>
    public void Write(Utf8JsonWriter writer, float threshold) => JsonSerializer.Serialize(
        writer,
        new Saved(
            JsonSerializer.SerializeToElement(Options, Family.OptionsType, ModelJson.Options), Model.Network.Input,
            Schema, ModelJson.Threshold(threshold), Replacement?.Fields, Extra, Calibration?.Sorted),
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
        if (options.Columns.Conditions.Count != saved.Input.ConditionWidths.Count)
            throw new FormatException("The saved model's conditions do not fit its columns.");
        VectorNetwork network = ModelJson.Checked(() =>
        {
            options.Validate();
            return family.Create(options, saved.Input);
        });
        HostWeights read = HostWeights.Load(weights, network.Tensors());
        network.Check(read);
        var model = new TrainedVector(
            network, read, HostDefaults.LoadingDevice(environment), MLNetInternals.FallbackToCpuOf(environment));
        NonFiniteReplacement? replacement = saved.Replacement is null ? null : new(saved.Replacement);
        var state = new VectorModelState(
            family, options, model, saved.Threshold ?? float.PositiveInfinity, saved.Schema, replacement, saved.Extra)
        {
            Calibration = CalibrationScores.Load(saved.Calibration, options.Columns.PValue),
        };
        saved.Schema.Check(state.Fields);
        saved.Schema.CheckClass(saved.Input.Classes, options.Columns.Class);
        if (replacement?.Fits(state.Fields) == false)
            throw new FormatException("The saved model's replacements for NaN do not fit its input.");
        return state;
    }

    /// <summary>What <c>options.json</c> holds.</summary>
    private sealed record Saved(
        JsonElement Options, VectorInput Input, VectorSchema Schema, float? Threshold = null,
        IReadOnlyList<NonFiniteReplacement.SlotRange>? Replacement = null, JsonElement? Extra = null,
        IReadOnlyList<float>? Calibration = null);
}
