using System.Runtime.CompilerServices;
using System.Text;

namespace GenerativeML;

/// <summary>Generates text from a GPT and its tokenizer. Safe to use from several threads.</summary>
internal sealed class TextGenerator(TrainedGpt model, ITokenCodec codec)
{
    /// <summary>Continues a prompt.</summary>
    /// <param name="prompt">
    /// What to continue. An empty one is the beginning of a document, for a tokenizer that has a token for that.
    /// </param>
    /// <param name="options">How; the defaults where it is null.</param>
    /// <param name="cancellationToken">Looked at before each token.</param>
    /// <exception cref="ArgumentException">
    /// The prompt is empty and there is no token to start with; it is too long and the options say that this is an
    /// error; or options are out of range or contradict each other.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// The prompt has characters that the vocabulary cannot express; or the options forbid every token.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public GeneratedText Generate(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Generate([prompt], options, cancellationToken)[0];

    /// <summary>
    /// Continues several prompts, of any lengths. What one becomes does not depend on the others.
    /// </summary>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)"/>
    public IReadOnlyList<GeneratedText> Generate(
        IReadOnlyList<string> prompts, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(prompts);
        GenerationOptions complete = Complete(options);
        List<int[]> encoded = [.. prompts.Select(p => Encode(p))];
        List<TextInProgress> texts =
            [.. encoded.Select(p => new TextInProgress(codec.StartText(p), complete.StopStrings))];
        List<StringBuilder> whole = [.. encoded.Select(_ => new StringBuilder())];
        List<List<GeneratedToken>> tokens = [.. encoded.Select(_ => new List<GeneratedToken>())];
        FinishReason[] reasons = model.Generate(
            encoded, complete,
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

    /// <summary>
    /// Continues a prompt, piece by piece, as they are asked for. Pieces are never empty, hold whole characters, and
    /// nothing of a stop string.
    /// </summary>
    /// <inheritdoc cref="Generate(string, GenerationOptions?, CancellationToken)"/>
    public IEnumerable<string> Stream(
        string prompt, GenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        GenerationOptions complete = Complete(options);
        int[] tokens = Encode(prompt);
        return Pieces(model.Stream(tokens, complete, cancellationToken));

        IEnumerable<string> Pieces(IEnumerable<GeneratedToken> generated)
        {
            var text = new TextInProgress(codec.StartText(tokens), complete.StopStrings);
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
    /// <inheritdoc cref="Stream"/>
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
