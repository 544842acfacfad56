using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>The columns of a data view as they are learned; one pass over the rows finds out what they are.</summary>
internal sealed class TrainingTable : ITableSource
{
    // So many categories cost time and memory in every step, and most of them occur too rarely to be learned well.
    private const int ManyCategories = 1000;

    private const int RowsBetweenChecks = 1024;

    private readonly IDataView _data;
    private readonly TableBinding _binding;
    private readonly TabularOptions _options;
    private readonly FieldProfile[] _fields;

    /// <exception cref="InvalidOperationException">The rows cannot be learned; the message says why.</exception>
    public TrainingTable(IDataView data, TableBinding binding, TabularOptions options, Action<string>? warn)
    {
        (_data, _binding, _options) = (data, binding, options);
        var constraints = new ConstraintScan(options.Constraints ?? [], binding);
        _fields = [.. binding.FieldNames.Select((name, f) =>
            new FieldProfile(name, binding.ItemOf(f), RuleOf(f, constraints), binding.TypeOf(f).KeyCount > 0)
            {
                Kind = binding.IdentifierOf(f),
                Identifier = binding.IdentifierOf(f) is not (null or IdentifierKind.None)
                    || binding.MayBeIdentifier(f) && !constraints.Names(f)
                    ? new(binding.ItemOf(f))
                    : null,
            })];
        Scan(constraints);
        TableField[] fields = [.. _fields.Select(profile => profile.ToField(warn))];
        Schema = new([.. binding.Columns.Zip(binding.Types, (column, type) => new TableSchemaColumn(
            column.Name, type, TableAnnotation.All(column.Annotations, column.Name),
            [.. fields.Where((_, f) => ReferenceEquals(binding.TypeOf(f), type))]))]);
        var shape = new TableShape([.. fields.Select(f => f.Column)], binding.Label);
        Mapping = new TableMapping(shape, constraints.Finish(shape, RowCount));
        if (Shape.Columns.Count == 0)
        {
            throw new InvalidOperationException(
                $"There is nothing to learn: all columns are identifiers. Option {nameof(options.Identifiers)} says which"
                + " are none.");
        }
        foreach (TableColumn column in Shape.Columns.Where(c => c.Categories > ManyCategories))
        {
            warn?.Invoke($"Column '{column.Name}' has {column.Categories} categories: training takes long, and those"
                + " that occur once or twice are learned badly. Leave the column out where it tells rows apart rather"
                + " than describing them.");
        }
    }

    /// <summary>The columns as ML.NET sees them.</summary>
    public TableSchema Schema { get; }

    /// <summary>Between the columns of the data and those that are learned.</summary>
    public TableMapping Mapping { get; }

    public TableShape Shape => Mapping.Model;

    public long RowCount { get; private set; }

    public ITableReader Open() => new Reader(this);

    /// <summary>The error for rows that are not the same in every pass.</summary>
    public static InvalidOperationException Changed(string column) => new(
        $"Column '{column}' has values that were not there in the first pass: the data must be the same in every"
        + " pass.");

