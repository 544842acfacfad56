using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// A trained model of text with its tokenizer: continues texts, and as a step of a pipeline adds generated texts,
/// scores or embeddings to rows.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public abstract class TextTransformer : GenerativeTransformer, IAnomalyDetector
{
    private readonly TextModel _text;

    private protected TextTransformer(TextModel text)
        : base(text) => _text = text;

    /// <summary>What turns text into tokens and back.</summary>
    public Tokenizer Tokenizer => _text.Codec.Tokenizer;

    /// <summary>Tokens that there are.</summary>
    public int VocabularySize => _text.Tokens.VocabularySize;

    /// <summary>The most tokens that are looked at together.</summary>
    public int ContextLength => _text.Tokens.ContextLength;

    /// <summary>Features of an embedding.</summary>
    public int Width => _text.Tokens.Width;

    /// <inheritdoc/>
    public float Threshold
    {
        get => _text.Threshold;
        set => _text.Threshold = float.IsNaN(value)
            ? throw new ArgumentOutOfRangeException(nameof(value), value, "The threshold is not a number.")
            : value;
    }

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
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public GeneratedText Generate(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        _text.Generate([prompt], options, cancellationToken)[0];

    /// <summary>Continues several texts, of any lengths. What one becomes does not depend on the others.</summary>
    /// <param name="prompts">The texts to continue.</param>
    /// <param name="options">How. Default: all defaults.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/exception"/>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<string> prompts, GenerationOptions? options = null,
        CancellationToken cancellationToken = default) =>
        _text.Generate(prompts, options, cancellationToken);

    /// <summary>
    /// Continues a text, piece by piece, as they are asked for. Pieces are never empty, hold whole characters, and
    /// nothing of a stop string.
    /// </summary>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/param|/exception"/>
    public IEnumerable<string> Stream(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        _text.Stream(prompt, options, cancellationToken);

    /// <summary>As <see cref="Stream"/>, with each piece computed on another thread.</summary>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/param|/exception"/>
    public IAsyncEnumerable<string> StreamAsync(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        _text.StreamAsync(prompt, options, cancellationToken);

    /// <summary>Sets the threshold to what a share of texts that were not trained on exceeds.</summary>
    internal void Calibrate(IReadOnlyList<string> texts, double share)
    {
        float[] scores = new float[texts.Count];
        _text.Score([.. texts.Select(_text.Codec.Encode)], scores, default);
        Threshold = CalibrationPlan.Threshold([.. scores.Where(float.IsFinite)], share);
    }

    /// <summary>Writes options, tokenizer and threshold as one JSON value.</summary>
    private protected void WriteOptions<TOptions>(Utf8JsonWriter writer, TOptions options)
        where TOptions : TextOptions
    {
        if (Tokenizer is not GptTokenizer tokenizer)
            throw new InvalidOperationException(
                $"The model's tokenizer is a {Tokenizer.GetType().Name}, which cannot be saved inside a model. "
                + $"A {nameof(BytePairTokenizer)}, {nameof(CharacterTokenizer)} or {nameof(ByteTokenizer)} can.");
        JsonSerializer.Serialize(
            writer,
            new SavedText<TOptions>
            {
                Options = options,
                Generation = options.Generation,
                Tokenizer = tokenizer.ToSaved(),
                Threshold = float.IsFinite(Threshold) ? Threshold : null,
            },
            ModelJson.Options);
    }
}

/// <summary>What <c>options.json</c> holds of a model of text.</summary>
internal sealed record SavedText<TOptions>
    where TOptions : TextOptions
{
    public required TOptions Options { get; init; }

    /// <summary>With a seed, so that rows repeat themselves.</summary>
    public required GenerationOptions Generation { get; init; }

    public required SavedTokenizer Tokenizer { get; init; }

    /// <summary>Null: no row is an anomaly.</summary>
    public float? Threshold { get; init; }

    /// <summary>Reads it, and checks all that it says.</summary>
    /// <exception cref="FormatException">Something is missing or out of its range.</exception>
    public static (TOptions Options, TokenCodec Codec, float Threshold) Read(JsonElement json)
    {
        SavedText<TOptions> saved = ModelJson.Read<SavedText<TOptions>>(json);
        try
        {
            GptTokenizer tokenizer = saved.Tokenizer.Restore();
            // The tokenizer is there, whichever way it was come by.
            TOptions options = saved.Options with
            {
                Tokenizer = tokenizer,
                BytePairVocabulary = null,
                Generation = saved.Generation,
            };
            options.Validate();
            TokenCodec codec = TokenCodec.For(tokenizer, options.VocabularySize, options.EndOfTextId);
            options.Generation.CheckTokens(codec.VocabularySize);
            return (options, codec, saved.Threshold ?? float.PositiveInfinity);
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved model's options are wrong: {invalid.Message}");
        }
    }
}
