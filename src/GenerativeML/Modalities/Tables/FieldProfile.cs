namespace GenerativeML;

/// <summary>How a field's values are learned.</summary>
internal enum FieldRule
{
    /// <summary>As numbers, however few.</summary>
    Numbers,

    /// <summary>As categories, however many.</summary>
    Categories,

    /// <summary>As numbers, or as categories where few of them occur often.</summary>
    Either,
}

/// <summary>Gathers in one pass what has to be known of a field.</summary>
internal sealed class FieldProfile(string name, TableItem item, FieldRule rule)
{
    /// <summary>Numbers of at most so many different values may be categories …</summary>
    public const int MaxNumberCategories = 20;

    /// <summary>… where each occurs in so many rows on average.</summary>
    public const int MinRowsPerCategory = 5;

    /// <summary>The most categories that are learned.</summary>
    public const int MaxCategories = 1 << 16;

    private readonly NumberProfile _numbers = new(item.IsTime, item.IsSingle);
    private CategoryIndex? _categories = rule == FieldRule.Numbers ? null : new(item.IsText);
    private long _rows;
    private int? _offset;

    /// <summary>Categories so far; zero where none are counted.</summary>
    public int Categories => _categories?.Count ?? 0;

    /// <summary>Counts the value that a cell holds.</summary>
    /// <returns>Its code, where categories are counted; otherwise −1.</returns>
    /// <exception cref="InvalidOperationException">It cannot be learned.</exception>
    public int Add(RowCells cells, int field)
    {
        _rows++;
        if (!item.IsText)
        {
            if (cells.Inexact[field])
            {
                throw new InvalidOperationException($"Column '{name}' holds " + (item.IsTime
                    ? "times with fractions of a millisecond that lie too far from the year 2000 to be learned exactly:"
                        + " round them, or leave it out."
                    : "whole numbers beyond 2^53, which cannot be learned exactly: make it text, or leave it out."));
            }
            _numbers.Add(cells.Numbers[field]);
            if (!double.IsNaN(cells.Numbers[field]) && (_offset ??= cells.Offsets[field]) != cells.Offsets[field])
            {
                throw new InvalidOperationException(
                    $"Column '{name}' holds moments with different offsets from universal time, which would be lost:"
                    + " bring them to one offset, or leave it out.");
            }
        }
        int code = _categories?.Add(cells, field) ?? -1;
        if (rule == FieldRule.Either && Categories > MaxNumberCategories)
            _categories = null;
        if (Categories > MaxCategories)
        {
            throw new InvalidOperationException(
                $"Column '{name}' has more than {MaxCategories} different values, too many to be categories: leave it"
                + " out.");
        }
        return code;
    }

    /// <summary>Whether the field is learned as categories, after all rows.</summary>
    public bool IsCategorical => rule switch
    {
        FieldRule.Categories => true,
        // A column without any number is learned as the one category that it has.
        FieldRule.Numbers => !double.IsFinite(_numbers.Min),
        _ => _categories is not null && (Categories * MinRowsPerCategory <= _rows || !double.IsFinite(_numbers.Min)),
    };

    /// <summary>The field.</summary>
    public TableField ToField()
    {
        TableValues? values = IsCategorical ? _categories?.Values ?? new() { Numbers = [double.NaN] } : null;
        return new TableField
        {
            Column = values is null
                ? _numbers.ToColumn(name)
                : new TableColumn(name, TableColumnKind.Categorical) { Categories = values.Count },
            Categories = values,
            OffsetMinutes = _offset ?? 0,
        };
    }
}

/// <summary>Gathers what has to be known of numbers: their range and step, and whether some are missing.</summary>
/// <param name="isTime">Whether they are ticks.</param>
/// <param name="isSingle">Whether they have the precision of Single.</param>
internal sealed class NumberProfile(bool isTime, bool isSingle)
{
    private bool _missing;
    private int _step;

    /// <summary>The least number; positive infinity where there is none.</summary>
    public double Min { get; private set; } = double.PositiveInfinity;

    /// <summary>The greatest number; negative infinity where there is none.</summary>
    public double Max { get; private set; } = double.NegativeInfinity;

    /// <summary>Counts a number, or NaN for a missing one.</summary>
    public void Add(double value)
    {
        if (double.IsNaN(value))
        {
            _missing = true;
            return;
        }
        Min = Math.Min(Min, value);
        Max = Math.Max(Max, value);
        ReadOnlySpan<NumberStep> steps = NumberStep.All(isTime);
        while (_step < steps.Length - 1 && steps[_step].Round(value) != value)
            _step++;
    }

    /// <summary>The column of these numbers.</summary>
    public TableColumn ToColumn(string name) => new(name, TableColumnKind.Continuous)
    {
        HasMissing = _missing,
        Min = Min,
        Max = Max,
        IsTime = isTime,
        IsSingle = isSingle,
        Step = _step,
    };
}

/// <summary>Numbers the values of a field as they come: texts or numbers, the missing one among them.</summary>
internal sealed class CategoryIndex
{
    private readonly Dictionary<double, int>? _numbers;
    private readonly Dictionary<string, int>? _texts;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _spans;

    public CategoryIndex(bool text)
    {
        _numbers = text ? null : [];
        _texts = text ? new(StringComparer.Ordinal) : null;
        _spans = _texts?.GetAlternateLookup<ReadOnlySpan<char>>() ?? default;
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
        ? _spans.TryGetValue(cells.Texts[field].Span, out int text) ? text : -1
        : _numbers.TryGetValue(cells.Numbers[field], out int number) ? number : -1;
}
