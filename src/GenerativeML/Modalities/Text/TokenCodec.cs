using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>Any tokenizer as a GPT uses it.</summary>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="vocabularySize">Tokens are below it.</param>
/// <param name="endOfText">The token between documents, if there is one.</param>
internal sealed class TokenCodec(Tokenizer tokenizer, int vocabularySize, int? endOfText) : ITokenCodec
{
    /// <summary>A tokenizer with what it says of itself, or what is said of it.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="vocabularySize">How many tokens there are; null: as many as the tokenizer has.</param>
    /// <param name="endOfText">The token between documents; null: the tokenizer's, if it has one.</param>
    /// <exception cref="ArgumentException">
    /// They contradict each other, or the number of tokens is not known.
    /// </exception>
    public static TokenCodec For(Tokenizer tokenizer, int? vocabularySize, int? endOfText)
    {
        var own = tokenizer as GptTokenizer;
        int size = vocabularySize ?? own?.VocabularySize ?? throw new ArgumentException(
            $"A {tokenizer.GetType().Name} does not tell how many tokens it has: set option VocabularySize.");
        if (own?.VocabularySize > size)
            throw new ArgumentException(
                $"The tokenizer has {own.VocabularySize} tokens, and option VocabularySize allows {size}.");
        endOfText ??= own?.EndOfTextId;
        if (endOfText is int end && (end < 0 || end >= size))
            throw new ArgumentException($"Option EndOfTextId is {end}; tokens are 0 to {size - 1}.");
        return new(tokenizer, size, endOfText);
    }

    /// <summary>The tokenizer itself.</summary>
    public Tokenizer Tokenizer => tokenizer;

    /// <inheritdoc/>
    public int VocabularySize => vocabularySize;

    /// <inheritdoc/>
    public int? EndOfText => endOfText;

    /// <inheritdoc/>
    public int[] Encode(string text)
    {
        int[] tokens = [.. tokenizer.EncodeToIds(text)];
        foreach (int token in tokens)
        {
            if ((uint)token >= (uint)vocabularySize)
                throw new InvalidOperationException(
                    $"The tokenizer gives token {token}, but the vocabulary has {vocabularySize}: they do not fit.");
        }
        return tokens;
    }

    /// <inheritdoc/>
    public ITextAssembler StartText(ReadOnlySpan<int> before) =>
        tokenizer is GptTokenizer own ? new BytesToText(own) : new DecodedText(tokenizer, before);

    /// <summary>Puts together the bytes of tokens.</summary>
    private sealed class BytesToText(GptTokenizer tokenizer) : ITextAssembler
    {
        private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

        public string Add(int token) =>
            token < tokenizer.VocabularySize ? Decode(tokenizer.GetBytes(token), false) : "";

        public string Finish() => Decode([], true);

        private string Decode(ReadOnlySpan<byte> bytes, bool last)
        {
            Span<char> text = stackalloc char[Math.Min(256, bytes.Length + 4)];
            if (text.Length < bytes.Length + 4)
                text = new char[bytes.Length + 4];
            return text[.._decoder.GetChars(bytes, text, last)].ToString();
        }
    }

    /// <summary>
    /// Asks the tokenizer itself, twice for each token: what its text is with the tokens before it, and what theirs is
    /// alone. Tokenizers differ in what they do at the start of a text and between words.
    /// </summary>
    private sealed class DecodedText : ITextAssembler
    {
        private const int Context = 8;
        private const char Incomplete = '\uFFFD';

        private readonly Tokenizer _tokenizer;
        private readonly List<int> _tokens;
        private string _known;

        public DecodedText(Tokenizer tokenizer, ReadOnlySpan<int> before)
        {
            _tokenizer = tokenizer;
            _tokens = [.. before[Math.Max(0, before.Length - Context)..]];
            _known = Text();
        }

        public string Add(int token)
        {
            _tokens.Add(token);
            string text = Text();
            if (text.EndsWith(Incomplete))
                return "";
            string piece = NewOf(text);
            if (_tokens.Count > 2 * Context)
            {
                _tokens.RemoveRange(0, _tokens.Count - Context);
                text = Text();
            }
            _known = text;
            return piece;
        }

        public string Finish() => NewOf(Text());

        private string Text() => _tokens.Count == 0 ? "" : _tokenizer.Decode(_tokens);

        private string NewOf(string text) => text.Length > _known.Length ? text[_known.Length..] : "";
    }
}
