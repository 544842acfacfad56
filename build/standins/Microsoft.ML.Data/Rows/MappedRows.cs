using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

internal sealed class MappedDataView(RowMapping mapping, IDataView source) : IDataView
{
    public bool CanShuffle => source.CanShuffle;

    public DataViewSchema Schema => mapping.OutputSchema;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
    {
        DataViewSchema.Column[] columns = [.. columnsNeeded];
        return new MappedCursor(mapping, source.GetRowCursor(mapping.InputsFor(columns), rand), columns);
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
    {
        DataViewSchema.Column[] columns = [.. columnsNeeded];
        DataViewRowCursor[] inputs = source.GetRowCursorSet(mapping.InputsFor(columns), n, rand);
        // One cursor is worth sharing only where there is something to compute.
        if (inputs.Length == 1 && n > 1 && columns.Any(c => mapping.SourceOf(c.Index) is null))
            inputs = SplitCursors.Of(inputs[0], n);
        return [.. inputs.Select(input => new MappedCursor(mapping, input, columns))];
    }
}

/// <summary>A transformer's <see cref="IRowToRowMapper"/>.</summary>
internal sealed class BoundMapper(RowMapping mapping) : IRowToRowMapper
{
    public DataViewSchema InputSchema => mapping.InputSchema;

    public DataViewSchema OutputSchema => mapping.OutputSchema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
        => mapping.InputsFor(dependingColumns);

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        Contracts.Check(
            null, input.Schema == InputSchema, "The row is of another schema");
        return new MappedRow(mapping, input, activeColumns);
    }
}

internal sealed class MappedCursor(RowMapping mapping, DataViewRowCursor input, IEnumerable<DataViewSchema.Column> active)
    : SynchronizedCursorBase(input)
{
    private readonly MappedGetters _getters = new(mapping, input, active);

    public override DataViewSchema Schema => mapping.OutputSchema;

    public override bool IsColumnActive(DataViewSchema.Column column) => _getters.IsActive(column);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _getters.Get<TValue>(column);
}

internal sealed class MappedRow(RowMapping mapping, DataViewRow input, IEnumerable<DataViewSchema.Column> active)
    : DataViewRow
{
    private readonly MappedGetters _getters = new(mapping, input, active);

    public override long Position => input.Position;

    public override long Batch => input.Batch;

    public override DataViewSchema Schema => mapping.OutputSchema;

    public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

    public override bool IsColumnActive(DataViewSchema.Column column) => _getters.IsActive(column);

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => _getters.Get<TValue>(column);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            input.Dispose();
    }
}

internal sealed class MappedGetters
{
    private readonly RowMapping _mapping;
    private readonly DataViewRow _input;
    private readonly bool[] _active;
    private readonly Delegate[] _computed;

    public MappedGetters(RowMapping mapping, DataViewRow input, IEnumerable<DataViewSchema.Column> active)
    {
        _mapping = mapping;
        _input = input;
        _active = ColumnSets.Flags(mapping.OutputSchema, active);
        _computed = [.. _active.Select((wanted, i) =>
            wanted && mapping.SourceOf(i) is null ? mapping.MakeGetter(input, i) : null)];
    }

    public bool IsActive(DataViewSchema.Column column) => _active[column.Index];

    public ValueGetter<TValue> Get<TValue>(DataViewSchema.Column column)
    {
        Contracts.Check(null, IsActive(column), $"Column '{column.Name}' was not asked for");
        return _mapping.SourceOf(column.Index) is { } source
            ? _input.GetGetter<TValue>(_input.Schema[source])
            : _computed[column.Index].As<TValue>(column);
    }
}

/// <summary>Mappers one after the other; each one's input schema is the very object that is the last one's output.</summary>
internal sealed class CompositeRowToRowMapper(DataViewSchema inputSchema, IRowToRowMapper[] mappers) : IRowToRowMapper
{
    public DataViewSchema InputSchema => inputSchema;

    public DataViewSchema OutputSchema { get; } = mappers.LastOrDefault()?.OutputSchema ?? inputSchema;

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns)
    {
        IEnumerable<DataViewSchema.Column> columns = dependingColumns;
        foreach (IRowToRowMapper mapper in mappers.Reverse())
            columns = mapper.GetDependencies(columns);
        return columns;
    }

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        Contracts.CheckParam(null, input.Schema == InputSchema, nameof(input), "not a row of this mapper's input schema");
        var active = new IEnumerable<DataViewSchema.Column>[mappers.Length];
        IEnumerable<DataViewSchema.Column> columns = activeColumns;
        for (int i = mappers.Length - 1; i >= 0; i--)
        {
            active[i] = columns;
            columns = mappers[i].GetDependencies(columns).ToArray();
        }

        DataViewRow row = input;
        for (int i = 0; i < mappers.Length; i++)
        {
            Contracts.Check(
                null, mappers[i].InputSchema == row.Schema, "A row does not carry its mapper's very own output schema");
            row = mappers[i].GetRow(row, active[i]);
        }

        return row;
    }
}
