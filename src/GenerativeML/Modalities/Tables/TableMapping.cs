using System.Globalization;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// How the columns of the data become those that are learned, so that constraints always hold: fields that become one
/// categorical column, and fields that become their distance from others, each after those that it depends on.
/// </summary>
internal sealed record TablePlan(
    IReadOnlyList<TableCombination> Combinations, IReadOnlyList<TableDifference> Differences)
{
    /// <summary>Checks a plan that came from a file, or throws a <see cref="FormatException"/>.</summary>
    public void Check(TableShape data)
    {
        var used = new HashSet<int>();
        foreach ((IReadOnlyList<int> fields, IReadOnlyList<IReadOnlyList<int>> rows) in Combinations)
        {
            bool fits = fields.Count > 1 && rows.Count is > 0 and <= TableColumn.MaxCategories
                && fields.All(f => Is(f, TableColumnKind.Categorical) && used.Add(f))
                && rows.All(row => row.Count == fields.Count
                    && row.Zip(fields).All(p => p.First >= 0 && p.First < data.Columns[p.Second].Categories));
            TableType.Require(fits, "its combinations do not fit its columns");
        }
        var pending = Differences.Select(d => d.Upper).ToHashSet();
        bool sound = pending.Count == Differences.Count;
        foreach ((int upper, IReadOnlyList<int> lowers, TableColumn column) in Differences)
        {
            pending.Remove(upper);
            column.Check();
            sound &= column.Kind == TableColumnKind.Continuous && lowers.Count > 0 && !lowers.Contains(upper)
                && lowers.Append(upper).All(f => Is(f, TableColumnKind.Continuous) && !pending.Contains(f));
        }
        TableType.Require(sound, "its constraints do not fit its columns");

        bool Is(int field, TableColumnKind kind) =>
            field >= 0 && field < data.Columns.Count && data.Columns[field].Kind == kind;
    }
}

/// <summary>Categorical fields, in rising order, and for each code of the combined column the codes of them.</summary>
internal sealed record TableCombination(IReadOnlyList<int> Fields, IReadOnlyList<IReadOnlyList<int>> Rows)
{
    /// <summary>What tells the codes of one row from those of another: their bits.</summary>
    public static string Key(IEnumerable<int> codes) => new(MemoryMarshal.Cast<int, char>([.. codes]));
}

/// <summary>
/// A field that is at least as great as some others: the greatest of those that are there, plus a gap, which is a
/// column, missing where the greater value is.
/// </summary>
internal sealed record TableDifference(int Upper, IReadOnlyList<int> Lowers, TableColumn Column)
{
    /// <summary>The difference of fields of which enough is known.</summary>
    public static TableDifference Of(TableShape data, int upper, int[] lowers)
    {
        TableColumn column = data.Columns[upper];
        double floor = lowers.Min(lower => data.Columns[lower].Min);
        return new(upper, lowers, column with
        {
            Min = Math.Min(0, column.Min - floor), // below zero only where no smaller number is there
            Max = column.Max - floor,
            IsSingle = false,
            IsCalendar = false,
            Step = lowers.Append(upper).Max(field => data.Columns[field].Step),
        });
    }

    /// <summary>The gap between two numbers, without the digits that come of subtracting decimals.</summary>
    public static double Gap(double upper, double lower)
    {
        double gap = upper - lower, rounded = Math.Round(gap, 9);
        return Math.Abs(gap - rounded) <= 4e-16 * (Math.Abs(upper) + Math.Abs(lower)) ? rounded : gap;
    }

    /// <summary>What stands for the smaller values of a row where all are missing: the least that one can be.</summary>
    public double FloorOf(TableShape data) => Lowers.Min(lower => data.Columns[lower].Min);

    /// <summary>The greatest of the smaller values of a row.</summary>
    public double BaseOf(TableBlock data, int row) =>
        Lowers.Max(lower => data[lower][row]) is not double.NaN and double greatest
            ? greatest
            : FloorOf(data.Shape);
}

/// <summary>Rows of the data to rows that a generator learns, and back.</summary>
internal sealed class TableMapping
{
    private readonly Dictionary<string, int>[] _codes; // of each combination, by the codes of its fields
    private readonly int[] _columnOf; // of each field; −1 for identifiers
    private readonly int[] _learned; // the fields that are none

