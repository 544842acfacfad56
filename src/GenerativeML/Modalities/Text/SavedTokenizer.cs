using System.Text;

namespace GenerativeML;

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
