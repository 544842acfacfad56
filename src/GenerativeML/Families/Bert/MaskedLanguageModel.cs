using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.ML.Runtime;
using Microsoft.ML.Tokenizers;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Trains a masked language model, BERT (Devlin 2019, arXiv:1810.04805), on a column of text: it reads a text from both
/// sides, fills in what is hidden, tells how likely a text is by its pseudo-likelihood (Salazar 2020, arXiv:1910.14659),
/// gives embeddings, and is what <see cref="TextClassifierTrainer"/> fine-tunes. Released weights start it by
/// <see cref="MaskedLanguageModelOptions.InitialWeights"/>.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use
/// <see cref="Microsoft.ML.GenerativeCatalog.MaskedLanguageModel(MaskedLanguageModelOptions)"/>.</para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Task</term><description>Featurization, anomaly detection, filling in; no label is read.</description></item>
/// <item><term>Input</term><description>One column of text.</description></item>
/// <item><term>Caching</term><description>The text's tokens are held in memory, two bytes each where the vocabulary has at
/// most 65,536; the text itself is read row by row, three times.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>Microsoft.ML.Tokenizers; for training, TorchSharp-cpu or
/// TorchSharp-cuda; a trained model computes with Microsoft.ML.OnnxRuntime on the CPU.</description></item>
/// </list>
/// <para>Added columns, as far as the options name them:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>Score</c></term><description><see cref="float"/>: the mean of −log p over the row's tokens, each told by
/// all others; the higher, the stranger. It takes a pass for each token. NaN for a row without a token.</description></item>
/// <item><term><c>PredictedLabel</c></term><description><see cref="bool"/>: whether the score is above
/// <see cref="MaskedLanguageModelTransformer.Threshold"/>, as that of the share
/// <see cref="TextModelOptions.Contamination"/> of rows like those of training is.</description></item>
/// <item><term><c>PValue</c></term><description><see cref="float"/>: the share of ordinary rows that score as high or
/// higher.</description></item>
/// <item><term><c>Perplexity</c></term><description><see cref="float"/>: the pseudo-perplexity, the exponential of the
/// score.</description></item>
/// <item><term><c>Embedding</c></term><description>A vector, as <see cref="MaskedLanguageModelOptions.Pooling"/>
/// says.</description></item>
/// </list>
/// </remarks>
public sealed class MaskedLanguageModelTrainer : TextModelTrainer<MaskedLanguageModelTransformer>
{
    private readonly MaskedLanguageModelOptions _options;

    internal MaskedLanguageModelTrainer(IHostEnvironment environment, MaskedLanguageModelOptions options)
        : base(environment, nameof(MaskedLanguageModelTrainer), options) => _options = options;

    /// <summary>A transformer of the weights that options name, without training.</summary>
    internal static MaskedLanguageModelTransformer Pretrained(IHostEnvironment environment, MaskedLanguageModelOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        if (options.InitialWeights is null)
            throw new ArgumentException("Without training, option InitialWeights has to be set.", nameof(options));
        if (options.Calibrates)
            throw new ArgumentException(
                $"Options {nameof(options.PredictedLabelColumnName)} and {nameof(options.PValueColumnName)} need training "
                + "rows to know by them what ordinary rows score.", nameof(options));
        if (options.WordPieces is null && options.Tokenizer is null)
            throw new ArgumentException(
                "Weights that were trained elsewhere need option WordPieces, or Tokenizer.", nameof(options));
        TokenCodec codec = options.WordPieces is { } pieces
            ? SavedMaskedVocabulary.CodecOf(pieces, options.VocabularySize)
            : TokenCodec.For(options.Tokenizer!, options.VocabularySize) with { EndOfText = null };
        options = options.Resolve(codec, options.Seed ?? HostDefaults.Seed(environment));
        var network = new BertNetwork(options);
        HostWeights weights = ReadInitial(network)!;
        return new(new MaskedTextModel(
            new TrainedMaskedLanguageModel(
                Kept(options), weights, new MaskedVocabulary(codec, options.WordPieces),
                HostDefaults.LoadingDevice(environment, options),
                options.FallbackToCpu ?? MLNetInternals.FallbackToCpuOf(environment))));
    }

