namespace GenerativeML;

/// <summary>The columns of a table as a generator sees them.</summary>
/// <param name="Columns">The columns, in order; at least one.</param>
/// <param name="Label">The number of the column that a classifier would predict; null where none was named.</param>
internal sealed record TableShape(IReadOnlyList<TableColumn> Columns, int? Label = null)
{
    /// <summary>The most columns that a table may have.</summary>
    public const int MostColumns = 1 << 16;

    /// <summary>Checks a shape that came from a file.</summary>
    /// <exception cref="FormatException">A number is out of every sensible range.</exception>
    public void Check()
    {
        if (Columns.Count is < 1 or > MostColumns || Label is int label && (label < 0 || label >= Columns.Count))
            throw new FormatException("The saved table's columns are out of range.");
        foreach (TableColumn column in Columns)
            column.Check();
    }
}
