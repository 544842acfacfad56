using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>A tokenizer that encodes each Unicode character for itself.</summary>
public abstract class ScalarTokenizer : GptTokenizer
{
    private protected const int MaxIds = 4;

    private protected ScalarTokenizer()
    {
    }

    /// <summary>
    /// A character's tokens, at most <see cref="MaxIds"/>: how many there are. Zero: it cannot be encoded.
    /// </summary>
    private protected abstract int EncodeRune(Rune rune, Span<int> ids);

    /// <summary>The error for a character that cannot be encoded.</summary>
    private protected virtual InvalidOperationException UnknownError(Rune rune, int position) =>
        throw new NotSupportedException();

    /// <inheritdoc/>
    protected sealed override EncodeResults<EncodedToken> EncodeToTokens(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        if (text is not null)
            textSpan = text;
        var tokens = new List<EncodedToken>(textSpan.Length);
        Span<int> ids = stackalloc int[MaxIds];
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
        Span<int> ids = stackalloc int[MaxIds];
        int at = 0;
        for (; Next(textSpan, at, ids, settings.MaxTokenCount - tokens.Count, out int count, out int length); at += length)
            tokens.AddRange(ids[..count]);
        return new() { Tokens = tokens, CharsConsumed = at };
    }

    /// <inheritdoc/>
    protected sealed override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    // A character's tokens stay together: the last one that does not fit as a whole is left out.
    private bool Next(
        ReadOnlySpan<char> text, int at, Span<int> ids, int room, out int count, out int length)
    {
        count = length = 0;
        if (at >= text.Length)
            return false;
        Rune.DecodeFromUtf16(text[at..], out Rune rune, out length);
        count = EncodeRune(rune, ids);
        return count == 0 ? throw UnknownError(rune, at) : count <= room;
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
    private readonly UnknownCharacters _unknown;
    private readonly Dictionary<Rune, int> _ids = [];
    private readonly byte[][] _bytes;
    private readonly string _characters;

    /// <summary>Creates a tokenizer for the characters of a text.</summary>
    /// <param name="text">Has each character of the vocabulary at least once; order and number do not matter.</param>
    /// <param name="unknown">What is done with all other characters. Default: they are replaced by U+FFFD.</param>
    /// <param name="endOfText">Whether there is a token that stands between documents. Default: no.</param>
    /// <exception cref="ArgumentException">The text is empty.</exception>
    public CharacterTokenizer(
        string text, UnknownCharacters unknown = UnknownCharacters.Replace, bool endOfText = false)
        : this(RunesOf(text), unknown, endOfText)
    {
    }

    internal CharacterTokenizer(IEnumerable<Rune> characters, UnknownCharacters unknown, bool endOfText)
    {
        if (!Enum.IsDefined(unknown))
            throw new ArgumentOutOfRangeException(
                nameof(unknown), unknown, "There is no such treatment of characters.");
        Rune[] sorted = [.. characters.Distinct().Order()];
        if (sorted.Length == 0)
            throw new ArgumentException("A vocabulary of characters needs one at least.", nameof(characters));
        _unknown = unknown;
        _characters = string.Concat(sorted);
        if (unknown == UnknownCharacters.Replace && !sorted.Contains(Rune.ReplacementChar))
            sorted = [.. sorted, Rune.ReplacementChar];
        for (int id = 0; id < sorted.Length; id++)
            _ids.Add(sorted[id], id);
        _bytes = [.. sorted.Select(rune => Encoding.UTF8.GetBytes(rune.ToString()))];
        int size = sorted.Length + (unknown == UnknownCharacters.Bytes ? 256 : 0);
        EndOfTextId = endOfText ? size : null;
        VocabularySize = endOfText ? size + 1 : size;
    }

    /// <inheritdoc/>
    public override int VocabularySize { get; }

    /// <inheritdoc/>
    public override int? EndOfTextId { get; }

    /// <summary>The characters that it knows, in the order of their tokens.</summary>
    public string Characters => _characters;

    /// <summary>What is done with other characters.</summary>
    public UnknownCharacters Unknown => _unknown;

    private protected override int EncodeRune(Rune rune, Span<int> ids)
    {
        if (_ids.TryGetValue(rune, out ids[0]))
            return 1;
        if (_unknown == UnknownCharacters.Bytes)
            return ByteTokenizer.Encode(rune, _bytes.Length, ids);
        ids[0] = _unknown == UnknownCharacters.Replace ? _ids[Rune.ReplacementChar] : 0;
        return _unknown == UnknownCharacters.Replace ? 1 : 0;
    }

    private protected override InvalidOperationException UnknownError(Rune rune, int position) => new(string.Create(
        CultureInfo.InvariantCulture,
        $"The text has the character '{rune}' (U+{rune.Value:X4}) at position {position}, which is none of the "
        + $"{_ids.Count} characters that the tokenizer knows. {nameof(UnknownCharacters)}.{UnknownCharacters.Replace} "
        + $"or {UnknownCharacters.Bytes} would encode it."));

    private protected override ReadOnlySpan<byte> BytesOf(int id) =>
        id < _bytes.Length ? _bytes[id] : id == EndOfTextId ? [] : ByteTokenizer.Single(id - _bytes.Length);

    internal override SavedTokenizer ToSaved() => new()
    {
        Kind = TokenizerKind.Characters,
        Characters = _characters,
        Unknown = _unknown,
        EndOfText = EndOfTextId is not null,
    };

    private static StringRuneEnumerator RunesOf(string text)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        return text.EnumerateRunes();
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
    private static readonly byte[] s_bytes = [.. Enumerable.Range(0, 256).Select(b => (byte)b)];

    private readonly bool _endOfText;

    /// <summary>Creates one.</summary>
    /// <param name="endOfText">
    /// Whether there is a token, number 256, that stands between documents. Default: no.
    /// </param>
    public ByteTokenizer(bool endOfText = false) => _endOfText = endOfText;

    /// <inheritdoc/>
    public override int VocabularySize => _endOfText ? 257 : 256;

    /// <inheritdoc/>
    public override int? EndOfTextId => _endOfText ? 256 : null;

    /// <summary>Writes a character's bytes as tokens.</summary>
    internal static int Encode(Rune rune, int firstId, Span<int> ids)
    {
        Span<byte> bytes = stackalloc byte[4];
        int count = rune.EncodeToUtf8(bytes);
        for (int i = 0; i < count; i++)
            ids[i] = firstId + bytes[i];
        return count;
    }

    /// <summary>A byte, as a sequence of one.</summary>
    internal static ReadOnlySpan<byte> Single(int value) => s_bytes.AsSpan(value, 1);

    private protected override int EncodeRune(Rune rune, Span<int> ids) => Encode(rune, 0, ids);

    private protected override ReadOnlySpan<byte> BytesOf(int id) => id < 256 ? Single(id) : [];

    internal override SavedTokenizer ToSaved() => new() { Kind = TokenizerKind.Bytes, EndOfText = _endOfText };
}
