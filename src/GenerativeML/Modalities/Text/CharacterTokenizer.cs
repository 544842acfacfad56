using System.Globalization;
using System.Text;

namespace GenerativeML;

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
        if (!_ids.TryGetValue(rune, out ids[0]))
        {
            switch (_unknown)
            {
                case UnknownCharacters.Bytes:
                    return ByteTokenizer.Encode(rune, _bytes.Length, ids);
                case UnknownCharacters.Error:
                    return 0;
                default:
                    ids[0] = _ids[Rune.ReplacementChar];
                    break;
            }
        }
        return 1;
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
