using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// The columns of a data view as a generator learns them; one pass over the rows finds out what they are.
/// </summary>
internal sealed class TrainingTable : ITableSource
{
    private const int RowsAtOnce = 1024;

    // So many categories cost time and memory in every step, and most of them occur too rarely to be learned well.
    private const int ManyCategories = 1000;

    private readonly IDataView _data;
    private readonly TableBinding _binding;
    private readonly TabularOptions _options;
    private readonly TableField[] _fields;
    private readonly CategoryIndex?[] _categories;

    /// <exception cref="InvalidOperationException">The rows cannot be learned; the message says why.</exception>
    public TrainingTable(IDataView data, TableBinding binding, TabularOptions options, Action<string>? warn)
    {
        (_data, _binding, _options) = (data, binding, options);
        var constraints = new ConstraintScan(options.Constraints ?? [], binding);
        FieldProfile[] profiles = Scan(constraints);
        _fields = [.. profiles.Select(profile => profile.ToField())];
        Schema = SchemaOf(_fields);
        _categories = [.. _fields.Select(f => f.Categories is null ? null : new CategoryIndex(f.Categories))];
        var shape = new TableShape([.. _fields.Select(f => f.Column)], binding.Label);
        Mapping = new TableMapping(shape, constraints.Finish(shape, RowCount));
        Warn(warn);
    }

    /// <summary>The columns as ML.NET sees them.</summary>
    public TableSchema Schema { get; }

    /// <summary>Between the columns of the data and those that are learned.</summary>
    public TableMapping Mapping { get; }

    public TableShape Shape => Mapping.Model;

    public long RowCount { get; private set; }

    public ITableReader Open() => new Reader(this);

    /// <summary>The error for rows that are not the same in every pass.</summary>
    public static InvalidOperationException Changed(string column) => new(
        $"Column '{column}' has values that were not there in the first pass: the data must be the same in every"
        + " pass.");

    private FieldProfile[] Scan(ConstraintScan constraints)
    {
        FieldProfile[] profiles =
        [
            .. _binding.FieldNames.Select(
                (name, f) => new FieldProfile(name, _binding.ItemOf(f), RuleOf(f, constraints))),
        ];
        var codes = new int[profiles.Length];
        using TableReader reader = OpenReader();
        while (reader.MoveNext())
        {
            for (int f = 0; f < profiles.Length; f++)
                codes[f] = profiles[f].Add(reader.Cells, f);
            constraints.Add(reader.Cells, codes);
            RowCount++;
        }
        if (reader.FirstInfinite is (int field, long row) && _options.NonFiniteValues == NonFiniteValues.Error)
        {
            throw new InvalidOperationException(
                string.Create(CultureInfo.InvariantCulture, $"{reader.InfiniteRows} of {reader.RowsSeen} rows hold")
                + $" infinite numbers; the first is in column '{_binding.FieldNames[field]}' of row {row} (counted from"
                + $" 0). Clean the data, or set the option {nameof(TrainingOptions.NonFiniteValues)} to"
                + $" {NonFiniteValues.Replace}, which takes them for missing, or {NonFiniteValues.DropRow}.");
        }
        if (RowCount < 2)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture,
                $"A table is learned from two rows or more, but the data has {RowCount} that can be used."));
        }
        return profiles;
    }

    private FieldRule RuleOf(int field, ConstraintScan constraints)
    {
        FieldRule? constrained = constraints.RuleOf(field);
        bool named = _binding.Categorical.Contains(field);
        if (named && constrained == FieldRule.Numbers)
        {
            throw new ArgumentException(
                $"Column '{_binding.FieldNames[field]}' is in an inequality, so its values cannot be categories.");
        }
        return constrained
            ?? (named || !_binding.IsQuantity(field) ? FieldRule.Categories : FieldRule.Either);
    }

    private TableSchema SchemaOf(TableField[] fields) => new()
    {
        Columns =
        [
            .. _binding.Columns.Zip(_binding.Types, (column, type) => new TableSchemaColumn
            {
                Name = column.Name,
                Type = type,
                Annotations = TableAnnotation.All(column.Annotations, column.Name),
                Fields = [.. fields.Where((_, f) => ReferenceEquals(_binding.TypeOf(f), type))],
            }),
        ],
    };

    private void Warn(Action<string>? warn)
    {
        foreach (TableColumn column in Shape.Columns.Where(c => c.Categories > ManyCategories))
        {
            warn?.Invoke($"Column '{column.Name}' has {column.Categories} categories: training takes long, and those"
                + " that occur once or twice are learned badly. Leave the column out where it tells rows apart rather"
                + " than describing them.");
        }
    }

    private TableReader OpenReader() => new(_data, _binding, _options.NonFiniteValues, _options.CancellationToken);

    private sealed class Reader(TrainingTable table) : ITableReader
    {
        private readonly TableReader _rows = table.OpenReader();
        private readonly TableBlock _data = new(table.Mapping.Data, RowsAtOnce);

        public int Read(TableBlock block, int start, int count)
        {
            int read = 0;
            while (read < count)
            {
                int wanted = Math.Min(RowsAtOnce, count - read), rows = 0;
                while (rows < wanted && _rows.MoveNext())
                    Encode(rows++);
                table.Mapping.Encode(_data, block, start + read, rows);
                read += rows;
                if (rows < wanted)
                    break;
            }
            return read;
        }

        private void Encode(int row)
        {
            TableField[] fields = table._fields;
            for (int f = 0; f < fields.Length; f++)
            {
                if (table._categories[f] is not CategoryIndex categories)
                {
                    _data.Numbers(f)[row] = _rows.Cells.Numbers[f];
                    continue;
                }
                int code = categories.Find(_rows.Cells, f);
                _data.Codes(f)[row] = code >= 0 ? code : throw Changed(fields[f].Column.Name);
            }
        }

        public void Dispose() => _rows.Dispose();
    }
}

