using System.Globalization;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>A condition in terms of a table's columns.</summary>
/// <param name="Data">What rows of the data must meet; they are held against it one by one.</param>
/// <param name="Model">What the generator is asked for, which it limits its columns to.</param>
internal sealed record TableQuery(TableCondition Data, TableCondition Model);

/// <summary>
/// Takes a condition by names and values to columns and codes, or says why none of the rows can meet it.
/// </summary>
internal sealed class ConditionResolver(TableSchema schema, TableMapping mapping)
{
    private const int ShownValues = 10;

    private readonly TableField[] _fields = [.. schema.Fields];
    private readonly TableType[] _types = [.. schema.Columns.SelectMany(c => c.Fields.Select(_ => c.Type))];

    /// <summary>Resolves a condition.</summary>
    /// <exception cref="ArgumentException">No row can meet it; the message says why.</exception>
    public TableQuery Resolve(RowCondition where)
    {
        var limits = new Dictionary<int, TableLimit>();
        foreach (ColumnCondition condition in where.Columns)
        {
            int field = Array.FindIndex(_fields, f => f.Column.Name == condition.Column);
            if (Array.FindLastIndex(_fields, f => f.Column.Name == condition.Column) != field)
                throw Impossible($"The condition names '{condition.Column}', which several columns are called.");
            if (field < 0)
            {
                throw Impossible(
                    $"Column '{condition.Column}', which the condition names, is not generated. There are "
                    + $"{Names(_fields.Select(f => f.Column.Name))}.");
            }
            TableLimit limit = _fields[field].Categories is TableValues categories
                ? Codes(field, categories, condition)
                : Numbers(field, condition);
            limits[field] = limits.TryGetValue(field, out TableLimit? earlier) ? Both(earlier, limit, where) : limit;
        }
        return new TableQuery(new([.. limits.Values]), new(ModelLimits(limits, where)));
    }

    private CategoryLimit Codes(int field, TableValues categories, ColumnCondition condition)
    {
        TableType type = _types[field];
        bool boolean = TableItem.Named(type.Item).Type is BooleanDataViewType;
        TableValues shown = KeyTexts(field) ?? categories;
        if (condition.Values is ValueRange && (shown.Numbers is null || boolean))
            throw Impossible($"Column '{condition.Column}' holds no numbers: a range cannot be asked for there.");
        int[] codes = [.. Enumerable.Range(0, categories.Count)];
        object?[] asked = condition.Values is SomeValues some ? [.. some.Values] : [];
        if (Array.Find(asked, value => !codes.Any(code => Is(code, value!))) is object unknown)
        {
            throw Impossible(
                $"No row can meet the condition {condition}: {new SomeValues([unknown]).ToString()[2..]} was never seen"
                + $" there. {Seen()}");
        }
        bool[] allowed =
        [
            .. codes.Select(code => condition.Values switch
            {
                ValueRange range => !IsMissing(code) && shown.Numbers![code] >= OfType(field, range.Min)
                    && shown.Numbers[code] <= OfType(field, range.Max),
                Presence presence => IsMissing(code) == presence.IsMissing,
                _ => asked.Any(value => Is(code, value!)),
            }),
        ];
        return allowed.Contains(true)
            ? new CategoryLimit(field, allowed)
            : throw Impossible(
                $"No row can meet the condition {condition}: no such value was in the training rows. {Seen()}");

        bool IsMissing(int code) => categories.Texts is IReadOnlyList<string> texts
            ? texts[code].Length == 0
            : double.IsNaN(categories.Numbers![code]) || type.KeyCount > 0 && categories.Numbers[code] == 0;

        bool Is(int code, object value) => (value, shown) switch
        {
            (string text, { Texts: not null }) => shown.Texts[code] == text && !IsMissing(code),
            (bool flag, { Numbers: not null }) => boolean && shown.Numbers[code] != 0 == flag,
            (double.NaN, _) => IsMissing(code),
            (double number, { Numbers: not null }) =>
                !boolean && shown.Numbers[code] == OfType(field, number) && !IsMissing(code),
            _ => false,
        };

        string Seen() =>
            $"It has {categories.Count} different values: {Names(shown.Texts ?? shown.Numbers!.Select(Text))}.";
    }