    /// <summary>Trains on a text's tokens by options that are decided.</summary>
    internal static TrainedMaskedLanguageModel Train(
        TokenCorpus corpus, MaskedVocabulary vocabulary, MaskedLanguageModelOptions options, TrainingContext context)
    {
        var network = new BertNetwork(options);
        HostWeights? given = ReadInitial(network);
        BertNetwork kept = Kept(options);
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, options.Width, options.AtOnce(options.BatchSize!.Value * (long)options.ContextLength));
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new MaskedTokens(corpus, vocabulary, options, context.Seed, device);
        return LanguageModelFit.Run(
            network, given, data, options, context, device, bfloat16,
            all => new TrainedMaskedLanguageModel(kept, all, vocabulary, context.Device, context.FallbackToCpu));
    }

    private protected override MaskedLanguageModelTransformer Train(
        TokenCorpus corpus, TokenCodec codec, TrainingContext context) => new(new MaskedTextModel(Train(
            corpus, new MaskedVocabulary(codec, _options.WordPieces), _options.Resolve(codec, context.Seed), context)));

    private protected override void Calibrate(
        MaskedLanguageModelTransformer trained, IReadOnlyList<string> texts, double share) => trained.Calibrate(texts, share);

    private protected override TokenCodec Codec(TextColumn column) => _options.WordPieces is { } pieces
        ? SavedMaskedVocabulary.CodecOf(pieces, _options.VocabularySize)
        : base.Codec(column) with { EndOfText = null }; // texts stand between special tokens of the model's own

    private static BertNetwork Kept(MaskedLanguageModelOptions options) => new(options with { InitialWeights = null });

    // The weights that options name; null where they name none.
    private static HostWeights? ReadInitial(BertNetwork network)
    {
        if (network.Options.InitialWeights is not string path)
            return null;
        using FileStream file = File.OpenRead(path);
        return BertWeightFile.Read(file, network);
    }
}

/// <summary>A token that may stand where a text has a mask.</summary>
/// <param name="Token">Its text; of word pieces within a word it begins with <c>##</c>.</param>
/// <param name="Id">Its number.</param>
/// <param name="Probability">How probable it is there, in [0, 1]; those of all tokens add up to one.</param>
public sealed record MaskFilling(string Token, int Id, float Probability);

