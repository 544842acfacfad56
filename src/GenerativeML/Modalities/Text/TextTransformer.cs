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
    private readonly TokenModel _model;
    private readonly TokenCodec _codec;
    private readonly TextGenerator _generator;
    private readonly TextBatchModel _rows;

    // The model belongs to the transformer from now on.
    private protected TextTransformer(TokenModel model, TokenCodec codec, TextOptions options, float threshold)
        : this(model, codec, new TextBatchModel(model, codec, options) { Threshold = threshold })
    {
    }

    private TextTransformer(TokenModel model, TokenCodec codec, TextBatchModel rows)
        : base(rows) =>
        (_model, _codec, _generator, _rows) = (model, codec, new TextGenerator(model, codec), rows);

    /// <summary>What turns text into tokens and back.</summary>
    public Tokenizer Tokenizer => _codec.Tokenizer;

    /// <summary>Tokens that there are.</summary>
    public int VocabularySize => _model.VocabularySize;

    /// <summary>The most tokens that are looked at together.</summary>
    public int ContextLength => _model.ContextLength;

    /// <summary>Features of an embedding.</summary>
    public int Width => _model.Width;

    /// <inheritdoc/>
    public float Threshold
    {
        get => _rows.Threshold;
        set => _rows.Threshold = float.IsNaN(value)
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
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/param|/exception"/>
    public IEnumerable<string> Stream(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        _generator.Stream(prompt, options, cancellationToken);

    /// <summary>As <see cref="Stream"/>, with each piece computed on another thread.</summary>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)" path="/param|/exception"/>
    public IAsyncEnumerable<string> StreamAsync(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        _generator.StreamAsync(prompt, options, cancellationToken);

    /// <summary>Sets the threshold to what a share of texts that were not trained on exceeds.</summary>
    internal void Calibrate(IReadOnlyList<string> texts, double share)
    {
        const int batch = 64;
        var scores = new List<float>();
        foreach (string[] part in texts.Chunk(batch))
        {
            var some = new float[part.Length];
            _rows.Score([.. part.Select(_codec.Encode)], some, default);
            scores.AddRange(some.Where(float.IsFinite));
        }
        Threshold = CalibrationPlan.Threshold([.. scores], share);
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

/// <summary>Between the row mapper and a trained model of text: which output goes to which column.</summary>
internal sealed class TextBatchModel : IBatchModel
{
    private const int MaxRows = 64;

    private readonly TokenModel _model;
    private readonly TokenCodec _codec;
    private readonly TextGenerator _generator;
    private readonly TextOptions _options;

    public TextBatchModel(TokenModel model, TokenCodec codec, TextOptions options)
    {
        _model = model;
        _codec = codec;
        _generator = new TextGenerator(model, codec);
        _options = options;
        Inputs = [new RowField(options.TextColumnName, FieldKind.Text, Width: 1)];
        Outputs = options.Outputs(model.Width);
    }

    /// <summary>Rows with a higher score are predicted to be anomalies.</summary>
    public float Threshold { get; set; }

    public IReadOnlyList<RowField> Inputs { get; }

    public IReadOnlyList<OutputColumn> Outputs { get; }

    public int BatchSize => MaxRows;

    public NonFiniteReplacement? Replacement => null;

    /// <summary>
    /// The mean of −log p over texts' tokens. Where the vocabulary has a token between documents, a text is the
    /// beginning of one, and its first token counts too. NaN for a text without a token that counts.
    /// </summary>
    public void Score(IReadOnlyList<int[]> texts, Memory<float> scores, Memory<float> embeddings) => _model.Evaluate(
        _codec.EndOfText is int start ? [.. texts.Select(t => (int[])[start, .. t])] : texts, scores, embeddings);

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int[][] texts = Encode(inputs.Texts(0)[..rows]);
        int label = Wanted(_options.PredictedLabelColumnName), score = Wanted(_options.ScoreColumnName);
        int perplexity = Wanted(_options.PerplexityColumnName), text = Wanted(_options.GeneratedTextColumnName);
        int embedding = Wanted(_options.EmbeddingColumnName);
        float[] scores = new float[Math.Max(label, Math.Max(score, perplexity)) >= 0 ? rows : 0];
        float[] embeddings = new float[embedding >= 0 ? rows * _model.Width : 0];
        if (scores.Length + embeddings.Length > 0)
            Score(texts, scores, embeddings);
        if (score >= 0)
            scores.CopyTo(outputs.Singles(score));
        if (embedding >= 0)
            embeddings.CopyTo(outputs.Singles(embedding));
        for (int row = 0; row < scores.Length; row++)
        {
            if (perplexity >= 0)
                outputs.Singles(perplexity)[row] = MathF.Exp(scores[row]);
            if (label >= 0)
                outputs.Booleans(label)[row] = scores[row] > Threshold;
        }
        if (text >= 0)
            Generate(texts, outputs.Texts(text));

        // The number of an output; −1 where there is none of that name, or nobody wants it.
        int Wanted(string? name)
        {
            int column = Outputs.Count - 1;
            while (column >= 0 && (Outputs[column].Name != name || !outputs.IsWanted(column)))
                column--;
            return column;
        }
    }

    public void Dispose() => _model.Dispose();

    private int[][] Encode(ReadOnlySpan<string> texts)
    {
        var tokens = new int[texts.Length][];
        for (int row = 0; row < texts.Length; row++)
        {
            try
            {
                tokens[row] = _codec.Encode(texts[row]);
            }
            catch (InvalidOperationException unknown)
            {
                throw new RowException(row, Inputs[0].Name, unknown);
            }
        }
        return tokens;
    }

    private void Generate(int[][] prompts, Span<string> texts)
    {
        // Without a token to begin from, nothing follows on nothing.
        int[] start = _codec.EndOfText is int token ? [token] : [];
        int[] rows = [.. Enumerable.Range(0, prompts.Length).Where(row => prompts[row].Length + start.Length > 0)];
        IReadOnlyList<GeneratedText> generated = _generator.Generate(
            rows.Select(row => prompts[row].Length > 0 ? prompts[row] : start).ToArray(), _options.Generation);
        texts[..prompts.Length].Fill("");
        for (int i = 0; i < rows.Length; i++)
            texts[rows[i]] = generated[i].Text;
    }
}
