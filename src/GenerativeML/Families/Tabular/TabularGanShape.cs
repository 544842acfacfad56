namespace GenerativeML;

/// <summary>The shape of a <see cref="TrainedTabularGan"/>.</summary>
internal sealed record TabularGanShape : TableModelShape
{
    /// <summary>The most hidden layers of a network.</summary>
    public const int MostLayers = 16;

    /// <summary>Slots of the noise, Z.</summary>
    public required int NoiseDimension { get; init; }

    /// <summary>Widths of the hidden layers.</summary>
    public required IReadOnlyList<int> HiddenLayers { get; init; }

    /// <summary>The number of tokens of each position, T together.</summary>
    public required IReadOnlyList<int> Tokens { get; init; }

    /// <summary>The number of modes of each position; zero for categories.</summary>
    public required IReadOnlyList<int> Modes { get; init; }

    /// <summary>The positions that are numbers: each has an offset beside its tokens.</summary>
    public required IReadOnlyList<int> Numbers { get; init; }

    /// <summary>Slots of a row: a slot for each token, then the offsets.</summary>
    public int RowWidth => Tokens.Sum() + Numbers.Count;

    /// <summary>Where the tokens of each position begin.</summary>
    public long[] Starts() => [.. Tokens.Select((_, p) => Tokens.Take(p).Sum(n => (long)n))];

    /// <inheritdoc/>
    public override void Check(TableShape table)
    {
        IReadOnlyList<int> order = TokenTable.OrderOf(table);
        bool sound = NoiseDimension is >= 1 and <= MostWidth
            && HiddenLayers.Count is >= 1 and <= MostLayers
            && HiddenLayers.All(w => w is >= 1 and <= MostWidth)
            && Tokens.Count == order.Count
            && Modes.Count == order.Count
            && Tokens.All(n => n is >= 1 and <= MostTokens)
            && Tokens.Sum(n => (long)n) <= int.MaxValue / 2
            && Numbers.SequenceEqual(Enumerable.Range(0, order.Count).Where(p => IsNumber(p)))
            && order.Zip(Tokens, Modes).All(p => table.Columns[p.First].Kind == TableColumnKind.Continuous
                ? p.Third >= 0 && p.Third <= p.Second && p.Second <= p.Third + 1
                : p.Third == 0 && p.Second <= table.Columns[p.First].Categories);
        if (!sound)
            throw new FormatException("The saved table generator's shape is out of range.");

        bool IsNumber(int position) => table.Columns[order[position]].Kind == TableColumnKind.Continuous;
    }

    /// <summary>The number of the generator's weights, without building anything.</summary>
    public long Elements()
    {
        long width = NoiseDimension + Tokens.Sum(n => (long)n), elements = 0;
        foreach (int hidden in HiddenLayers)
        {
            elements += (width + 5) * hidden; // with the bias, and the four tensors of the norm
            width += hidden;
        }
        return elements + (width + 1) * RowWidth;
    }
}
