using System.Text;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using Microsoft.ML.Tokenizers;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains a GPT (Radford 2019) on a column of text: a model that continues texts, tells how likely one is, and gives
/// embeddings.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="Microsoft.ML.GenerativeCatalog.Gpt(GptOptions)"/>.</para>
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
/// <see cref="GptTransformer.Threshold"/>, as that of the share <see cref="GptOptions.Contamination"/> of rows like
/// those of training is.</description></item>
/// <item><term><c>PValue</c></term><description><see cref="float"/>: the share of ordinary rows that score as high or
/// higher.</description></item>
/// <item><term><c>Perplexity</c></term><description><see cref="float"/>: the exponential of the
/// score.</description></item>
/// <item><term><c>Embedding</c></term><description>A vector: the mean of the tokens' final hidden
/// states.</description></item>
/// </list>
/// </remarks>
public sealed class GptTrainer : GenerativeEstimator<GptTransformer>
{
    // Enough to know a quantile by.
    private const int MaxHeldRows = 2048;

    private readonly GptOptions _options;

    internal GptTrainer(IHostEnvironment environment, GptOptions options)
        : base(environment, nameof(GptTrainer), options) => _options = options;

    private protected override IReadOnlyList<OutputColumn> PromisedColumns(SchemaShape inputSchema) => _options.Outputs(width: 1);

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        InputColumns.Check(inputSchema, _options.TextColumnName, InputKind.Text, parameter);

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

    private protected override GptTransformer Train(IDataView input, string parameter, TrainingContext context)
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
        TrainedGpt model = Train(corpus, _options.Resolve(codec, context.Seed), context, Sampling(codec, context.Seed));
        var trained = new GptTransformer(new TextModel(model, codec));
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
    private Action<long, Func<TrainedGpt>>? Sampling(TokenCodec codec, int seed)
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
            using TrainedGpt model = current();
            GeneratedText text = new GptTransformer(new TextModel(model, codec)).Generate(_options.SamplePrompt, generation);
            samples.Report(new(steps, _options.SamplePrompt + text));
        };
    }

    private Tokenizer Tokenizer(TextColumn column)
    {
        if (_options.Tokenizer is Tokenizer given)
            return given;
        if (_options.BytePairVocabulary is int size)
        {
            return BytePairTokenizer.Train(column.Texts(), new()
            {
                VocabularySize = size,
                EndOfText = !_options.JoinRows,
                CancellationToken = _options.CancellationToken,
            });
        }
        var characters = new HashSet<Rune>();
        foreach (string text in column.Texts())
            characters.UnionWith(text.EnumerateRunes());
        if (_options.JoinRows)
            characters.UnionWith(_options.RowSeparator.EnumerateRunes());
        return new CharacterTokenizer(
            string.Concat(characters), _options.UnknownCharacters, endOfText: !_options.JoinRows);
    }

    /// <summary>
    /// Trains on a text, from new weights or from those that the options name, which <see cref="GptOptions.Resolve"/>
    /// gave. <paramref name="afterStep"/> is told after each step how many there were, and how to get the model then.
    /// </summary>
    internal static TrainedGpt Train(
        TokenCorpus corpus, GptOptions options, TrainingContext context,
        Action<long, Func<TrainedGpt>>? afterStep = null)
    {
        (GptNetwork Network, HostWeights Weights)? initial = ReadInitial(options);
        GptNetwork network = initial?.Network ?? new GptNetwork(options);
        options = network.Options;
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, options.Width,
            options.BatchSize!.Value * (long)options.ContextLength / options.GradientAccumulation);
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new TokenWindows(
            corpus, options.ContextLength, options.ValidationFraction, context.Seed, device);
        long perEpoch = data.BatchesPerEpoch(options.BatchSize.Value);
        long steps = options.Steps ?? options.Epochs!.Value * perEpoch;
        TrainingRun run = TrainingRun.Of(
            options, context, options.BatchSize.Value, (int)((steps + perEpoch - 1) / perEpoch),
            options.LearningRate!.Value, options.WeightDecay!.Value, ("family", "gpt"), ("bfloat16", bfloat16),
            (nameof(options.Steps), steps)) with
        {
            Steps = steps,
            Parts = options.GradientAccumulation,
            RateFloor = options.FinalRateShare,
        };
        var kept = new GptNetwork(Kept(options));
        return Model(NetworkFit.Run(
            network, network.Declared().Tensors, Initial(network, initial?.Weights, context), data, run, device,
            bfloat16,
            current => afterStep is null ? null : new StepCallback(count => afterStep(count, () => Model(current())))));

        TrainedGpt Model(HostWeights all)
        {
            HostWeights weights = all.Select(spec => GptAdapters.LayerOf(spec.Name) is null ? spec : null);
            GptAdapters? adapters = options.Lora is LoraOptions lora ? GptAdapters.Of(lora, all) : null;
            adapters?.MergeInto(weights);
            return new(kept, weights, context.Device, context.FallbackToCpu) { Adapters = adapters };
        }
    }

    // New weights, or given ones; by itself, so that nothing else holds on to them while the network is trained.
    private static Action<HostWeights> Initial(GptNetwork network, HostWeights? given, TrainingContext context)
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