    private NumberLimit Numbers(int field, ColumnCondition condition)
    {
        TableColumn column = _fields[field].Column;
        if (condition.Values is Presence { IsMissing: true })
        {
            return column.HasMissing
                ? new NumberLimit(field, double.PositiveInfinity, double.NegativeInfinity, Missing: true)
                : throw Impossible(
                    $"No row can meet the condition {condition}: no value of it was missing in the training rows.");
        }
        (double min, double max) = condition.Values switch
        {
            ValueRange range => (range.Min, range.Max),
            SomeValues { Values: [double number] } => (number, number),
            Presence => (double.NegativeInfinity, double.PositiveInfinity),
            SomeValues { Values: [double, ..] } => throw Impossible(
                $"Column '{condition.Column}' holds numbers without categories: ask for one number or for a range."),
            _ => throw Impossible(
                $"Column '{condition.Column}' holds numbers: the condition {condition} cannot be met."),
        };
        var limit = new NumberLimit(
            field, Math.Max(column.Min, OfType(field, min)), Math.Min(column.Max, OfType(field, max)), Missing: false);
        return limit.Min <= limit.Max && column.CanHold(limit.Min, limit.Max)
            ? limit
            : throw Impossible(
                $"No row can meet the condition {condition}: the training rows have values from {Show(column.Min)} to"
                + $" {Show(column.Max)}{Steps()}.");

        string Show(double value) => TableItem.Named(_types[field].Item).Type switch
        {
            TimeSpanDataViewType => $"{TableTimes.ToDuration(value)}",
            _ when column.IsTime => TableTimes.ToTime(value).ToString("s", CultureInfo.InvariantCulture),
            _ => Text(value),
        };

        string Steps() => NumberStep.All(column.IsTime)[column.Step] switch
        {
            { Unit: 0 } => "",
            { Unit: 1 } step when !column.IsTime => $", rounded to {step.Decimals} digits after the point",
            var step => $", in steps of {new TimeSpan(step.Unit)}",
        };
    }

    /// <summary>The limits in terms of the columns that are learned.</summary>
    private List<TableLimit> ModelLimits(Dictionary<int, TableLimit> limits, RowCondition where)
    {
        var model = new List<TableLimit>();
        foreach (TableCombination combination in mapping.Plan.Combinations)
        {
            if (!combination.Fields.Any(limits.ContainsKey))
                continue;
            bool[] allowed =
            [
                .. combination.Rows.Select(row => combination.Fields.Zip(row).All(p =>
                    !limits.TryGetValue(p.First, out TableLimit? limit) || ((CategoryLimit)limit).Allowed[p.Second])),
            ];
            if (!allowed.Contains(true))
            {
                throw Impossible(
                    $"No row can meet the condition {where}: its values never occur together in the columns "
                    + $"{Names(combination.Fields.Select(f => _fields[f].Column.Name))}.");
            }
            model.Add(new CategoryLimit(mapping.ColumnOf(combination.Fields[0]), allowed));
        }
        limits = new(limits);
        foreach (TableDifference difference in mapping.Plan.Differences.Reverse())
        {
            if (limits.GetValueOrDefault(difference.Upper) is NumberLimit upper)
                model.Add(GapLimit(difference, upper, limits, where));
        }
        foreach ((int field, TableLimit limit) in limits)
        {
            if (mapping.CombinationOf(field) is null && mapping.Plan.Differences.All(d => d.Upper != field))
                model.Add(limit with { Column = mapping.ColumnOf(field) });
        }
        return model;
    }

