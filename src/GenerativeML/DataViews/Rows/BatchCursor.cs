using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Reads as many rows as the model likes to compute at once, computes them together, and hands them out one by one: the
/// same rows in the same order, with the same ids and batch numbers. Later ones may be computed on other threads
/// meanwhile: none at first, then ever further ahead, so that who reads a few does not make the model compute many. The
/// input is read on the reader's own thread.
/// </summary>
internal sealed class BatchCursor : RowCursor, IBatchPosition
{
    // Columns that pass through are kept with the rows; where they are large, there is no room for batches ahead.
    private const long MaxValuesKept = 1 << 20;

    private readonly DataViewRowCursor _input;
    private readonly ColumnBuffer?[] _passThrough;
    private readonly BatchComputation _computation;
    private readonly ValueGetter<DataViewRowId> _idGetter;
    private readonly DataViewRowId[] _ids; // of the rows of all batches, one batch's after the other's
    private readonly long[] _batches;
    private readonly Queue<(int Place, int Rows, Task Computation)> _read = [];
    private readonly int _capacity, _places; // rows of a batch, and the batches that there is room for
    private readonly FillPosition _filling = new();
    private int _nextPlace, _limit = 1;
    private int _row = -1, _end; // of the batch that is handed out
    private bool _inputEnded;
    private volatile bool _disposed;

    /// <summary>Disposes of the input; computes on other threads only where it may do so ahead.</summary>
    public BatchCursor(BatchRowMapper mapper, DataViewRowCursor input, bool[] active, bool ahead)
        : base(mapper.OutputSchema, active)
    {
        _input = input;
        _idGetter = input.GetIdGetter();
        _capacity = mapper.Model.BatchSize;
        _places = ahead && CanKeep([.. mapper.InputSchema.Where(active.Has)]) ? 1 + mapper.Model.BatchesAhead : 1;
        int rows = checked(_places * _capacity);
        _ids = new DataViewRowId[rows];
        _batches = new long[rows];
        _passThrough =
        [
            .. mapper.InputSchema.Select(
                c => active.Has(c) ? ColumnBuffer.Create(input, input.Schema[c.Index], rows) : null),
        ];
        // Columns are computed when they are read, so one that passes through as well is read only once.
        _computation = new BatchComputation(
            mapper, input, active, _capacity, _places, column => _passThrough[column]?.Getter(_filling));
    }

    public override long Batch => _row < 0 ? 0 : _batches[_row];

