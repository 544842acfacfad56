using System.Text;

namespace GenerativeML;

/// <summary>
/// A model of tokens with its tokenizer: continues and scores texts as <see cref="LanguageModelTransformer"/> says, and knows
/// which output goes to which column. Safe to use from several threads.
/// </summary>
internal sealed class TextModel(TrainedLanguageModel model, TokenCodec codec) : IBatchModel
{
    private readonly LanguageModelOptions _options = model.Network.Options;

    /// <summary>Rows with a higher score are predicted to be anomalies.</summary>
    public float Threshold { get; set; } = float.PositiveInfinity;

    /// <summary>What p-values are told by; null where there is no column of them.</summary>
    public CalibrationScores? Calibration { get; set; }

    public TrainedLanguageModel Model => model;

    public TokenCodec Codec => codec;

    public IReadOnlyList<RowField> Inputs { get; } =
        [new RowField(model.Network.Options.TextColumnName, FieldKind.Text, Width: 1)];

    public IReadOnlyList<OutputColumn> Outputs { get; } = model.Network.Options.Outputs(model.Width);

    public int BatchSize => 64;

    public NonFiniteReplacement? Replacement => null;

    /// <summary>
    /// The mean of −log p over texts' tokens. Where the vocabulary has a token between documents, a text is the
    /// beginning of one, and its first token counts too. NaN for a text without a token that counts.
    /// </summary>
    public void Score(int[][] texts, Memory<float> scores, Memory<float> embeddings) =>
        model.Evaluate(WithStart(texts), scores, embeddings);

    /// <summary>
    /// What the model expected at each token of some texts; at all but the first where no token is before it, as for
    /// <see cref="Score"/>.
    /// </summary>
    public TokenExpectation[][] Inspect(int[][] texts) => model.Inspect(WithStart(texts));

    public void Run(RowBlock inputs, int rows, OutputBlock outputs)
    {
        int[][] texts = [.. inputs.Texts(0)[..rows].ToArray().Select((text, row) => EncodeRow(text, row, Inputs[0].Name))];
        int label = Wanted(_options.PredictedLabelColumnName), score = Wanted(_options.ScoreColumnName);
        int perplexity = Wanted(_options.PerplexityColumnName), text = Wanted(_options.GeneratedTextColumnName);
        int embedding = Wanted(_options.EmbeddingColumnName), pValue = Wanted(_options.PValueColumnName);
        float[] scores = new float[Math.Max(Math.Max(label, pValue), Math.Max(score, perplexity)) >= 0 ? rows : 0];
        float[] embeddings = new float[embedding >= 0 ? rows * model.Width : 0];
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
            if (pValue >= 0)
                outputs.Singles(pValue)[row] = Calibration!.PValue(scores[row]);
            if (label >= 0)
                outputs.Booleans(label)[row] = !(scores[row] <= Threshold); // a score of NaN is strange, too
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

    public void Dispose() => model.Dispose();

    // The texts that follow on rows'. Without a token to begin from, nothing follows on nothing.
    private void Generate(int[][] prompts, Span<string> texts)
    {
        int[] start = codec.EndOfText is int token ? [token] : [];
        int[] rows = [.. Enumerable.Range(0, prompts.Length).Where(row => prompts[row].Length + start.Length > 0)];
        GeneratedText[] generated = Generate(
            [.. rows.Select(row => prompts[row].Length > 0 ? prompts[row] : start)], _options.Generation, default);
        texts[..prompts.Length].Fill("");
        for (int i = 0; i < rows.Length; i++)
            texts[rows[i]] = generated[i].Text;
    }

    /// <summary>Continues prompts of any lengths, at least one token each.</summary>
    public GeneratedText[] Generate(int[][] prompts, GenerationOptions? generation, CancellationToken cancellation)
    {
        generation = Complete(generation);
        (TextInProgress Text, StringBuilder Whole, List<GeneratedToken> Tokens)[] runs =
        [
            .. prompts.Select(p => (
                new TextInProgress(codec.Tokenizer, p, generation.StopStrings), new StringBuilder(),
                new List<GeneratedToken>())),
        ];
        FinishReason[] reasons = model.Generate(
            prompts, generation,
            (number, token) =>
            {
                (TextInProgress text, StringBuilder whole, List<GeneratedToken> tokens) = runs[number];
                tokens.Add(token);
                whole.Append(text.Add(token.Id));
                return !text.Stopped;
            },
            cancellation);
        return
        [
            .. runs.Select((run, i) =>
            {
                string all = run.Whole.Append(run.Text.End()).ToString(); // the end can bring a stop string
                return new GeneratedText(all, run.Tokens, run.Text.Stopped ? FinishReason.StopString : reasons[i]);
            }),
        ];
    }

    /// <summary>Options that were checked, with the token that ends a document.</summary>
    public GenerationOptions Complete(GenerationOptions? generation)
    {
        generation ??= new GenerationOptions();
        generation.Validate();
        return codec.EndOfText is int end
            ? generation with { StopTokens = [.. generation.StopTokens, end] }
            : generation;
    }

    /// <summary>A prompt's tokens, or where it is empty the beginning of a document.</summary>
    public int[] Encode(string prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        int[] tokens = codec.Encode(prompt);
        if (tokens.Length > 0)
            return tokens;
        return codec.EndOfText is int start
            ? [start]
            : throw new ArgumentException(
                "The prompt is empty, and the tokenizer has no token for the beginning of a document to start from.",
                nameof(prompt));
    }

    private int[][] WithStart(int[][] texts) =>
        codec.EndOfText is int start ? [.. texts.Select(text => (int[])[start, .. text])] : texts;

    /// <summary>The tokens of a row of a batch.</summary>
    /// <exception cref="RowException">The text has characters that the vocabulary cannot express.</exception>
    public int[] EncodeRow(string text, int row, string column)
    {
        try
        {
            return codec.Encode(text);
        }
        catch (InvalidOperationException unknown)
        {
            throw new RowException(row, column, unknown);
        }
    }
}
