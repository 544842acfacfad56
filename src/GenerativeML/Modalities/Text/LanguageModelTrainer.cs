using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>What all trainers of models of texts have in common.</summary>
/// <typeparam name="TTransformer">What training makes.</typeparam>
/// <remarks>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Text generation, anomaly detection, featurization; no label is
/// read.</description></item>
/// <item><term>Input</term><description>One column of text.</description></item>
/// <item><term>Caching</term><description>The text's tokens are held in memory, two bytes each where the vocabulary has
/// at most 65,536; the text itself is read row by row, three times.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>Microsoft.ML.Tokenizers; for training, TorchSharp-cpu or
/// TorchSharp-cuda; a trained model computes with Microsoft.ML.OnnxRuntime on the CPU.</description></item>
/// </list>
/// <para>Added columns, as far as the options name them:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>GeneratedText</c></term><description>Text that continues the row's.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>: the mean of −log p over the row's tokens; the
/// higher, the stranger. NaN for a row without a token to score.</description></item>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above
/// <see cref="LanguageModelTransformer.Threshold"/>, as that of the share
/// <see cref="TextModelOptions.Contamination"/> of rows like
/// those of training is.</description></item>
/// <item><term><c>PValue</c></term><description><see cref="float"/>: the share of ordinary rows that score as high or
/// higher.</description></item>
/// <item><term><c>Perplexity</c></term><description><see cref="float"/>: the exponential of the
/// score.</description></item>
/// <item><term><c>Embedding</c></term><description>A vector: the mean of the tokens' final hidden
/// states.</description></item>
/// </list>
/// </remarks>
public abstract class LanguageModelTrainer<TTransformer> : TextModelTrainer<TTransformer>
    where TTransformer : LanguageModelTransformer
{
    private readonly LanguageModelOptions _options;

    private protected LanguageModelTrainer(IHostEnvironment environment, string name, LanguageModelOptions options)
        : base(environment, name, options) => _options = options;

    /// <summary>
    /// Trains on a text. <paramref name="afterStep"/> is told after each step how many there were, and how to get the
    /// model then.
    /// </summary>
    private protected abstract TrainedLanguageModel Train(
        TokenCorpus corpus, TokenCodec codec, TrainingContext context,
        Action<long, Func<TrainedLanguageModel>>? afterStep);

    private protected abstract TTransformer Transformer(TextModel model);

    private protected sealed override TTransformer Train(TokenCorpus corpus, TokenCodec codec, TrainingContext context) =>
        Transformer(new TextModel(Train(corpus, codec, context, Sampling(codec, context.Seed)), codec));

    private protected sealed override void Calibrate(TTransformer trained, IReadOnlyList<string> texts, double share) =>
        trained.Calibrate(texts, share);

    private protected sealed override TokenCodec Codec(TextColumn column) => TokenCodec.For(
        Tokenizer(column, ends: !_options.JoinRows), _options.VocabularySize, _options.EndOfTextId);

    // What writes samples of text between steps; null where none are asked for.
    private Action<long, Func<TrainedLanguageModel>>? Sampling(TokenCodec codec, int seed)
    {
        if (_options is not { SampleEvery: int every, Samples: { } samples } || _options.Distributed?.Connect() is { IsFirst: false })
            return null;
        GenerationOptions generation = _options.Generation with { Seed = _options.Generation.Seed ?? seed };
        generation.CheckTokens(codec.VocabularySize);
        if (codec.EndOfText is null && codec.Encode(_options.SamplePrompt).Length == 0)
            throw new InvalidOperationException(
                $"Option {nameof(_options.SamplePrompt)} is empty, and no token is the beginning of a document.");
        return (steps, current) =>
        {
            if (steps % every != 0)
                return;
            using TrainedLanguageModel model = current();
            GeneratedText text = Transformer(new TextModel(model, codec)).Generate(_options.SamplePrompt, generation);
            samples.Report(new(steps, _options.SamplePrompt + text));
        };
    }
}

/// <summary>Trains networks of tokens.</summary>
internal static class LanguageModelFit
{
    /// <summary>
    /// Trains a network, from new weights or <paramref name="given"/> ones, by options that are decided;
    /// <paramref name="model"/> makes a model of all its tensors.
    /// </summary>
    public static TModel Run<TModel>(
        TokenNetwork network, HostWeights? given, TrainingData data, TextModelOptions options,
        TrainingContext context, torch.Device device, bool bfloat16,
        Func<HostWeights, TModel> model, Action<long, Func<TModel>>? afterStep = null)
    {
        long perEpoch = data.BatchesPerEpoch(options.BatchSize!.Value);
        long steps = options.Steps ?? options.Epochs!.Value * perEpoch;
        TrainingRun run = TrainingRun.Of(
            options, context, options.BatchSize.Value, (int)((steps + perEpoch - 1) / perEpoch),
            options.LearningRate!.Value, options.WeightDecay!.Value, ("family", network.Family), ("bfloat16", bfloat16),
            (nameof(options.Steps), steps)) with
        {
            Steps = steps,
            RateFloor = options.FinalRateShare,
        };
        return model(NetworkFit.Run(
            network, network.Declared().Tensors, Initial(network, given, context), data, run, device, bfloat16,
            current => afterStep is null ? null : new StepCallback(count => afterStep(count, () => model(current())))));
    }

    // New weights, or given ones; by itself, so that nothing else holds on to them while the network is trained.
    private static Action<HostWeights> Initial(TokenNetwork network, HostWeights? given, TrainingContext context)
    {
        return weights =>
        {
            network.Initialize(weights, NetworkFit.InitialSeed(context));
            foreach (TensorSpec spec in given?.Specs ?? [])
                given![spec.Name].CopyTo(weights[spec.Name], 0);
        };
    }

    /// <summary>Told after each step how many there were.</summary>
    private sealed class StepCallback(Action<long> afterStep) : TrainingCallback
    {
        public override void AfterUpdate(int update, UpdateRule rule, StepContext step) => afterStep(step.Step + 1);
    }
}
