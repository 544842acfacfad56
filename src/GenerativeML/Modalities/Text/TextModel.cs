using System.Text;

namespace GenerativeML;

/// <summary>
/// A model of tokens with its tokenizer: continues and scores texts as <see cref="LanguageModelTransformer"/> says, and knows
/// which output goes to which column. Safe to use from several threads.
/// </summary>
internal sealed class TextModel(TrainedLanguageModel model, TokenCodec codec)
    : TextBatchModel(model.Network.Options, codec, model.Width)
{
    private readonly LanguageModelOptions _options = model.Network.Options;

    public TrainedLanguageModel Model => model;

    /// <summary>
    /// The mean of −log p over texts' tokens. Where the vocabulary has a token between documents, a text is the
    /// beginning of one, and its first token counts too. NaN for a text without a token that counts.
    /// </summary>
    public override void Score(int[][] texts, Memory<float> scores, Memory<float> embeddings) =>
        model.Evaluate(WithStart(texts), scores, embeddings);

    /// <summary>
    /// What the model expected at each token of some texts; at all but the first where no token is before it, as for
    /// <see cref="Score"/>.
    /// </summary>
    public TokenExpectation[][] Inspect(int[][] texts) => model.Inspect(WithStart(texts));

    protected override void Continue(int[][] texts, OutputBlock outputs, Func<string?, int> wanted)
    {
        if (wanted(_options.GeneratedTextColumnName) is >= 0 and int text)
            Generate(texts, outputs.Texts(text));
    }

    public override void Dispose() => model.Dispose();

    // The texts that follow on rows'. Without a token to begin from, nothing follows on nothing.
    private void Generate(int[][] prompts, Span<string> texts)
    {
        int[] start = Codec.EndOfText is int token ? [token] : [];
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
                new TextInProgress(Codec.Tokenizer, p, generation.StopStrings), new StringBuilder(),
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

    /// <summary>
    /// Continues a prompt of at least one token by options that are complete, piece by piece, as they are asked for. Pieces
    /// hold whole characters, and nothing of a stop string; they can be empty.
    /// </summary>
    public IEnumerable<TextPiece> Stream(int[] prompt, GenerationOptions options, CancellationToken cancellation)
    {
        IEnumerable<GeneratedToken> generated = model.Stream(prompt, options, cancellation); // checks the prompt
        return Pieces();

        IEnumerable<TextPiece> Pieces()
        {
            var text = new TextInProgress(Codec.Tokenizer, prompt, options.StopStrings);
            int tokens = 0;
            foreach (GeneratedToken token in generated)
            {
                tokens++;
                string piece = text.Add(token.Id);
                if (text.Stopped)
                {
                    yield return new(piece, tokens, FinishReason.StopString);
                    yield break;
                }
                yield return new(piece, tokens);
            }
            string rest = text.End(); // can bring a stop string
            yield return new(
                rest, tokens,
                text.Stopped ? FinishReason.StopString
                : tokens == options.MaxNewTokens ? FinishReason.Length : FinishReason.StopToken);
        }
    }

    /// <summary>Options that were checked, with the token that ends a document.</summary>
    public GenerationOptions Complete(GenerationOptions? generation)
    {
        generation ??= new GenerationOptions();
        generation.Validate();
        return Codec.EndOfText is int end
            ? generation with { StopTokens = [.. generation.StopTokens, end] }
            : generation;
    }

    /// <summary>A prompt's tokens, or where it is empty the beginning of a document.</summary>
    public int[] Encode(string prompt)
    {
        ArgumentNullException.ThrowIfNull(prompt);
        int[] tokens = Codec.Encode(prompt);
        if (tokens.Length > 0)
            return tokens;
        return Codec.EndOfText is int start
            ? [start]
            : throw new ArgumentException(
                "The prompt is empty, and the tokenizer has no token for the beginning of a document to start from.",
                nameof(prompt));
    }

    private int[][] WithStart(int[][] texts) =>
        Codec.EndOfText is int start ? [.. texts.Select(text => (int[])[start, .. text])] : texts;
}

/// <summary>A piece of a text in progress, and how many tokens it has by then; of the last, why it is that.</summary>
internal readonly record struct TextPiece(string Text, int Tokens, FinishReason? End = null);
