using System.Buffers;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// A tokenizer that a saved GPT carries inside: each of its tokens stands for a fixed sequence of UTF-8 bytes.
/// </summary>
/// <remarks>Tokenizers are immutable and may be used from several threads at once.</remarks>
public abstract class GptTokenizer : Tokenizer
{
    private protected GptTokenizer()
    {
    }

    /// <summary>The number of tokens; they are numbered from 0.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>
    /// The token that stands between documents, and has no text; null where there is none. No text is ever encoded to
    /// it.
    /// </summary>
    public abstract int? EndOfTextId { get; }

    /// <summary>The bytes that a token stands for: a character, a part of one, or several.</summary>
    /// <param name="id">The token, from 0 to <see cref="VocabularySize"/> − 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such token.</exception>
    public ReadOnlySpan<byte> GetBytes(int id)
    {
        if (id < 0 || id >= VocabularySize)
            throw new ArgumentOutOfRangeException(nameof(id), id, NoSuchToken(id));
        return BytesOf(id);
    }

    /// <summary>The text that tokens stand for, with U+FFFD in the place of bytes that are no UTF-8.</summary>
    /// <param name="ids">The tokens.</param>
    /// <exception cref="InvalidOperationException">One of them is none of this tokenizer.</exception>
    public sealed override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        var bytes = new ArrayBufferWriter<byte>();
        foreach (int id in ids)
        {
            if (id < 0 || id >= VocabularySize)
                throw new InvalidOperationException(NoSuchToken(id));
            bytes.Write(BytesOf(id));
        }
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
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
        var pending = new ArrayBufferWriter<byte>();
        int read = 0;
        foreach (int id in ids)
        {
            if (id < 0 || id >= VocabularySize)
                return OperationStatus.InvalidData;
            read++;
            pending.Write(BytesOf(id));
            if (!EndsWithCharacter(pending.WrittenSpan))
                continue;
            if (!Encoding.UTF8.TryGetChars(pending.WrittenSpan, destination[charsWritten..], out int written))
                return OperationStatus.DestinationTooSmall;
            charsWritten += written;
            idsConsumed = read;
            pending.Clear();
        }
        return OperationStatus.Done;
    }

    /// <summary>The bytes of a token that there is.</summary>
    private protected abstract ReadOnlySpan<byte> BytesOf(int id);

    /// <summary>What a saved model keeps of it.</summary>
    internal abstract SavedTokenizer ToSaved();

    /// <summary>
    /// Whether no character is left incomplete by these bytes; those that are no UTF-8 never will be.
    /// </summary>
    private static bool EndsWithCharacter(ReadOnlySpan<byte> bytes) =>
        bytes.IsEmpty || Rune.DecodeLastFromUtf8(bytes, out _, out _) != OperationStatus.NeedMoreData;

    private string NoSuchToken(int id) =>
        $"Token {id} is none of this tokenizer's, which are 0 to {VocabularySize - 1}.";
}

/// <summary>The kinds of tokenizers that can be saved.</summary>
internal enum TokenizerKind
{
    Characters,
    Bytes,
    BytePairs,
}

/// <summary>What <c>options.json</c> holds of a tokenizer.</summary>
internal sealed record SavedTokenizer
{
    public required TokenizerKind Kind { get; init; }

    /// <summary>Whether characters or bytes have a token for the end of a text.</summary>
    public bool EndOfText { get; init; }

    /// <summary>The characters, each once.</summary>
    public string? Characters { get; init; }

    /// <summary>What is done with other characters.</summary>
    public UnknownCharacters? Unknown { get; init; }

    /// <summary>A byte-pair vocabulary in the order of its numbers, as GPT-2 writes it.</summary>
    public IReadOnlyList<string>? Tokens { get; init; }

    /// <summary>The merges of a byte-pair vocabulary, the first to be made first.</summary>
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
                    BytePairTokenizer.Create(tokens, merges),
                _ => throw new FormatException("The saved tokenizer lacks its vocabulary."),
            };
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved tokenizer is damaged: {invalid.Message}");
        }
    }
}
