using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML.Tests.Rows;

/// <summary>The smallest family there can be: an <see cref="AffineModel"/> in an estimator and a transformer.</summary>
internal sealed class AffineEstimator(IHostEnvironment environment, AffineOptions options)
    : GenerativeEstimator<AffineTransformer>(environment, nameof(AffineEstimator), options)
{
    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => AffineModel.OutputsOf(1, options.Input);

    /// <summary>The context of the last run.</summary>
    public TrainingContext? Context { get; private set; }

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        InputColumns.Check(inputSchema, options.Input, InputKind.Vector, parameter);

    private protected override AffineTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        Context = context;
        var rows = new DataViewRowSource(
            input, [options.Input], options.NonFiniteValues, parameter, [], cancellation: options.CancellationToken);
        using (IRowReader reader = rows.Open())
        {
            var block = new RowBlock(rows.Fields, 64);
            for (int epoch = 1; reader.Read(block, 0, 64) > 0; epoch++)
                options.CancellationToken.ThrowIfCancellationRequested();
        }
        context.Progress?.Report(new TrainingProgress
        {
            Step = 1, Steps = 1, Epoch = 1, Epochs = 1, LearningRate = 0, RowsPerSecond = 0,
            Elapsed = TimeSpan.Zero, Remaining = TimeSpan.Zero, DataWait = TimeSpan.Zero, IsLast = true,
            Losses = new Dictionary<string, double> { ["loss"] = 0.5 }, Validation = new Dictionary<string, double>(),
        });
        return new AffineTransformer(
            new AffineModel(rows.Fields[0].Width, options.Rows, options.Input) { Replacement = rows.Replacement });
    }
}

internal sealed record AffineOptions : TrainingOptions
{
    public string Input { get; init; } = "Features";

    /// <summary>Rows in a batch of the transformer.</summary>
    public int Rows { get; init; } = 7;
}

internal sealed class AffineTransformer(AffineModel model) : GenerativeTransformer(model)
{
    private static readonly byte[] s_weights = [.. Enumerable.Range(0, 100_000).Select(i => (byte)i)];

    static AffineTransformer() => ModelFamilies.Add(new("affine", Load));

    public AffineModel Model => model;

    private protected override string Family => "affine";

    private protected override void WriteOptions(Utf8JsonWriter writer) => JsonSerializer.Serialize(
        writer, new Saved(model.Inputs[0].Name, model.Width, model.BatchSize), ModelJson.Options);

    private protected override void WriteWeights(Stream stream) => stream.Write(s_weights);

    private static AffineTransformer Load(IHostEnvironment environment, JsonElement options, Stream weights)
    {
        var bytes = new byte[s_weights.Length];
        if (weights.Length != bytes.Length)
            throw new FormatException($"The weights have {weights.Length} bytes instead of {bytes.Length}.");
        weights.ReadExactly(bytes);
        if (!bytes.AsSpan().SequenceEqual(s_weights))
            throw new FormatException("The weights are not those that were saved.");
        string input = ModelJson.Read<string>(options, "input");
        int width = ModelJson.Read<int>(options, "width");
        return new(new AffineModel(width, ModelJson.Read<int>(options, "batchSize"), input));
    }

    private sealed record Saved(string Input, int Width, int BatchSize);
}
