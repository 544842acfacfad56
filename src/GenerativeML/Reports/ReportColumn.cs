namespace GenerativeML;

/// <summary>A column of the tables that are compared; all of them give a category the same code.</summary>
/// <param name="Name">What the report calls it.</param>
/// <param name="IsNumeric">Numbers, or categories.</param>
internal sealed record ReportColumn(string Name, bool IsNumeric)
{
    private readonly Dictionary<string, int> _codes = [];
    private readonly List<string> _categories = [];

    /// <summary>The categories seen so far, by code.</summary>
    public IReadOnlyList<string> Categories => _categories;

    /// <summary>The code of a category; a new one for one not yet seen.</summary>
    public int CodeOf(string category)
    {
        if (_codes.TryGetValue(category, out int code))
            return code;
        _codes.Add(category, _categories.Count);
        _categories.Add(category);
        return _categories.Count - 1;
    }
}
