using System.Buffers;
using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// A tokenizer that a saved GPT carries inside: each of its tokens stands for a fixed sequence of UTF-8 bytes.
/// </summary>
/// <remarks>Tokenizers are immutable and may be used from several threads at once.</remarks>
public abstract class GptTokenizer : Tokenizer
{
    private readonly byte[][] _bytes;

    private protected GptTokenizer(byte[][] bytes, int? endOfTextId) => (_bytes, EndOfTextId) = (bytes, endOfTextId);

    /// <summary>The number of tokens; they are numbered from 0.</summary>
    public int VocabularySize => _bytes.Length;

    /// <summary>
    /// The token that stands between documents, and has no text; null where there is none. No text is ever encoded to
    /// it.
    /// </summary>
    public int? EndOfTextId { get; }

    /// <summary>The bytes that a token stands for: a character, a part of one, or several.</summary>
    /// <param name="id">The token, from 0 to <see cref="VocabularySize"/> − 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such token.</exception>
    public ReadOnlySpan<byte> GetBytes(int id) =>
        Has(id) ? _bytes[id] : throw new ArgumentOutOfRangeException(nameof(id), id, NoSuchToken(id));

    /// <summary>The text that tokens stand for, with U+FFFD in the place of bytes that are no UTF-8.</summary>
    /// <param name="ids">The tokens.</param>
    /// <exception cref="InvalidOperationException">One of them is none of this tokenizer.</exception>
    public sealed override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return Encoding.UTF8.GetString(
            [.. ids.SelectMany(id => Has(id) ? _bytes[id] : throw new InvalidOperationException(NoSuchToken(id)))]);
    }

    /// <summary>
    /// Writes the text that tokens stand for; a character that is not complete at the end is left out.
    /// </summary>
    /// <param name="ids">The tokens.</param>
    /// <param name="destination">Where the text goes.</param>
    /// <param name="idsConsumed">The number of tokens whose text is written.</param>
    /// <param name="charsWritten">The length of the text that is written.</param>
    public sealed override OperationStatus Decode(
        IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        ArgumentNullException.ThrowIfNull(ids);
        idsConsumed = charsWritten = 0;
        Decoder decoder = Encoding.UTF8.GetDecoder();
        int read = 0;
        foreach (int id in ids)
        {
            if (!Has(id))
                return OperationStatus.InvalidData;
            if (decoder.GetCharCount(_bytes[id], flush: false) > destination.Length - charsWritten)
                return OperationStatus.DestinationTooSmall;
            charsWritten += decoder.GetChars(_bytes[id], destination[charsWritten..], flush: false);
            read++;
            if (decoder.GetCharCount([], flush: true) == 0) // no character is incomplete
                idsConsumed = read;
        }
        return OperationStatus.Done;
    }

    /// <inheritdoc/>
    protected sealed override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    /// <summary>What a saved model keeps of it.</summary>
    internal abstract SavedTokenizer ToSaved();

    private bool Has(int id) => (uint)id < (uint)_bytes.Length;

    private string NoSuchToken(int id) =>
        $"Token {id} is none of this tokenizer's, which are 0 to {VocabularySize - 1}.";
}

/// <summary>A tokenizer that encodes each Unicode character for itself, but for words that it knows as a whole.</summary>
public abstract class ScalarTokenizer : GptTokenizer
{
    private readonly Dictionary<Rune, int> _ids;
    private readonly UnknownCharacters _unknown;

    // Characters, then what unknown ones need, then words, then the end of a text.
    private protected ScalarTokenizer(Rune[] characters, UnknownCharacters unknown, IReadOnlyList<string> words, bool endOfText)
        : this(
            unknown == UnknownCharacters.Replace ? [.. characters.Append(Rune.ReplacementChar).Distinct()] : characters,
            unknown, unknown == UnknownCharacters.Bytes ? 256 : 0, words, endOfText)
    {
    }