    /// <summary>
    /// What a limit of a greater column says of its gap, and of the smaller columns, whose limits are narrowed. It may
    /// allow too much, as the gap depends on the row: rows are held against the condition in any case.
    /// </summary>
    private NumberLimit GapLimit(
        TableDifference difference, NumberLimit upper, Dictionary<int, TableLimit> limits, RowCondition where)
    {
        int column = mapping.ColumnOf(difference.Upper);
        if (!(upper.Min <= upper.Max))
            return upper with { Column = column };
        double low = difference.FloorOf(mapping.Data), high = low;
        foreach (int field in difference.Lowers)
        {
            TableColumn known = _fields[field].Column;
            NumberLimit lower = limits.GetValueOrDefault(field) as NumberLimit
                ?? new(field, known.Min, known.Max, known.HasMissing);
            if (lower is { Missing: false } && lower.Min > upper.Max)
            {
                throw Impossible(
                    $"No row can meet the condition {where}: '{known.Name}' is never greater than"
                    + $" '{_fields[upper.Column].Column.Name}'.");
            }
            lower = lower with { Max = Math.Min(lower.Max, upper.Max) };
            limits[field] = lower;
            high = Math.Max(high, lower.Max);
            if (!lower.Missing)
                low = Math.Max(low, lower.Min);
        }
        double rounding = _fields[difference.Upper].Column.StepSize;
        return new NumberLimit(column, upper.Min - high - rounding, upper.Max - low + rounding, upper.Missing);
    }

    private static TableLimit Both(TableLimit one, TableLimit other, RowCondition where)
    {
        TableLimit? both = (one, other) switch
        {
            (CategoryLimit a, CategoryLimit b) when a.Allowed.Zip(b.Allowed).Any(p => p.First && p.Second) =>
                a with { Allowed = [.. a.Allowed.Zip(b.Allowed, (x, y) => x && y)] },
            (NumberLimit a, NumberLimit b) when a.Missing == b.Missing =>
                a.Missing || Math.Max(a.Min, b.Min) <= Math.Min(a.Max, b.Max)
                    ? a with { Min = Math.Max(a.Min, b.Min), Max = Math.Min(a.Max, b.Max) }
                    : null,
            _ => null,
        };
        return both ?? throw Impossible($"No row can meet the condition {where}: its parts contradict each other.");
    }

    /// <summary>For a key whose values have texts or numbers: those of each code; null where it has none.</summary>
    private TableValues? KeyTexts(int field)
    {
        if (_types[field].KeyCount == 0)
            return null;
        TableSchemaColumn column = schema.Columns.First(c => c.Fields.Any(f => ReferenceEquals(f, _fields[field])));
        if (column.Annotations.FirstOrDefault(a => a.Name == "KeyValues")?.Values is not TableValues values)
            return null;
        int[] keys = [.. _fields[field].Categories!.Numbers!.Select(key => (int)Math.Min(key, int.MaxValue))];
        return new TableValues
        {
            Texts = values.Texts is null ? null : [.. keys.Select(key => Value(values.Texts, key) ?? "")],
            Numbers = values.Numbers is null
                ? null
                : [.. keys.Select(key => key == 0 ? double.NaN : Value(values.Numbers, key))],
        };

        static T? Value<T>(IReadOnlyList<T> values, int key) =>
            key >= 1 && key <= values.Count ? values[key - 1] : default;
    }

    /// <summary>A number as the column's type has it.</summary>
    private double OfType(int field, double value) =>
        TableItem.Named(_types[field].Item).IsSingle ? NumberStep.Plain((float)value) : value;

    private static string Names(IEnumerable<string> names)
    {
        string[] shown = [.. names.Take(ShownValues + 1).Select(n => $"'{n}'")];
        return string.Join(", ", shown.Take(ShownValues)) + (shown.Length > ShownValues ? ", …" : "");
    }

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);

    private static ArgumentException Impossible(string message) => new(message);
}
