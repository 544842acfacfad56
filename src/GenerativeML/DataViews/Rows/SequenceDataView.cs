using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>A model of sequences of rows: reads all rows of one, and computes the outputs of all of them.</summary>
internal interface ISequenceModel : IBatchModel
{
    /// <summary>The column that tells sequences apart; null: all rows are one sequence.</summary>
    string? GroupColumn { get; }

    /// <summary>What adds the values of a row to those of its sequence.</summary>
    Action<List<float>> OpenSteps(DataViewRow row, DataViewSchema.Column column);

    /// <summary>Computes the wanted outputs of the rows of one sequence.</summary>
    void Run(float[] sequence, OutputBlock outputs);
}

/// <summary>
/// A data view with the outputs of a model of sequences beside it. One sequence at a time is held in memory, with the
/// columns that somebody reads. Rows are read in their own order, by one cursor.
/// </summary>
internal sealed class SequenceDataView(BatchRowMapper mapper, ISequenceModel model, IDataView source) : IDataView
{
    private readonly DataViewSchema.Column? _group = model.GroupColumn is string name
        ? SequenceRows.FindGroup(source.Schema, name, "input") : null;

    public bool CanShuffle => false;

    public DataViewSchema Schema => mapper.OutputSchema;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        bool computes = mapper.NeedsModel(active);
        IEnumerable<DataViewSchema.Column> needed = mapper.Required(active);
        DataViewRowCursor input = source.GetRowCursor(
            computes && _group is DataViewSchema.Column group ? needed.Append(group).DistinctBy(c => c.Index) : needed);
        try
        {
            return computes
                ? new SequenceCursor(mapper, model, input, _group, active)
                : new PassThroughCursor(mapper, input, active);
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) => [GetRowCursor(columnsNeeded, rand)];
}

/// <summary>Reads a sequence, computes it, and hands its rows out one by one.</summary>
internal sealed class SequenceCursor : RowCursor, IBatchPosition
{
    private const int FirstCapacity = 64;

    private readonly BatchRowMapper _mapper;
    private readonly ISequenceModel _model;
    private readonly DataViewRowCursor _input;
    private readonly bool[] _wanted;
    private readonly ColumnBuffer?[] _passThrough;
    private readonly Action<List<float>> _steps;
    private readonly GroupReader? _groups;
    private readonly ValueGetter<DataViewRowId> _idGetter;
    private readonly List<(DataViewRowId Id, long Batch)> _rows = [];
    private readonly List<float> _values = [];
    private OutputBlock _outputs;
    private int _row = -1, _capacity = FirstCapacity;
    private bool _isAhead, _inputEnded; // the input stands on the next sequence's first row

    public SequenceCursor(
        BatchRowMapper mapper, ISequenceModel model, DataViewRowCursor input, DataViewSchema.Column? group, bool[] active)
        : base(mapper.OutputSchema, active)
    {
        (_mapper, _model, _input) = (mapper, model, input);
        _wanted = active[mapper.InputSchema.Count..];
        _idGetter = input.GetIdGetter();
        _steps = model.OpenSteps(input, mapper.ModelInputs[0]);
        _groups = group is DataViewSchema.Column column ? GroupReader.Open(input, column) : null;
        _passThrough =
        [
            .. mapper.InputSchema.Select(c => active.Has(c) ? ColumnBuffer.Create(input, c, FirstCapacity) : null),
        ];
        _outputs = new OutputBlock(model.Outputs, _wanted, _capacity);
    }

    public override long Batch => _row < 0 ? 0 : _rows[_row].Batch;