/// <summary>
/// A trained masked language model with its tokenizer: fills in what is hidden, and as a step of a pipeline adds scores or
/// embeddings to rows. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and where ONNX Runtime is not
/// there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class MaskedLanguageModelTransformer : GenerativeTransformer, IAnomalyDetector
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("bert", Load);

    private readonly MaskedTextModel _text;

    internal MaskedLanguageModelTransformer(MaskedTextModel text)
        : base(text) => _text = text;

    /// <summary>What stands in a text for a token that is to be filled in, <c>[MASK]</c>.</summary>
    public static string MaskToken => WordPieceVocabulary.Mask;

    /// <summary>What turns text into tokens.</summary>
    public Tokenizer Tokenizer => _text.Codec.Tokenizer;

    /// <summary>Tokens that there are, the special ones among them.</summary>
    public int VocabularySize => Model.Vocabulary.Size;

    /// <summary>Features of an embedding.</summary>
    public int Width => Model.Network.Width;

    /// <summary>The most tokens that are looked at together, two of them special.</summary>
    public int ContextLength => Model.Network.Options.ContextLength;

    /// <summary>The number of weights.</summary>
    public long ParameterCount => Model.Network.ParameterCount;

    /// <inheritdoc/>
    public float Threshold
    {
        get => _text.Threshold;
        set => _text.Threshold = OptionChecks.Threshold(value);
    }

    /// <summary>The model, for those who go on with it.</summary>
    internal TrainedMaskedLanguageModel Model => _text.Model;

    /// <summary>Tells what may stand where a text says <c>[MASK]</c>.</summary>
    /// <param name="text">A text with at least one <c>[MASK]</c>; several stand for a token each.</param>
    /// <param name="topK">How many tokens are given for each mask; at most all that there are. Default 5.</param>
    /// <returns>For each mask, in order, the most probable tokens, the most probable one first.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is below 1.</exception>
    /// <exception cref="ArgumentException">The text has no mask, or more tokens than are looked at together.</exception>
    /// <exception cref="InvalidOperationException">The text has characters that the vocabulary cannot express.</exception>
    public IReadOnlyList<IReadOnlyList<MaskFilling>> FillMask(string text, int topK = 5)
    {
        ArgumentNullException.ThrowIfNull(text);
        OptionChecks.AtLeast(topK, 1);
        int[] tokens = Model.Vocabulary.EncodeMasked(text);
        int[] places = [.. Enumerable.Range(0, tokens.Length).Where(i => tokens[i] == Model.Vocabulary.Mask)];
        if (places.Length == 0)
            throw new ArgumentException($"The text has no {MaskToken}: there is nothing to fill in.", nameof(text));
        int room = Model.Network.Options.Room;
        if (tokens.Length > room)
            throw new ArgumentException(
                $"The text has {tokens.Length} tokens, and the model looks at {room} beside the special ones.", nameof(text));
        return
        [
            .. Model.LogProbabilities(tokens, places).Select(row => (IReadOnlyList<MaskFilling>)
            [
                .. row.Select((value, id) => (Value: value, Id: id)).OrderByDescending(t => t.Value).ThenBy(t => t.Id).Take(topK)
                    .Select(t => new MaskFilling(Model.Vocabulary.TextOf(t.Id), t.Id, MathF.Exp(t.Value))),
            ]),
        ];
    }

    /// <summary>
    /// A text's pseudo-log-likelihood (Salazar 2020): the sum over its tokens of the logarithm of the probability that each
    /// has where it alone is hidden; with <see cref="MaskedLanguageModelOptions.WholeWords"/>, where what follows of its word is
    /// hidden, too. The column <c>Score</c> is its negative, divided by the number of tokens.
    /// </summary>
    /// <param name="text">The text; zero for one without tokens.</param>
    /// <exception cref="InvalidOperationException">The text has characters that the vocabulary cannot express.</exception>
    public double PseudoLogLikelihood(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Model.PseudoLogLikelihoods(_text.Codec.Encode(text)).Sum(term => (double)term);
    }

    /// <summary>
    /// The model as a generator of embeddings, as <see cref="TextModelOptions.EmbeddingColumnName"/> gives them.
    /// </summary>
    /// <param name="modelId">The model's name for those who ask. Default: that of its family, <c>bert</c>.</param>
    /// <returns>
    /// A generator that may be asked from several threads at once. It refuses texts without tokens, and other dimensions
    /// than <see cref="Width"/>. Disposing it leaves the model as it is.
    /// </returns>
    public IEmbeddingGenerator<string, Embedding<float>> AsEmbeddingGenerator(string? modelId = null) =>
        new TextEmbeddingGenerator(this, _text, Width, modelId ?? Family);

    /// <summary>
    /// Writes the weights as a safetensors file under Hugging Face's names for BertForMaskedLM, as
    /// <see cref="MaskedLanguageModelOptions.InitialWeights"/> reads it. Where blocks normalise before, other programs have
    /// no such network.
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    public void SaveWeights(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        AtomicFile.Write(path, file => BertWeightFile.Write(file, Model.Weights));
    }

    /// <summary>Tells p-values by texts that were not trained on, and sets the threshold to what a share of them exceeds.</summary>
    internal void Calibrate(IReadOnlyList<string> texts, double share) => _text.Calibrate(texts, share);

    internal override OnnxExport ToOnnx(OnnxContent? content) => (content ?? OnnxContent.Logits) == OnnxContent.Logits
        ? Model.ToOnnx()
        : throw new NotSupportedException(
            $"A masked language model's {content} works on texts, which an ONNX graph does not know: it computes "
            + $"{OnnxContent.Logits} of tokens.");

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer)
    {
        MaskedLanguageModelOptions options = Model.Network.Options;
        JsonSerializer.Serialize(
            writer,
            new SavedMaskedLanguageModel
            {
                Options = options,
                Vocabulary = SavedMaskedVocabulary.Of(Model.Vocabulary),
                Threshold = ModelJson.Threshold(Threshold),
                Calibration = options.PValueColumnName is null ? null : _text.Calibration?.Sorted,
            },
            ModelJson.Options);
    }

    private protected override void WriteWeights(Stream stream) => Model.Weights.Save(stream);

    private static MaskedLanguageModelTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights)
    {
        SavedMaskedLanguageModel saved = ModelJson.Read<SavedMaskedLanguageModel>(json);
        return ModelJson.Checked(() =>
        {
            (MaskedVocabulary vocabulary, MaskedLanguageModelOptions options) = saved.Vocabulary.Restore(saved.Options);
            var network = new BertNetwork(options);
            var model = new TrainedMaskedLanguageModel(
                network, HostWeights.Load(weights, network.Tensors), vocabulary, HostDefaults.LoadingDevice(environment),
                MLNetInternals.FallbackToCpuOf(environment));
            return new MaskedLanguageModelTransformer(new MaskedTextModel(model)
            {
                Threshold = saved.Threshold ?? float.PositiveInfinity,
                Calibration = CalibrationScores.Load(saved.Calibration, options.PValueColumnName),
            });
        });
    }
}

/// <summary>What <c>options.json</c> holds of a masked language model.</summary>
internal sealed record SavedMaskedLanguageModel
{
    public required MaskedLanguageModelOptions Options { get; init; }

    public required SavedMaskedVocabulary Vocabulary { get; init; }

    /// <summary>Null: no row is an anomaly.</summary>
    public float? Threshold { get; init; }

    /// <summary>What ordinary texts score, where there is a column of p-values.</summary>
    public IReadOnlyList<float>? Calibration { get; init; }
}

/// <summary>A trained masked language model over rows' texts.</summary>
internal sealed class MaskedTextModel(TrainedMaskedLanguageModel model)
    : TextBatchModel(model.Network.Options, model.Vocabulary.Codec, model.Network.Width)
{
    public TrainedMaskedLanguageModel Model => model;

    public override void Score(int[][] texts, Memory<float> scores, Memory<float> embeddings)
    {
        int width = model.Network.Width;
        model.ForEach(texts.Length, i =>
        {
            int[] text = texts[i];
            if (!scores.IsEmpty)
                scores.Span[i] = text.Length == 0 ? float.NaN : -(float)model.PseudoLogLikelihoods(text).Average(t => (double)t);
            if (!embeddings.IsEmpty)
                model.Embed(text, embeddings.Span.Slice(i * width, width));
        });
    }

    public override void Dispose() => model.Dispose();
}
