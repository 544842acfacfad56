using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>A column of numbers or categories; all tables that are compared give a category the same code.</summary>
/// <param name="Name">The column's name, or that and a slot's.</param>
/// <param name="IsNumeric">Whether it is compared as numbers.</param>
/// <param name="Scalar">What a scalar holds; null for a slot of a vector.</param>
internal sealed record ReportColumn(string Name, bool IsNumeric, TableItem? Scalar)
{
    private readonly OrderedDictionary<string, int> _codes = [];

    /// <summary>The categories seen so far, by code.</summary>
    public IReadOnlyList<string> Categories => _codes.Keys;

    /// <summary>The code of a category; a new one for one not yet seen.</summary>
    public int CodeOf(string category)
    {
        _codes.TryAdd(category, _codes.Count, out int code);
        return code;
    }
}

/// <summary>
/// Rows of one of the tables, column by column: all of them, or as many as there is room for, every row equally likely
/// (Vitter's algorithm R 1985). With no more rows than that they are in their order.
/// </summary>
internal sealed class ReportTable(IReadOnlyList<ReportColumn> columns, int mostRows, int seed)
{
    private readonly List<double>[] _values = [.. columns.Select(_ => new List<double>())];
    private SplitMix64 _random = new(SplitMix64.Derive(seed, RandomPurpose.Sample));

    public IReadOnlyList<ReportColumn> Columns => columns;

    /// <summary>The number of rows held.</summary>
    public int Rows => _values[0].Count;

    /// <summary>The number of rows there were.</summary>
    public long SourceRows { get; private set; }

    /// <summary>A column's numbers, NaN where one is missing; or its categories, by code.</summary>
    public ReadOnlySpan<double> Values(int column) => CollectionsMarshal.AsSpan(_values[column]);

    /// <summary>A row's numbers and codes.</summary>
    public IEnumerable<double> Row(int row) => _values.Select(column => column[row]);

    /// <summary>The numbers that are there, in order.</summary>
    public double[] Sorted(int column) => [.. _values[column].Where(number => !double.IsNaN(number)).Order()];

    /// <summary>How often each category occurs.</summary>
    public int[] Counts(int column)
    {
        int[] counts = new int[columns[column].Categories.Count];
        foreach (double code in _values[column])
            counts[(int)code]++;
        return counts;
    }

    /// <summary>The share of rows in which a column's number is missing, or its category empty.</summary>
    public double MissingShare(int column) => _values[column].Count(columns[column].IsNumeric
        ? double.IsNaN
        : code => columns[column].Categories[(int)code].Length == 0) / (double)Rows;

    /// <summary>Mean and population deviation of a column's numbers; of a constant one, a deviation of one.</summary>
    public (double Mean, double Deviation) Scale(int column)
    {
        double mean = 0, squares = 0;
        long count = 0;
        foreach (double number in _values[column])
        {
            if (double.IsNaN(number))
                continue;
            double step = number - mean;
            mean += step / ++count;
            squares += step * (number - mean);
        }
        return (mean, Math.Sqrt(squares / Math.Max(count, 1)) is var deviation and > 0 ? deviation : 1);
    }

    /// <summary>The same rows without some columns.</summary>
    public ReportTable Without(IReadOnlyCollection<int> leftOut)
    {
        int[] kept = [.. Enumerable.Range(0, columns.Count).Except(leftOut)];
        var rest = new ReportTable([.. kept.Select(c => columns[c])], mostRows, seed) { SourceRows = SourceRows };
        for (int i = 0; i < kept.Length; i++)
            rest._values[i] = _values[kept[i]];
        return rest;
    }

    /// <summary>A column's numbers or codes that are there.</summary>
    public IEnumerable<double> Present(int column) => _values[column].Where(columns[column].IsNumeric
        ? number => !double.IsNaN(number)
        : code => columns[column].Categories[(int)code].Length > 0);

    /// <summary>Whether no value of a column comes twice, and that tells rows apart.</summary>
    public bool TellsRows(int column)
    {
        HashSet<double> different = [];
        return columns[column].Scalar is TableItem item && Present(column).All(different.Add)
            && (columns[column].IsNumeric
                ? different.Count > 0 && Identifier.TellsRows(item, different.Count, different.Min(), different.Max())
                : Identifier.TellsRows(different.Count));
    }

    /// <summary>The place for the next row: at the end, that of an earlier row, or −1 for none.</summary>
    public int NextPlace()
    {
        SourceRows++;
        ulong at = Rows < mostRows ? (ulong)Rows : _random.Next() % (ulong)SourceRows;
        return at < (ulong)mostRows ? (int)at : -1;
    }

    /// <summary>Puts a number or code where <see cref="NextPlace"/> says.</summary>
    public void Put(int place, int column, double value)
    {
        if (place == _values[column].Count)
            _values[column].Add(value);
        else
            _values[column][place] = value;
    }
}

