using System.Globalization;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>What rows of the data must meet, one by one, and what the generator is asked for.</summary>
internal sealed record TableQuery(TableCondition Data, TableCondition Model);

/// <summary>Takes a condition by names and values to columns and codes, or says why no row can meet it.</summary>
internal sealed class ConditionResolver(TableSchema schema, TableMapping mapping)
{
    private const int ShownValues = 10;

    private readonly TableField[] _fields = [.. schema.Fields];
    private readonly TableSchemaColumn[] _columns = [.. schema.Columns.SelectMany(c => c.Fields.Select(_ => c))];

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
            if (_fields[field].Identifier is not null)
            {
                throw Impossible(
                    $"Column '{condition.Column}', which the condition names, is an identifier: its values are made anew,"
                    + " so none can be asked for.");
            }
            TableLimit limit = _fields[field].Categories is null ? Numbers(field, condition) : Codes(field, condition);
            limits[field] = limits.TryGetValue(field, out TableLimit? earlier)
                ? earlier.And(limit)
                    ?? throw Impossible($"No row can meet the condition {where}: its parts contradict each other.")
                : limit;
        }
        return new TableQuery(new([.. limits.Values]), new(ModelLimits(limits, where)));
    }

    private CategoryLimit Codes(int field, ColumnCondition condition)
    {
        object?[] values = ValuesOf(field);
        if (condition.Values is ValueRange && !values.OfType<double>().Any())
            throw Impossible($"Column '{condition.Column}' holds no numbers: a range cannot be asked for there.");
        object?[] asked = condition.Values is SomeValues some ? [.. some.Values] : [];
        if (Array.Find(asked, one => !values.Any(value => Is(value, one))) is object unknown)
        {
            throw Impossible(
                $"No row can meet the condition {condition}: {new SomeValues([unknown]).ToString()[2..]} was never seen"
                + $" there. {(unknown is string && values.OfType<bool>().Any() ? "It holds Booleans, not texts." : Seen())}");
        }
        bool[] allowed = Array.ConvertAll(values, value => condition.Values switch
        {
            ValueRange range => value is double number && number >= OfType(field, range.Min)
                && number <= OfType(field, range.Max),
            Presence presence => value is null == presence.IsMissing,
            _ => asked.Any(one => Is(value, one)),
        });
        return allowed.Contains(true)
            ? new CategoryLimit(field, allowed)
            : throw Impossible(
                $"No row can meet the condition {condition}: no such value was in the training rows. {Seen()}");

        bool Is(object? value, object? one) => one switch
        {
            double.NaN => value is null,
            double number => OfType(field, number).Equals(value),
            _ => one!.Equals(value),
        };

        string Seen() => $"It has {values.Length} different values: "
            + $"{Names(values.Select(v => Convert.ToString(v, CultureInfo.InvariantCulture) ?? ""))}.";
    }

    /// <summary>Each code's value as conditions name it: a text, number or Boolean; null where it is missing.</summary>
    public object?[] ValuesOf(int field)
    {
        TableValues codes = _fields[field].Categories!;
        if (codes.Texts is not null)
            return [.. codes.Texts.Select(text => text.Length == 0 ? null : text)];
        bool isBoolean = ItemOf(field).Type is BooleanDataViewType, isKey = _columns[field].Type.KeyCount > 0;
        TableValues? keys = _columns[field].Annotations.FirstOrDefault(a => a.Name == "KeyValues")?.Values;
        return [.. codes.Numbers!.Select<double, object?>(number => double.IsNaN(number) ? null
            : isBoolean ? number != 0
            : isKey ? TableValues.OfKey(keys, number)
            : number)];
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
                $"No row can meet the condition {condition}: the training rows have values from {ItemOf(field).Show(column.Min)} to"
                + $" {ItemOf(field).Show(column.Max)}{Steps()}.");

        string Steps() => column.IsCalendar ? ", all of them dates" : NumberStep.All(column.IsTime)[column.Step] switch
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
            if (mapping.CombinationOf(field) is not null || mapping.Plan.Differences.Any(d => d.Upper == field))
                continue;
            TableLimit learned = limit is NumberLimit { Missing: false } dates && mapping.HasDays(field)
                ? dates with { Min = CalendarNumber.FirstDay(dates.Min), Max = CalendarNumber.LastDay(dates.Max) }
                : limit;
            model.Add(learned with { Column = mapping.ColumnOf(field) });
        }
        return model;
    }

    // What a limit of a greater column says of its gap, and of the smaller columns, whose limits are narrowed. It may
    // allow too much, as the gap depends on the row: rows are held against the condition in any case.
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

    public TableItem ItemOf(int field) => TableItem.Named(_columns[field].Type.Item);

    /// <summary>A number as the column's type has it.</summary>
    private double OfType(int field, double value) => ItemOf(field).IsSingle ? NumberStep.Plain((float)value) : value;

    private static string Names(IEnumerable<string> names)
    {
        string[] shown = [.. names.Take(ShownValues + 1).Select(n => $"'{n}'")];
        return string.Join(", ", shown.Take(ShownValues)) + (shown.Length > ShownValues ? ", …" : "");
    }

    private static ArgumentException Impossible(string message) => new(message);
}

/// <summary>What rows are asked for: a limit for each of some columns, all of which must hold.</summary>
internal sealed record TableCondition(IReadOnlyList<TableLimit> Limits)
{
    /// <summary>Whether a row of a block is one of those asked for.</summary>
    public bool Holds(TableBlock block, int row) => Limits.All(limit => limit.Allows(block[limit.Column][row]));
}

/// <summary>The values that a condition allows in one column, by its number.</summary>
internal abstract record TableLimit(int Column)
{
    /// <summary>Whether a value of this column is one of them.</summary>
    public abstract bool Allows(double value);

    /// <summary>What both limits allow; null for nothing.</summary>
    public abstract TableLimit? And(TableLimit other);
}

/// <summary>Some of a categorical column's categories: for each code, whether it is allowed; at least one is.</summary>
internal sealed record CategoryLimit(int Column, bool[] Allowed) : TableLimit(Column)
{
    public override bool Allows(double value) => Allowed[(int)value];

    public override TableLimit? And(TableLimit other)
    {
        bool[] both = [.. Allowed.Zip(((CategoryLimit)other).Allowed, (a, b) => a && b)];
        return both.Contains(true) ? this with { Allowed = both } : null;
    }
}

/// <summary>A range of a continuous column, empty where no number is allowed, and whether one may be missing.</summary>
internal sealed record NumberLimit(int Column, double Min, double Max, bool Missing) : TableLimit(Column)
{
    public override bool Allows(double value) => double.IsNaN(value) ? Missing : value >= Min && value <= Max;

    public override TableLimit? And(TableLimit other)
    {
        var (_, min, max, missing) = (NumberLimit)other;
        (min, max) = (Math.Max(Min, min), Math.Min(Max, max));
        return missing == Missing && (missing || min <= max) ? this with { Min = min, Max = max } : null;
    }
}
