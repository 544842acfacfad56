using TorchSharp;

namespace GenerativeML;

/// <summary>Trains a GAN: settles the defaults, runs the loop, and compares what it makes with held-back rows.</summary>
internal static class GanFit
{
    private const int DefaultBatch = 128;

    // Some 8000 steps for a small table, twice as many where the generator moves in some of them only; a large one is
    // read ten times at least.
    private const long PresentedRows = 1_024_000;
    private const int LeastEpochs = 10;
    private const int MostEpochs = 10_000;

    private const int LeastNoise = 8, MostNoise = 128;

    // Rows that are compared at the end of a stage: their distances are a square table.
    private const int ComparedRows = 1000;
    private const int LeastCompared = 100;
    private const int ComparedValues = 1 << 17;

    /// <summary>
    /// Trains on a source of Single fields: the first is modelled, the others are conditions.
    /// </summary>
    /// <exception cref="InvalidOperationException">The rows do not fit the options; the message says why.</exception>
    public static TrainedGan Fit(IRowSource source, GanOptions options, TrainingContext context)
    {
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        RowField input = source.Fields[0];
        long width = source.Fields.Sum(f => (long)f.Width);
        if (width > GanShape.MostInputs)
        {
            throw new InvalidOperationException(
                $"Column '{input.Name}' has {width} slots, with those of the conditions; "
                + $"a GAN takes at most {GanShape.MostInputs}.");
        }
        ColumnMoments[] moments = [.. source.Fields.Select((f, i) => new ColumnMoments(i, f.Width))];
        int compared = Math.Clamp(ComparedValues / input.Width, LeastCompared, ComparedRows);
        var sample = new RowSample(0, input.Width, compared, context.Seed);
        // The samples of all fields are of the same rows: they draw the same numbers.
        RowSample[] conditions = [.. source.Fields.Skip(1).Select(
            (f, i) => new RowSample(i + 1, f.Width, ConditionStore.MostRows, context.Seed))];

        using DisposeScope scope = torch.NewDisposeScope();
        using TrainingData data = TrainingData.Prepare(
            source, options, context.Seed, device, [.. moments, sample, .. conditions]);
        GanShape shape = ShapeOf(source.Fields, options, conditions, context.Seed);
        using var random = new SeededRandom(device, SplitMix64.Derive(context.Seed, RandomPurpose.Initialization));
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, shape.GeneratorLayers.Concat(shape.DiscriminatorLayers).Append(1).Max());
        GanModel model = new GanModel(shape, bfloat16, random).OutliveScope();
        try
        {
            model.SetScale(moments[0]);
            model.Conditions.Set(moments[1..], conditions);
            GanReport report = Train(model, options, bfloat16, context, data, sample, random, device);
            return new TrainedGan(model, device, report);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static GanReport Train(
        GanModel model, GanOptions options, bool bfloat16, TrainingContext context, TrainingData data,
        RowSample sample, SeededRandom random, torch.Device device)
    {
        GanGenerator? average = options.WeightAverageDecay > 0
            ? new GanGenerator(model.Shape, bfloat16, random).OutliveScope()
            : null;
        TrainingRun run = RunOf(options, model.Shape, bfloat16, context, data);
        var comparison = new GanComparison(model, data, sample, context.Seed, device);
        long steps = data.BatchesPerEpoch(run.BatchSize) * run.Epochs;
        GanTraining? training = null;
        using (training = new GanTraining(model, options, average, device)
        {
            StageEnded = (stage, step) =>
            {
                GanFigures figures = comparison.Close(training!.History, stage, step);
                options.StageEnded?.Invoke(new GanStage(steps, figures, comparison.Generate, comparison.Judge));
            },
        })
        {
            TrainingLoop.Run(training, data, run, device);
            training.Finish();
            model.eval();
            return comparison.Report(training.History);
        }
    }

    private static GanShape ShapeOf(
        IReadOnlyList<RowField> fields, GanOptions options, RowSample[] conditions, int seed) => new()
        {
            InputWidth = fields[0].Width,
            ConditionWidths = [.. fields.Skip(1).Select(f => f.Width)],
            ConditionRows = conditions is [var first, ..] ? first.Count : 0,
            NoiseDimension = options.NoiseDimension ?? Math.Clamp(2 * fields[0].Width, LeastNoise, MostNoise),
            GeneratorLayers = [.. options.GeneratorLayers],
            DiscriminatorLayers = [.. options.DiscriminatorLayers],
            Activation = options.Activation,
            SpectralNormalization = GanDefaults.SpectralNormalization(options),
            PackSize = options.PackSize,
            Score = options.Score,
            SearchSteps = options.LatentSearchSteps,
            Seed = seed,
        };

    private static TrainingRun RunOf(
        GanOptions options, GanShape shape, bool bfloat16, TrainingContext context, TrainingData data)
    {
        int batch = (int)Math.Min(options.BatchSize ?? DefaultBatch, data.TrainingRows);
        double rate = GanDefaults.LearningRate(options);
        double decay = options.WeightDecay ?? 0;
        long presented = GanDefaults.DiscriminatorSteps(options) > 1 ? 2 * PresentedRows : PresentedRows;
        int epochs = options.Epochs ?? data.EpochsFor(presented, LeastEpochs, MostEpochs);
        return TrainingRun.Of(
            options, context, batch, epochs, rate, decay, ("family", "gan"), ("shape", shape), ("bfloat16", bfloat16),
            ("adam", GanDefaults.Adam(options.Objective)),
            (nameof(options.DiscriminatorStepsPerGeneratorStep), GanDefaults.DiscriminatorSteps(options)),
            (nameof(options.InstanceNoise), GanDefaults.InstanceNoise(options)));
    }
}
