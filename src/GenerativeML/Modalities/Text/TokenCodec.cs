using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// Any tokenizer as models use it: between text and numbers of tokens. Safe to use from several threads.
/// </summary>
/// <param name="Tokenizer">The tokenizer.</param>
/// <param name="VocabularySize">Tokens are below it.</param>
/// <param name="EndOfText">The token between documents, if there is one.</param>
internal sealed record TokenCodec(Tokenizer Tokenizer, int VocabularySize, int? EndOfText)
{
    /// <summary>A tokenizer with what is said of it, or, where that is null, what it says of itself.</summary>
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

    /// <summary>A text's tokens; none for an empty text.</summary>
    /// <exception cref="InvalidOperationException">
    /// The text has characters that the vocabulary cannot express.
    /// </exception>
    public int[] Encode(string text)
    {
        int[] tokens = [.. Tokenizer.EncodeToIds(text)];
        foreach (int token in tokens)
        {
            if ((uint)token >= (uint)VocabularySize)
                throw new InvalidOperationException(
                    $"The tokenizer gives token {token}, but the vocabulary has {VocabularySize}: they do not fit.");
        }
        return tokens;
    }

    /// <summary>The tokens of a row of a batch.</summary>
    /// <exception cref="RowException">The text has characters that the vocabulary cannot express.</exception>
    public int[] EncodeRow(string text, int row, string column)
    {
        try
        {
            return Encode(text);
        }
        catch (InvalidOperationException unknown)
        {
            throw new RowException(row, column, unknown);
        }
    }
}

/// <summary>
/// A text while its tokens come in: whole characters, up to the first stop string. What could be the beginning of one
/// is held back until it is certain. Used by one thread at a time.
/// </summary>
internal sealed class TextInProgress
{
    private const int Context = 8;
    private const char Incomplete = '\uFFFD';

    private readonly Tokenizer _tokenizer;
    private readonly IReadOnlyList<string> _stopStrings;
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly List<int> _tokens; // the last of them, where only the tokenizer can tell their text
    private string _known, _held = "";

    /// <summary>A text that follows on that of the tokens <paramref name="before"/>.</summary>
    public TextInProgress(Tokenizer tokenizer, ReadOnlySpan<int> before, IReadOnlyList<string> stopStrings)
    {
        (_tokenizer, _stopStrings) = (tokenizer, stopStrings);
        _tokens = tokenizer is GptTokenizer ? [] : [.. before[Math.Max(0, before.Length - Context)..]];
        _known = Decoded();
    }

    /// <summary>Whether a stop string has ended the text.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Adds a token and gives the text that is certain now: nothing while a character is incomplete.</summary>
    public string Add(int token) => Filter(_tokenizer is GptTokenizer own ? FromBytes(own, token) : FromText(token));

    /// <summary>No more tokens come: the rest of the text, without a character that is not complete.</summary>
    public string End() => Stopped ? "" : Filter(NewOf(Decoded().TrimEnd(Incomplete))) + _held;

    private string FromBytes(GptTokenizer tokenizer, int token)
    {
        ReadOnlySpan<byte> bytes = token < tokenizer.VocabularySize ? tokenizer.GetBytes(token) : [];
        Span<char> text = bytes.Length < 256 ? stackalloc char[bytes.Length + 4] : new char[bytes.Length + 4];
        return text[.._decoder.GetChars(bytes, text, flush: false)].ToString();
    }

    // Asks the tokenizer twice for each token: what its text is with the tokens before it, and what theirs is alone.
    // Tokenizers differ in what they do at the start of a text and between words.
    private string FromText(int token)
    {
        _tokens.Add(token);
        string text = Decoded();
        if (text.EndsWith(Incomplete))
            return "";
        string piece = NewOf(text);
        _tokens.RemoveRange(0, Math.Max(0, _tokens.Count - Context));
        _known = Decoded();
        return piece;
    }

    private string Decoded() => _tokens.Count == 0 ? "" : _tokenizer.Decode(_tokens);

    private string NewOf(string text) => text.Length > _known.Length ? text[_known.Length..] : "";

    private string Filter(string piece)
    {
        string text = _held + piece;
        int[] stops = [.. _stopStrings.Select(s => text.IndexOf(s, StringComparison.Ordinal)).Where(at => at >= 0)];
        Stopped = stops.Length > 0;
        int certain = Stopped
            ? stops.Min()
            : text.Length - _stopStrings.Select(s => Beginning(text, s)).DefaultIfEmpty().Max();
        _held = Stopped ? "" : text[certain..];
        return text[..certain];
    }

    // The length of the text's longest end that a stop string begins with.
    private static int Beginning(string text, string stop)
    {
        int length = Math.Min(stop.Length - 1, text.Length);
        while (!text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
            length--;
        return length;
    }
}
