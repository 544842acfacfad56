using TorchSharp;

namespace GenerativeML;

/// <summary>Trains a VAE of tables: chooses tokens, settles the defaults, runs the loop.</summary>
internal static class TabularVaeFit
{
    private const int DefaultBatch = 256;
    private const double DefaultRate = 3e-3;
    private const double DefaultDecay = 0.1;
    private const int DefaultHidden = 128, WideHidden = 64, WideColumns = 200;

    // Beyond some 1000 steps a small table is learned by heart; a large one is worth more.
    private const long LeastRows = 256_000, MostRows = 1_024_000;
    private const int RowsRead = 10;

    // What the positions of a batch hold together, so that wide tables take no more memory.
    private const long BatchElements = 1 << 23;

    /// <summary>Trains on a table.</summary>
    /// <exception cref="InvalidOperationException">There are too few rows, or the loss diverged.</exception>
    public static TrainedTabularVae Fit(ITableSource source, TabularVaeOptions options, TrainingContext context)
    {
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        TokenTable tokens = TokenTable.Learn(
            source, (column, sample) => NumberTokenBuilder.Build(column, sample, TokenTable.MostNumbers), context.Seed,
            options.CancellationToken);
        TabularVaeShape shape = ShapeOf(options, tokens);
        int encoderWidth = 2 * shape.HiddenWidth;
        var counts = new TokenCounts(tokens.Counts);

        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(
            new TokenSource(source, tokens), options, context.Seed, device, [counts]);
        using var random = new SeededRandom(device, SplitMix64.Derive(context.Seed, RandomPurpose.Initialization));
        var network = new TabularVaeNetwork(shape, tokens, counts, encoderWidth, random);
        var average = new TabularVaeNetwork(shape, tokens, counts, encoderWidth, random);
        using var training = new TabularVaeTraining(network, average, options);
        TrainingLoop.Run(training, data, RunOf(options, shape, context, data), device);

        TabularVaeModel model = new TabularVaeModel(shape, tokens.Shape, random).OutliveScope();
        average.CopyDecoder(model.Decoder);
        model.SetTokens(tokens);
        return new TrainedTabularVae(model, tokens, device);
    }

    private static TabularVaeShape ShapeOf(TabularVaeOptions options, TokenTable tokens)
    {
        int hidden = options.HiddenWidth ?? (tokens.Columns.Count > WideColumns ? WideHidden : DefaultHidden);
        return new TabularVaeShape
        {
            LatentDimension = options.LatentDimension,
            ContextWidth = hidden,
            HiddenWidth = hidden,
            Tokens = tokens.Counts,
            Segments =
            [
                .. tokens.Columns.Select(c => c is NumberTokens numbers ? numbers.Segments.Sum(s => s.Length) : 0),
            ],
        };
    }

    private static TrainingRun RunOf(
        TabularVaeOptions options, TabularVaeShape shape, TrainingContext context, TrainingData data)
    {
        long fits = Math.Max(16, BatchElements / (shape.Tokens.Count * (long)shape.HiddenWidth));
        int batch = (int)Math.Min(options.BatchSize ?? Math.Min(DefaultBatch, fits), data.TrainingRows);
        double rate = options.LearningRate ?? DefaultRate;
        double decay = options.WeightDecay ?? DefaultDecay;
        long rows = Math.Clamp(RowsRead * data.TrainingRows, LeastRows, MostRows);
        long? steps = options.Epochs is null ? (rows + DefaultBatch - 1) / DefaultBatch : null;
        long perEpoch = data.BatchesPerEpoch(batch);
        int epochs = options.Epochs ?? (int)((steps!.Value + perEpoch - 1) / perEpoch);
        return TrainingRun.Of(
            options, context, batch, epochs, rate, decay, ("family", "table vae"), ("shape", shape)) with
        {
            Steps = steps,
        };
    }
}
