using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>A trained GAN as a step of a pipeline: adds scores to rows, and generates rows.</summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class GanTransformer : GeneratorTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("gan", Load);

    // Figures that could not be measured are not numbers, which plain JSON has no word for.
    private static readonly JsonSerializerOptions s_json = new(ModelJson.Options)
    {
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private readonly GanColumns _columns;
    private readonly GanBatchModel _model;
    private readonly GanShape _shape;

    internal GanTransformer(
        TrainedGan model, GanColumns columns, VectorSchema schema, NonFiniteReplacement? replacement)
        : this(new GanBatchModel(model, columns, replacement), model, columns, schema)
    {
    }

    private GanTransformer(
        GanBatchModel rows, TrainedGan model, GanColumns columns, VectorSchema schema)
        : base(rows, schema, use => rows.Use(use))
    {
        _columns = columns;
        _model = rows;
        _shape = model.Shape;
        Report = model.Report;
    }

    /// <summary>How the training went: figures by stage, and a verdict in words.</summary>
    public GanReport Report { get; }

    /// <summary>Slots of the input column.</summary>
    public int InputWidth => _shape.InputWidth;

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
            Report = Report,
            Replacement = _model.Replacement?.Fields,
        },
        s_json);

    private protected override void WriteWeights(Stream stream) => _model.Use(model => model.Save(stream));

    private static GanTransformer Load(IHostEnvironment environment, JsonElement options, Stream weights)
    {
        Saved saved;
        try
        {
            saved = options.Deserialize<Saved>(s_json) ?? throw new FormatException("The saved GAN's options are null.");
            saved.Columns.Validate();
        }
        catch (JsonException invalid)
        {
            throw new FormatException($"The saved options cannot be read: {invalid.Message}");
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved GAN's columns are wrong: {invalid.Message}");
        }
        saved.Shape.Check();
        if (saved.Columns.Conditions.Count != saved.Shape.ConditionWidths.Count)
            throw new FormatException("The saved GAN's conditions do not fit its columns.");
        NonFiniteReplacement? replacement = saved.Replacement is null ? null : new(saved.Replacement);
        IReadOnlyList<RowField> fields = VectorFields.Of(
            saved.Columns.Features, saved.Shape.InputWidth, saved.Columns.Conditions, saved.Shape.ConditionWidths);
        saved.Schema.Check(fields);
        if (replacement?.Fits(fields) == false)
            throw new FormatException("The saved GAN's replacements for NaN do not fit its input.");
        TrainedGan model =
            TrainedGan.Load(saved.Shape, saved.Report, weights, HostDefaults.TorchDevice(environment));
        return new GanTransformer(model, saved.Columns, saved.Schema, replacement);
    }

    /// <summary>What <c>options.json</c> holds of a GAN.</summary>
    private sealed record Saved
    {
        public required GanColumns Columns { get; init; }

        public required VectorSchema Schema { get; init; }

        public required GanShape Shape { get; init; }

        public required GanReport Report { get; init; }

        public IReadOnlyList<NonFiniteReplacement.SlotRange>? Replacement { get; init; }
    }
}
