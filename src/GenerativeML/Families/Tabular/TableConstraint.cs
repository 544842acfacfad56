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
public abstract class TableConstraint
{
    private protected TableConstraint(params IEnumerable<string> columns)
    {
        ColumnNames = [.. columns];
        if (ColumnNames.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException("A constraint names a column without a name.");
        if (ColumnNames.Distinct().Count() < ColumnNames.Count)
            throw new ArgumentException($"A constraint names a column twice: {this}.");
    }

    /// <summary>The columns that it speaks of.</summary>
    public IReadOnlyList<string> ColumnNames { get; init; }

    /// <summary>Some columns' values occur together only as they do in the training rows.</summary>
    public sealed class FixedCombinations : TableConstraint
    {
        /// <param name="columnNames">The columns, at least two; their values become categories.</param>
        /// <exception cref="ArgumentException">There are fewer than two, or one is given twice.</exception>
        public FixedCombinations(params IReadOnlyList<string> columnNames)
            : base(columnNames)
        {
            if (columnNames.Count < 2)
                throw new ArgumentException("A combination needs two columns or more.", nameof(columnNames));
        }

        /// <inheritdoc/>
        public override string ToString() => $"only combinations of {string.Join(", ", ColumnNames)} that were seen";
    }

    /// <summary>
    /// One column's number, or time, is never greater than another's. Where one of the two is a Single, they are compared
    /// as Singles.
    /// </summary>
    public sealed class AtMost : TableConstraint
    {
        /// <param name="lower">The column with the smaller value.</param>
        /// <param name="upper">The column with the greater one.</param>
        /// <exception cref="ArgumentException">Both are the same.</exception>
        public AtMost(string lower, string upper)
            : base(lower, upper)
        {
            Lower = lower;
            Upper = upper;
        }

        /// <summary>The column with the smaller value.</summary>
        public string Lower { get; init; }

        /// <summary>The column with the greater value.</summary>
        public string Upper { get; init; }

        /// <inheritdoc/>
        public override string ToString() => $"{Lower} ≤ {Upper}";
    }

    /// <summary>A column's numbers are within a range; Singles are compared with its ends as Singles.</summary>
    public sealed class InRange : TableConstraint
    {
        /// <param name="column">The column.</param>
        /// <param name="min">The least value; it may be minus infinity.</param>
        /// <param name="max">The greatest value; it may be plus infinity.</param>
        /// <exception cref="ArgumentOutOfRangeException">No number is within the range.</exception>
        public InRange(string column, double min, double max)
            : base(column)
        {
            if (!(min <= max))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(max), max, $"The range of column '{column}' is empty: {Range(min, max)}.");
            }
            Column = column;
            Min = min;
            Max = max;
        }

        /// <summary>The column.</summary>
        public string Column { get; init; }

        /// <summary>The least value.</summary>
        [JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
        public double Min { get; init; }

        /// <summary>The greatest value.</summary>
        [JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
        public double Max { get; init; }

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