/// <summary>Reads the tables that are compared, by the columns of the real one.</summary>
internal sealed class ReportTables
{
    private readonly DataViewSchema _schema;
    private readonly SyntheticDataReportOptions _options;
    private readonly List<DataViewSchema.Column> _sources = [];
    private readonly List<ReportColumn> _columns = []; // of each source one, or one for each feature of a vector

    /// <exception cref="ArgumentOutOfRangeException">No table can hold a column, or there is no such label.</exception>
    public ReportTables(DataViewSchema real, SyntheticDataReportOptions options)
    {
        (_schema, _options) = (real, options);
        foreach (DataViewSchema.Column column in real.Where(c => !c.IsHidden))
        {
            bool isLabel = column.Name == options.LabelColumnName;
            bool numbers = TableCells.AreNumbers(column, nameof(real)) && !isLabel;
            if (isLabel && column.Type is VectorDataViewType)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(real), $"Label column '{column.Name}' is a vector: expected a scalar, found {column.Type}.");
            }
            if (isLabel)
                LabelColumn = _columns.Count;
            _sources.Add(column);
            _columns.AddRange(TableCells.NamesOf(column).Select(name => new ReportColumn(
                name, numbers, column.Type is VectorDataViewType ? null : TableItem.Of(column.Type))));
        }
        if (_columns.Count == 0)
            throw new ArgumentException("The real table has no columns.", nameof(real));
        foreach (string name in options.IdentifierColumnNames ?? [])
        {
            if (_columns.FindIndex(column => column.Name == name) is var at && (at < 0 || at == LabelColumn))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(real),
                    $"Option {nameof(options.IdentifierColumnNames)} names column '{name}', which is "
                    + (at < 0 ? "missing." : "the label."));
            }
        }
        if (options.LabelColumnName is not null && LabelColumn < 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(real),
                $"Label column '{options.LabelColumnName}' is missing; there are "
                + $"{string.Join(", ", _sources.Select(source => $"'{source.Name}'"))}.");
        }
    }

    /// <summary>The number of the label among the columns; −1 where there is none.</summary>
    public int LabelColumn { get; } = -1;

    /// <summary>The columns that tell rows apart, by option or as the real rows have it; but not all there are.</summary>
    public int[] Identifiers(ReportTable real)
    {
        int[] found =
        [
            .. Enumerable.Range(0, _columns.Count).Where(c => c != LabelColumn
                && (_options.IdentifierColumnNames?.Contains(_columns[c].Name) ?? real.TellsRows(c))),
        ];
        return found.Length < _columns.Count ? found : [];
    }

    /// <summary>Reads a table.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="ArgumentException">There are no rows.</exception>
    public ReportTable Read(IDataView data, string parameter)
    {
        DataViewSchema.Column[] columns = [.. _sources.Select(source => Find(data.Schema, source, parameter))];
        ReportTable table = new(_columns, _options.MaximumRows, _options.Seed);
        using DataViewRowCursor cursor = data.GetRowCursor(columns);
        TableCells[] sources = [.. columns.Select(column => new TableCells(cursor, column))];
        while (cursor.MoveNext())
        {
            if (cursor.Position % 1024 == 0)
                _options.CancellationToken.ThrowIfCancellationRequested();
            int place = table.NextPlace(), column = 0;
            if (place < 0)
                continue;
            foreach (TableCells cells in sources)
            {
                cells.Read();
                for (int cell = 0; cell < cells.Count; cell++, column++)
                {
                    table.Put(place, column, _columns[column].IsNumeric
                        ? cells.Number(cell)
                        : _columns[column].CodeOf(cells.Text(cell)));
                }
            }
        }
        return table.Rows > 0 ? table : throw new ArgumentException("The table has no rows.", parameter);
    }

    private DataViewSchema.Column Find(DataViewSchema schema, DataViewSchema.Column real, string parameter)
    {
        if (ReferenceEquals(schema, _schema))
            return real;
        if (schema.GetColumnOrNull(real.Name) is not DataViewSchema.Column column)
        {
            throw new ArgumentOutOfRangeException(
                parameter,
                $"Column '{real.Name}' is missing: the real table has it ({real.Type}), and this one has "
                + $"{string.Join(", ", schema.Where(c => !c.IsHidden).Take(20).Select(c => $"'{c.Name}'"))}.");
        }
        return SameKind(column.Type, real.Type)
            ? column
            : throw new ArgumentOutOfRangeException(
                parameter,
                $"Column '{real.Name}' is of the wrong type: expected {real.Type}, as in the real table, "
                + $"found {column.Type}.");
    }

    // Keys may differ in their number of values: they are compared by what they stand for.
    private static bool SameKind(DataViewType a, DataViewType b) => (a, b) switch
    {
        (VectorDataViewType x, VectorDataViewType y) => x.Size == y.Size && SameKind(x.ItemType, y.ItemType),
        (KeyDataViewType, KeyDataViewType) => true,
        _ => a.Equals(b),
    };
}