    private void Scan(ConstraintScan constraints)
    {
        var codes = new int[_fields.Length];
        long infiniteRows = 0;
        (int Field, long Row) first = default;
        foreach (RowCells cells in Rows())
        {
            for (int f = 0; f < codes.Length; f++)
                codes[f] = _fields[f].Add(cells, f);
            constraints.Add(cells, codes);
            if (cells.Infinite is int infinite && infiniteRows++ == 0)
                first = (infinite, RowCount);
            RowCount++;
        }
        if (infiniteRows > 0 && _options.NonFiniteValues == NonFiniteValues.Error)
        {
            throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture, $"{infiniteRows} of {RowCount} rows hold infinite numbers;")
                + $" the first is in column '{_binding.FieldNames[first.Field]}' of row {first.Row} (counted from 0)."
                + $" Clean the data, or set the option {nameof(TrainingOptions.NonFiniteValues)} to"
                + $" {NonFiniteValues.Replace}, which takes them for missing, or {NonFiniteValues.DropRow}.");
        }
        if (RowCount < 2)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"A table is learned from two rows or more, but the data has {RowCount} that can be used."));
        }
    }

    private FieldRule RuleOf(int field, ConstraintScan constraints)
    {
        FieldRule? constrained = constraints.RuleOf(field);
        bool named = _binding.Categorical.Contains(field);
        if (named && constrained == FieldRule.Numbers)
        {
            throw new ArgumentException(
                $"Column '{_binding.FieldNames[field]}' is in an inequality, so its values cannot be categories.");
        }
        return constrained ?? (named || !_binding.IsQuantity(field) ? FieldRule.Categories : FieldRule.Either);
    }

    /// <summary>The cells of each row that is learned from, in turn; infinite numbers are missing ones.</summary>
    private IEnumerable<RowCells> Rows()
    {
        var cells = new RowCells(_binding.FieldNames.Count);
        var readers = new List<Action>();
        using DataViewRowCursor cursor = _data.GetRowCursor(_binding.Columns);
        int first = 0;
        foreach ((DataViewSchema.Column column, TableType type) in _binding.Columns.Zip(_binding.Types))
        {
            int? width = type.Dimensions is null ? null : (int)type.Size;
            readers.Add(TableItem.Named(type.Item).Reader(cursor, column, cells, first, width));
            first += width ?? 1;
        }
        while (cursor.MoveNext())
        {
            if (cursor.Position % RowsBetweenChecks == 0)
                _options.CancellationToken.ThrowIfCancellationRequested();
            foreach (Action read in readers)
                read();
            cells.Infinite = null;
            for (int f = 0; f < cells.Numbers.Length; f++)
            {
                if (!double.IsInfinity(cells.Numbers[f]))
                    continue;
                cells.Numbers[f] = double.NaN;
                cells.Infinite ??= f;
            }
            if (cells.Infinite is null || _options.NonFiniteValues != NonFiniteValues.DropRow)
                yield return cells;
        }
    }

    private sealed class Reader(TrainingTable table) : ITableReader
    {
        private readonly IEnumerator<RowCells> _rows = table.Rows().GetEnumerator();
        private TableBlock? _data;

        public int Read(TableBlock block, int count)
        {
            if (_data is null || _data.Capacity < count)
                _data = new TableBlock(table.Mapping.Data, count);
            int rows = 0;
            for (; rows < count && _rows.MoveNext(); rows++)
            {
                for (int f = 0; f < table._fields.Length; f++)
                {
                    int? code = table._fields[f].Categories?.Find(_rows.Current, f);
                    _data[f][rows] = code is not < 0
                        ? code ?? _rows.Current.Numbers[f]
                        : throw Changed(_data.Shape.Columns[f].Name);
                }
            }
            table.Mapping.Encode(_data, block, rows);
            return rows;
        }

        public void Dispose() => _rows.Dispose();
    }
}

/// <summary>How a field is learned: as the one, as the other, or as categories where few values occur often.</summary>
internal enum FieldRule
{
    Numbers,
    Categories,
    Either,
}

/// <summary>Gathers in one pass what has to be known of a field.</summary>
internal sealed class FieldProfile(string name, TableItem item, FieldRule rule, bool isKey = false)
{
    /// <summary>The most categories that are learned.</summary>
    public const int MaxCategories = 1 << 16;

    // Numbers of few different values are categories where each occurs in some rows on average.
    private const int MaxNumberCategories = 20, MinRowsPerCategory = 5;

    private long _rows;
    private int? _offset;
    private bool _missing;
    private double _min = double.PositiveInfinity, _max = double.NegativeInfinity;
    private int _step;
    private bool _dates = true;

    /// <summary>The categories so far; null where the field is learned as numbers, or not at all.</summary>
    public CategoryIndex? Categories { get; private set; } = rule == FieldRule.Numbers ? null : new(item.IsText);

    /// <summary>What options say of it as an identifier.</summary>
    public IdentifierKind? Kind { get; init; }

    /// <summary>What makes new values of it; null where it is no identifier.</summary>
    public IdentifierProfile? Identifier { get; set; }

    private bool IsNamed => Kind is not (null or IdentifierKind.None);

