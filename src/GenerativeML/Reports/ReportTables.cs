using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Reads the tables that are compared, by the columns of the real one.</summary>
internal sealed class ReportTables
{
    private readonly DataViewSchema _schema;
    private readonly SyntheticDataReportOptions _options;
    private readonly List<ReportColumn> _columns = [];
    private readonly List<(DataViewSchema.Column Source, bool AsNumbers)> _sources = [];

    /// <exception cref="ArgumentOutOfRangeException">
    /// A column is of a type that no table can hold, or there is no such label.
    /// </exception>
    public ReportTables(DataViewSchema real, SyntheticDataReportOptions options)
    {
        _schema = real;
        _options = options;
        LabelColumn = -1;
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
            _sources.Add((column, numbers));
            _columns.AddRange(TableCells.NamesOf(column).Select(name => new ReportColumn(name, numbers)));
        }
        if (_columns.Count == 0)
            throw new ArgumentException("The real table has no columns.", nameof(real));
        if (options.LabelColumnName is not null && LabelColumn < 0)
        {
            throw new ArgumentOutOfRangeException(
                nameof(real),
                $"Label column '{options.LabelColumnName}' is missing; there are "
                + $"{string.Join(", ", _sources.Select(s => $"'{s.Source.Name}'"))}.");
        }
    }

    /// <summary>The number of the label among the columns; −1 where there is none.</summary>
    public int LabelColumn { get; }

    /// <summary>Reads a table.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A column is missing or of another type.</exception>
    /// <exception cref="ArgumentException">There are no rows.</exception>
    public ReportTable Read(IDataView data, string parameter)
    {
        DataViewSchema.Column[] columns = [.. _sources.Select(source => Find(data.Schema, source.Source, parameter))];
        ReportTable table = new(_columns, _options.MaximumRows, _options.Seed);
        using DataViewRowCursor cursor = data.GetRowCursor(columns);
        TableCells[] cells = [.. columns.Select(column => new TableCells(cursor, column))];
        while (cursor.MoveNext())
        {
            if (cursor.Position % 1024 == 0)
                _options.CancellationToken.ThrowIfCancellationRequested();
            int place = table.NextPlace();
            if (place >= 0)
                ReadRow(cells, table, place);
        }
        return table.Rows > 0 ? table : throw new ArgumentException("The table has no rows.", parameter);
    }

    private void ReadRow(TableCells[] cells, ReportTable table, int place)
    {
        int column = 0;
        for (int i = 0; i < cells.Length; i++)
        {
            cells[i].Read();
            for (int cell = 0; cell < cells[i].Count; cell++, column++)
            {
                if (_sources[i].AsNumbers)
                    table.Put(place, column, cells[i].Number(cell));
                else
                    table.Put(place, column, _columns[column].CodeOf(cells[i].Text(cell)));
            }
        }
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
        if (SameKind(column.Type, real.Type))
            return column;
        throw new ArgumentOutOfRangeException(
            parameter,
            $"Column '{real.Name}' is of the wrong type: expected {real.Type}, as in the real table, "
            + $"found {column.Type}.");
    }

    /// <summary>Keys may differ in their number of values: they are compared by what they stand for.</summary>
    private static bool SameKind(DataViewType a, DataViewType b) => (a, b) switch
    {
        (VectorDataViewType x, VectorDataViewType y) => x.Size == y.Size && SameKind(x.ItemType, y.ItemType),
        (KeyDataViewType, KeyDataViewType) => true,
        _ => a.Equals(b),
    };
}
