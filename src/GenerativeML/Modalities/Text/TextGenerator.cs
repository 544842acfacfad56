using System.Runtime.CompilerServices;
using System.Text;

namespace GenerativeML;

/// <summary>
/// Generates text from a model of tokens and its tokenizer, as <see cref="TextTransformer"/> says. Safe to use from
/// several threads.
/// </summary>
internal sealed class TextGenerator(TokenModel model, TokenCodec codec)
{
    /// <summary>Continues a prompt.</summary>
    public GeneratedText Generate(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Generate([prompt], options, cancellationToken)[0];

    /// <summary>Continues prompts of any lengths. What one becomes does not depend on the others.</summary>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<string> prompts, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        return Generate([.. prompts.Select(Encode)], options, cancellationToken);
    }

    /// <summary>Continues prompts that are encoded already, each with at least one token.</summary>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<int[]> prompts, GenerationOptions? options, CancellationToken cancellationToken = default)
    {
        options = Complete(options);
        TextInProgress[] texts = [.. prompts.Select(p => codec.StartText(p, options.StopStrings))];
        StringBuilder[] whole = [.. prompts.Select(_ => new StringBuilder())];
        List<GeneratedToken>[] tokens = [.. prompts.Select(_ => new List<GeneratedToken>())];
        FinishReason[] reasons = model.Generate(
            prompts, options,
            (number, token) =>
            {
                tokens[number].Add(token);
                whole[number].Append(texts[number].Add(token.Id));
                return !texts[number].Stopped;
            },
            cancellationToken);
        return
        [
            .. texts.Select((text, i) =>
            {
                string all = whole[i].Append(text.End()).ToString(); // the end can bring a stop string
                return new GeneratedText(all, tokens[i], text.Stopped ? FinishReason.StopString : reasons[i]);
            }),
        ];
    }

    /// <summary>Continues a prompt, piece by piece, as they are asked for.</summary>
    public IEnumerable<string> Stream(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        options = Complete(options);
        int[] tokens = Encode(prompt);
        return Pieces(model.Stream(tokens, options, cancellationToken));

        IEnumerable<string> Pieces(IEnumerable<GeneratedToken> generated)
        {
            TextInProgress text = codec.StartText(tokens, options.StopStrings);
            foreach (GeneratedToken token in generated)
            {
                string piece = text.Add(token.Id);
                if (piece.Length > 0)
                    yield return piece;
                if (text.Stopped)
                    yield break;
            }
            string last = text.End();
            if (last.Length > 0)
                yield return last;
        }
    }

    /// <summary>As <see cref="Stream"/>, with each piece computed on another thread.</summary>
    public IAsyncEnumerable<string> StreamAsync(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        return Pieces(Stream(prompt, options, cancellationToken), cancellationToken);

        static async IAsyncEnumerable<string> Pieces(
            IEnumerable<string> pieces, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            using IEnumerator<string> enumerator = pieces.GetEnumerator();
            while (await Task.Run(enumerator.MoveNext, cancellationToken).ConfigureAwait(false))
                yield return enumerator.Current;
        }
    }

    private GenerationOptions Complete(GenerationOptions? options)
    {
        options ??= new GenerationOptions();
        options.Validate();
        return codec.EndOfText is int end ? options with { StopTokens = [.. options.StopTokens, end] } : options;
    }

    private int[] Encode(string prompt)
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
}
