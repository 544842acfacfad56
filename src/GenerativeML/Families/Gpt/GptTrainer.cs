using System.Text;
using Microsoft.ML;
using Microsoft.ML.Runtime;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// Trains a GPT (Radford 2019) on a column of text: a model that continues texts, tells how likely one is, and gives
/// embeddings.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use <see cref="GenerativeCatalog.Gpt(Options)"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Text generation, anomaly detection, featurization; no label is
/// read.</description></item>
/// <item><term>Input</term><description>One column of text.</description></item>
/// <item><term>Caching</term><description>The text's tokens are held in memory, two bytes each where the vocabulary has
/// at most 65,536; the text itself is read row by row, twice.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>Microsoft.ML.Tokenizers; for training, TorchSharp-cpu or
/// TorchSharp-cuda. On the CPU, a trained model needs no torch.</description></item>
/// </list>
/// <para>Added columns, as far as the options name them:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>GeneratedText</c></term><description>Text that continues the row's.</description></item>
/// <item><term><c>Score</c></term><description><see cref="float"/>: the mean of −log p over the row's tokens; the
/// higher, the stranger. NaN for a row without a token to score.</description></item>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above that of all but
/// the share <see cref="Options.Contamination"/> of the training rows.</description></item>
/// <item><term><c>Perplexity</c></term><description><see cref="float"/>: the exponential of the
/// score.</description></item>
/// <item><term><c>Embedding</c></term><description>A vector: the mean of the tokens' final hidden
/// states.</description></item>
/// </list>
/// </remarks>
public sealed partial class GptTrainer : GenerativeEstimator<GptTransformer>
{
    // Enough to know a quantile by.
    private const int CalibrationRows = 2048;
    private const int CalibrationBatch = 64;

    private readonly Options _options;

    internal GptTrainer(IHostEnvironment environment, Options options)
        : base(environment, nameof(GptTrainer), options) => _options = options;

    private protected override IReadOnlyList<OutputColumn> PromisedColumns => _options.Columns.Outputs(width: 1);

    private protected override void CheckInput(SchemaShape inputSchema, string parameter) =>
        InputColumns.CheckText(inputSchema, _options.TextColumnName, parameter);

    private protected override GptTransformer Train(IDataView input, string parameter, TrainingContext context)
    {
        var column = new TextColumn(input, _options.TextColumnName, parameter, _options.CancellationToken);
        TokenCodec codec = CodecFor(column);
        TextSample? sample = _options.PredictedLabelColumnName is null ? null : new(CalibrationRows, context.Seed);
        GptCorpus corpus = column.Read(
            codec, _options.JoinRows ? _options.RowSeparator : null, _options.CacheBudgetBytes, sample);
        GptFitResult fit = GptFit.Fit(corpus, _options, context, afterStep: SamplesOf(codec, context.Seed));
        var model = new TrainedGpt(fit.Weights, context.Device, context.FallbackToCpu);
        float? threshold = sample is null ? null : Threshold(model, codec, sample.ToArray());
        return Made(_options, model, codec, context.Seed, threshold, fit.Adapters);
    }

    /// <summary>A transformer of the weights that options name, without training.</summary>
    internal static GptTransformer Pretrained(IHostEnvironment environment, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        Tokenizer tokenizer = options.Tokenizer ?? throw new ArgumentException(
            "Weights that were trained elsewhere need option Tokenizer.", nameof(options));
        if (options.PredictedLabelColumnName is not null)
            throw new ArgumentException(
                $"Option {nameof(options.PredictedLabelColumnName)} needs training rows to know the threshold by.",
                nameof(options));
        TokenCodec codec = TokenCodec.For(tokenizer, options.VocabularySize, options.EndOfTextId);
        DecoderWeights weights = GptFit.ReadForDecoding(options, GptFit.ShapeOf(options, codec.VocabularySize))
            ?? throw new ArgumentException("Without training, option InitialWeights has to be set.", nameof(options));
        int seed = options.Seed ?? HostDefaults.Seed(environment);
        var model = new TrainedGpt(weights, DeviceGpt.On(
            options.Device ?? HostDefaults.Device(environment),
            options.FallbackToCpu ?? MLNetInternals.FallbackToCpuOf(environment), weights));
        return Made(options, model, codec, seed, threshold: null, adapters: null);
    }

    private static GptTransformer Made(
        Options options, TrainedGpt model, TokenCodec codec, int seed, float? threshold, GptAdapters? adapters)
    {
        var use = new GptUse
        {
            Generation = WithSeed(options.Generation, seed),
            Threshold = threshold,
        };
        return new GptTransformer(model, codec, options.Columns, use, adapters);
    }

    /// <summary>What writes samples of text between steps; null where none are asked for.</summary>
    private Action<long, Func<GptWeights>>? SamplesOf(TokenCodec codec, int seed)
    {
        if (_options is not { SampleEvery: int every, Samples: { } samples })
            return null;
        GenerationOptions generation = WithSeed(_options.Generation, seed);
        generation.CheckTokens(codec.VocabularySize);
        if (codec.EndOfText is null && codec.Encode(_options.SamplePrompt).Length == 0)
            throw new InvalidOperationException(
                $"Option {nameof(Options.SamplePrompt)} is empty, and no token is the beginning of a document.");
        return (steps, weights) =>
        {
            if (steps % every != 0)
                return;
            using var model = new TrainedGpt(weights());
            string text = new TextGenerator(model, codec).Generate(_options.SamplePrompt, generation).Text;
            samples.Report(new(steps, _options.SamplePrompt + text));
        };
    }

    private static GenerationOptions WithSeed(GenerationOptions options, int seed) =>
        options with { Seed = options.Seed ?? seed };

    private TokenCodec CodecFor(TextColumn column)
    {
        Tokenizer tokenizer = _options.Tokenizer ?? (_options.BytePairVocabulary is int size
            ? LearnPairs(column, size)
            : LearnCharacters(column));
        return TokenCodec.For(tokenizer, _options.VocabularySize, _options.EndOfTextId);
    }

    private CharacterTokenizer LearnCharacters(TextColumn column)
    {
        var characters = new HashSet<Rune>();
        foreach (string text in column.Texts())
            characters.UnionWith(text.EnumerateRunes());
        if (characters.Count == 0)
            throw column.Empty();
        if (_options.JoinRows)
            characters.UnionWith(_options.RowSeparator.EnumerateRunes());
        return new CharacterTokenizer(characters, _options.UnknownCharacters, endOfText: !_options.JoinRows);
    }

    private BytePairTokenizer LearnPairs(TextColumn column, int size) => BytePairTokenizer.Train(column.Texts(), new()
    {
        VocabularySize = size,
        EndOfText = !_options.JoinRows,
        CancellationToken = _options.CancellationToken,
    });

    /// <summary>The score that the expected share of training rows exceeds.</summary>
    private float Threshold(TrainedGpt model, TokenCodec codec, string[] rows)
    {
        var scores = new float[rows.Length];
        for (int start = 0; start < rows.Length; start += CalibrationBatch)
        {
            int count = Math.Min(CalibrationBatch, rows.Length - start);
            GptBatchModel.Score(
                model, codec, rows.AsSpan(start, count), scores.AsMemory(start, count), Memory<float>.Empty);
        }
        float[] known = [.. scores.Where(float.IsFinite).Order()];
        int anomalies = (int)Math.Round(_options.Contamination * known.Length);
        return known.Length == 0 ? float.MaxValue : known[Math.Max(0, known.Length - 1 - anomalies)];
    }
}
