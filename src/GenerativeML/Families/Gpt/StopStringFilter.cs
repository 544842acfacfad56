namespace GenerativeML;

/// <summary>
/// Lets a text through, piece by piece, up to the first stop string: what could be the beginning of one is held back
/// until it is certain.
/// </summary>
internal sealed class StopStringFilter(IReadOnlyList<string> stopStrings)
{
    private string _held = "";

    /// <summary>Whether a stop string has appeared.</summary>
    public bool Stopped { get; private set; }

    /// <summary>Adds a piece and gives what is certain to be before any stop string.</summary>
    public string Add(string piece)
    {
        string text = _held + piece;
        int stop = FirstStop(text);
        Stopped |= stop >= 0;
        int certain = stop >= 0 ? stop : text.Length - LongestBeginning(text);
        _held = stop >= 0 ? "" : text[certain..];
        return text[..certain];
    }

    /// <summary>Ends the text: what was held back turned out to be no stop string.</summary>
    public string Finish() => _held;

    private int FirstStop(string text)
    {
        int first = -1;
        foreach (string stop in stopStrings)
        {
            int at = text.IndexOf(stop, StringComparison.Ordinal);
            if (at >= 0 && (first < 0 || at < first))
                first = at;
        }
        return first;
    }

    // The longest end of the text that a stop string begins with.
    private int LongestBeginning(string text)
    {
        int longest = 0;
        foreach (string stop in stopStrings)
        {
            for (int length = Math.Min(stop.Length - 1, text.Length); length > longest; length--)
            {
                if (text.AsSpan(text.Length - length).SequenceEqual(stop.AsSpan(0, length)))
                    longest = length;
            }
        }
        return longest;
    }
}
