using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// How captions become numbers that are conditions: the tokens of a byte-pair vocabulary, each one higher than its own
/// number, and zeros behind them. A caption that is not known is all zeros.
/// </summary>
/// <param name="Tokenizer">The vocabulary.</param>
/// <param name="Window">The most tokens of a caption.</param>
internal sealed record CaptionFormat(SavedTokenizer Tokenizer, int Window)
{
    /// <summary>The longest window.</summary>
    public const int MaxWindow = 512;

    private readonly Lazy<GptTokenizer> _tokenizer = new(Tokenizer.Restore);

    /// <summary>The numbers that slots hold: those of tokens, and zero.</summary>
    [JsonIgnore]
    public int Values => _tokenizer.Value.VocabularySize + 1;

    /// <summary>Learns a vocabulary of the captions; the window is given, or long enough for the longest of them.</summary>
    /// <param name="captions">The captions, which are read twice.</param>
    /// <param name="vocabularySize">The most tokens.</param>
    /// <param name="window">The window; null: by the longest caption.</param>
    /// <param name="cancellation">Stops the learning.</param>
    public static CaptionFormat Learn(
        IEnumerable<string> captions, int vocabularySize, int? window, CancellationToken cancellation)
    {
        BytePairTokenizer tokenizer = BytePairTokenizer.Train(captions, new BytePairOptions
        {
            VocabularySize = vocabularySize, EndOfText = false, CancellationToken = cancellation,
        });
        int longest = window ?? captions.Select(caption => tokenizer.CountTokens(caption)).DefaultIfEmpty(1).Max();
        return new(tokenizer.ToSaved(), Math.Clamp(longest, 1, MaxWindow));
    }

    /// <summary>Writes a caption as numbers, (window); false for one that is empty or too long, of which nothing is written.</summary>
    public bool TryEncode(string caption, Span<float> slots)
    {
        IReadOnlyList<int> tokens = _tokenizer.Value.EncodeToIds(caption);
        if (string.IsNullOrWhiteSpace(caption) || tokens.Count > Window)
            return false;
        slots.Clear();
        for (int i = 0; i < tokens.Count; i++)
            slots[i] = tokens[i] + 1;
        return true;
    }

    /// <summary>The caption that numbers stand for.</summary>
    public string Decode(ReadOnlySpan<float> slots)
    {
        var tokens = new List<int>(slots.Length);
        foreach (float slot in slots)
        {
            if (slot > 0)
                tokens.Add((int)slot - 1);
        }
        return tokens.Count == 0 ? "" : _tokenizer.Value.Decode(tokens);
    }

    /// <summary>Why a caption cannot be encoded.</summary>
    public string Refusal(string caption) => string.IsNullOrWhiteSpace(caption)
        ? "the caption is empty"
        : $"the caption has {_tokenizer.Value.CountTokens(caption)} tokens, and the model reads {Window} at most (option {nameof(ImageDiffusionOptions.CaptionWindow)})";

    /// <summary>Checks what came from a file.</summary>
    /// <exception cref="FormatException">The window is out of range, or there can be no such vocabulary.</exception>
    public void Check()
    {
        if (Window is < 1 or > MaxWindow)
            throw new FormatException($"The saved model's text window is {Window}.");
        _ = _tokenizer.Value;
    }
}