/// <summary>Reads the rows of a data view cell by cell, and takes infinite numbers for missing ones.</summary>
internal sealed class TableReader : IDisposable
{
    private const int RowsBetweenChecks = 1024;

    private readonly NonFiniteValues _policy;
    private readonly CancellationToken _cancellation;
    private readonly DataViewRowCursor _cursor;
    private readonly List<Action> _readers = [];

    public TableReader(IDataView data, TableBinding binding, NonFiniteValues policy, CancellationToken cancellation)
    {
        (_policy, _cancellation) = (policy, cancellation);
        Cells = new RowCells(binding.FieldNames.Count);
        _cursor = data.GetRowCursor(binding.Columns);
        try
        {
            int first = 0;
            foreach ((DataViewSchema.Column column, TableType type) in binding.Columns.Zip(binding.Types))
            {
                int? width = type.Dimensions is null ? null : (int)type.Size;
                _readers.Add(TableItem.Named(type.Item).Reader(_cursor, column, Cells, first, width));
                first += width ?? 1;
            }
        }
        catch
        {
            _cursor.Dispose();
            throw;
        }
    }

    /// <summary>The values of the current row.</summary>
    public RowCells Cells { get; }

    /// <summary>Rows read so far, those among them that were left out.</summary>
    public long RowsSeen { get; private set; }

    /// <summary>Rows with infinite numbers so far.</summary>
    public long InfiniteRows { get; private set; }

    /// <summary>The field of the first infinite number, and its row.</summary>
    public (int Field, long Row)? FirstInfinite { get; private set; }

    /// <summary>Moves to the next row that is learned from.</summary>
    public bool MoveNext()
    {
        while (_cursor.MoveNext())
        {
            if (RowsSeen % RowsBetweenChecks == 0)
                _cancellation.ThrowIfCancellationRequested();
            foreach (Action read in _readers)
                read();
            RowsSeen++;
            if (!MakeMissing() || _policy != NonFiniteValues.DropRow)
                return true;
        }
        return false;
    }

    /// <summary>Makes infinite numbers missing ones, and says whether there were any.</summary>
    private bool MakeMissing()
    {
        bool any = false;
        for (int f = 0; f < Cells.Numbers.Length; f++)
        {
            if (!double.IsInfinity(Cells.Numbers[f]))
                continue;
            Cells.Numbers[f] = double.NaN;
            FirstInfinite ??= (f, RowsSeen - 1);
            any = true;
        }
        if (any)
            InfiniteRows++;
        return any;
    }

    public void Dispose() => _cursor.Dispose();
}