    public int Row => _row >= 0 ? _row : throw NoRow;

    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) => value = _rows[Row].Id;

    protected override bool Advance()
    {
        if (_row >= 0 && _row + 1 < _rows.Count)
        {
            _row++;
            return true;
        }
        _row = -1; // on no row until a whole sequence is there
        _rows.Clear();
        _values.Clear();
        while (!_inputEnded)
        {
            if (!_isAhead && !_input.MoveNext())
            {
                _inputEnded = true;
                break;
            }
            if (!_isAhead && _groups?.StartsSequence() == true && _rows.Count > 0)
            {
                _isAhead = true;
                break;
            }
            _isAhead = false;
            foreach (ColumnBuffer? buffer in _passThrough)
                buffer?.Fill(_rows.Count);
            DataViewRowId id = default;
            _idGetter(ref id);
            _rows.Add((id, _input.Batch));
            _steps(_values);
        }
        if (_rows.Count == 0)
            return false;
        if (_rows.Count > _capacity)
            _outputs = new OutputBlock(_model.Outputs, _wanted, _capacity = Math.Max(_rows.Count, 2 * _capacity));
        _model.Run([.. _values], _outputs);
        _row = 0;
        return true;
    }

    protected override Delegate Getter<TValue>(int column)
    {
        if (column < _passThrough.Length)
            return _passThrough[column]!.Getter(this);
        OutputBlock? block = null;
        ValueGetter<TValue>? getter = null;
        if (_outputs.Getter(column - _passThrough.Length, this) is not ValueGetter<TValue>)
            return _outputs.Getter(column - _passThrough.Length, this); // of another type: the caller says so
        return (ValueGetter<TValue>)((ref TValue value) =>
        {
            if (block != _outputs) // a longer sequence has others
                getter = (ValueGetter<TValue>)(block = _outputs).Getter(column - _passThrough.Length, this);
            getter!(ref value);
        });
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _row = -1;
            _input.Dispose();
        }
        base.Dispose(disposing);
    }
}

/// <summary>Reads the column that tells sequences apart.</summary>
internal abstract class GroupReader
{
    /// <summary>What is expected in such a column.</summary>
    public const string Expected = "a text, a key or a number, in each row one,";

    /// <summary>Whether the row that is read now belongs to another sequence than the one before.</summary>
    /// <exception cref="InvalidOperationException">Its sequence was there before that one.</exception>
    public abstract bool StartsSequence();

    /// <summary>The value of the row that was read last, as text.</summary>
    public abstract string Last { get; }

    /// <summary>Whether a column of this type tells sequences apart.</summary>
    public static bool CanRead(DataViewType type) => type is TextDataViewType or KeyDataViewType or NumberDataViewType
        && (type is TextDataViewType || TableItem.Of(type) is not null);

    public static GroupReader Open(DataViewRow row, DataViewSchema.Column column) => column.Type is TextDataViewType
        ? new Reader<string>(column.Name, row, Texts(row.GetGetter<ReadOnlyMemory<char>>(column)))
        : (GroupReader)Activator.CreateInstance(typeof(Numbers<>).MakeGenericType(column.Type.RawType), row, column)!;

    private static Func<string> Texts(ValueGetter<ReadOnlyMemory<char>> getter)
    {
        ReadOnlyMemory<char> value = default;
        return () =>
        {
            getter(ref value);
            return value.ToString();
        };
    }

    private static Func<T> Values<T>(ValueGetter<T> getter)
    {
        T value = default!;
        return () =>
        {
            getter(ref value);
            return value;
        };
    }

    private sealed class Numbers<T>(DataViewRow row, DataViewSchema.Column column)
        : Reader<T>(column.Name, row, Values(row.GetGetter<T>(column)))
        where T : notnull
    {
    }

    private class Reader<T>(string name, DataViewRow row, Func<T> read) : GroupReader
        where T : notnull
    {
        private readonly HashSet<T> _seen = [];
        private T? _last;

        public override string Last => FormattableString.Invariant($"{_last}");

        public override bool StartsSequence()
        {
            T value = read();
            if (_seen.Count > 0 && EqualityComparer<T>.Default.Equals(value, _last))
                return false;
            if (!_seen.Add(value))
            {
                throw new InvalidOperationException(FormattableString.Invariant(
                    $"Row {row.Position} (counted from 0): sequence '{value}' of column '{name}' goes on after another one. Rows of ")
                    + "one sequence have to stand next to each other, in the order of time.");
            }
            _last = value;
            return true;
        }
    }
}
