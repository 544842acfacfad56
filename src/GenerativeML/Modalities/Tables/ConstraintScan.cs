using System.Globalization;

namespace GenerativeML;

/// <summary>
/// Holds constraints against the training rows in the first pass, and gathers what it takes to keep them.
/// </summary>
internal sealed class ConstraintScan
{
    private readonly IReadOnlyList<TableConstraint> _constraints;
    private readonly int[][] _fields; // of each constraint
    private readonly bool[] _single; // whether a constraint compares Singles
    private readonly long[] _broken; // rows, of each constraint
    private readonly CombinationIndex[] _combinations;
    private readonly GapProfile[] _gaps;

    public ConstraintScan(IReadOnlyList<TableConstraint> constraints, TableBinding binding)
    {
        string[] names = [.. binding.FieldNames];
        _constraints = constraints;
        _fields = [.. constraints.Select(c => c.ColumnNames.Select(name => Array.IndexOf(names, name)).ToArray())];
        _single = [.. _fields.Select(fields => fields.Any(f => binding.ItemOf(f).IsSingle))];
        _broken = new long[constraints.Count];
        _combinations =
        [
            .. constraints.Zip(_fields).Where(c => c.First is TableConstraint.FixedCombinations)
                .Select(c => new CombinationIndex([.. c.Second.Order()])),
        ];
        // By the last inequality of each greater column: what all its smaller columns wait for comes before it.
        _gaps =
        [
            .. TableConstraint.InOrder([.. constraints.OfType<TableConstraint.AtMost>()])
                .Select((order, place) => (order.Lower, order.Upper, Place: place))
                .GroupBy(order => Array.IndexOf(names, order.Upper))
                .OrderBy(group => group.Max(order => order.Place))
                .Select(group => new GapProfile(
                    group.Key, [.. group.Select(order => Array.IndexOf(names, order.Lower))],
                    binding.ItemOf(group.Key).IsTime)),
        ];
    }

    /// <summary>How a field must be learned for the constraints' sake, or null.</summary>
    public FieldRule? RuleOf(int field)
    {
        TableConstraint? rule = _constraints.Zip(_fields).FirstOrDefault(
            c => c.First is not TableConstraint.InRange && c.Second.Contains(field)).First;
        return rule is null ? null : rule is TableConstraint.AtMost ? FieldRule.Numbers : FieldRule.Categories;
    }

    /// <summary>The fields that are compared with others.</summary>
    public IEnumerable<int> Compared => _gaps.SelectMany(gap => gap.Lowers.Append(gap.Upper)).Distinct();

    /// <summary>Sees a row: its cells, and the codes that they have so far.</summary>
    public void Add(RowCells cells, int[] codes)
    {
        double[] numbers = cells.Numbers;
        for (int c = 0; c < _constraints.Count; c++)
        {
            double first = numbers[_fields[c][0]];
            bool broken = _constraints[c] switch
            {
                TableConstraint.AtMost => IsGreater(c, first, numbers[_fields[c][1]]),
                TableConstraint.InRange range => IsGreater(c, range.Min, first) || IsGreater(c, first, range.Max),
                _ => false,
            };
            _broken[c] += broken ? 1 : 0;
        }
        foreach (CombinationIndex combination in _combinations)
        {
            combination.Add([.. combination.Fields.Select(f => codes[f])]);
            if (combination.Rows.Count > FieldProfile.MaxCategories)
            {
                throw new InvalidOperationException(
                    $"There are more than {FieldProfile.MaxCategories} combinations of the columns that a constraint"
                    + " joins.");
            }
        }
        foreach (GapProfile gap in _gaps)
            gap.Add(numbers);
    }

    // In the type of the columns: where one of two numbers is a Single, both are compared as such.
    private bool IsGreater(int constraint, double a, double b) => _single[constraint] ? (float)a > (float)b : a > b;

    /// <summary>What becomes of the columns, after all rows.</summary>
    /// <exception cref="InvalidOperationException">Rows break constraints; the message names them.</exception>
    public TablePlan Finish(TableShape data, long rows)
    {
        string[] broken =
        [
            .. _constraints.Zip(_broken).Where(c => c.Second > 0).Select(c => string.Create(
                CultureInfo.InvariantCulture, $"{c.Second} of {rows} rows break the constraint {c.First}")),
        ];
        if (broken.Length > 0)
            throw new InvalidOperationException($"The data contradicts its constraints: {string.Join("; ", broken)}.");
        int empty = Compared.FirstOrDefault(f => data.Columns[f].Kind != TableColumnKind.Continuous, -1);
        if (empty >= 0)
        {
            throw new InvalidOperationException(
                $"Column '{data.Columns[empty].Name}' is in an inequality, but has no numbers: all are missing.");
        }
        return new TablePlan
        {
            Combinations = [.. _combinations.Select(c => new TableCombination { Fields = c.Fields, Rows = c.Rows })],
            Differences = [.. _gaps.Select(gap => gap.Finish(data))],
        };
    }

    /// <summary>The distances of a number from the greatest of some others.</summary>
    private sealed class GapProfile(int upper, int[] lowers, bool isTime)
    {
        private readonly NumberProfile _gaps = new(isTime, isSingle: false);
        private readonly NumberProfile _alone = new(isTime, isSingle: false); // where no smaller number is there

        public int Upper => upper;

        public int[] Lowers => lowers;

        public void Add(double[] numbers)
        {
            double greatest = double.NegativeInfinity;
            foreach (int lower in lowers)
            {
                if (numbers[lower] > greatest)
                    greatest = numbers[lower];
            }
            if (double.IsNegativeInfinity(greatest))
                _alone.Add(numbers[upper]);
            else
                _gaps.Add(TableDifference.Gap(numbers[upper], greatest));
        }

        public TableDifference Finish(TableShape data)
        {
            TableColumn column = data.Columns[upper];
            TableColumn gaps = _gaps.ToColumn(column.Name), alone = _alone.ToColumn(column.Name);
            var difference = new TableDifference { Upper = upper, Lowers = lowers, Column = gaps };
            double floor = difference.FloorOf(data);
            return difference with
            {
                Column = gaps with
                {
                    HasMissing = column.HasMissing,
                    Min = Math.Min(gaps.Min, alone.Min - floor),
                    Max = Math.Max(gaps.Max, alone.Max - floor),
                    Step = Math.Max(gaps.Step, alone.Min <= alone.Max ? column.Step : 0),
                },
            };
        }
    }
}
