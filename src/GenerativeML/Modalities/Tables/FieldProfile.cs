
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
internal sealed class FieldProfile(string name, TableType type, FieldRule rule)
{
    /// <summary>Numbers of at most so many different values may be categories …</summary>
    public const int MostNumberCategories = 20;

    /// <summary>… where each occurs in so many rows on average.</summary>
    public const int LeastRowsPerCategory = 5;

    /// <summary>The most categories that are learned.</summary>
    public const int MostCategories = 1 << 16;

    // Doubles hold every whole number up to here.
    private const double MostWhole = 1L << 53;

    private readonly bool _text = TableItem.Named(type.Item).IsText;
    private readonly NumberProfile _numbers = new(type.Item == "Single");
    private CategoryIndex? _categories = rule == FieldRule.Numbers ? null : new(TableItem.Named(type.Item).IsText);
    private long _rows;

    /// <summary>What is known of the numbers so far.</summary>
    public NumberProfile Numbers => _numbers;

    /// <summary>Categories so far; zero where none are counted.</summary>
    public int Categories => _categories?.Count ?? 0;

    /// <summary>Counts the value that a cell holds.</summary>
    /// <returns>Its code, where categories are counted; otherwise −1.</returns>
    /// <exception cref="InvalidOperationException">It cannot be learned.</exception>
    public int Add(RowCells cells, int field)
    {
        _rows++;
        if (!_text)
        {
            double value = cells.Numbers[field];
            if (Math.Abs(value) > MostWhole && type.Item is "Int64" or "UInt64")
            {
                throw new InvalidOperationException(
                    $"Column '{name}' holds whole numbers beyond 2^53, which cannot be learned exactly: make it"
                    + " text, or leave it out.");
            }
            _numbers.Add(value);
        }
        int code = _categories?.Add(cells, field) ?? -1;
        if (rule == FieldRule.Either && Categories > MostNumberCategories)
            _categories = null;
        if (Categories > MostCategories)
        {
            throw new InvalidOperationException(
                $"Column '{name}' has more than {MostCategories} different values, too many to be categories: leave it"
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
        _ => _categories is not null && (Categories * LeastRowsPerCategory <= _rows || !double.IsFinite(_numbers.Min)),
    };

    /// <summary>The field, numbers in a unit.</summary>
    public TableField ToField(long unit)
    {
        if (!IsCategorical)
            return new TableField { Column = _numbers.ToColumn(name, unit), Unit = unit };
        TableValues values = _categories?.Values ?? new() { Numbers = [double.NaN] };
        return new TableField
        {
            Column = new TableColumn(name, TableColumnKind.Categorical) { Categories = values.Count },
            Categories = values,
        };
    }
}