    public TableMapping(TableShape data, TablePlan plan)
    {
        (Data, Plan) = (data, plan);
        _codes =
        [
            .. plan.Combinations.Select(c => c.Rows.Select(TableCombination.Key).Index()
                .DistinctBy(row => row.Item).ToDictionary(row => row.Item, row => row.Index)),
        ];
        _columnOf = new int[data.Columns.Count];
        var columns = new List<TableColumn>();
        for (int f = 0; f < _columnOf.Length; f++)
        {
            TableCombination? combination = CombinationOf(f);
            if (data.Columns[f].Kind == TableColumnKind.Identifier)
            {
                _columnOf[f] = -1;
                continue;
            }
            if (combination is not null && combination.Fields[0] != f)
            {
                _columnOf[f] = _columnOf[combination.Fields[0]];
                continue;
            }
            _columnOf[f] = columns.Count;
            columns.Add(combination is null
                ? plan.Differences.FirstOrDefault(d => d.Upper == f)?.Column ?? Days(data.Columns[f])
                : new TableColumn(data.NamesOf(combination.Fields), TableColumnKind.Categorical)
                {
                    Categories = combination.Rows.Count,
                });
        }
        _learned = [.. Enumerable.Range(0, _columnOf.Length).Where(f => _columnOf[f] >= 0)];
        Model = new TableShape(columns, data.Label is int label ? _columnOf[label] : null);

        static TableColumn Days(TableColumn column) => !column.IsCalendar ? column : column with
        {
            IsCalendar = false,
            Min = CalendarNumber.LastDay(column.Min),
            Max = CalendarNumber.LastDay(column.Max),
        };
    }

    /// <summary>The columns of the data.</summary>
    public TableShape Data { get; }

    /// <summary>The columns that a generator learns.</summary>
    public TableShape Model { get; }

    /// <summary>What becomes of the columns of the data.</summary>
    public TablePlan Plan { get; }

    /// <summary>The column that holds a field, or the combination that it is part of.</summary>
    public int ColumnOf(int field) => _columnOf[field];

    /// <summary>The combination that a field is part of.</summary>
    public TableCombination? CombinationOf(int field) =>
        Plan.Combinations.FirstOrDefault(c => c.Fields.Contains(field));

    /// <summary>Whether a field's dates, numbers without those between two months, are learned as days.</summary>
    public bool HasDays(int field) => Data.Columns[field].IsCalendar && Plan.Differences.All(d => d.Upper != field);

    /// <summary>
    /// Takes the first rows of a block of data to rows of the model. A combination that was never seen is an error, or
    /// has the code −1.
    /// </summary>
    public void Encode(TableBlock data, TableBlock model, int count, bool areNew = false)
    {
        foreach (int f in _learned)
        {
            Span<double> column = model[_columnOf[f]].AsSpan(0, count);
            data[f].AsSpan(0, count).CopyTo(column);
            if (!HasDays(f))
                continue;
            foreach (ref double value in column)
                value = CalendarNumber.LastDay(value);
        }
        foreach ((TableCombination combination, Dictionary<string, int> codes) in Plan.Combinations.Zip(_codes))
        {
            double[] column = model[_columnOf[combination.Fields[0]]];
            for (int row = 0; row < count; row++)
            {
                string key = TableCombination.Key(combination.Fields.Select(f => double.IsNaN(data[f][row]) ? -1 : (int)data[f][row]));
                column[row] = codes.TryGetValue(key, out int code) ? code
                    : areNew ? -1
                    : throw TrainingTable.Changed(Data.NamesOf(combination.Fields));
            }
        }
        foreach (TableDifference difference in Plan.Differences)
        {
            double[] upper = data[difference.Upper], gap = model[_columnOf[difference.Upper]];
            for (int row = 0; row < count; row++)
                gap[row] = TableDifference.Gap(upper[row], difference.BaseOf(data, row));
        }
    }

    /// <summary>Takes the first rows of a block of the model back to the data.</summary>
    public void Decode(TableBlock model, TableBlock data, int count)
    {
        foreach (int f in _learned)
        {
            Span<double> column = data[f].AsSpan(0, count);
            model[_columnOf[f]].AsSpan(0, count).CopyTo(column);
            if (!HasDays(f))
                continue;
            foreach (ref double value in column)
                value = CalendarNumber.OfDay(value);
        }
        foreach (TableCombination combination in Plan.Combinations)
        {
            double[] codes = model[_columnOf[combination.Fields[0]]];
            for (int row = 0; row < count; row++)
            {
                for (int i = 0; i < combination.Fields.Count; i++)
                    data[combination.Fields[i]][row] = combination.Rows[(int)codes[row]][i];
            }
        }
        foreach (TableDifference difference in Plan.Differences)
        {
            double[] upper = data[difference.Upper], gap = model[_columnOf[difference.Upper]];
            for (int row = 0; row < count; row++)
                upper[row] = Add(Data.Columns[difference.Upper], difference.BaseOf(data, row), gap[row]);
        }
    }

    // A smaller value plus a gap, as the greater column can have it: a multiple of its own step, within its range, not
    // smaller, whichever type the two are compared in.
    private static double Add(TableColumn column, double smaller, double gap) => double.IsNaN(gap)
        ? double.NaN
        // The column's greatest value in the data is never below the smaller one.
        : Math.Min(column.Fit(smaller + gap, column.Step, Math.Max(smaller, column.Min), column.Max), column.Max);
}

