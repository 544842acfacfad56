using TorchSharp;

namespace GenerativeML;

/// <summary>What a GPT's training gives.</summary>
/// <param name="Weights">The weights, with adapters, if there are any, merged into them.</param>
/// <param name="Adapters">The adapters by themselves; they belong to the weights that training started from.</param>
/// <param name="Outcome">How training ended.</param>
internal sealed record GptFitResult(GptWeights Weights, GptAdapters? Adapters, TrainingOutcome Outcome);

/// <summary>Trains a GPT: settles the defaults and runs the loop.</summary>
internal static class GptFit
{
    /// <summary>The shape that options ask for, with a vocabulary.</summary>
    public static GptShape ShapeOf(GptOptions options, int vocabularySize) => new()
    {
        VocabularySize = vocabularySize,
        ContextLength = options.ContextLength,
        Layers = options.Layers,
        Heads = options.Heads,
        Width = options.Width,
        Biases = options.Biases,
        Gelu = options.Gelu,
    };

    /// <summary>Trains on a text, from new weights or from given ones.</summary>
    /// <param name="corpus">The text.</param>
    /// <param name="options">The network and its training.</param>
    /// <param name="context">What the surroundings decide.</param>
    /// <param name="initial">
    /// Weights to start from, of the shape that the options ask for. Default: those of the file that the options name.
    /// </param>
    /// <param name="afterStep">
    /// Told, after each step, how many there were, and how to get a copy of the weights as they are then. Default: nobody.
    /// </param>
    /// <exception cref="InvalidOperationException">
    /// The text is shorter than a window, or the initial weights are of another shape.
    /// </exception>
    /// <exception cref="FormatException">The file of initial weights is not sound, or one of another
    /// network.</exception>
    public static GptFitResult Fit(
        GptCorpus corpus, GptOptions options, TrainingContext context, GptWeights? initial = null,
        Action<long, Func<GptWeights>>? afterStep = null)
    {
        GptShape shape = ShapeOf(options, corpus.VocabularySize);
        initial ??= ReadInitial(options, shape);
        if (initial is not null && initial.Shape != shape)
            throw new InvalidOperationException(
                $"The initial weights are those of another network: the options ask for {shape}, and they have " +
                $"{initial.Shape}.");
        if (options.Lora is not null && initial is null)
            throw new InvalidOperationException(
                "Option Lora adapts given weights, and there are none: give initial weights, or train all.");
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, shape.Width,
            (options.BatchSize ?? GptDefaults.BatchSize) * (long)shape.ContextLength / options.GradientAccumulation);
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new TokenWindows(
            corpus, shape.ContextLength, options.ValidationFraction, context.Seed, device);
        using var random = new SeededRandom(device, SplitMix64.Derive(context.Seed, RandomPurpose.Initialization));
        using GptNetwork network = new GptNetwork(shape, options.Lora, bfloat16, random).OutliveScope();
        if (initial is not null)
            network.Take(initial);

        TrainingRun run = RunOf(options, shape, initial is not null, bfloat16, context, data);
        double? matrixRate = GptDefaults.Optimizer(options, initial is not null) == GptOptimizer.Muon
            ? GptDefaults.MatrixLearningRate(options, initial is not null) / run.LearningRate
            : null;
        using var training = new GptTraining(network, options, bfloat16, matrixRate)
        {
            AfterStep = afterStep is null ? null : steps => afterStep(steps, () => Copy(network).Weights),
        };
        TrainingOutcome outcome = TrainingLoop.Run(training, data, run, device);
        (GptWeights weights, GptAdapters? adapters) = Copy(network);
        return new GptFitResult(weights, adapters, outcome);
    }

    /// <summary>The weights that the options name, or null where they name none.</summary>
    /// <exception cref="FormatException">A file is not sound, or one of another network.</exception>
    public static GptWeights? ReadInitial(GptOptions options, GptShape shape)
    {
        if (options.InitialWeights is null)
            return null;
        using FileStream file = File.OpenRead(options.InitialWeights);
        GptWeights weights = GptWeightFile.Read(file, shape, options.InitialWeightsLayout);
        if (options.InitialAdapters is not null)
        {
            using FileStream adapters = File.OpenRead(options.InitialAdapters);
            GptAdapters.Load(adapters, shape).MergeInto(weights);
        }
        return weights;
    }

    /// <summary>The same, laid out for decoding.</summary>
    /// <inheritdoc cref="ReadInitial"/>
    public static DecoderWeights? ReadForDecoding(GptOptions options, GptShape shape)
    {
        // Adapters are merged before matrices are packed; without them there is no need for a copy.
        if (options.InitialWeights is null || options.InitialAdapters is not null)
            return ReadInitial(options, shape) is GptWeights merged ? DecoderWeights.Pack(merged) : null;
        using FileStream file = File.OpenRead(options.InitialWeights);
        return GptWeightFile.ReadForDecoding(file, shape, options.InitialWeightsLayout);
    }

    private static (GptWeights Weights, GptAdapters? Adapters) Copy(GptNetwork network)
    {
        GptWeights weights = network.ToWeights();
        GptAdapters? adapters = network.Adapters is null ? null : GptAdapters.Of(network);
        adapters?.MergeInto(weights);
        return (weights, adapters);
    }

    private static TrainingRun RunOf(
        GptOptions options, GptShape shape, bool given, bool bfloat16, TrainingContext context, TokenWindows data)
    {
        int batch = options.BatchSize ?? GptDefaults.BatchSize;
        double rate = GptDefaults.LearningRate(options, given), decay = GptDefaults.WeightDecay(options);
        long perEpoch = data.BatchesPerEpoch(batch);
        long steps = options.Steps ?? (options.Epochs is int passes ? passes * perEpoch : GptDefaults.Steps);
        return TrainingRun.Of(
            options, context, batch, (int)((steps + perEpoch - 1) / perEpoch), rate, decay, ("family", "gpt"),
            ("shape", shape), ("bfloat16", bfloat16), (nameof(options.Steps), steps),
            (nameof(options.Optimizer), GptDefaults.Optimizer(options, given)),
            (nameof(options.MatrixLearningRate), GptDefaults.MatrixLearningRate(options, given)),
            ("initial weights", given)) with
        {
            Steps = steps,
            Parts = options.GradientAccumulation,
            RateFloor = options.FinalRateShare,
        };
    }
}
