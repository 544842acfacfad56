using System.Text.Json;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>A trained VAE as a step of a pipeline: adds scores, codes or reconstructions to rows.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class VaeTransformer : GeneratorTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("vae", Load);

    private readonly VaeColumns _columns;
    private readonly VaeBatchModel _model;
    private readonly VaeShape _shape;

    internal VaeTransformer(
        TrainedVae model, VaeColumns columns, VectorSchema schema, NonFiniteReplacement? replacement)
        : this(new VaeBatchModel(model, columns, replacement), model, columns, schema)
    {
    }

    private VaeTransformer(
        VaeBatchModel rows, TrainedVae model, VaeColumns columns, VectorSchema schema)
        : base(rows, schema, use => rows.Use(use))
    {
        _columns = columns;
        _model = rows;
        _shape = model.Shape;
        Threshold = model.Threshold;
    }

    /// <summary>
    /// Rows with a higher score than this are predicted to be anomalies: the score that the share
    /// <see cref="VaeDetectorOptions.Contamination"/> of the training rows exceeds. Positive infinity for a model that
    /// was not trained to detect.
    /// </summary>
    public float Threshold { get; }

    /// <summary>Slots of the input column.</summary>
    public int InputWidth => _shape.InputWidth;

    /// <summary>Slots of a code.</summary>
    public int LatentDimension => _shape.LatentDimension;

    private protected override string Family => SavedFamily.Name;

    private protected override void ExportWeights(Stream stream) => _model.Use(model => model.ExportWeights(stream));

    private protected override void ImportWeights(Stream stream) => _model.Change(model => model.ImportWeights(stream));

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer,
        new Saved
        {
            Columns = _columns,
            Schema = Columns,
            Shape = _shape,
            Threshold = float.IsFinite(Threshold) ? Threshold : null,
            Replacement = _model.Replacement?.Fields,
        },
        ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => _model.Use(model => model.Save(stream));

    private static VaeTransformer Load(IHostEnvironment environment, JsonElement options, Stream weights)
    {
        Saved saved = ModelJson.Read<Saved>(options);
        try
        {
            saved.Columns.Validate();
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved VAE's columns are wrong: {invalid.Message}");
        }
        saved.Shape.Check();
        if (saved.Columns.Conditions.Count != saved.Shape.ConditionWidths.Count)
            throw new FormatException("The saved VAE's conditions do not fit its columns.");
        NonFiniteReplacement? replacement = saved.Replacement is null ? null : new(saved.Replacement);
        IReadOnlyList<RowField> fields = VaeBatchModel.Fields(saved.Columns, saved.Shape);
        saved.Schema.Check(fields);
        if (replacement?.Fits(fields) == false)
            throw new FormatException("The saved VAE's replacements for NaN do not fit its input.");
        TrainedVae model = TrainedVae.Load(
            saved.Shape, saved.Threshold ?? float.PositiveInfinity, weights, HostDefaults.Device(environment),
            MLNetInternals.FallbackToCpuOf(environment));
        return new VaeTransformer(model, saved.Columns, saved.Schema, replacement);
    }

    /// <summary>What <c>options.json</c> holds of a VAE.</summary>
    private sealed record Saved
    {
        public required VaeColumns Columns { get; init; }

        public required VectorSchema Schema { get; init; }

        public required VaeShape Shape { get; init; }

        public float? Threshold { get; init; }

        public IReadOnlyList<NonFiniteReplacement.SlotRange>? Replacement { get; init; }
    }
}
