using System.Text;

namespace GenerativeML;

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
