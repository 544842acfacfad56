namespace GenerativeML.Benchmarks;

/// <summary>What a character stands between in a text, counted: a peer for models that read from both sides.</summary>
internal sealed class NeighbourCounts
{
    private readonly Dictionary<(char? Left, char? Right), Dictionary<char, int>> _counts = [];

    /// <summary>Counts a text: each character by both neighbours, by either and by none.</summary>
    public NeighbourCounts(string text)
    {
        for (int i = 1; i + 1 < text.Length; i++)
        {
            foreach ((char?, char?) around in (ReadOnlySpan<(char?, char?)>)[(text[i - 1], text[i + 1]), (text[i - 1], null), (null, text[i + 1]), (null, null)])
            {
                if (!_counts.TryGetValue(around, out Dictionary<char, int>? found))
                    _counts[around] = found = [];
                found[text[i]] = found.GetValueOrDefault(text[i]) + 1;
            }
        }
    }

    /// <summary>
    /// The most frequent character between neighbours, null for one that is hidden. Where both were never seen together, by
    /// the left one, then the right one, then by none.
    /// </summary>
    public char Best(char? left, char? right) =>
        Most(left, right) ?? Most(left, null) ?? Most(null, right) ?? Most(null, null)!.Value;

    private char? Most(char? left, char? right) => _counts.TryGetValue((left, right), out Dictionary<char, int>? found)
        ? found.OrderByDescending(c => c.Value).ThenBy(c => c.Key).First().Key
        : null;
}

/// <summary>A model of lines by each character's two before it, a beginning and an end counted too.</summary>
internal sealed class CharacterTrigrams
{
    private const char Begin = '\u0002', End = '\u0003';
    private const double Added = 0.1; // to each count

    private readonly Dictionary<(char, char), Dictionary<char, int>> _counts = [];
    private readonly int _characters;

    /// <summary>Counts lines.</summary>
    public CharacterTrigrams(IEnumerable<string> lines)
    {
        HashSet<char> characters = [];
        foreach (string line in lines)
        {
            string text = Framed(line);
            characters.UnionWith(text);
            for (int i = 2; i < text.Length; i++)
            {
                if (!_counts.TryGetValue((text[i - 2], text[i - 1]), out Dictionary<char, int>? found))
                    _counts[(text[i - 2], text[i - 1])] = found = [];
                found[text[i]] = found.GetValueOrDefault(text[i]) + 1;
            }
        }
        _characters = characters.Count;
    }

    /// <summary>The mean of −log p over a line's characters and its end.</summary>
    public float Score(string line)
    {
        string text = Framed(line);
        double sum = 0;
        for (int i = 2; i < text.Length; i++)
        {
            Dictionary<char, int>? found = _counts.GetValueOrDefault((text[i - 2], text[i - 1]));
            double all = found?.Values.Sum() ?? 0;
            sum -= Math.Log(((found?.GetValueOrDefault(text[i]) ?? 0) + Added) / (all + Added * _characters));
        }
        return (float)(sum / (text.Length - 2));
    }

    private static string Framed(string line) => $"{Begin}{Begin}{line}{End}";
}
