using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.TestData;

/// <summary>
/// Any number of rows that exist only while a cursor stands on them. Each row is a function of its number and the seed,
/// so all cursors agree, and a cursor set shares the rows out in blocks.
/// <para>
/// Columns: <c>Row</c> (Int64, from zero) and <c>Features</c> (a vector of Single of known size). The features lie near
/// a two-dimensional surface, so that there is something to learn.
/// </para>
/// </summary>
internal sealed class GeneratedRows : IDataView
{
    private const int BlockRows = 64;

    private readonly long _rows;
    private readonly ulong _seed;
    private readonly bool _countKnown;
    private readonly float[] _first, _second;

    /// <param name="rows">How many rows there are.</param>
    /// <param name="width">The size of <c>Features</c>.</param>
    /// <param name="seed">Which rows.</param>
    /// <param name="countKnown">Whether <see cref="GetRowCount"/> tells how many there are; a file would not.</param>
    public GeneratedRows(long rows, int width, int seed = 0, bool countKnown = true)
    {
        (_rows, _seed, _countKnown) = (rows, (ulong)seed << 40, countKnown);
        _first = [.. Enumerable.Range(0, width).Select(i => 1 + 3 * Uniform((ulong)i + 1))];
        _second = [.. Enumerable.Range(0, width).Select(i => 1 + 3 * Uniform((ulong)i + 1_000_001))];
        var schema = new DataViewSchema.Builder();
        schema.AddColumn("Row", NumberDataViewType.Int64);
        schema.AddColumn("Features", new VectorDataViewType(NumberDataViewType.Single, width));
        Schema = schema.ToSchema();
    }

    /// <inheritdoc/>
    public DataViewSchema Schema { get; }

    /// <inheritdoc/>
    public bool CanShuffle => false;

    /// <inheritdoc/>
    public long? GetRowCount() => _countKnown ? _rows : null;

    /// <inheritdoc/>
    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        new Cursor(this, columnsNeeded, 0, 1);

    /// <inheritdoc/>
    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [.. Enumerable.Range(0, Math.Max(1, n)).Select(part => new Cursor(this, columnsNeeded, part, Math.Max(1, n)))];

    /// <summary>Computes the features of row <paramref name="row"/>.</summary>
    public void Compute(long row, Span<float> features)
    {
        ulong at = _seed + ((ulong)row + 1) * 0x1000;
        float u = Uniform(at), v = Uniform(at + 1);
        for (int i = 0; i < features.Length; i++)
        {
            float noise = 0.1f * (Uniform(at + 2 + (ulong)i) - 0.5f);
            features[i] = MathF.Sin(_first[i] * u * 2 + _second[i] * v + i) + noise;
        }
    }

    /// <summary>A number in [0, 1) that is a function of <paramref name="at"/> alone.</summary>
    private static float Uniform(ulong at)
    {
        ulong z = at * 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return ((z ^ (z >> 31)) >> 40) / (float)(1 << 24);
    }

    private sealed class Cursor : DataViewRowCursor
    {
        private readonly GeneratedRows _view;
        private readonly bool[] _active;
        private readonly int _part, _parts;
        private long _row, _position = -1;
        private bool _done;

        public Cursor(GeneratedRows view, IEnumerable<DataViewSchema.Column> columns, int part, int parts)
        {
            (_view, _part, _parts) = (view, part, parts);
            _active = new bool[view.Schema.Count];
            foreach (DataViewSchema.Column column in columns)
                _active[column.Index] = true;
            _row = (long)part * BlockRows - 1;
        }

        public override long Position => _position;

        public override long Batch => _row / BlockRows;

        public override DataViewSchema Schema => _view.Schema;

        public override bool IsColumnActive(DataViewSchema.Column column) => _active[column.Index];

        public override bool MoveNext()
        {
            if (_done)
                return false;
            _row++;
            if (_row % BlockRows == 0 && _position >= 0)
                _row += (long)(_parts - 1) * BlockRows;
            _done = _row >= _view._rows;
            _position = _done ? -1 : _position + 1;
            return !_done;
        }

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref DataViewRowId id) => id = new DataViewRowId((ulong)Current(), 0);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            if (!_active[column.Index])
                throw new ArgumentOutOfRangeException(nameof(column), $"Column '{column.Name}' is not active.");
            Delegate getter = column.Index == 0
                ? (ValueGetter<long>)((ref long row) => row = Current())
                : (ValueGetter<VBuffer<float>>)GetFeatures;
            return getter as ValueGetter<TValue>
                ?? throw new InvalidOperationException($"Column '{column.Name}' is not of type {typeof(TValue)}.");
        }

        private void GetFeatures(ref VBuffer<float> features)
        {
            VBufferEditor<float> editor = VBufferEditor.Create(ref features, _view._first.Length);
            _view.Compute(Current(), editor.Values);
            features = editor.Commit();
        }

        private long Current() =>
            _position >= 0 ? _row : throw new InvalidOperationException("The cursor does not stand on a row.");
    }
}
