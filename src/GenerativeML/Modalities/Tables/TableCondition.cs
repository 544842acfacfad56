namespace GenerativeML;

/// <summary>What rows are asked for: limits on some columns, all of which must hold.</summary>
/// <param name="Limits">One for each column that is limited, none of them empty.</param>
internal sealed record TableCondition(IReadOnlyList<TableLimit> Limits)
{
    /// <summary>Whether a row of a block is one of those asked for.</summary>
    public bool Holds(TableBlock block, int row)
    {
        foreach (TableLimit limit in Limits)
        {
            if (!limit.Allows(block, row))
                return false;
        }
        return true;
    }
}

/// <summary>The values that a condition allows in one column.</summary>
/// <param name="Column">The column's number in the table's shape.</param>
internal abstract record TableLimit(int Column)
{
    /// <summary>Whether a row of a block has such a value in this column.</summary>
    public abstract bool Allows(TableBlock block, int row);
}

/// <summary>Some of a categorical column's categories.</summary>
/// <param name="Column">The column's number in the table's shape.</param>
/// <param name="Allowed">For each code, whether it is allowed; at least one is.</param>
internal sealed record CategoryLimit(int Column, bool[] Allowed) : TableLimit(Column)
{
    public override bool Allows(TableBlock block, int row) => Allowed[block.Codes(Column)[row]];
}

/// <summary>A range of a continuous column, or its missing values.</summary>
/// <param name="Column">The column's number in the table's shape.</param>
/// <param name="Min">The least value allowed; both ends belong to the range.</param>
/// <param name="Max">The greatest value allowed; with <c>Least &gt; Most</c> no number is allowed.</param>
/// <param name="Missing">Whether a missing value is allowed.</param>
internal sealed record NumberLimit(int Column, double Min, double Max, bool Missing) : TableLimit(Column)
{
    public override bool Allows(TableBlock block, int row)
    {
        double value = block.Numbers(Column)[row];
        return double.IsNaN(value) ? Missing : value >= Min && value <= Max;
    }
}
