using System.Globalization;
using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// A rule that every row of a table keeps: the training rows have to, and generated rows do. A missing value breaks no
/// rule.
/// </summary>
/// <remarks>
/// The three kinds are <see cref="FixedCombinations"/>, <see cref="AtMost"/> and <see cref="InRange"/>. Columns are
/// named as the data names them; a feature of a vector by its column and its own name or number, as <c>Features.3</c>.
/// </remarks>
[JsonDerivedType(typeof(FixedCombinations), nameof(FixedCombinations))]
[JsonDerivedType(typeof(AtMost), nameof(AtMost))]
[JsonDerivedType(typeof(InRange), nameof(InRange))]
public abstract record TableConstraint
{
    private protected TableConstraint(IEnumerable<string> columns)
    {
        if (columns.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException("A constraint names a column without a name.");
        if (columns.Distinct().Count() < columns.Count())
            throw new ArgumentException($"A constraint names a column twice: {string.Join(", ", columns)}.");
    }

    /// <summary>The columns that it speaks of.</summary>
    public abstract IReadOnlyList<string> ColumnNames { get; }

    /// <summary>Some columns' values occur together only as they do in the training rows.</summary>
    /// <param name="Columns">The columns, at least two; their values become categories.</param>
    public sealed record FixedCombinations(params IReadOnlyList<string> Columns) : TableConstraint(Columns)
    {
        /// <summary>The columns, at least two; their values become categories.</summary>
        /// <exception cref="ArgumentException">There are fewer than two.</exception>
        public IReadOnlyList<string> Columns { get; init; } = Columns.Count >= 2
            ? Columns
            : throw new ArgumentException("A combination needs two columns or more.", nameof(Columns));

        /// <inheritdoc/>
        public override IReadOnlyList<string> ColumnNames => Columns;

        /// <inheritdoc/>
        public override string ToString() => $"only combinations of {string.Join(", ", ColumnNames)} that were seen";
    }

    /// <summary>
    /// One column's number, or time, is never greater than another's. Where one of the two is a Single, they are
    /// compared as Singles.
    /// </summary>
    /// <param name="Lower">The column with the smaller value.</param>
    /// <param name="Upper">The column with the greater one; another than the first.</param>
    public sealed record AtMost(string Lower, string Upper) : TableConstraint([Lower, Upper])
    {
        /// <inheritdoc/>
        public override IReadOnlyList<string> ColumnNames => [Lower, Upper];

        /// <inheritdoc/>
        public override string ToString() => $"{Lower} ≤ {Upper}";
    }

    /// <summary>A column's numbers are within a range; Singles are compared with its ends as Singles.</summary>
    /// <param name="Column">The column.</param>
    /// <param name="Min">The least value; it may be minus infinity.</param>
    /// <param name="Max">The greatest value, not below the least; it may be plus infinity.</param>
    public sealed record InRange(
        string Column,
        [property: JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)] double Min,
        double Max) : TableConstraint([Column])
    {
        /// <summary>The greatest value, not below the least; it may be plus infinity.</summary>
        /// <exception cref="ArgumentOutOfRangeException">No number is within the range.</exception>
        [JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
        public double Max { get; init; } = Min <= Max
            ? Max
            : throw new ArgumentOutOfRangeException(
                nameof(Max), Max, $"The range of column '{Column}' is empty: {Range(Min, Max)}.");

        /// <inheritdoc/>
        public override IReadOnlyList<string> ColumnNames => [Column];

        /// <inheritdoc/>
        public override string ToString() => $"{Column} in {Range(Min, Max)}";
    }

    /// <summary>Checks that some row can keep all constraints, whatever the data.</summary>
    /// <exception cref="ArgumentException">They contradict each other; the message names them.</exception>
    internal static void CheckTogether(IReadOnlyList<TableConstraint> constraints)
    {
        if (constraints.Any(c => c is null))
            throw new ArgumentException("A constraint is null.");
        CheckCombinations(constraints);
        Dictionary<string, (double Min, double Max)> ranges = [];
        foreach (InRange range in constraints.OfType<InRange>())
        {
            (double min, double max) = RangeOf(range.Column);
            (min, max) = (Math.Max(min, range.Min), Math.Min(max, range.Max));
            if (min > max)
                throw Contradiction($"no value of '{range.Column}' is within all of its ranges");
            ranges[range.Column] = (min, max);
        }

        // A lower bound carries over to every greater column; a circle of inequalities never settles.
        AtMost[] orders = [.. constraints.OfType<AtMost>()];
        foreach (AtMost order in InOrder(orders))
        {
            double min = Math.Max(RangeOf(order.Lower).Min, RangeOf(order.Upper).Min);
            double max = RangeOf(order.Upper).Max;
            if (min > max)
            {
                throw Contradiction(
                    $"{order}, but '{order.Lower}' is at least {Text(min)} and '{order.Upper}' at most {Text(max)}");
            }
            ranges[order.Upper] = (min, max);
        }

        (double Min, double Max) RangeOf(string column) =>
            ranges.TryGetValue(column, out (double, double) known)
                ? known
                : (double.NegativeInfinity, double.PositiveInfinity);
    }

    /// <summary>Inequalities, each after all those whose greater column is its smaller one.</summary>
    /// <exception cref="ArgumentException">Some go round in a circle.</exception>
    internal static IReadOnlyList<AtMost> InOrder(IReadOnlyList<AtMost> constraints)
    {
        var waiting = new List<AtMost>(constraints);
        var ordered = new List<AtMost>();
        while (waiting.Count > 0)
        {
            AtMost[] ready = [.. waiting.Where(c => waiting.All(other => other.Upper != c.Lower))];
            if (ready.Length == 0)
                throw Contradiction($"these go round in a circle: {string.Join(", ", waiting)}");
            ordered.AddRange(ready);
            waiting.RemoveAll(ready.Contains);
        }
        return ordered;
    }

    private static void CheckCombinations(IReadOnlyList<TableConstraint> constraints)
    {
        var taken = new HashSet<string>();
        foreach (string column in constraints.OfType<FixedCombinations>().SelectMany(c => c.ColumnNames))
        {
            if (!taken.Add(column))
                throw new ArgumentException($"Column '{column}' is in two combinations: make them one.");
        }
        AtMost? mixed = constraints.OfType<AtMost>().FirstOrDefault(c => c.ColumnNames.Any(taken.Contains));
        if (mixed is not null)
        {
            throw new ArgumentException(
                $"The constraint {mixed} speaks of a column that is in a combination, where values are categories.");
        }
    }

    private static ArgumentException Contradiction(string what) =>
        new($"The constraints contradict each other: {what}.");

    private static string Range(double min, double max) => $"[{Text(min)}, {Text(max)}]";

    private static string Text(double value) => value.ToString(CultureInfo.InvariantCulture);
}