    public int Row => _row >= 0 ? _row : throw NoRow;

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) => value = _ids[Row];

    protected override bool Advance()
    {
        if (_row + 1 < _end)
        {
            _row++;
            return true;
        }
        // Not on a row until a whole batch is there: a failed read or computation must not leave half of one behind.
        _row = -1;
        _end = 0;
        while (!_inputEnded && _read.Count < _limit)
            ReadBatch();
        if (!_read.TryDequeue(out (int Place, int Rows, Task Computation) next))
            return false;
        _limit = Math.Min(2 * _limit, _places);
        if (next.Computation.Status == TaskStatus.Created)
            next.Computation.RunSynchronously(TaskScheduler.Default);
        try
        {
            next.Computation.GetAwaiter().GetResult();
        }
        catch (RowException wrong)
        {
            throw wrong.Of(Position + 1);
        }
        _row = next.Place * _capacity;
        _end = _row + next.Rows;
        return true;
    }

    protected override Delegate Getter<TValue>(int column) => column < _passThrough.Length
        ? _passThrough[column]!.Getter(this)
        : _computation.Getter(column - _passThrough.Length, this);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _disposed = true;
            _row = -1;
            // Who computes uses the model; what nobody has begun is not computed any more.
            foreach ((_, _, Task computation) in _read)
            {
                if (computation.Status != TaskStatus.Created)
                    computation.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing).GetAwaiter().GetResult();
            }
            _read.Clear();
            _input.Dispose();
        }
        base.Dispose(disposing);
    }

    private void ReadBatch()
    {
        int place = _nextPlace, rows = 0;
        try
        {
            while (rows < _capacity && ReadRow(place, rows))
                rows++;
            if (rows == 0)
                return;
            var computation = new Task(() =>
            {
                if (!_disposed)
                    _computation.Run(place, rows);
            });
            if (_limit > 1)
                computation.Start(TaskScheduler.Default);
            _read.Enqueue((place, rows, computation));
        }
        catch (Exception e)
        {
            _read.Enqueue((place, 0, Task.FromException(e))); // the batches before this one come first
        }
        _nextPlace = (place + 1) % _places;
    }

    private bool ReadRow(int place, int row)
    {
        if (!_input.MoveNext())
        {
            _inputEnded = true;
            return false;
        }
        int at = _filling.Row = place * _capacity + row;
        foreach (ColumnBuffer? buffer in _passThrough)
            buffer?.Fill(at);
        _idGetter(ref _ids[at]);
        _batches[at] = _input.Batch;
        _computation.ReadRow(place, row);
        return true;
    }

    // Objects, such as images, may be of any size, and so may vectors that do not say theirs.
    private bool CanKeep(DataViewSchema.Column[] columns) =>
        columns.All(c => c.Type.RawType.IsValueType && c.Type is not VectorDataViewType { IsKnownSize: false })
        && columns.Sum(c => (long)((c.Type as VectorDataViewType)?.Size ?? 1)) * _capacity <= MaxValuesKept;

    /// <summary>The row of the batch that is being read.</summary>
    private sealed class FillPosition : IBatchPosition
    {
        public int Row { get; set; }
    }
}

/// <summary>Keeps the values that a column passes through, for each row of all batches; room for more is made.</summary>
internal abstract class ColumnBuffer
{
    /// <summary>Keeps the value of the row that the input stands on as that of row <paramref name="row"/>.</summary>
    public abstract void Fill(int row);

    /// <summary>A <see cref="ValueGetter{TValue}"/> for the row that <paramref name="at"/> names.</summary>
    public abstract Delegate Getter(IBatchPosition at);

    /// <summary>A buffer for <paramref name="capacity"/> values of a column of <paramref name="input"/>.</summary>
    public static ColumnBuffer Create(DataViewRow input, DataViewSchema.Column column, int capacity)
    {
        Type buffer = column.Type is VectorDataViewType vector
            ? typeof(VectorBuffer<>).MakeGenericType(vector.ItemType.RawType)
            : typeof(ValueBuffer<>).MakeGenericType(column.Type.RawType);
        return (ColumnBuffer)Activator.CreateInstance(buffer, input, column, capacity)!;
    }

    private sealed class ValueBuffer<T>(DataViewRow input, DataViewSchema.Column column, int capacity) : ColumnBuffer
    {
        private T[] _values = new T[capacity];
        private readonly ValueGetter<T> _getter = input.GetGetter<T>(column);

        public override void Fill(int row)
        {
            if (row >= _values.Length)
                Array.Resize(ref _values, 2 * row);
            // A getter may reuse or dispose the object it is handed (images do); the one of an earlier batch may still
            // be in somebody's hands.
            if (!typeof(T).IsValueType)
                _values[row] = default!;
            _getter(ref _values[row]);
        }

        public override Delegate Getter(IBatchPosition at) =>
            (ValueGetter<T>)((ref T value) => value = _values[at.Row]);
    }

    private sealed class VectorBuffer<T>(DataViewRow input, DataViewSchema.Column column, int capacity) : ColumnBuffer
    {
        private VBuffer<T>[] _values = new VBuffer<T>[capacity];
        private readonly ValueGetter<VBuffer<T>> _getter = input.GetGetter<VBuffer<T>>(column);

        public override void Fill(int row)
        {
            if (row >= _values.Length)
                Array.Resize(ref _values, 2 * row);
            _getter(ref _values[row]);
        }

        public override Delegate Getter(IBatchPosition at) =>
            (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) => _values[at.Row].CopyTo(ref value));
    }
}
