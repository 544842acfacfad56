using System.Text.Json;
using Microsoft.ML.Runtime;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// A trained GPT with its tokenizer: continues texts, and as a step of a pipeline adds generated texts, scores or
/// embeddings to rows. On the CPU it computes in managed code and needs no torch.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed partial class GptTransformer : GenerativeTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("gpt", Load);

    private readonly TrainedGpt _model;
    private readonly TokenCodec _codec;
    private readonly TextGenerator _generator;
    private readonly GptColumns _columns;
    private readonly GptUse _use;

    internal GptTransformer(
        TrainedGpt model, TokenCodec codec, GptColumns columns, GptUse use, GptAdapters? adapters = null)
        : base(new GptBatchModel(model, codec, columns, use.Generation, use.Threshold ?? float.PositiveInfinity))
    {
        _model = model;
        _codec = codec;
        _generator = new TextGenerator(model, codec);
        _columns = columns;
        _use = use;
        _adapters = adapters;
    }

    /// <summary>What turns text into tokens and back.</summary>
    public Tokenizer Tokenizer => _codec.Tokenizer;

    /// <summary>Tokens that there are.</summary>
    public int VocabularySize => _model.Shape.VocabularySize;

    /// <summary>The most tokens that are looked at together.</summary>
    public int ContextLength => _model.Shape.ContextLength;

    /// <summary>Slots of an embedding.</summary>
    public int Width => _model.Shape.Width;

    /// <summary>The number of weights.</summary>
    public long ParameterCount => _model.Shape.ParameterCount();

    /// <summary>
    /// Rows with a higher score than this are predicted to be anomalies. Positive infinity for a model that was not
    /// trained to predict labels.
    /// </summary>
    public float Threshold => _use.Threshold ?? float.PositiveInfinity;

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
        _generator.Generate(prompt, options, cancellationToken);

    /// <summary>Continues several texts, of any lengths. What one becomes does not depend on the others.</summary>
    /// <param name="prompts">The texts to continue.</param>
    /// <param name="options">How. Default: all defaults.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/exception"/>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<string> prompts, GenerationOptions? options = null,
        CancellationToken cancellationToken = default) =>
        _generator.Generate(prompts, options, cancellationToken);

    /// <summary>
    /// Continues a text, piece by piece, as they are asked for. Pieces are never empty, hold whole characters, and
    /// nothing of a stop string.
    /// </summary>
    /// <param name="prompt">What to continue.</param>
    /// <param name="options">How. Default: all defaults.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/exception"/>
    public IEnumerable<string> Stream(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        _generator.Stream(prompt, options, cancellationToken);

    /// <summary>As <see cref="Stream"/>, with each piece computed on another thread.</summary>
    /// <param name="prompt">What to continue.</param>
    /// <param name="options">How. Default: all defaults.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/exception"/>
    public IAsyncEnumerable<string> StreamAsync(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        _generator.StreamAsync(prompt, options, cancellationToken);

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer)
    {
        if (_codec.Tokenizer is not GptTokenizer tokenizer)
            throw new InvalidOperationException(
                $"The model's tokenizer is a {_codec.Tokenizer.GetType().Name}, which cannot be saved inside a model. "
                + $"A {nameof(BytePairTokenizer)}, {nameof(CharacterTokenizer)} or {nameof(ByteTokenizer)} can.");
        JsonSerializer.Serialize(
            writer,
            new Saved
            {
                Columns = _columns,
                Shape = _model.Shape,
                Tokenizer = tokenizer.ToSaved(),
                EndOfTextId = _codec.EndOfText,
                Use = _use,
            },
            ModelJson.Options);
    }

    private protected override void WriteWeights(Stream stream) => _model.Save(stream);

    private static GptTransformer Load(IHostEnvironment environment, JsonElement options, Stream weights)
    {
        Saved saved = ModelJson.Read<Saved>(options);
        try
        {
            saved.Columns.Validate();
            saved.Use.Generation.Validate();
            saved.Use.Generation.CheckTokens(saved.Shape.VocabularySize);
            TokenCodec codec = TokenCodec.For(
                saved.Tokenizer.Restore(), saved.Shape.VocabularySize, saved.EndOfTextId);
            TrainedGpt model = TrainedGpt.Load(
                saved.Shape, weights, HostDefaults.Device(environment), MLNetInternals.FallbackToCpuOf(environment));
            return new GptTransformer(model, codec, saved.Columns, saved.Use);
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved GPT's options are wrong: {invalid.Message}");
        }
    }

    /// <summary>What <c>options.json</c> holds of a GPT.</summary>
    private sealed record Saved
    {
        public required GptColumns Columns { get; init; }

        public required GptShape Shape { get; init; }

        public required SavedTokenizer Tokenizer { get; init; }

        public int? EndOfTextId { get; init; }

        public required GptUse Use { get; init; }
    }
}

/// <summary>What a GPT's columns are made with.</summary>
internal sealed record GptUse
{
    /// <summary>How text is generated; with a seed, so that rows repeat themselves.</summary>
    public required GenerationOptions Generation { get; init; }

    /// <summary>Rows with a higher score are predicted to be anomalies; null where no label is predicted.</summary>
    public float? Threshold { get; init; }
}
