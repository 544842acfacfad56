namespace Microsoft.ML.Data;

/// <summary>Rows kept in memory, read from the source when a column is first wanted.</summary>
internal sealed class CacheDataView(IDataView source, IEnumerable<string> prefetch) : IDataView
{
    private readonly HashSet<int> _wanted = [.. prefetch.Select(name => source.Schema[name].Index)];
    private RowStore _store;

    public bool CanShuffle => true;

    public DataViewSchema Schema => source.Schema;

    public long? GetRowCount() => _store?.Count ?? source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
        => GetRowCursorSet(columnsNeeded, 1, rand)[0];

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
    {
        DataViewSchema.Column[] columns = [.. columnsNeeded];
        RowStore store = Fill(columns);
        int[] order = rand is null ? null : [.. Enumerable.Range(0, store.Count)];
        rand?.Shuffle(order);
        Blocks blocks = new(store.Count);
        n = Math.Max(1, n);
        return [.. Enumerable.Range(0, n).Select(_ => new Cursor(store, Schema, columns, blocks, order))];
    }

    private RowStore Fill(DataViewSchema.Column[] columns)
    {
        lock (_wanted)
        {
            int before = _wanted.Count;
            _wanted.UnionWith(columns.Select(c => c.Index));
            if (_store is null || _wanted.Count > before)
            {
                DataViewSchema.Column[] all = [.. source.Schema.Where(c => _wanted.Contains(c.Index))];
                using DataViewRowCursor cursor = source.GetRowCursor(all);
                RowStore store = new(cursor, all);
                while (cursor.MoveNext())
                    store.Fetch(store.Count);
                _store = store;
            }

            return _store;
        }
    }

    /// <summary>Hands out blocks of rows, in order, to the cursors of one set.</summary>
    private sealed class Blocks(int rows)
    {
        private const int Size = 64;

        private int _next = -1;

        public bool Next(out long batch, out int first, out int end)
        {
            batch = Interlocked.Increment(ref _next);
            first = (int)Math.Min(rows, batch * Size);
            end = Math.Min(rows, first + Size);
            return first < end;
        }
    }

    private sealed class Cursor(
        RowStore store, DataViewSchema schema, DataViewSchema.Column[] active, Blocks blocks, int[] order)
        : RootCursorBase(schema, active)
    {
        private readonly RowSlot _slot = new();
        private int _row;
        private int _end;
        private long _batch;

        public override long Batch => _batch;

        public override ValueGetter<DataViewRowId> GetIdGetter()
            => (ref DataViewRowId value) => value = new((ulong)_slot.Value, 0);

        protected override Delegate MakeGetter(int column) => store.MakeGetter(column, _slot);

        protected override bool MoveNextCore()
        {
            if (++_row >= _end && !blocks.Next(out _batch, out _row, out _end))
                return false;
            _slot.Value = order is null ? _row : order[_row];
            return true;
        }
    }
}
