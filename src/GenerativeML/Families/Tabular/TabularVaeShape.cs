namespace GenerativeML;

/// <summary>The shape of a <see cref="TrainedTabularVae"/>.</summary>
internal sealed record TabularVaeShape : TableModelShape
{
    private const int MostSegments = 1 << 24;

    /// <summary>Slots of a code, Z.</summary>
    public required int LatentDimension { get; init; }

    /// <summary>Width of what the decoder knows of the code and of earlier columns, C.</summary>
    public required int ContextWidth { get; init; }

    /// <summary>Width of the decoder's hidden layers, of which each column has two, H.</summary>
    public required int HiddenWidth { get; init; }

    /// <summary>The number of tokens of each position.</summary>
    public required IReadOnlyList<int> Tokens { get; init; }

    /// <summary>The number of segments that the tokens of each position have together; zero for categories.</summary>
    public required IReadOnlyList<int> Segments { get; init; }

    /// <inheritdoc/>
    public override void Check(TableShape table)
    {
        IReadOnlyList<int> order = TokenTable.OrderOf(table);
        bool sound = LatentDimension is >= 1 and <= MostWidth
            && ContextWidth is >= 1 and <= MostWidth
            && HiddenWidth is >= 1 and <= MostWidth
            && Tokens.Count == order.Count
            && Segments.Count == order.Count
            && Tokens.All(n => n is >= 1 and <= MostTokens)
            && order.Zip(Tokens, Segments).All(p => table.Columns[p.First].Kind == TableColumnKind.Continuous
                ? p.Third is >= 0 and <= MostSegments
                : p.Third == 0 && p.Second <= table.Columns[p.First].Categories);
        if (!sound)
            throw new FormatException("The saved table generator's shape is out of range.");
    }

    /// <summary>The number of weights, without building anything.</summary>
    public long Elements()
    {
        long columns = Tokens.Count, tokens = Tokens.Sum(n => (long)n), h = HiddenWidth;
        return tokens * (ContextWidth + h + 1) + (LatentDimension + 1L) * ContextWidth
            + columns * (LatentDimension + ContextWidth + h + 2) * h;
    }
}
