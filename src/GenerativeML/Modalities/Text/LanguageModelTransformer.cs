using System.Runtime.CompilerServices;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// A trained model of texts with its tokenizer: continues texts, and as a step of a pipeline adds generated texts, scores
/// or embeddings to rows. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and where ONNX Runtime is
/// not there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public abstract class LanguageModelTransformer : GenerativeTransformer, IAnomalyDetector
{
    private readonly TextModel _text;

    private protected LanguageModelTransformer(TextModel text)
        : base(text) => _text = text;

    /// <summary>What turns text into tokens and back.</summary>
    public Tokenizer Tokenizer => _text.Codec.Tokenizer;

    /// <summary>Tokens that there are.</summary>
    public int VocabularySize => Model.VocabularySize;

    /// <summary>Features of an embedding.</summary>
    public int Width => Model.Width;

    /// <inheritdoc/>
    public float Threshold
    {
        get => _text.Threshold;
        set => _text.Threshold = OptionChecks.Threshold(value);
    }

    /// <summary>What stands behind it, for members of this package that look at tokens.</summary>
    internal TextModel Text => _text;

    private TrainedLanguageModel Model => _text.Model;

    /// <summary>Continues a text.</summary>
    /// <param name="prompt">
    /// What to continue. An empty one is the beginning of a document, where the vocabulary has a token for that.
    /// </param>
    /// <param name="options">How. Default: all defaults.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <exception cref="ArgumentException">
    /// The prompt is empty and there is no token to start with; it is too long and the options say that this is an
    /// error; or options are out of range or contradict each other.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The prompt has characters that the vocabulary cannot express; or the options forbid every token.
    /// </exception>
    public GeneratedText Generate(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Generate([prompt], options, cancellationToken)[0];

    /// <summary>Continues several texts, of any lengths. What one becomes does not depend on the others.</summary>
    /// <param name="prompts">The texts to continue.</param>
    /// <param name="options">How. Default: all defaults.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/exception"/>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<string> prompts, GenerationOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        return _text.Generate([.. prompts.Select(_text.Encode)], options, cancellationToken);
    }

    /// <summary>
    /// Continues a text, piece by piece, as they are asked for. Pieces are never empty, hold whole characters, and
    /// nothing of a stop string.
    /// </summary>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/param|/exception"/>
    public IEnumerable<string> Stream(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        options = _text.Complete(options);
        return _text.Stream(_text.Encode(prompt), options, cancellationToken)
            .Select(piece => piece.Text).Where(text => text.Length > 0);
    }

    /// <summary>As <see cref="Stream"/>, with each piece computed on another thread.</summary>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/param|/exception"/>
    public IAsyncEnumerable<string> StreamAsync(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        OnAnotherThread(Stream(prompt, options, cancellationToken), cancellationToken);

    /// <summary>
    /// The model as a client of conversations: it streams, ends at stop sequences and says how many tokens it read and
    /// wrote. A request's <see cref="ChatOptions"/> go before its own: MaxOutputTokens, Temperature (at 0 without TopK and
    /// TopP), TopK, TopP, FrequencyPenalty, PresencePenalty, Seed (its lowest 32 bits), StopSequences (beside the client's),
    /// Instructions; RawRepresentationFactory may give <see cref="GenerationOptions"/> to begin with. Tools, JSON, reasoning,
    /// another model and a ConversationId are refused by <see cref="NotSupportedException"/>, as are messages of other
    /// things than text. AdditionalProperties are not looked at, and responses never continue in the background.
    /// </summary>
    /// <param name="options">How. Default: all defaults.</param>
    /// <returns>
    /// A client that may be asked from several threads at once. Disposing it leaves the model as it is. Its GetService
    /// gives <see cref="ChatClientMetadata"/>, this transformer and the tokenizer.
    /// </returns>
    /// <exception cref="ArgumentException">An option for generating is out of range.</exception>
    public IChatClient AsChatClient(LanguageModelChatOptions? options = null) => new LanguageModelChatClient(this, options);

    /// <summary>
    /// The model as a generator of embeddings: of a text the mean of its tokens' final hidden states, as
    /// <see cref="TextModelOptions.EmbeddingColumnName"/> gives it.
    /// </summary>
    /// <param name="modelId">The model's name for those who ask. Default: that of its family, such as <c>gpt</c>.</param>
    /// <returns>
    /// A generator that may be asked from several threads at once. It refuses texts without tokens, unless the vocabulary
    /// has a token for the beginning of a document, and other dimensions than <see cref="Width"/>. Disposing it leaves the
    /// model as it is.
    /// </returns>
    public IEmbeddingGenerator<string, Embedding<float>> AsEmbeddingGenerator(string? modelId = null) =>
        new TextEmbeddingGenerator(this, _text, Width, modelId ?? Family);

    /// <summary>A sequence's elements, each computed on another thread.</summary>
    internal static async IAsyncEnumerable<T> OnAnotherThread<T>(
        IEnumerable<T> elements, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using IEnumerator<T> enumerator = elements.GetEnumerator();
        while (await Task.Run(enumerator.MoveNext, cancellationToken).ConfigureAwait(false))
            yield return enumerator.Current;
    }

    /// <summary>
    /// What the model thinks of a text, token by token: how likely each was after those before it, and how sure the model
    /// was there. Texts that models made hold more of what models expect than people's do (Gehrmann 2019, GLTR).
    /// </summary>
    /// <param name="text">The text. An empty one has no tokens.</param>
    /// <returns>
    /// The tokens, in order. Where no token of the vocabulary is the beginning of a document, nothing is before the first,
    /// which then has the rank 0, and NaN for the rest.
    /// </returns>
    /// <exception cref="InvalidOperationException">The text has characters that the vocabulary cannot express.</exception>
    public IReadOnlyList<TokenLikelihood> Inspect(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        int[] tokens = _text.Codec.Encode(text);
        TokenExpectation[] expected = _text.Inspect([tokens])[0];
        var pieces = new TextInProgress(Tokenizer, [], []);
        int unknown = tokens.Length - expected.Length;
        return
        [
            .. tokens.Select((id, i) => i < unknown
                ? new TokenLikelihood(id, pieces.Add(id), float.NaN, 0, float.NaN)
                : new TokenLikelihood(
                    id, pieces.Add(id), expected[i - unknown].LogProbability, expected[i - unknown].Rank, expected[i - unknown].Entropy)),
        ];
    }

    /// <summary>Tells p-values by texts that were not trained on, and sets the threshold to what a share of them exceeds.</summary>
    internal void Calibrate(IReadOnlyList<string> texts, double share) => _text.Calibrate(texts, share);

    /// <summary>The number of weights.</summary>
    public long ParameterCount => Model.Network.ParameterCount;

    internal override OnnxExport ToOnnx(OnnxContent? content) => (content ?? OnnxContent.Logits) switch
    {
        OnnxContent.Logits => Model.ToOnnx(cached: false),
        OnnxContent.LogitsWithCache => Model.ToOnnx(cached: true),
        _ => throw new NotSupportedException(
            $"A language model's {content} works on texts, which an ONNX graph does not know: it computes "
            + $"{OnnxContent.Logits} or {OnnxContent.LogitsWithCache} of tokens."),
    };

    private protected sealed override string Family => Model.Network.Family;

    private protected sealed override void WriteOptions(Utf8JsonWriter writer)
    {
        if (Tokenizer is not GptTokenizer tokenizer)
            throw new InvalidOperationException(
                $"The model's tokenizer is a {Tokenizer.GetType().Name}, which cannot be saved inside a model. "
                + $"A {nameof(BytePairTokenizer)}, {nameof(WordTokenizer)}, {nameof(CharacterTokenizer)} or {nameof(ByteTokenizer)} can.");
        LanguageModelOptions options = Model.Network.Options;
        JsonSerializer.Serialize(
            writer,
            new SavedLanguageModel<object>
            {
                Options = options,
                Generation = options.Generation,
                Tokenizer = tokenizer.ToSaved(),
                Threshold = ModelJson.Threshold(Threshold),
                Calibration = options.PValueColumnName is null ? null : _text.Calibration?.Sorted,
            },
            ModelJson.Options);
    }

    private protected sealed override void WriteWeights(Stream stream) => Model.Weights.Save(stream);

    /// <summary>A model of what was saved; <paramref name="create"/> makes the network and reads its weights.</summary>
    /// <exception cref="FormatException">What was saved is no such model.</exception>
    private protected static TextModel ReadSaved<TOptions>(
        JsonElement json, Func<TOptions, TrainedLanguageModel> create)
        where TOptions : LanguageModelOptions
    {
        SavedLanguageModel<TOptions> saved = ModelJson.Read<SavedLanguageModel<TOptions>>(json);
        return ModelJson.Checked(() =>
        {
            TokenCodec codec = TokenCodec.For(saved.Tokenizer.Restore(), saved.Options.VocabularySize, saved.Options.EndOfTextId);
            var options = (TOptions)saved.Options.With(codec) with { Generation = saved.Generation };
            options.Validate();
            options.Generation.CheckTokens(codec.VocabularySize);
            return new TextModel(create(options), codec)
            {
                Threshold = saved.Threshold ?? float.PositiveInfinity,
                Calibration = CalibrationScores.Load(saved.Calibration, options.PValueColumnName),
            };
        });
    }
}

/// <summary>What <c>options.json</c> holds of a language model.</summary>
internal sealed record SavedLanguageModel<TOptions>
{
    public required TOptions Options { get; init; }

    /// <summary>With a seed, so that rows repeat themselves.</summary>
    public required GenerationOptions Generation { get; init; }

    public required SavedTokenizer Tokenizer { get; init; }

    /// <summary>Null: no row is an anomaly.</summary>
    public float? Threshold { get; init; }

    /// <summary>What ordinary texts score, where there is a column of p-values.</summary>
    public IReadOnlyList<float>? Calibration { get; init; }
}
