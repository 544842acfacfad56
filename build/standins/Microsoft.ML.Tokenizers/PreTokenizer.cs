using System.Text.RegularExpressions;

namespace Microsoft.ML.Tokenizers;

public abstract class PreTokenizer
{
    public abstract IEnumerable<(int Offset, int Length)> PreTokenize(string text);

    public abstract IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text);
}

/// <summary>
/// Splits as GPT-2 does: contractions, then letters, digits and all else with at most one space before.
/// </summary>
public sealed partial class RobertaPreTokenizer : PreTokenizer
{
    public static RobertaPreTokenizer Instance { get; } = new();

    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) =>
        PreTokenize(text.ToString());

    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text)
    {
        for (Match match = Pieces.Match(text); match.Success; match = match.NextMatch())
            yield return (match.Index, match.Length);
    }

    [GeneratedRegex(@"'(?:ll|re|ve|[dmst])| ?\p{L}+| ?\p{N}+| ?[^\p{L}\p{N}\s]+|\s+(?!\S)|\s")]
    private static partial Regex Pieces { get; }
}
