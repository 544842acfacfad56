using System.Text.Json;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>A trained autoencoder as a step of a pipeline: adds scores, codes or reconstructions to rows.</summary>
/// <remarks>
/// <inheritdoc cref="GenerativeTransformer" path="/remarks"/>
/// With several <see cref="AutoencoderOptions.Members"/>, weights in files have them as a first dimension, as
/// <c>torch.func.stack_module_state</c> stacks them.
/// </remarks>
public sealed class AutoencoderTransformer : NetworkTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("autoencoder", Load);

    private readonly AutoencoderColumns _columns;
    private readonly AutoencoderBatchModel _model;
    private readonly AutoencoderShape _shape;

    internal AutoencoderTransformer(
        TrainedAutoencoder model, AutoencoderColumns columns, NonFiniteReplacement? replacement)
        : this(new AutoencoderBatchModel(model, columns, replacement), model, columns)
    {
    }

    private AutoencoderTransformer(AutoencoderBatchModel rows, TrainedAutoencoder model, AutoencoderColumns columns)
        : base(rows)
    {
        _columns = columns;
        _model = rows;
        _shape = model.Shape;
        Threshold = model.Threshold;
    }

    /// <summary>
    /// Rows with a higher score than this are predicted to be anomalies: the score that the share
    /// <see cref="AutoencoderDetectorOptions.Contamination"/> of the training rows exceeds. Positive infinity for a model
    /// that was not trained to detect.
    /// </summary>
    public float Threshold { get; }

    /// <summary>Slots of the input column.</summary>
    public int InputWidth => _shape.InputWidth;

    /// <summary>Slots of a code.</summary>
    public int LatentDimension => _shape.LatentDimension;

    private protected override void ExportWeights(Stream stream) => _model.Use(model => model.ExportWeights(stream));

    private protected override void ImportWeights(Stream stream) => _model.Change(model => model.ImportWeights(stream));

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer,
        new Saved
        {
            Columns = _columns,
            Shape = _shape,
            Threshold = float.IsFinite(Threshold) ? Threshold : null,
            Replacement = _model.Replacement?.Fields,
        },
        ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => _model.Use(model => model.Save(stream));

    private static AutoencoderTransformer Load(IHostEnvironment environment, JsonElement options, Stream weights)
    {
        Saved saved = ModelJson.Read<Saved>(options);
        try
        {
            saved.Columns.Validate();
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved autoencoder's columns are wrong: {invalid.Message}");
        }
        NonFiniteReplacement? replacement = saved.Replacement is null ? null : new(saved.Replacement);
        RowField input = new(saved.Columns.Features, FieldKind.Single, saved.Shape.InputWidth);
        if (replacement?.Fits([input]) == false)
            throw new FormatException("The saved autoencoder's replacements for NaN do not fit its input.");

        TrainedAutoencoder model = TrainedAutoencoder.Load(
            saved.Shape,
            saved.Threshold ?? float.PositiveInfinity,
            weights,
            HostDefaults.Device(environment),
            MLNetInternals.FallbackToCpuOf(environment));
        return new AutoencoderTransformer(model, saved.Columns, replacement);
    }

    /// <summary>What <c>options.json</c> holds of an autoencoder.</summary>
    private sealed record Saved
    {
        public required AutoencoderColumns Columns { get; init; }

        public required AutoencoderShape Shape { get; init; }

        public float? Threshold { get; init; }

        public IReadOnlyList<NonFiniteReplacement.SlotRange>? Replacement { get; init; }
    }
}
