using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML;

/// <summary>
/// Trains the network of a diffusion model on rows with missing values, to fill them in: at the highest level of noise,
/// where all that it knows of a row is what it is given. What it says is weighed with what training rows like this one
/// have there, of which <see cref="DiffusionOptions.ReferenceRows"/> are kept; values that are hidden in these say how.
/// </summary>
/// <remarks>
/// A missing value is NaN, or infinite. Training learns from the values that are there, whatever is missing beside them;
/// a column of which no value is there is filled with zeros.
/// </remarks>
public sealed class ImputingEstimator : IEstimator<ImputingTransformer>
{
    private readonly DiffusionTrainer _trainer;
    private readonly string _column;

    internal ImputingEstimator(Microsoft.ML.Runtime.IHostEnvironment environment, DiffusionOptions options)
    {
        if (options.Detects)
            throw new ArgumentException("The options name a column of a detector's, and an imputer adds none.", nameof(options));
        _trainer = new(environment, options with { NonFiniteValues = NonFiniteValues.Replace, Imputes = true });
        _column = options.FeatureColumnName;
    }

    /// <summary>Trains a model.</summary>
    /// <param name="input">The training rows, with or without missing values.</param>
    /// <returns>The transformer that fills them in.</returns>
    /// <exception cref="ArgumentOutOfRangeException">An input column is missing or of the wrong type.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or torch cannot be used.</exception>
    public ImputingTransformer Fit(IDataView input) => _trainer.Fit(input).ToImputer();

    /// <summary>Says which columns come out: those that come in, the vector filled in.</summary>
    /// <param name="inputSchema">What is known of the columns that come in.</param>
    /// <exception cref="ArgumentOutOfRangeException">An input column is missing or of the wrong type.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        _trainer.GetOutputSchema(inputSchema); // checks what is read
        SchemaShape filled = OutputAnnotations.Promise([ImputingModel.Column(_column, width: 1)]);
        return new SchemaShape(inputSchema.Where(c => c.Name != _column).Concat(filled));
    }
}

/// <summary>
/// A trained diffusion model as a step of a pipeline that fills in missing values: what is NaN or infinite in the vector
/// becomes the mean of what it is given the rest of the row; all else stays as it is, to the bit.
/// </summary>
/// <remarks>
/// The mean has the least squared error; values that are spread as in the training rows come from
/// <see cref="VectorGenerator.Generate"/> under a condition on the features that are known. The transformer may be used
/// from several threads at once.
/// </remarks>
public sealed class ImputingTransformer : GenerativeTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("imputer", (environment, options, weights) =>
        ((DiffusionTransformer)VectorModelState.Loader(DiffusionTrainer.Family).Load(environment, options, weights)).ToImputer());

    private readonly VectorModelState _state;

    internal ImputingTransformer(VectorModelState state)
        : base(new ImputingModel(state)) => _state = state;

    internal override OnnxExport ToOnnx(OnnxContent? content) => (content ?? OnnxContent.Transform) == OnnxContent.Transform
        ? VectorOnnx.Impute(_state)
        : throw new NotSupportedException($"What fills in missing values has no {content}.");

    internal override OnnxExport ToOnnxStep(int opset) => VectorOnnx.Impute(_state, opset);

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => _state.Write(writer, _state.Threshold);

    private protected override void WriteWeights(Stream stream) => _state.Model.Save(stream);
}

/// <summary>Rows with missing values in, rows without them out.</summary>
internal sealed class ImputingModel(VectorModelState state) : IBatchModel
{
    private readonly int _width = state.Fields[0].Width;

    public IReadOnlyList<RowField> Inputs => state.Fields;

    public IReadOnlyList<OutputColumn> Outputs { get; } = [Column(state.Fields[0].Name, state.Fields[0].Width)];

    public int BatchSize => 256;

    public NonFiniteReplacement? Replacement => null;

    public bool TakesNonFinite => true;

    /// <summary>The column that is filled in, in the place of the one that is read.</summary>
    public static OutputColumn Column(string name, int width) => new(name, OutputKind.Single, width) { SlotNamesFrom = name };

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        if (outputs.IsWanted(0))
            state.Model.Impute(inputs, rows, outputs.SingleMemory(0)[..(rows * _width)]);
    }

    public void Dispose() => state.Model.Dispose();
}