    private ScalarTokenizer(Rune[] characters, UnknownCharacters unknown, int bytes, IReadOnlyList<string> words, bool endOfText)
        : base(
            [
                .. characters.Select(rune => Encoding.UTF8.GetBytes(rune.ToString())),
                .. Enumerable.Range(0, bytes).Select(b => (byte[])[(byte)b]),
                .. words.Select(Encoding.UTF8.GetBytes),
                .. endOfText ? [[]] : (byte[][])[],
            ],
            endOfText ? characters.Length + bytes + words.Count : null)
    {
        _ids = characters.Select((rune, id) => KeyValuePair.Create(rune, id)).ToDictionary();
        _unknown = unknown;
    }

    /// <inheritdoc/>
    protected sealed override EncodeResults<EncodedToken> EncodeToTokens(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        if (text is not null)
            textSpan = text;
        var tokens = new List<EncodedToken>(textSpan.Length);
        Span<int> ids = stackalloc int[4];
        int at = 0;
        while (Next(textSpan, at, ids, settings.MaxTokenCount - tokens.Count, out int count, out int length))
        {
            string value = textSpan.Slice(at, length).ToString();
            foreach (int id in ids[..count])
                tokens.Add(new EncodedToken(id, value, at..(at + length)));
            at += length;
        }
        return new() { Tokens = tokens, CharsConsumed = at };
    }

    /// <inheritdoc/>
    protected sealed override EncodeResults<int> EncodeToIds(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        if (text is not null)
            textSpan = text;
        var tokens = new List<int>(textSpan.Length);
        Span<int> ids = stackalloc int[4];
        int at = 0;
        for (; Next(textSpan, at, ids, settings.MaxTokenCount - tokens.Count, out int count, out int length); at += length)
            tokens.AddRange(ids[..count]);
        return new() { Tokens = tokens, CharsConsumed = at };
    }

    // A character's tokens stay together: the last one that does not fit as a whole is left out.
    private bool Next(ReadOnlySpan<char> text, int at, Span<int> ids, int room, out int count, out int length)
    {
        count = length = 0;
        if (at >= text.Length)
            return false;
        if (Word(text, at, out ids[0], out length))
        {
            count = 1;
            return room > 0;
        }
        Rune.DecodeFromUtf16(text[at..], out Rune rune, out length);
        count = 1;
        if (!_ids.TryGetValue(rune, out ids[0]))
        {
            switch (_unknown)
            {
                case UnknownCharacters.Replace:
                    ids[0] = _ids[Rune.ReplacementChar];
                    break;
                case UnknownCharacters.Bytes:
                    Span<byte> bytes = stackalloc byte[4];
                    count = rune.EncodeToUtf8(bytes);
                    for (int i = 0; i < count; i++)
                        ids[i] = _ids.Count + bytes[i];
                    break;
                default:
                    throw new InvalidOperationException(string.Create(
                        CultureInfo.InvariantCulture,
                        $"The text has the character '{rune}' (U+{rune.Value:X4}) at position {at}, which is none of the "
                        + $"{_ids.Count} characters that the tokenizer knows. {nameof(UnknownCharacters)}."
                        + $"{UnknownCharacters.Replace} or {UnknownCharacters.Bytes} would encode it."));
            }
        }
        return count <= room;
    }

    /// <summary>The known word that begins there, its token and length; false: there is none.</summary>
    private protected virtual bool Word(ReadOnlySpan<char> text, int at, out int id, out int length)
    {
        id = length = 0;
        return false;
    }
}

/// <summary>
/// Encodes each Unicode character as one token, where it is among those that the vocabulary was made of.
/// </summary>
/// <remarks>
/// Tokens are numbered in the order of the characters' code points; after them come, where there are any, those that
/// unknown characters need, and the one that stands between documents.
/// </remarks>
public sealed class CharacterTokenizer : ScalarTokenizer
{
    /// <summary>Creates a tokenizer for the characters of a text.</summary>
    /// <param name="text">Has each character of the vocabulary at least once; order and number do not matter.</param>
    /// <param name="unknown">What is done with all other characters. Default: they are replaced by U+FFFD.</param>
    /// <param name="endOfText">Whether there is a token that stands between documents. Default: no.</param>
    /// <exception cref="ArgumentException">The text is empty.</exception>
    public CharacterTokenizer(
        string text, UnknownCharacters unknown = UnknownCharacters.Replace, bool endOfText = false)
        : this(Sorted(text), unknown, endOfText)
    {
        if (!Enum.IsDefined(unknown))
            throw new ArgumentOutOfRangeException(
                nameof(unknown), unknown, "There is no such treatment of characters.");
    }

