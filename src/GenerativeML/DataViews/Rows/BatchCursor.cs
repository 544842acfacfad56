using System.Runtime.ExceptionServices;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Reads as many rows as the model likes to compute at once, computes them together, and hands them out one by one: the
/// same rows in the same order, with the same ids and batch numbers. While they are handed out, the next ones may be
/// computed on other threads already. The input is read on the reader's own thread.
/// </summary>
internal sealed class BatchCursor : DataViewRowCursor, IBatchPosition
{
    // Columns that pass through are kept with the rows; where they are large, there is no room for batches ahead.
    private const long MostValuesKept = 1 << 20;

    private readonly BatchRowMapper _mapper;
    private readonly DataViewRowCursor _input;
    private readonly bool[] _active;
    private readonly int _capacity; // rows of a batch
    private readonly ColumnBuffer?[] _passThrough;
    private readonly BatchComputation _computation;
    private readonly BatchQueue _queue;
    private readonly ValueGetter<DataViewRowId> _idGetter;
    private readonly DataViewRowId[] _ids; // of the rows of all batches, one batch's after the other's
    private readonly long[] _batches;
    private readonly FillPosition _filling = new();
    private int _row = -1, _end; // of the batch that is handed out
    private long _position = -1;
    private bool _inputEnded, _ended;

    /// <param name="mapper">What is computed.</param>
    /// <param name="input">The rows that go in; this cursor disposes of it.</param>
    /// <param name="active">Which columns somebody wants.</param>
    /// <param name="ahead">Whether batches may be computed on other threads before they are needed.</param>
    public BatchCursor(BatchRowMapper mapper, DataViewRowCursor input, bool[] active, bool ahead)
    {
        _mapper = mapper;
        _input = input;
        _active = active;
        _capacity = mapper.Model.BatchSize;
        int passed = mapper.InputSchema.Count;
        bool keeps = ahead && CanKeep(mapper.InputSchema.Where(c => active[c.Index]));
        int batches = keeps ? 1 + mapper.Model.BatchesAhead : 1;
        int rows = checked(batches * _capacity);
        _ids = new DataViewRowId[rows];
        _batches = new long[rows];
        _idGetter = input.GetIdGetter();

        _passThrough = new ColumnBuffer?[passed];
        for (int c = 0; c < passed; c++)
        {
            if (active[c])
                _passThrough[c] = ColumnBuffer.Create(input, input.Schema[c], rows);
        }
        // Columns are computed when they are read, so one that passes through as well is read only once.
        FieldReader[] readers = [.. mapper.ModelInputs.Zip(mapper.Model.Inputs, (c, field) => FieldReader.Open(
            input, input.Schema[c.Index], field, _passThrough[c.Index]?.Getter(_filling)))];
        _computation = new BatchComputation(mapper.Model, readers, active[passed..], _capacity, batches);
        _queue = new BatchQueue(batches, _computation.Run);
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
        if (_row + 1 < _end)
        {
            _row++;
            _position++;
            return true;
        }
        // Not on a row until a whole batch is there: a failed read or computation must not leave half of one behind.
        _row = -1;
        _end = 0;
        while (!_inputEnded && _queue.FreePlace is int place)
            Read(place);
        (int Place, int Rows)? next;
        try
        {
            next = _ended ? null : _queue.Take();
        }
        catch (RowException wrong)
        {
            throw wrong.Of(_position + 1);
        }
        if (next is not (int taken, int rows))
        {
            _ended = true;
            _position = -1;
            return false;
        }
        _row = taken * _capacity;
        _end = _row + rows;
        _position++;
        return true;
    }

    private void Read(int place)
    {
        try
        {
            int rows = ReadRows(place);
            if (rows > 0)
                _queue.Add(rows);
        }
        catch (Exception e)
        {
            // The batches before this one come first.
            _queue.Add(0, ExceptionDispatchInfo.Capture(e));
        }
    }

    private int ReadRows(int place)
    {
        int row = 0;
        for (int at = place * _capacity; row < _capacity; row++, at++)
        {
            _filling.Row = at;
            if (!_input.MoveNext())
            {
                _inputEnded = true;
                break;
            }
            foreach (ColumnBuffer? buffer in _passThrough)
                buffer?.Fill(at);
            _idGetter(ref _ids[at]);
            _batches[at] = _input.Batch;
            _computation.ReadRow(place, row);
        }
        return row;
    }

    private bool CanKeep(IEnumerable<DataViewSchema.Column> columns)
    {
        long values = 0;
        foreach (DataViewSchema.Column column in columns)
        {
            // Objects, such as images, may be of any size, and so may vectors that do not say theirs.
            if (!column.Type.RawType.IsValueType || column.Type is VectorDataViewType { IsKnownSize: false })
                return false;
            values += (column.Type as VectorDataViewType)?.Size ?? 1;
        }
        return values * _capacity <= MostValuesKept;
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
            _inputEnded = _ended = true;
            _row = -1;
            _end = 0;
            _position = -1;
            _queue.Dispose();
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
