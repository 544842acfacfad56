using TorchSharp;

namespace GenerativeML;

/// <summary>Trains a GAN of tables: finds modes, settles the defaults, runs the loop.</summary>
internal static class TabularGanFit
{
    private const int DefaultBatch = 500;
    private const double DefaultRate = 2e-4;
    private const double DefaultDecay = 1e-6;
    private const int DefaultSteps = 6000;

    /// <summary>Trains on a table.</summary>
    /// <exception cref="InvalidOperationException">There are no rows, or the loss diverged.</exception>
    public static TrainedTabularGan Fit(ITableSource source, TabularGanOptions options, TrainingContext context)
    {
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        TokenTable tokens = TokenTable.Learn(
            source, (column, sample) => NumberModes.Learn(column, sample), context.Seed, options.CancellationToken);
        TabularGanShape shape = ShapeOf(options, tokens);
        var counts = new TokenCounts(tokens.Counts);

        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(
            new ModeSource(source, tokens), options, context.Seed, device, [counts]);
        using var random = new SeededRandom(device, SplitMix64.Derive(context.Seed, RandomPurpose.Initialization));
        using var training = new TabularGanTraining(shape, options, counts, random);
        TrainingLoop.Run(training, data, RunOf(options, shape, context, data), device);

        TabularGanModel model = new TabularGanModel(shape, tokens.Shape, random).OutliveScope();
        WeightAverage.Copy(model.Generator, training.Average);
        model.SetTokens(tokens, counts);
        return new TrainedTabularGan(model, tokens, device);
    }

    private static TabularGanShape ShapeOf(TabularGanOptions options, TokenTable tokens) => new()
    {
        NoiseDimension = options.NoiseDimension,
        HiddenLayers = [.. options.HiddenLayers],
        Tokens = tokens.Counts,
        Modes = [.. tokens.Columns.Select(c => c is NumberModes numbers ? numbers.Modes.Count : 0)],
        Numbers = [.. Enumerable.Range(0, tokens.Columns.Count).Where(p => tokens.Columns[p] is NumberModes)],
    };

    private static TrainingRun RunOf(
        TabularGanOptions options, TabularGanShape shape, TrainingContext context, TrainingData data)
    {
        int batch = (int)Math.Min(options.BatchSize ?? DefaultBatch, data.TrainingRows);
        double rate = options.LearningRate ?? DefaultRate;
        double decay = options.WeightDecay ?? DefaultDecay;
        long perEpoch = data.BatchesPerEpoch(batch);
        int epochs = options.Epochs ?? (int)((DefaultSteps + perEpoch - 1) / perEpoch);
        return TrainingRun.Of(
            options, context, batch, epochs, rate, decay, ("family", "table gan"), ("shape", shape)) with
        {
            Steps = options.Epochs is null ? DefaultSteps : null,
        };
    }
}
