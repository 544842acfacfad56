namespace GenerativeML;

/// <summary>Numbers the values of a field as they come: texts or numbers, the missing one among them.</summary>
internal sealed class CategoryIndex
{
    private readonly Dictionary<double, int>? _numbers;
    private readonly Dictionary<string, int>? _texts;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _spans;

    public CategoryIndex(bool text)
    {
        if (text)
        {
            _texts = new(StringComparer.Ordinal);
            _spans = _texts.GetAlternateLookup<ReadOnlySpan<char>>();
        }
        else
        {
            _numbers = [];
        }
    }

    /// <summary>An index of values that are known, each once.</summary>
    public CategoryIndex(TableValues values)
        : this(values.Texts is not null)
    {
        foreach (string text in values.Texts ?? [])
            _texts!.TryAdd(text, _texts.Count);
        foreach (double number in values.Numbers ?? [])
            _numbers!.TryAdd(number, _numbers.Count);
    }

    /// <summary>How many there are.</summary>
    public int Count => _numbers?.Count ?? _texts!.Count;

    /// <summary>The values by code.</summary>
    public TableValues Values => new()
    {
        Numbers = _numbers is null ? null : [.. _numbers.OrderBy(p => p.Value).Select(p => p.Key)],
        Texts = _texts is null ? null : [.. _texts.OrderBy(p => p.Value).Select(p => p.Key)],
    };

    /// <summary>The code of the value that a cell holds, a new one if it was not there.</summary>
    public int Add(RowCells cells, int field)
    {
        int code = Find(cells, field);
        if (code >= 0)
            return code;
        code = Count;
        _numbers?.Add(cells.Numbers[field], code);
        _texts?.Add(cells.Texts[field].ToString(), code);
        return code;
    }

    /// <summary>The code of the value that a cell holds; −1 where there is none.</summary>
    public int Find(RowCells cells, int field) => _numbers is null
        ? _spans.TryGetValue(cells.Texts[field].Span, out int code) ? code : -1
        : Find(cells.Numbers[field]);

    /// <summary>The code of a number; −1 where there is none.</summary>
    public int Find(double value) => _numbers is not null && _numbers.TryGetValue(value, out int code) ? code : -1;

    /// <summary>The code of a text; −1 where there is none.</summary>
    public int Find(string value) => _texts is not null && _texts.TryGetValue(value, out int code) ? code : -1;
}
