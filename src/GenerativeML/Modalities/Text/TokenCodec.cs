using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// Any tokenizer as models use it: between text and numbers of tokens. Safe to use from several threads.
/// </summary>
/// <param name="tokenizer">The tokenizer.</param>
/// <param name="vocabularySize">Tokens are below it.</param>
/// <param name="endOfText">The token between documents, if there is one.</param>
internal sealed class TokenCodec(Tokenizer tokenizer, int vocabularySize, int? endOfText)
{
    /// <summary>A tokenizer with what it says of itself, or what is said of it.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="vocabularySize">How many tokens there are; null: as many as the tokenizer has.</param>
    /// <param name="endOfText">The token between documents; null: the tokenizer's, if it has one.</param>
    /// <exception cref="ArgumentException">
    /// They contradict each other, or the number of tokens is not known.
    /// </exception>
    public static TokenCodec For(Tokenizer tokenizer, int? vocabularySize = null, int? endOfText = null)
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

    /// <summary>Tokens are below it.</summary>
    public int VocabularySize => vocabularySize;

    /// <summary>The token that stands between documents; null where there is none.</summary>
    public int? EndOfText => endOfText;

    /// <summary>A text's tokens; none for an empty text.</summary>
    /// <exception cref="InvalidOperationException">
    /// The text has characters that the vocabulary cannot express.
    /// </exception>
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

    /// <summary>
    /// Starts to put together, from its tokens, the text that follows on those of <paramref name="before"/>, up to a
    /// stop string.
    /// </summary>
    public TextInProgress StartText(ReadOnlySpan<int> before, IReadOnlyList<string> stopStrings) =>
        new(tokenizer is GptTokenizer own ? new BytesToText(own) : new DecodedText(tokenizer, before), stopStrings);

    /// <summary>Puts together the bytes of tokens. Those of a last character that is not complete are left out.</summary>
    private sealed class BytesToText(GptTokenizer tokenizer) : ITextAssembler
    {
        private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();

        public string Add(int token)
        {
            ReadOnlySpan<byte> bytes = token < tokenizer.VocabularySize ? tokenizer.GetBytes(token) : [];
            Span<char> text = bytes.Length < 256 ? stackalloc char[bytes.Length + 4] : new char[bytes.Length + 4];
            return text[.._decoder.GetChars(bytes, text, flush: false)].ToString();
        }

        public string Finish() => "";
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

        public string Finish() => NewOf(Text().TrimEnd(Incomplete));

        private string Text() => _tokens.Count == 0 ? "" : _tokenizer.Decode(_tokens);

        private string NewOf(string text) => text.Length > _known.Length ? text[_known.Length..] : "";
    }
}

/// <summary>Puts a text together from its tokens, one by one; used by one thread at a time.</summary>
internal interface ITextAssembler
{
    /// <summary>
    /// Adds a token and says what text is certain now: whole characters only, and nothing while one is incomplete.
    /// </summary>
    string Add(int token);

    /// <summary>Ends the text: what is left of it, without a character that is not complete.</summary>
    string Finish();
}

/// <summary>
/// A text while its tokens come in: whole characters, up to the first stop string. What could be the beginning of one
/// is held back until it is certain.
/// </summary>
internal sealed class TextInProgress(ITextAssembler assembler, IReadOnlyList<string> stopStrings)
{
    private string _held = "";

    /// <summary>Whether a stop string has ended the text.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Adds a token and gives the text that is certain now.</summary>
    public string Add(int token) => Filter(assembler.Add(token));

    /// <summary>No more tokens come: the rest of the text.</summary>
    public string End()
    {
        if (Stopped)
            return "";
        string rest = Filter(assembler.Finish());
        return rest + _held;
    }

    private string Filter(string piece)
    {
        string text = _held + piece;
        int[] stops = [.. stopStrings.Select(s => text.IndexOf(s, StringComparison.Ordinal)).Where(at => at >= 0)];
        Stopped = stops.Length > 0;
        int certain = Stopped ? stops.Min() : text.Length - LongestBeginning(text);
        _held = Stopped ? "" : text[certain..];
        return text[..certain];
    }

    // The longest end of the text that a stop string begins with.
    private int LongestBeginning(string text)
    {
        int longest = 0;
        foreach (string stop in stopStrings)
        {
            for (int length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
            {
                if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
                    longest = length;
            }
        }
        return longest;
    }
}
