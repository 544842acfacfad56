namespace GenerativeML;

/// <summary>A text while its tokens come in: whole characters, up to a stop string.</summary>
internal sealed class TextInProgress(ITextAssembler assembler, IReadOnlyList<string> stopStrings)
{
    private readonly StopStringFilter _filter = new(stopStrings);

    /// <summary>Whether a stop string has ended the text.</summary>
    public bool Stopped => _filter.Stopped;

    /// <summary>Adds a token and gives the text that is certain now.</summary>
    public string Add(int token) => _filter.Add(assembler.Add(token));

    /// <summary>No more tokens come: the rest of the text.</summary>
    public string End()
    {
        if (Stopped)
            return "";
        string rest = _filter.Add(assembler.Finish());
        return Stopped ? rest : rest + _filter.Finish();
    }
}
