using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Rows;

/// <summary>
/// Reads ahead as many rows as the model likes to compute at once, computes them together, and hands them out one by
/// one: the same rows in the same order, with the same ids and batch numbers.
/// </summary>
internal sealed class BatchCursor : DataViewRowCursor, IBatchPosition
{
    private readonly BatchRowMapper _mapper;
    private readonly DataViewRowCursor _input;
    private readonly bool[] _active;
    private readonly ColumnBuffer?[] _passThrough;
    private readonly BatchComputation _computation;
    private readonly ValueGetter<DataViewRowId> _idGetter;
    private readonly DataViewRowId[] _ids;
    private readonly long[] _batches;
    private readonly FillPosition _filling = new();
    private int _row = -1;
    private int _rows;
    private long _position = -1;
    private bool _ended;

    public BatchCursor(BatchRowMapper mapper, DataViewRowCursor input, bool[] active)
    {
        _mapper = mapper;
        _input = input;
        _active = active;
        int capacity = mapper.Model.BatchSize;
        int passed = mapper.InputSchema.Count;
        _ids = new DataViewRowId[capacity];
        _batches = new long[capacity];
        _idGetter = input.GetIdGetter();

        _passThrough = new ColumnBuffer?[passed];
        for (int c = 0; c < passed; c++)
        {
            if (active[c])
                _passThrough[c] = ColumnBuffer.Create(input, input.Schema[c], capacity);
        }
        // Columns are computed when they are read, so one that passes through as well is read only once.
        FieldReader[] readers = [.. mapper.ModelInputs.Select(c => FieldReader.Open(
            input, input.Schema[c.Index], _passThrough[c.Index]?.Getter(_filling)))];
        _computation = new BatchComputation(mapper.Model, readers, active[passed..], capacity);
    }

    /// <inheritdoc/>
    public override DataViewSchema Schema => _mapper.OutputSchema;

    /// <inheritdoc/>
    public override long Position => _position;

    /// <inheritdoc/>
    public override long Batch => _row < 0 ? 0 : _batches[_row];

    /// <inheritdoc/>
    public int Row => _row >= 0
        ? _row
        : throw new InvalidOperationException("The cursor stands on no row: MoveNext was not called, or returned false.");

    /// <inheritdoc/>
    public override bool MoveNext()
    {
        if (_row + 1 < _rows)
        {
            _row++;
            _position++;
            return true;
        }
        // Not on a row until a whole batch is there: a failed read or computation must not leave half of one behind.
        _row = -1;
        _rows = 0;
        int rows = _ended ? 0 : ReadBatch();
        if (rows == 0)
        {
            _ended = true;
            _position = -1;
            return false;
        }
        _computation.Run(rows);
        _rows = rows;
        _row = 0;
        _position++;
        return true;
    }

    private int ReadBatch()
    {
        int row = 0;
        for (; row < _ids.Length; row++)
        {
            _filling.Row = row;
            if (!_input.MoveNext())
            {
                _ended = true;
                break;
            }
            foreach (ColumnBuffer? buffer in _passThrough)
                buffer?.Fill(row);
            _idGetter(ref _ids[row]);
            _batches[row] = _input.Batch;
            _computation.ReadRow(row);
        }
        return row;
    }

    /// <inheritdoc/>
    public override bool IsColumnActive(DataViewSchema.Column column) =>
        column.Index < _active.Length && _active[column.Index];

    /// <inheritdoc/>
    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) => value = _ids[Row];

    /// <inheritdoc/>
    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
    {
        if (!IsColumnActive(column))
            throw ActiveColumns.Inactive(column);
        int index = column.Index;
        Delegate getter = index < _passThrough.Length
            ? _passThrough[index]!.Getter(this)
            : _computation.Getter(index - _passThrough.Length, this);
        return ActiveColumns.Cast<TValue>(getter, Schema[index]);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _ended = true;
            _row = -1;
            _rows = 0;
            _position = -1;
            _input.Dispose();
        }
        base.Dispose(disposing);
    }

    /// <summary>The row of the batch that is being read.</summary>
    private sealed class FillPosition : IBatchPosition
    {
        public int Row { get; set; }
    }
}