    private CharacterTokenizer(Rune[] sorted, UnknownCharacters unknown, bool endOfText)
        : base(sorted, unknown, [], endOfText) => (Characters, Unknown) = (string.Concat(sorted), unknown);

    /// <summary>The characters that it knows, in the order of their tokens.</summary>
    public string Characters { get; }

    /// <summary>What is done with other characters.</summary>
    public UnknownCharacters Unknown { get; }

    internal override SavedTokenizer ToSaved() => new()
    {
        Kind = TokenizerKind.Characters,
        Characters = Characters,
        Unknown = Unknown,
        EndOfText = EndOfTextId is not null,
    };

    private static Rune[] Sorted(string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        return [.. text.EnumerateRunes().Distinct().Order()];
    }
}

/// <summary>What a <see cref="CharacterTokenizer"/> does with a character that its vocabulary does not have.</summary>
public enum UnknownCharacters
{
    /// <summary>Encodes it as U+FFFD, the replacement character, which has a token for that.</summary>
    Replace,

    /// <summary>Encodes it as its UTF-8 bytes, for which there are 256 tokens: it comes back as it was.</summary>
    Bytes,

    /// <summary>
    /// Throws <see cref="InvalidOperationException"/>, which names the character and where it stands.
    /// </summary>
    Error,
}

/// <summary>
/// Encodes text as its UTF-8 bytes, one token each: 256 tokens, any text, and no vocabulary to learn.
/// </summary>
public sealed class ByteTokenizer : ScalarTokenizer
{
    /// <summary>Creates one.</summary>
    /// <param name="endOfText">
    /// Whether there is a token, number 256, that stands between documents. Default: no.
    /// </param>
    public ByteTokenizer(bool endOfText = false)
        : base([], UnknownCharacters.Bytes, [], endOfText)
    {
    }

    internal override SavedTokenizer ToSaved() =>
        new() { Kind = TokenizerKind.Bytes, EndOfText = EndOfTextId is not null };
}

/// <summary>The kinds of tokenizers that can be saved.</summary>
internal enum TokenizerKind
{
    Characters,
    Bytes,
    BytePairs,
    Words,
}

/// <summary>What <c>options.json</c> holds of a tokenizer.</summary>
internal sealed record SavedTokenizer
{
    public required TokenizerKind Kind { get; init; }

    /// <summary>Whether characters, bytes or words have a token for the end of a text.</summary>
    public bool EndOfText { get; init; }

    public string? Characters { get; init; }

    public UnknownCharacters? Unknown { get; init; }

    /// <summary>A byte-pair vocabulary in the order of its numbers, as GPT-2 writes it; or words.</summary>
    public IReadOnlyList<string>? Tokens { get; init; }

    public IReadOnlyList<string>? Merges { get; init; }

    /// <summary>The tokenizer that this was made of.</summary>
    /// <exception cref="FormatException">There can be no such tokenizer.</exception>
    public GptTokenizer Restore()
    {
        try
        {
            return this switch
            {
                { Kind: TokenizerKind.Bytes } => new ByteTokenizer(EndOfText),
                { Kind: TokenizerKind.Characters, Characters: string characters, Unknown: UnknownCharacters unknown } =>
                    new CharacterTokenizer(characters, unknown, EndOfText),
                { Kind: TokenizerKind.BytePairs, Tokens: { } tokens, Merges: { } merges } =>
                    new BytePairTokenizer([.. tokens], [.. merges]),
                { Kind: TokenizerKind.Words, Tokens: { } words } => new WordTokenizer(words, EndOfText),
                _ => throw new FormatException("The saved tokenizer lacks its vocabulary."),
            };
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved tokenizer is damaged: {invalid.Message}");
        }
    }
}
