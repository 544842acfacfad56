using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// What all transformers of this package have in common: rows are computed lazily, in batches, by a trained network,
/// and <c>mlContext.Model</c> saves and loads them.
/// </summary>
/// <remarks>
/// Rows out are rows in, in order. A row with NaN or infinity in an input column gets NaN or empty text in the added
/// columns, and is predicted to be an anomaly, unless the model was trained with
/// <see cref="NonFiniteValues.Replace"/>; its neighbours are not affected. A transformer may be used from several
/// threads at once. Disposing it frees the memory of its device, and native memory; it can be used all the same, and
/// makes anew what it needs.
/// </remarks>
public abstract class GenerativeTransformer : ITransformer, IDisposable
{
    private readonly IBatchModel _model;

    private protected GenerativeTransformer(IBatchModel model) => _model = model;

    /// <summary>The family's name in saved models.</summary>
    private protected abstract string Family { get; }

    /// <summary>Writes, as one JSON value, all that it takes to build the model again but its weights.</summary>
    private protected abstract void WriteOptions(Utf8JsonWriter writer);

    /// <summary>Writes the weights as safetensors.</summary>
    private protected abstract void WriteWeights(Stream stream);

    /// <summary>What a model that this one is a part of saves of it, beside its weights.</summary>
    internal SavedPart ToSaved()
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer))
            WriteOptions(writer);
        using var json = JsonDocument.Parse(buffer.ToArray());
        return new(Family, json.RootElement.Clone());
    }

    /// <summary>Writes the weights as safetensors.</summary>
    internal void SaveWeightsTo(Stream stream) => WriteWeights(stream);

    /// <summary>The graph of one of the things that the model can do; of the first where none is named.</summary>
    /// <exception cref="NotSupportedException">The model cannot do that, or a graph cannot.</exception>
    internal virtual OnnxExport ToOnnx(OnnxContent? content)
    {
        OnnxContent[] able = [.. Enum.GetValues<OnnxContent>().Where(c => PassOf(c) is not null)];
        OnnxContent wanted = content ?? able.FirstOrDefault();
        return PassOf(wanted)?.ToGraph(Family, wanted) ?? throw new NotSupportedException(able.Length == 0
            ? $"Models of the family '{Family}' cannot be written as ONNX graphs."
            : $"A model of the family '{Family}' has no {wanted}: as ONNX graphs it has {string.Join(", ", able)}.");
    }

    /// <summary>One of the things that the model can do, where that is a pass over rows; else null.</summary>
    internal virtual OnnxPass? PassOf(OnnxContent content) => null;

    /// <summary>
    /// What the model adds to rows as a graph of another version of ONNX's operators, whose inputs are named as columns,
    /// and whose outputs are as <see cref="VectorOnnx.OutputName"/> says.
    /// </summary>
    /// <exception cref="NotSupportedException">A graph cannot do that.</exception>
    internal virtual OnnxExport ToOnnxStep(int opset) =>
        throw new NotSupportedException($"Models of the family '{Family}' do not map vectors of numbers to such.");

    /// <inheritdoc/>
    bool ITransformer.IsRowToRowMapper => MapsRows;

    /// <summary>Whether a row's outputs follow from that row alone.</summary>
    private protected virtual bool MapsRows => true;

    /// <summary>The rows of a view with the model's outputs; of a model that maps rows, batch by batch.</summary>
    private protected virtual IDataView View(BatchRowMapper mapper, IDataView input) => new BatchDataView(mapper, input);

    /// <summary>Says which columns come out when rows of a schema go in.</summary>
    /// <param name="inputSchema">The schema of the rows that go in.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// An input column is missing, of the wrong type, or of another size than in training.
    /// </exception>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) =>
        new BatchRowMapper(inputSchema, _model).OutputSchema;

    /// <summary>Adds the model's columns to rows. Nothing is computed before the result is read.</summary>
    /// <param name="input">The rows.</param>
    /// <inheritdoc cref="GetOutputSchema" path="/exception"/>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        var mapper = new BatchRowMapper(input.Schema, _model);
        return MLNetInternals.AsStep(View(mapper, input), input, conversion => conversion.Add(this, mapper));
    }

    /// <inheritdoc/>
    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) =>
        MapsRows ? new BatchRowMapper(inputSchema, _model) : throw new InvalidOperationException(
            "This model needs whole sequences of rows: it cannot map one row alone, as a prediction engine does.");

    /// <inheritdoc/>
    void ICanSaveModel.Save(ModelSaveContext ctx) => ModelFile.Save(ctx, Family, WriteOptions, WriteWeights);

    /// <summary>
    /// Frees what computes, with the memory of its device. The transformer stays usable, since engines and chains
    /// dispose the transformers that they were given: what is needed again is made again.
    /// </summary>
    public void Dispose()
    {
        _model.Dispose();
        GC.SuppressFinalize(this);
    }
}