    /// <summary>Counts the value that a cell holds, and gives its code, where categories are counted, or −1.</summary>
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
            AddNumber(cells.Numbers[field], cells.Offsets[field]);
        }
        Identifier?.Add(cells, field);
        if (IsNamed)
            Categories = null;
        else if (Identifier?.AreDistinct == false)
            Identifier = null;
        int known = Categories?.Count ?? 0, code = Categories?.Add(cells, field) ?? -1;
        if (item.IsText && code >= known && HasLoneSurrogate(cells.Texts[field].Span))
        {
            throw new InvalidOperationException(
                $"Column '{name}' holds text that is no Unicode: half of a pair of surrogates, which files would change."
                + " Mend it, or leave it out.");
        }
        if (rule == FieldRule.Either && Categories?.Count > MaxNumberCategories)
            Categories = null;
        if (item.IsText && Identifier is not null && Categories?.Count > MaxCategories)
            Categories = null;
        return Categories?.Count > MaxCategories
            ? throw new InvalidOperationException(
                $"Column '{name}' has more than {MaxCategories} different values, too many to be categories: leave it"
                + $" out, or have new ones made (option {nameof(TabularOptions.Identifiers)}).")
            : code;
    }

    private static bool HasLoneSurrogate(ReadOnlySpan<char> text)
    {
        for (int i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]) && !(i + 1 < text.Length && char.IsSurrogatePair(text[i], text[++i])))
                return true;
        }
        return false;
    }

    /// <summary>The field, after all rows; warns of what the user may not expect.</summary>
    public TableField ToField(Action<string>? warn)
    {
        // What is personal is not told by few repeats.
        string[] texts = item.IsText && Categories is not null && Identifier is null && Kind is null
            ? [.. Categories.Values.Texts!.Where(text => text.Length > 0)]
            : [];
        string? personal = Kind is null ? Identifier?.PersonalData(name) ?? PersonalTexts.Recognize(name, texts) : null;
        bool areDates = _dates && _min < _max && !item.IsTime && !item.IsSingle;
        if (IsNamed || (Identifier?.TellsRows == true && !areDates))
        {
            Categories = null;
            Identifier made = Identifier!.ToIdentifier(Kind);
            if (Kind is null)
            {
                warn?.Invoke($"Column '{name}' is different in each row{(personal is null ? "" : $" ({personal})")}, so"
                    + $" it is not learned: new values are made ({made.Kind}). Option {nameof(TabularOptions.Identifiers)}"
                    + $" says how; {IdentifierKind.None} there learns the column, and repeats its values.");
            }
            return new TableField(new(name, TableColumnKind.Identifier), Identifier: made);
        }
        if (personal is not null)
        {
            warn?.Invoke($"Column '{name}' seems to hold {personal}: generated rows repeat those of the training rows."
                + $" Have new ones made (option {nameof(TabularOptions.Identifiers)}), or leave the column out.");
        }
        bool few = Categories?.Count * MinRowsPerCategory <= _rows;
        // A column without any number is learned as the one category that it has.
        if (rule == FieldRule.Either && !few && double.IsFinite(_min))
            Categories = null;
        TableColumn column = Categories is not null
            ? new(name, TableColumnKind.Categorical) { Categories = Categories.Count, MissingCode = Categories.Missing(isKey) }
            : new(name, TableColumnKind.Continuous)
            {
                HasMissing = _missing,
                Min = _min,
                Max = _max,
                IsTime = item.IsTime,
                IsSingle = item.IsSingle,
                IsCalendar = areDates,
                Step = _step,
            };
        return new TableField(column, Categories?.Values, _offset ?? 0);
    }

    private void AddNumber(double number, int offset)
    {
        if (double.IsNaN(number))
        {
            _missing = true;
            return;
        }
        (_min, _max) = (Math.Min(_min, number), Math.Max(_max, number));
        _step = NumberStep.LevelOf(number, item.IsTime, _step);
        _dates = _dates && CalendarNumber.IsDate(number);
        if ((_offset ??= offset) != offset)
        {
            throw new InvalidOperationException(
                $"Column '{name}' holds moments with different offsets from universal time, which would be lost:"
                + " bring them to one offset, or leave it out.");
        }
    }
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

    /// <summary>An index of values by code.</summary>
    public static CategoryIndex Of(TableValues values)
    {
        var index = new CategoryIndex(values.Texts is not null);
        foreach ((int code, double number) in (values.Numbers ?? []).Index())
            index._numbers!.TryAdd(number, code);
        foreach ((int code, string text) in (values.Texts ?? []).Index())
            index._texts!.TryAdd(text, code);
        return index;
    }

    /// <summary>How many there are.</summary>
    public int Count => _numbers?.Count ?? _texts!.Count;

    /// <summary>The values by code.</summary>
    public TableValues Values => new()
    {
        Numbers = _numbers is null ? null : [.. _numbers.OrderBy(p => p.Value).Select(p => p.Key)],
        Texts = _texts is null ? null : [.. _texts.OrderBy(p => p.Value).Select(p => p.Key)],
    };

    /// <summary>The code of the missing value, which is the zero of a key; null where it was not there.</summary>
    public int? Missing(bool isKey) =>
        (_numbers is null ? _texts!.TryGetValue("", out int code) : _numbers.TryGetValue(isKey ? 0 : double.NaN, out code))
            ? code
            : null;

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
