using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// A model bound to the schema of the rows that come in, all columns of which pass through; its outputs follow them.
/// Columns are known by index from here on: an output may hide an input column of the same name.
/// </summary>
internal sealed class BatchRowMapper : IRowToRowMapper
{
    /// <exception cref="ArgumentOutOfRangeException">An input column is missing or of another type.</exception>
    public BatchRowMapper(DataViewSchema inputSchema, IBatchModel model)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        Model = model;
        InputSchema = inputSchema;
        ModelInputs = [.. model.Inputs.Select(field => InputColumns.Find(inputSchema, field, nameof(inputSchema)))];

        var builder = new DataViewSchema.Builder();
        builder.AddColumns(inputSchema);
        OutputAnnotations.Deliver(builder, model.Outputs, inputSchema);
        OutputSchema = builder.ToSchema();
    }

    public IBatchModel Model { get; }

    public DataViewSchema InputSchema { get; }

    /// <remarks>One object for the mapper's whole life: ML.NET compares schemas by reference.</remarks>
    public DataViewSchema OutputSchema { get; }

    /// <summary>The columns of <see cref="InputSchema"/> that the model reads, one for each of its fields.</summary>
    public IReadOnlyList<DataViewSchema.Column> ModelInputs { get; }

    /// <summary>Whether any of the model's own outputs is asked for.</summary>
    public bool NeedsModel(bool[] active) => Array.IndexOf(active, true, InputSchema.Count) >= 0;

    /// <summary>The columns of <see cref="InputSchema"/> that it takes to deliver what is asked for.</summary>
    public IEnumerable<DataViewSchema.Column> Required(bool[] active)
    {
        HashSet<int> inputs = NeedsModel(active) ? [.. ModelInputs.Select(c => c.Index)] : [];
        return InputSchema.Where(c => active[c.Index] || inputs.Contains(c.Index));
    }

    public IEnumerable<DataViewSchema.Column> GetDependencies(IEnumerable<DataViewSchema.Column> dependingColumns) =>
        Required(ActiveColumns.Of(OutputSchema, dependingColumns));

    public DataViewRow GetRow(DataViewRow input, IEnumerable<DataViewSchema.Column> activeColumns)
    {
        ArgumentNullException.ThrowIfNull(input);
        if (!ReferenceEquals(input.Schema, InputSchema))
            throw new ArgumentException("The row has another schema than the one this mapper was made for.", nameof(input));
        return new MappedRow(this, input, ActiveColumns.Of(OutputSchema, activeColumns));
    }
}

/// <summary>A data view with a model's outputs beside it, computed batch by batch while somebody reads.</summary>
internal sealed class BatchDataView(BatchRowMapper mapper, IDataView source) : IDataView
{
    public bool CanShuffle => source.CanShuffle;

    public DataViewSchema Schema => mapper.OutputSchema;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        return Wrap([source.GetRowCursor(mapper.Required(active), rand)], active)[0];
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        return Wrap(source.GetRowCursorSet(mapper.Required(active), n, rand), active);
    }

    private DataViewRowCursor[] Wrap(DataViewRowCursor[] inputs, bool[] active)
    {
        try
        {
            // Several cursors have a thread each already.
            return [.. inputs.Select(input => mapper.NeedsModel(active)
                ? new BatchCursor(mapper, input, active, ahead: inputs.Length == 1)
                : (DataViewRowCursor)new PassThroughCursor(mapper, input, active))];
        }
        catch
        {
            foreach (DataViewRowCursor input in inputs)
                input.Dispose();
            throw;
        }
    }
}

/// <summary>The cursor for readers that ask for none of the model's outputs: the input's own rows.</summary>
internal sealed class PassThroughCursor(BatchRowMapper mapper, DataViewRowCursor input, bool[] active)
    : RowCursor(mapper.OutputSchema, active)
{
    public override long Batch => input.Batch;

    public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

    protected override bool Advance() => input.MoveNext();

    protected override Delegate Getter<TValue>(int column) => input.GetGetter<TValue>(input.Schema[column]);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            input.Dispose();
        base.Dispose(disposing);
    }
}

/// <summary>
/// A row with the model's outputs, for a <c>PredictionEngine</c>: computed anew where the input has moved.
/// </summary>
internal sealed class MappedRow(BatchRowMapper mapper, DataViewRow input, bool[] active) : DataViewRow, IBatchPosition
{
    private readonly BatchComputation? _computation =
        mapper.NeedsModel(active) ? new(mapper, input, active, capacity: 1) : null;

    private long? _computedAt;

    public override DataViewSchema Schema => mapper.OutputSchema;

    public override long Position => input.Position;

    public override long Batch => input.Batch;

    public int Row
    {
        get
        {
            long position = input.Position;
            if (_computedAt != position)
            {
                _computedAt = null;
                _computation!.ReadRow(0, 0);
                _computation.Run(0, 1);
                _computedAt = position;
            }
            return 0;
        }
    }

    public override bool IsColumnActive(DataViewSchema.Column column) => active.Has(column);

    public override ValueGetter<DataViewRowId> GetIdGetter() => input.GetIdGetter();

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) =>
        active.Getter<TValue>(column, index => index < input.Schema.Count
            ? input.GetGetter<TValue>(input.Schema[index])
            : _computation!.Getter(index - input.Schema.Count, this));

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            input.Dispose();
        base.Dispose(disposing);
    }
}
