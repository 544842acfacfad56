using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// A single row with the model's outputs beside it, as a <c>PredictionEngine</c> reads it: computed when the first
/// output is asked for, and again whenever the input's position has moved.
/// </summary>
internal sealed class MappedRow : DataViewRow, IBatchPosition
{
    private readonly BatchRowMapper _mapper;
    private readonly DataViewRow _input;
    private readonly bool[] _active;
    private readonly BatchComputation? _computation;
    private long? _computedAt;

    public MappedRow(BatchRowMapper mapper, DataViewRow input, bool[] active)
    {
        _mapper = mapper;
        _input = input;
        _active = active;
        if (!mapper.NeedsModel(active))
            return;
        FieldReader[] readers =
        [
            .. mapper.ModelInputs.Zip(mapper.Model.Inputs, (c, field) =>
                FieldReader.Open(input, input.Schema[c.Index], field)),
        ];
        _computation = new BatchComputation(mapper.Model, readers, active[mapper.InputSchema.Count..], capacity: 1);
    }

    /// <inheritdoc/>
    public override DataViewSchema Schema => _mapper.OutputSchema;

    /// <inheritdoc/>
    public override long Position => _input.Position;

    /// <inheritdoc/>
    public override long Batch => _input.Batch;

    /// <inheritdoc/>
    public int Row
    {
        get
        {
            long position = _input.Position;
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

    /// <inheritdoc/>
    public override bool IsColumnActive(DataViewSchema.Column column) =>
        column.Index < _active.Length && _active[column.Index];

    /// <inheritdoc/>
    public override ValueGetter<DataViewRowId> GetIdGetter() => _input.GetIdGetter();

    /// <inheritdoc/>
    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!IsColumnActive(column))
            throw ActiveColumns.Inactive(column);
        int passed = _mapper.InputSchema.Count;
        return column.Index < passed
            ? _input.GetGetter<TValue>(_input.Schema[column.Index])
            : ActiveColumns.Cast<TValue>(_computation!.Getter(column.Index - passed, this), Schema[column.Index]);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _input.Dispose();
        base.Dispose(disposing);
    }
}
