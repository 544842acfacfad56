using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Rows;

/// <summary>
/// A small data view of our own: any column types, sparse vectors, ids and batch numbers that can be told apart, real
/// cursor sets, shuffling, and a count of how often each column was read.
/// </summary>
internal sealed class TableView : IDataView
{
    private readonly List<Delegate> _cells = [];
    private readonly DataViewSchema.Builder _builder = new();
    private readonly List<int> _reads = [];
    private DataViewSchema? _schema;

    public TableView(int rows) => Rows = rows;

    public int Rows { get; }

    /// <summary>How many rows share a batch number.</summary>
    public int RowsPerBatch { get; init; } = 5;

    /// <summary>What <see cref="GetRowCount"/> answers.</summary>
    public bool KnowsRowCount { get; init; } = true;

    public bool CanShuffle => true;

    public DataViewSchema Schema => _schema ??= _builder.ToSchema();

    /// <summary>How often a value of each column was read, by the column's index.</summary>
    public IReadOnlyList<int> Reads => _reads;

    /// <summary>Cursors that are open.</summary>
    public int OpenCursors { get; private set; }

    public TableView Add<T>(
        string name, DataViewType type, Func<int, T> cell, DataViewSchema.Annotations? annotations = null)
    {
        _builder.AddColumn(name, type, annotations);
        _cells.Add(cell);
        _reads.Add(0);
        return this;
    }

    public TableView AddVector(
        string name, int width, Func<int, float[]> cell, DataViewSchema.Annotations? annotations = null) =>
        Add(name, new VectorDataViewType(NumberDataViewType.Single, width), Dense(cell), annotations);

    public long? GetRowCount() => KnowsRowCount ? Rows : null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        GetRowCursorSet(columnsNeeded, 1, rand)[0];

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        bool[] active = new bool[Schema.Count];
        foreach (DataViewSchema.Column column in columnsNeeded)
            active[column.Index] = true;
        int[] order = [.. Enumerable.Range(0, Rows)];
        rand?.Shuffle(order);
        // Batches are dealt out in turn; within a cursor their numbers ascend.
        (int Place, int Row)[] places = [.. order.Select((row, place) => (place, row))];
        OpenCursors += n;
        return
        [
            .. Enumerable.Range(0, n).Select(k => new Cursor(
                this, active, [.. places.Where(p => p.Place / RowsPerBatch % n == k)])),
        ];
    }

    private static Func<int, VBuffer<float>> Dense(Func<int, float[]> cell) => row =>
    {
        float[] values = cell(row);
        return new VBuffer<float>(values.Length, values);
    };

    private sealed class Cursor(TableView table, bool[] active, (int Place, int Row)[] places) : DataViewRowCursor
    {
        private int _at = -1;
        private bool _disposed;

        public override long Position => _at < places.Length ? _at : -1;

        public override long Batch => places[_at].Place / table.RowsPerBatch;

        public override DataViewSchema Schema => table.Schema;

        public override bool MoveNext() => _at < places.Length && ++_at < places.Length;

        public override bool IsColumnActive(DataViewSchema.Column column) => active[column.Index];

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref DataViewRowId id) => id = new DataViewRowId((ulong)places[_at].Row, 7);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        {
            ArgumentOutOfRangeException.ThrowIfEqual(active[column.Index], false);
            var cell = (Func<int, TValue>)table._cells[column.Index];
            return (ref TValue value) =>
            {
                table._reads[column.Index]++;
                value = cell(places[_at].Row);
            };
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing && !_disposed)
            {
                _disposed = true;
                table.OpenCursors--;
            }
            base.Dispose(disposing);
        }
    }
}
