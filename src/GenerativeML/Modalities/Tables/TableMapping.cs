namespace GenerativeML;

/// <summary>Rows of the data to rows that a generator learns, and back.</summary>
internal sealed class TableMapping
{
    private readonly TablePlan _plan;
    private readonly CombinationIndex[] _combinations;
    private readonly int[] _columnOf; // of each field; of a combination's first field, its column; -1 for the others

    /// <param name="data">The columns of the data.</param>
    /// <param name="plan">What becomes of them.</param>
    public TableMapping(TableShape data, TablePlan plan)
    {
        Data = data;
        _plan = plan;
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
                ? plan.Differences.FirstOrDefault(d => d.Upper == f)?.Column ?? data.Columns[f]
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
                data.CopyColumn(f, 0, model, _columnOf[f], start, count);
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
                gap[start + row] = TableDifference.Gap(upper[row], Base(difference, data, row));
        }
    }

    /// <summary>Takes the first rows of a block of the model back to the data.</summary>
    public void Decode(TableBlock model, TableBlock data, int count)
    {
        for (int f = 0; f < _columnOf.Length; f++)
        {
            if (_columnOf[f] >= 0)
                model.CopyColumn(_columnOf[f], 0, data, f, 0, count);
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
        foreach (TableDifference difference in _plan.Differences)
        {
            double[] upper = data.Numbers(difference.Upper), gap = model.Numbers(_columnOf[difference.Upper]);
            for (int row = 0; row < count; row++)
                upper[row] = Add(difference.Upper, Base(difference, data, row), gap[row]);
        }
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
        return double.IsNegativeInfinity(greatest) ? difference.FloorOf(Data) : greatest;
    }

    /// <summary>
    /// A smaller value plus a gap, as the greater column can have it: a multiple of its own step, within its range, not
    /// smaller, whichever type the two are compared in.
    /// </summary>
    private double Add(int upper, double smaller, double gap)
    {
        if (double.IsNaN(gap))
            return double.NaN;
        TableColumn column = Data.Columns[upper];
        // The column's greatest value in the data is never below the smaller one.
        return Math.Min(column.Fit(smaller + gap, column.Step, Math.Max(smaller, column.Min), column.Max), column.Max);
    }
}
