using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains a GPT (Radford 2019) on a column of text: a model that continues texts, tells how likely one is, and gives
/// embeddings.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.Gpt(GptOptions)"/>.</para>
/// <inheritdoc cref="LanguageModelTrainer{TTransformer}" path="/remarks/*"/>
/// </remarks>
public sealed class GptTrainer : LanguageModelTrainer<GptTransformer>
{
    private readonly GptOptions _options;

    internal GptTrainer(IHostEnvironment environment, GptOptions options)
        : base(environment, nameof(GptTrainer), options) => _options = options;

    /// <summary>A transformer of the weights that options name, without training.</summary>
    internal static GptTransformer Pretrained(IHostEnvironment environment, GptOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (options.Tokenizer is null)
            throw new ArgumentException("Weights that were trained elsewhere need option Tokenizer.", nameof(options));
        if (options.Calibrates)
            throw new ArgumentException(
                $"Options {nameof(options.PredictedLabelColumnName)} and {nameof(options.PValueColumnName)} need training "
                + "rows to know by them what ordinary rows score.", nameof(options));
        TokenCodec codec = TokenCodec.For(options.Tokenizer, options.VocabularySize, options.EndOfTextId);
        options = options.Resolve(codec, options.Seed ?? HostDefaults.Seed(environment));
        (GptNetwork network, HostWeights weights) = ReadInitial(options)
            ?? throw new ArgumentException("Without training, option InitialWeights has to be set.", nameof(options));
        var model = new TrainedGpt(
            new GptNetwork(Kept(network.Options)), weights, HostDefaults.LoadingDevice(environment, options),
            options.FallbackToCpu ?? MLNetInternals.FallbackToCpuOf(environment));
        return new GptTransformer(new TextModel(model, codec));
    }

    private protected override TrainedLanguageModel Train(
        TokenCorpus corpus, TokenCodec codec, TrainingContext context,
        Action<long, Func<TrainedLanguageModel>>? afterStep) =>
        Train(corpus, _options.Resolve(codec, context.Seed), context, afterStep);

    private protected override GptTransformer Transformer(TextModel model) => new(model);

    /// <summary>
    /// Trains on a text, from new weights or from those that the options name, which <see cref="GptOptions.Resolve"/>
    /// gave. <paramref name="afterStep"/> is told after each step how many there were, and how to get the model then.
    /// </summary>
    internal static TrainedGpt Train(
        TokenCorpus corpus, GptOptions options, TrainingContext context,
        Action<long, Func<TrainedLanguageModel>>? afterStep = null)
    {
        (GptNetwork Network, HostWeights Weights)? initial = ReadInitial(options);
        GptNetwork network = initial?.Network ?? new GptNetwork(options);
        options = network.Options;
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, options.Width,
            options.AtOnce(options.BatchSize!.Value * (long)options.ContextLength));
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new TokenWindows(
            corpus, options.ContextLength, options.ValidationFraction, context.Seed, device);
        var kept = new GptNetwork(Kept(options));
        return (TrainedGpt)LanguageModelFit.Run(
            network, initial?.Weights, data, options, context, device, bfloat16, Model, afterStep);

        TrainedGpt Model(HostWeights all)
        {
            HostWeights weights = all.Select(spec => GptAdapters.LayerOf(spec.Name) is null ? spec : null);
            GptAdapters? adapters = options.Lora is LoraOptions lora ? GptAdapters.Of(lora, all) : null;
            adapters?.MergeInto(weights);
            return new(kept, weights, context.Device, context.FallbackToCpu) { Adapters = adapters };
        }
    }

    // The weights that options name and the network that they belong to; null where they name none.
    private static (GptNetwork Network, HostWeights Weights)? ReadInitial(GptOptions options)
    {
        if (options.InitialWeights is null)
            return null;
        using FileStream file = File.OpenRead(options.InitialWeights);
        (GptNetwork network, HostWeights weights) = GptWeightFile.Read(file, options);
        if (options.InitialAdapters is not null)
        {
            using FileStream adapters = File.OpenRead(options.InitialAdapters);
            GptAdapters.Load(adapters, network).MergeInto(weights);
        }
        return (network, weights);
    }

    // What is kept of options: not where the weights came from.
    private static GptOptions Kept(GptOptions options) => options with
    {
        InitialWeights = null,
        InitialWeightsLayout = null,
        InitialAdapters = null,
        Lora = null,
    };
}
