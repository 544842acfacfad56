using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>A tokenizer that encodes each Unicode character for itself.</summary>
public abstract class ScalarTokenizer : GptTokenizer
{
    private protected const int MostIds = 4;

    private protected ScalarTokenizer()
    {
    }

    /// <summary>
    /// A character's tokens, at most <see cref="MostIds"/>: how many there are. Zero: it cannot be encoded.
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
        Span<int> ids = stackalloc int[MostIds];
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
        Span<int> ids = stackalloc int[MostIds];
        int at = 0;
        while (Next(textSpan, at, ids, settings.MaxTokenCount - tokens.Count, out int count, out int length))
        {
            tokens.AddRange(ids[..count]);
            at += length;
        }
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
