using System.Text;

namespace GenerativeML;

/// <summary>Tokenizers that are learned from training texts.</summary>
internal static class LearnedTokenizer
{
    /// <summary>
    /// At most so many byte pairs, or words, where their number is given, otherwise the texts' characters; with a token for a
    /// text's end where that is wanted.
    /// </summary>
    public static GptTokenizer Of(
        IEnumerable<string> texts, int? bytePairs, int? words, UnknownCharacters unknown, bool endOfText,
        CancellationToken cancellation)
    {
        if (words is int most)
            return WordTokenizer.Train(texts, most, endOfText: endOfText, cancellationToken: cancellation);
        if (bytePairs is int size)
        {
            return BytePairTokenizer.Train(texts, new()
            {
                VocabularySize = size,
                EndOfText = endOfText,
                CancellationToken = cancellation,
            });
        }
        var characters = new HashSet<Rune>();
        foreach (string text in texts)
            characters.UnionWith(text.EnumerateRunes());
        return new CharacterTokenizer(string.Concat(characters), unknown, endOfText);
    }
}
