using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// A tokenizer's tokens with the special ones that a masked language model needs: those of word pieces are among them,
/// any other tokenizer's follow on its own.
/// </summary>
internal sealed class MaskedVocabulary
{
    private const int Starts = 1, Ends = 2; // whether a token begins, or ends, within a word

    private readonly IReadOnlyList<string>? _pieces;
    private readonly byte[] _words;

    public MaskedVocabulary(TokenCodec codec, WordPieceVocabulary? pieces)
    {
        (Codec, Pieces, _pieces) = (codec, pieces, pieces?.Tokens);
        int size = codec.VocabularySize;
        (Padding, Class, Separator, Mask) = pieces is null
            ? (size, size + 1, size + 2, size + 3)
            : (pieces.PaddingId, pieces.ClassId, pieces.SeparatorId, pieces.MaskId);
        Size = pieces is null ? size + MaskedLanguageModelOptions.AddedTokens : size;
        _words = [.. Enumerable.Range(0, size).Select(WordPlace)];
    }

    public TokenCodec Codec { get; }

    public WordPieceVocabulary? Pieces { get; }

    /// <summary>All tokens, V.</summary>
    public int Size { get; }

    /// <summary>What fills up shorter texts of a batch.</summary>
    public int Padding { get; }

    /// <summary>What stands before a text.</summary>
    public int Class { get; }

    /// <summary>What stands behind it.</summary>
    public int Separator { get; }

    /// <summary>What stands for a token that is to be told.</summary>
    public int Mask { get; }

    /// <summary>Whether a token is one of a text.</summary>
    public bool IsOrdinary(int token) => token != Padding && token != Class && token != Separator && token != Mask;

    /// <summary>Whether a token goes on with the word that the one before it is of.</summary>
    public bool GoesOn(int before, int token) => _pieces is not null
        ? (_words[token] & Starts) != 0
        : (_words[before] & Ends) != 0 && (_words[token] & Starts) != 0;

    /// <summary>A random ordinary token.</summary>
    public int Draw(ref SplitMix64 random)
    {
        while (true)
        {
            int token = random.Next(Codec.VocabularySize);
            if (IsOrdinary(token))
                return token;
        }
    }

    /// <summary>What people read of a token.</summary>
    public string TextOf(int token) =>
        token < (_pieces?.Count ?? 0) ? _pieces![token]
        : token == Padding ? "[PAD]" : token == Class ? "[CLS]" : token == Separator ? "[SEP]"
        : token == Mask ? WordPieceVocabulary.Mask
        : Codec.Tokenizer is GptTokenizer own
            ? token < own.VocabularySize ? Encoding.UTF8.GetString(own.GetBytes(token)) : ""
        : Codec.Tokenizer.Decode([token]) ?? "";

    /// <summary>A text's tokens, with a mask wherever it says <c>[MASK]</c>.</summary>
    public int[] EncodeMasked(string text)
    {
        string[] parts = text.Split(WordPieceVocabulary.Mask);
        return [.. parts.SelectMany((part, i) => i == 0 ? Codec.Encode(part) : [Mask, .. Codec.Encode(part)])];
    }

    // By its text: letters, digits, underscores and what is beyond ASCII are of words.
    private byte WordPlace(int token)
    {
        if (_pieces is not null)
        {
            bool goesOn = token < _pieces.Count
                && _pieces[token].StartsWith(WordPieceVocabulary.Continuation, StringComparison.Ordinal);
            return (byte)(goesOn ? Starts : 0);
        }
        ReadOnlySpan<byte> text = Codec.Tokenizer is GptTokenizer own
            ? token < own.VocabularySize ? own.GetBytes(token) : []
            : Encoding.UTF8.GetBytes(Codec.Tokenizer.Decode([token]) ?? "");
        return text.Length == 0 ? (byte)0 : (byte)((IsOfWord(text[0]) ? Starts : 0) | (IsOfWord(text[^1]) ? Ends : 0));

        static bool IsOfWord(byte b) => b >= 128 || b == '_' || char.IsAsciiLetterOrDigit((char)b);
    }
}

/// <summary>What <c>options.json</c> holds of a masked model's vocabulary: a tokenizer, or word pieces.</summary>
internal sealed record SavedMaskedVocabulary
{
    public SavedTokenizer? Tokenizer { get; init; }

    public IReadOnlyList<string>? WordPieces { get; init; }

    public bool LowerCase { get; init; }

    public static SavedMaskedVocabulary Of(MaskedVocabulary vocabulary) => vocabulary switch
    {
        { Pieces: { } pieces } => new() { WordPieces = pieces.Tokens, LowerCase = pieces.LowerCase },
        { Codec.Tokenizer: GptTokenizer own } => new() { Tokenizer = own.ToSaved() },
        _ => throw new InvalidOperationException(
            $"The model's tokenizer is a {vocabulary.Codec.Tokenizer.GetType().Name}, which cannot be saved inside a model. "
            + $"A {nameof(BytePairTokenizer)}, {nameof(WordTokenizer)}, {nameof(CharacterTokenizer)} or {nameof(ByteTokenizer)} can, "
            + $"and option {nameof(MaskedLanguageModelOptions.WordPieces)}."),
    };

    /// <summary>The vocabulary, and options that name it.</summary>
    /// <exception cref="FormatException">There can be no such vocabulary.</exception>
    /// <exception cref="ArgumentException">It does not fit the options.</exception>
    public (MaskedVocabulary Vocabulary, MaskedLanguageModelOptions Options) Restore(MaskedLanguageModelOptions options)
    {
        if (WordPieces is null == Tokenizer is null)
            throw new FormatException("The saved model has no vocabulary, or two.");
        WordPieceVocabulary? pieces = WordPieces is null ? null : new WordPieceVocabulary(WordPieces, LowerCase);
        TokenCodec codec = pieces is null
            ? TokenCodec.For(Tokenizer!.Restore(), options.VocabularySize) with { EndOfText = null }
            : CodecOf(pieces, options.VocabularySize);
        options = (MaskedLanguageModelOptions)options.With(codec) with { WordPieces = pieces, InitialWeights = null };
        options.Validate();
        return (new MaskedVocabulary(codec, pieces), options);
    }

    /// <summary>Word pieces as models use them; a table of embeddings may have more rows than there are pieces.</summary>
    /// <exception cref="ArgumentException">It has fewer.</exception>
    public static TokenCodec CodecOf(WordPieceVocabulary pieces, int? size) =>
        size is int given && given < pieces.Tokens.Count
            ? throw new ArgumentException(
                $"The word pieces are {pieces.Tokens.Count}, and option VocabularySize allows {given}.")
            : new(pieces.Tokenizer, size ?? pieces.Tokens.Count, null);
}
