using System.Collections.Immutable;
using System.Globalization;

namespace GenerativeML;

/// <summary>
/// What generated rows are asked for: conditions on columns, all of which hold in every row. Immutable; each method
/// gives a new one with one condition more.
/// </summary>
/// <remarks>
/// <code>
/// where: new RowCondition().Equal("education", "Masters").Between("age", 30, 40)
/// </code>
/// Columns are named as in the data; a feature of a vector by its column and its own name or number, as
/// <c>Features.3</c>.
/// Texts and keys are compared by their text, which is case-sensitive; keys of numbers, numbers and Booleans by value.
/// Numbers are compared in the column's own type: 0.1 is the Single of that name. The ends of a range belong to it.
/// Generated values do not leave the training rows' range, so what never occurred there cannot be asked for.
/// </remarks>
public sealed class RowCondition
{
    /// <summary>The conditions, in the order in which they were added.</summary>
    internal ImmutableArray<ColumnCondition> Columns { get; private init; } = [];

    /// <summary>Refuses a condition of a family that has none, and says why.</summary>
    /// <exception cref="ArgumentException">There is a condition.</exception>
    internal static void RequireNone(RowCondition? where, string why)
    {
        if (where?.Columns.Length > 0)
            throw new ArgumentException($"The condition {where} cannot be met: {why}.", nameof(where));
    }

    /// <summary>The column holds this text, or key of this text.</summary>
    public RowCondition Equal(string columnName, string value) => OneOf(columnName, value);

    /// <summary>The column holds this number; NaN is a missing one.</summary>
    public RowCondition Equal(string columnName, double value) => OneOf(columnName, value);

    /// <summary>The column holds this Boolean.</summary>
    public RowCondition Equal(string columnName, bool value) => With(columnName, new SomeValues([value]));

    /// <summary>The column holds this time.</summary>
    public RowCondition Equal(string columnName, DateTime value) => Between(columnName, value, value);

    /// <summary>The column holds one of these texts, or a key of one of them.</summary>
    public RowCondition OneOf(string columnName, params IReadOnlyList<string> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        return With(columnName, new SomeValues([.. values]));
    }

    /// <summary>The column holds one of these numbers; NaN is a missing one.</summary>
    public RowCondition OneOf(string columnName, params IReadOnlyList<double> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        return values is [double.NaN]
            ? Missing(columnName)
            : With(columnName, new SomeValues([.. values.Select(v => (object)v)]));
    }

    /// <summary>The column's number is at least the one and at most the other.</summary>
    /// <exception cref="ArgumentException">No number is.</exception>
    public RowCondition Between(string columnName, double min, double max) =>
        With(columnName, new ValueRange(min, max));

    /// <summary>The column's time is not before the one and not after the other.</summary>
    /// <exception cref="ArgumentException">No time is.</exception>
    public RowCondition Between(string columnName, DateTime first, DateTime last) =>
        With(columnName, new TimeRange(first, last));

    /// <summary>The column's duration is at least the one and at most the other.</summary>
    /// <exception cref="ArgumentException">No duration is.</exception>
    public RowCondition Between(string columnName, TimeSpan min, TimeSpan max) =>
        With(columnName, new DurationRange(min, max));

    /// <summary>The column's number is at least this.</summary>
    public RowCondition AtLeast(string columnName, double min) => Between(columnName, min, double.PositiveInfinity);

    /// <summary>The column's number is at most this.</summary>
    public RowCondition AtMost(string columnName, double max) => Between(columnName, double.NegativeInfinity, max);

    /// <summary>The column's value is missing: NaN, empty text, or a missing key.</summary>
    public RowCondition Missing(string columnName) => With(columnName, new Presence(IsMissing: true));

    /// <summary>The column's value is not missing.</summary>
    public RowCondition Present(string columnName) => With(columnName, new Presence(IsMissing: false));

    /// <inheritdoc/>
    public override string ToString() => string.Join(" and ", Columns);

    private RowCondition With(string columnName, ValueCondition values)
    {
        if (string.IsNullOrEmpty(columnName))
            throw new ArgumentException("A condition names no column.", nameof(columnName));
        if (values is SomeValues { Values: var some } && (some.Count == 0 || some.Contains(null)))
            throw new ArgumentException($"The condition on column '{columnName}' names no value.", nameof(values));
        var condition = new ColumnCondition(columnName, values);
        return values is ValueRange range && !(range.Min <= range.Max)
            ? throw new ArgumentException(
                $"No value meets the condition {condition}: the range is empty.", nameof(values))
            : new() { Columns = Columns.Add(condition) };
    }
}

/// <summary>What a condition asks of one column.</summary>
internal sealed record ColumnCondition(string Column, ValueCondition Values)
{
    public override string ToString() => $"'{Column}' {Values}";
}

/// <summary>The values that a condition allows.</summary>
internal abstract record ValueCondition;

/// <summary>Some texts, numbers or Booleans.</summary>
internal sealed record SomeValues(IReadOnlyList<object?> Values) : ValueCondition
{
    public override string ToString() => "= " + string.Join(
        " or ", Values.Select(v => v is string text ? $"'{text}'" : Convert.ToString(v, CultureInfo.InvariantCulture)));
}

/// <summary>Numbers, or ticks, from one to another.</summary>
internal record ValueRange(double Min, double Max) : ValueCondition
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"between {Min} and {Max}");
}

/// <summary>Times from one to another.</summary>
internal sealed record TimeRange(DateTime First, DateTime Last)
    : ValueRange(TableTimes.Read(First), TableTimes.Read(Last))
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"between {First:s} and {Last:s}");
}

/// <summary>Durations from one to another.</summary>
internal sealed record DurationRange(TimeSpan First, TimeSpan Last) : ValueRange(First.Ticks, Last.Ticks)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"between {First:c} and {Last:c}");
}

/// <summary>Missing values, or all others.</summary>
internal sealed record Presence(bool IsMissing) : ValueCondition
{
    public override string ToString() => IsMissing ? "missing" : "present";
}
