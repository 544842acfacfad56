
namespace GenerativeML;

/// <summary>Rows of the data to rows that a generator learns, and back.</summary>
internal sealed class TableMapping
{
    private readonly TablePlan _plan;
    private readonly bool[] _single;
    private readonly CombinationIndex[] _combinations;
    private readonly int[] _columnOf; // of each field; of a combination's first field, its column; -1 for the others

    /// <param name="data">The columns of the data.</param>
    /// <param name="single">For each of them, whether its values have the precision of Single.</param>
    /// <param name="plan">What becomes of them.</param>
    public TableMapping(TableShape data, bool[] single, TablePlan plan)
    {
        Data = data;
        _plan = plan;
        _single = single;
        _combinations = [.. plan.Combinations.Select(c => new CombinationIndex(c))];
        _columnOf = new int[data.Columns.Count];
        var columns = new List<TableColumn>();
        for (int f = 0; f < data.Columns.Count; f++)
        {
            TableCombination? combination = plan.Combinations.FirstOrDefault(c => c.Fields.Contains(f));
            bool absorbed = combination is not null && combination.Fields[0] != f;
            _columnOf[f] = absorbed ? -1 : columns.Count;
            if (absorbed)
                continue;
            columns.Add(combination is null
                ? plan.Differences.FirstOrDefault(d => d.Upper == f)?.Gap ?? data.Columns[f]
                : new TableColumn(
                    string.Join(" + ", combination.Fields.Select(i => data.Columns[i].Name)),
                    TableColumnKind.Categorical)
                {
                    Categories = combination.Rows.Count,
                });
        }
        Model = new TableShape(columns, data.Label is int label ? ColumnOf(label) : null);
    }

    /// <summary>The columns of the data.</summary>
    public TableShape Data { get; }

    /// <summary>The columns that a generator learns.</summary>
    public TableShape Model { get; }

    /// <summary>The plan.</summary>
    public TablePlan Plan => _plan;

    /// <summary>Whether values of a field have the precision of Single.</summary>
    public bool IsSingle(int field) => _single[field];

    /// <summary>The column that holds a field, or the combination that it is part of.</summary>
    public int ColumnOf(int field) => _columnOf[CombinationOf(field)?.Fields[0] ?? field];

    /// <summary>The combination that a field is part of.</summary>
    public TableCombination? CombinationOf(int field) =>
        _plan.Combinations.FirstOrDefault(c => c.Fields.Contains(field));

    /// <summary>
    /// Takes the first rows of a block of data to rows of the model, from row <paramref name="start"/> on.
    /// </summary>
    public void Encode(TableBlock data, TableBlock model, int start, int count)
    {
        for (int f = 0; f < _columnOf.Length; f++)
        {
            if (_columnOf[f] >= 0)
                Copy(data, f, model, _columnOf[f], start, count);
        }
        foreach (CombinationIndex combination in _combinations)
        {
            int[] codes = model.Codes(_columnOf[combination.Fields[0]]);
            for (int row = 0; row < count; row++)
                codes[start + row] = combination.Find(data, row);
        }
        foreach (TableDifference difference in _plan.Differences)
        {
            double[] upper = data.Numbers(difference.Upper), gap = model.Numbers(_columnOf[difference.Upper]);
            for (int row = 0; row < count; row++)
                gap[start + row] = upper[row] - Base(difference, data, row);
        }
    }

    /// <summary>Takes the first rows of a block of the model back to the data.</summary>
    public void Decode(TableBlock model, TableBlock data, int count)
    {
        for (int f = 0; f < _columnOf.Length; f++)
        {
            if (_columnOf[f] >= 0)
                Copy(model, _columnOf[f], data, f, 0, count);
        }
        foreach (CombinationIndex combination in _combinations)
        {
            int[] codes = model.Codes(_columnOf[combination.Fields[0]]);
            for (int i = 0; i < combination.Fields.Count; i++)
            {
                int[] values = data.Codes(combination.Fields[i]);
                for (int row = 0; row < count; row++)
                    values[row] = combination.Rows[codes[row]][i];
            }
        }
        for (int f = 0; f < _single.Length; f++)
        {
            if (_single[f] && Data.Columns[f].Kind == TableColumnKind.Continuous)
                ToSingle(data.Numbers(f).AsSpan(0, count));
        }
        foreach (TableDifference difference in _plan.Differences)
        {
            double[] upper = data.Numbers(difference.Upper), gap = model.Numbers(_columnOf[difference.Upper]);
            for (int row = 0; row < count; row++)
                upper[row] = Add(difference.Upper, Base(difference, data, row), gap[row]);
        }
    }

    private static void Copy(TableBlock from, int column, TableBlock to, int target, int start, int count)
    {
        bool numbers = from.Shape.Columns[column].Kind == TableColumnKind.Continuous;
        Array source = numbers ? from.Numbers(column) : from.Codes(column);
        Array.Copy(source, 0, numbers ? to.Numbers(target) : to.Codes(target), start, count);
    }

    private static void ToSingle(Span<double> values)
    {
        foreach (ref double value in values)
            value = (float)value;
    }

    /// <summary>
    /// The greatest of the smaller values of a row; where all are missing, the least that any of them can be.
    /// </summary>
    private double Base(TableDifference difference, TableBlock data, int row)
    {
        double greatest = double.NegativeInfinity;
        foreach (int lower in difference.Lowers)
        {
            double value = data.Numbers(lower)[row];
            if (value > greatest)
                greatest = value;
        }
        return double.IsNegativeInfinity(greatest) ? FloorOf(difference, Data) : greatest;
    }

    /// <summary>What stands for the smaller values of a row where all are missing.</summary>
    public static double FloorOf(TableDifference difference, TableShape data) =>
        difference.Lowers.Min(lower => data.Columns[lower].Min);

    /// <summary>
    /// A smaller value plus a gap, as the greater column can have it: rounded, within its range, not smaller.
    /// </summary>
    private double Add(int upper, double smaller, double gap)
    {
        if (double.IsNaN(gap))
            return double.NaN;
        TableColumn column = Data.Columns[upper];
        double value = Math.Clamp(smaller + gap, column.Min, column.Max);
        if (column.Decimals is int decimals)
            value = Math.Round(value, decimals);
        if (_single[upper])
            value = (float)value;
        if (value >= smaller && value <= column.Max)
            return value;
        // Rounding went the wrong way; the column's greatest value in the data is never below the smaller one.
        if (column.Decimals is int digits)
        {
            double scale = Math.Pow(10, digits);
            value = Math.Ceiling(smaller * scale) / scale;
        }
        if (_single[upper])
            value = value < smaller ? MathF.BitIncrement((float)smaller) : (float)value;
        return value >= smaller && value <= column.Max ? value : column.Max;
    }
}
