namespace GenerativeML;

/// <summary>
/// How the columns of the data become those that a generator learns, so that constraints always hold.
/// </summary>
internal sealed record TablePlan
{
    /// <summary>Fields of the data that become one categorical column.</summary>
    public required IReadOnlyList<TableCombination> Combinations { get; init; }

    /// <summary>
    /// Fields that become their distance from others; each comes after those whose upper field is one of its own.
    /// </summary>
    public required IReadOnlyList<TableDifference> Differences { get; init; }

    /// <summary>Checks a plan that came from a file.</summary>
    /// <exception cref="FormatException">It does not fit the data.</exception>
    public void Check(TableShape data)
    {
        var used = new HashSet<int>();
        foreach (TableCombination combination in Combinations)
            combination.Check(data, used);
        var pending = Differences.Select(d => d.Upper).ToHashSet();
        bool sound = pending.Count == Differences.Count;
        foreach (TableDifference difference in Differences)
        {
            pending.Remove(difference.Upper);
            difference.Column.Check();
            sound &= difference.Column.Kind == TableColumnKind.Continuous
                && difference.Lowers.Count > 0
                && difference.Lowers.Append(difference.Upper).All(f => IsNumber(f) && !pending.Contains(f))
                && !difference.Lowers.Contains(difference.Upper);
        }
        if (!sound)
            throw TableType.Unsound("its constraints do not fit its columns");

        bool IsNumber(int field) =>
            field >= 0 && field < data.Columns.Count && data.Columns[field].Kind == TableColumnKind.Continuous;
    }
}

/// <summary>Categorical fields of which only the combinations in the training rows occur.</summary>
internal sealed record TableCombination
{
    /// <summary>The fields, in rising order.</summary>
    public required IReadOnlyList<int> Fields { get; init; }

    /// <summary>For each code of the combined column, the codes of the fields.</summary>
    public required IReadOnlyList<IReadOnlyList<int>> Rows { get; init; }

    public void Check(TableShape data, HashSet<int> used)
    {
        bool sound = Fields.Count > 1 && Rows.Count is > 0 and <= TableColumn.MaxCategories
            && Fields.All(f => f >= 0 && f < data.Columns.Count
                && data.Columns[f].Kind == TableColumnKind.Categorical && used.Add(f))
            && Rows.All(row => row.Count == Fields.Count
                && row.Zip(Fields).All(p => p.First >= 0 && p.First < data.Columns[p.Second].Categories));
        if (!sound)
            throw TableType.Unsound("its combinations do not fit its columns");
    }
}

/// <summary>A number that is at least as great as some others: the greatest of them plus a gap.</summary>
internal sealed record TableDifference
{
    /// <summary>The greater field.</summary>
    public required int Upper { get; init; }

    /// <summary>The fields that are not greater; those that are missing in a row do not count there.</summary>
    public required IReadOnlyList<int> Lowers { get; init; }

    /// <summary>The gap as a column; missing where the greater value is.</summary>
    public required TableColumn Column { get; init; }

    /// <summary>The gap between two numbers, without the digits that come of subtracting decimals.</summary>
    public static double Gap(double upper, double lower)
    {
        double gap = upper - lower, rounded = Math.Round(gap, 9);
        return Math.Abs(gap - rounded) <= 4e-16 * (Math.Abs(upper) + Math.Abs(lower)) ? rounded : gap;
    }

    /// <summary>What stands for the smaller values of a row where all are missing.</summary>
    public double FloorOf(TableShape data) => Lowers.Min(lower => data.Columns[lower].Min);
}

/// <summary>Numbers the combinations of some fields' codes as they come.</summary>
/// <param name="fields">The fields, in rising order.</param>
internal sealed class CombinationIndex(IReadOnlyList<int> fields)
{
    // First code and second → pair, pair and third → triple, …
    private readonly Dictionary<(int, int), int>[] _steps =
        [.. fields.Skip(1).Select(_ => new Dictionary<(int, int), int>())];

    /// <summary>An index of combinations that are known.</summary>
    public CombinationIndex(TableCombination combination)
        : this(combination.Fields)
    {
        foreach (IReadOnlyList<int> row in combination.Rows)
            Add(row);
    }

    /// <summary>The fields.</summary>
    public IReadOnlyList<int> Fields => fields;

    /// <summary>The combinations so far, by code.</summary>
    public List<IReadOnlyList<int>> Rows { get; } = [];

    /// <summary>The code of a combination, a new one if it was not there.</summary>
    public int Add(IReadOnlyList<int> codes)
    {
        int code = codes[0];
        for (int i = 1; i < codes.Count; i++)
        {
            if (_steps[i - 1].TryAdd((code, codes[i]), _steps[i - 1].Count) && i == codes.Count - 1)
                Rows.Add([.. codes]);
            code = _steps[i - 1][(code, codes[i])];
        }
        return code;
    }

    /// <summary>The code of a row of a block.</summary>
    /// <exception cref="InvalidOperationException">There is no such combination.</exception>
    public int Find(TableBlock block, int row)
    {
        int code = block.Codes(fields[0])[row];
        for (int i = 1; i < fields.Count; i++)
        {
            if (!_steps[i - 1].TryGetValue((code, block.Codes(fields[i])[row]), out code))
                throw TrainingTable.Changed(block.Shape.Columns[fields[i]].Name);
        }
        return code;
    }
}
