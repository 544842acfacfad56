namespace Microsoft.ML.Data;

/// <summary>
/// Gives the rows of one cursor to several, a batch at a time to whichever asks next, so that the batch numbers tell
/// the order again.
/// </summary>
internal static class SplitCursors
{
    private const int RowsPerBatch = 64;

    public static DataViewRowCursor[] Of(DataViewRowCursor input, int n)
    {
        DataViewSchema.Column[] active = [.. input.Schema.Where(input.IsColumnActive)];
        Source source = new(input, active, n);
        return [.. Enumerable.Range(0, n).Select(_ => new Cursor(source, input.Schema, active))];
    }

    private sealed class Source(DataViewRowCursor input, DataViewSchema.Column[] active, int cursors)
    {
        private int _open = cursors;
        private long _batch;

        /// <summary>Fills the cursor's store with the next batch; the store's getters read the shared input.</summary>
        public bool Next(RowStore store, out long batch)
        {
            lock (input)
            {
                store.Clear();
                batch = _batch++;
                while (store.Count < RowsPerBatch && input.MoveNext())
                    store.Fetch(store.Count);
                return store.Count > 0;
            }
        }

        public RowStore NewStore()
        {
            lock (input)
                return new RowStore(input, active);
        }

        public void Close()
        {
            if (Interlocked.Decrement(ref _open) == 0)
                input.Dispose();
        }
    }

    private sealed class Cursor(Source source, DataViewSchema schema, DataViewSchema.Column[] active)
        : RootCursorBase(schema, active)
    {
        private readonly RowStore _store = source.NewStore();
        private readonly RowSlot _slot = new();
        private long _batch;
        private bool _closed;

        public override long Batch => _batch;

        public override ValueGetter<DataViewRowId> GetIdGetter()
            => (ref DataViewRowId value) => value = _store.Id(_slot.Value);

        protected override Delegate MakeGetter(int column) => _store.MakeGetter(column, _slot);

        protected override bool MoveNextCore()
        {
            if (++_slot.Value < _store.Count)
                return true;
            _slot.Value = 0;
            return source.Next(_store, out _batch);
        }

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            if (!_closed)
                source.Close();
            _closed = true;
        }
    }
}
