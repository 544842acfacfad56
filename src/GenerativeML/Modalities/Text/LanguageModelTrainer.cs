using Microsoft.ML;
using Microsoft.ML.Runtime;
using Microsoft.ML.Tokenizers;
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
/// <see cref="LanguageModelOptions.Contamination"/> of rows like
/// those of training is.</description></item>
/// <item><term><c>PValue</c></term><description><see cref="float"/>: the share of ordinary rows that score as high or
/// higher.</description></item>
/// <item><term><c>Perplexity</c></term><description><see cref="float"/>: the exponential of the
/// score.</description></item>
/// <item><term><c>Embedding</c></term><description>A vector: the mean of the tokens' final hidden
/// states.</description></item>
/// </list>
/// </remarks>
public abstract class LanguageModelTrainer<TTransformer> : GenerativeEstimator<TTransformer>
    where TTransformer : LanguageModelTransformer
{
    // Enough to know a quantile by.
    private const int MaxHeldRows = 2048;

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

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => _options.Outputs(width: 1);

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        InputColumns.Check(inputSchema, _options.TextColumnName, InputKind.Text, parameter);

    private protected sealed override TTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var column = new TextColumn(input, _options.TextColumnName, parameter, _options.CancellationToken);
        long rows = column.Count();
        if (_options.Calibrates && rows < CalibrationPlan.MinRows)
            throw CalibrationPlan.TooFew(rows);
        TokenCodec codec = TokenCodec.For(Tokenizer(column), _options.VocabularySize, _options.EndOfTextId);
        List<string> held = [];
        TokenCorpus corpus = column.Read(
            codec, _options.JoinRows ? _options.RowSeparator : null, _options.CacheBudgetBytes,
            new ValidationRows(HeldShare(rows), context.Seed, MaxHeldRows), held);
        if (_options.Checkpoint is not null)
        {
            var vocabulary = new Fingerprint(); // of the text itself: another alphabet can have the same tokens
            foreach (string text in column.Texts())
                vocabulary.Add(text);
            context = context with { Vocabulary = vocabulary.ToString() };
        }
        TTransformer trained = Transformer(
            new TextModel(Train(corpus, codec, context, Sampling(codec, context.Seed)), codec));
        if (_options.Calibrates)
            trained.Calibrate(held, _options.Contamination);
        return trained;
    }

    // Some twenty rows beyond the threshold tell well where it lies; but most rows are to train.
    private double HeldShare(long rows)
    {
        if (!_options.Calibrates || rows < 2)
            return 0;
        const double least = 0.1, most = 0.25;
        return Math.Clamp(20 / _options.Contamination / rows, least, most);
    }

    // What writes samples of text between steps; null where none are asked for.
    private Action<long, Func<TrainedLanguageModel>>? Sampling(TokenCodec codec, int seed)
    {
        if (_options is not { SampleEvery: int every, Samples: { } samples })
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

    private Tokenizer Tokenizer(TextColumn column) => _options.Tokenizer ?? LearnedTokenizer.Of(
        _options.BytePairVocabulary is null && _options.JoinRows ? column.Texts().Append(_options.RowSeparator) : column.Texts(),
        _options.BytePairVocabulary, _options.UnknownCharacters, endOfText: !_options.JoinRows, _options.CancellationToken);
}

/// <summary>Trains networks of tokens.</summary>
internal static class LanguageModelFit
{
    /// <summary>
    /// Trains a network, from new weights or <paramref name="given"/> ones, by options that are decided, each step in so
    /// many parts; <paramref name="model"/> makes a model of all its tensors.
    /// </summary>
    public static TrainedLanguageModel Run(
        LanguageNetwork network, HostWeights? given, TrainingData data, LanguageModelOptions options,
        TrainingContext context, torch.Device device, bool bfloat16, int parts,
        Func<HostWeights, TrainedLanguageModel> model, Action<long, Func<TrainedLanguageModel>>? afterStep)
    {
        long perEpoch = data.BatchesPerEpoch(options.BatchSize!.Value);
        long steps = options.Steps ?? options.Epochs!.Value * perEpoch;
        TrainingRun run = TrainingRun.Of(
            options, context, options.BatchSize.Value, (int)((steps + perEpoch - 1) / perEpoch),
            options.LearningRate!.Value, options.WeightDecay!.Value, ("family", network.Family), ("bfloat16", bfloat16),
            (nameof(options.Steps), steps)) with
        {
            Steps = steps,
            Parts = parts,
            RateFloor = options.FinalRateShare,
        };
        return model(NetworkFit.Run(
            network, network.Declared().Tensors, Initial(network, given, context), data, run, device, bfloat16,
            current => afterStep is null ? null : new StepCallback(count => afterStep(count, () => model(current())))));
    }

    // New weights, or given ones; by itself, so that nothing else holds on to them while the network is trained.
    private static Action<HostWeights> Initial(LanguageNetwork network, HostWeights? given, TrainingContext context)
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