/// <summary>Holds constraints against the training rows, and gathers what it takes to keep them.</summary>
internal sealed class ConstraintScan
{
    private readonly (TableConstraint Rule, int[] Fields, bool IsSingle)[] _constraints;
    private readonly long[] _broken; // rows, of each constraint
    private readonly (int[] Fields, OrderedDictionary<string, int[]> Rows)[] _combinations;
    private readonly IGrouping<int, int>[] _differences; // of each greater field, the smaller ones

    public ConstraintScan(IReadOnlyList<TableConstraint> constraints, TableBinding binding)
    {
        string[] names = [.. binding.FieldNames];
        _constraints =
        [
            .. from rule in constraints
               let fields = rule.ColumnNames.Select(name => Array.IndexOf(names, name)).ToArray()
               select (rule, fields, fields.Any(f => binding.ItemOf(f).IsSingle)),
        ];
        _broken = new long[constraints.Count];
        _combinations =
        [
            .. from constraint in _constraints
               where constraint.Rule is TableConstraint.FixedCombinations
               select (constraint.Fields.Order().ToArray(), new OrderedDictionary<string, int[]>()),
        ];
        // By the last inequality of each greater column: what all its smaller columns wait for comes before it.
        TableConstraint.AtMost[] orders =
            [.. TableConstraint.InOrder([.. constraints.OfType<TableConstraint.AtMost>()])];
        _differences =
        [
            .. orders.GroupBy(order => Array.IndexOf(names, order.Upper), order => Array.IndexOf(names, order.Lower))
                .OrderBy(group => Array.FindLastIndex(orders, order => order.Upper == names[group.Key])),
        ];
    }

    /// <summary>How a field must be learned for the constraints' sake, or null.</summary>
    public FieldRule? RuleOf(int field) => _constraints.FirstOrDefault(
        c => c.Rule is not TableConstraint.InRange && c.Fields.Contains(field)).Rule switch
    {
        null => null,
        TableConstraint.AtMost => FieldRule.Numbers,
        _ => FieldRule.Categories,
    };

    /// <summary>Whether a constraint speaks of a field.</summary>
    public bool Names(int field) => _constraints.Any(c => c.Fields.Contains(field));

    /// <summary>Sees a row: its cells, and the codes that they have so far.</summary>
    public void Add(RowCells cells, int[] codes)
    {
        double[] numbers = cells.Numbers;
        for (int c = 0; c < _constraints.Length; c++)
        {
            (TableConstraint rule, int[] fields, bool isSingle) = _constraints[c];
            bool isBroken = rule switch
            {
                TableConstraint.AtMost => IsGreater(numbers[fields[0]], numbers[fields[1]]),
                TableConstraint.InRange range =>
                    IsGreater(range.Min, numbers[fields[0]]) || IsGreater(numbers[fields[0]], range.Max),
                _ => false,
            };
            _broken[c] += isBroken ? 1 : 0;

            // In the type of the columns: where one of two numbers is a Single, both are compared as such.
            bool IsGreater(double a, double b) => isSingle ? (float)a > (float)b : a > b;
        }
        foreach ((int[] fields, OrderedDictionary<string, int[]> rows) in _combinations)
        {
            int[] row = Array.ConvertAll(fields, f => codes[f]);
            rows.TryAdd(TableCombination.Key(row), row);
            if (rows.Count > FieldProfile.MaxCategories)
            {
                throw new InvalidOperationException(
                    $"There are more than {FieldProfile.MaxCategories} combinations of the columns that a constraint"
                    + " joins.");
            }
        }
    }

    /// <summary>What becomes of the columns, after all rows.</summary>
    /// <exception cref="InvalidOperationException">Rows break constraints; the message names them.</exception>
    public TablePlan Finish(TableShape data, long rows)
    {
        string[] broken =
        [
            .. _constraints.Zip(_broken).Where(c => c.Second > 0).Select(c => string.Create(
                CultureInfo.InvariantCulture, $"{c.Second} of {rows} rows break the constraint {c.First.Rule}")),
        ];
        if (broken.Length > 0)
            throw new InvalidOperationException($"The data contradicts its constraints: {string.Join("; ", broken)}.");
        foreach (int field in _differences.SelectMany(group => group.Append(group.Key)))
        {
            if (!double.IsFinite(data.Columns[field].Min))
            {
                throw new InvalidOperationException(
                    $"Column '{data.Columns[field].Name}' is in an inequality, but has no numbers: all are missing.");
            }
        }
        return new TablePlan(
            [.. _combinations.Select(c => new TableCombination(c.Fields, [.. c.Rows.Values]))],
            [.. _differences.Select(group => TableDifference.Of(data, group.Key, [.. group]))]);
    }
}
