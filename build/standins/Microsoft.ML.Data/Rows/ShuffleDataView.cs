namespace Microsoft.ML.Data;

/// <summary>Rows in an order that the seed gives: the source's own shuffling, if it can, then a pool.</summary>
internal sealed class ShuffleDataView(IDataView source, int seed, int poolRows, bool shuffleSource) : IDataView
{
    public bool CanShuffle => true;

    public DataViewSchema Schema => source.Schema;

    public long? GetRowCount() => source.GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
    {
        DataViewSchema.Column[] columns = [.. columnsNeeded];
        rand ??= new Random(seed);
        Random forSource = shuffleSource && source.CanShuffle ? new Random(rand.Next()) : null;
        return new Cursor(source.GetRowCursor(columns, forSource), columns, poolRows, rand);
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
        => [GetRowCursor(columnsNeeded, rand)];

    private sealed class Cursor(DataViewRowCursor input, DataViewSchema.Column[] active, int poolRows, Random rand)
        : RootCursorBase(input.Schema, active)
    {
        private readonly RowStore _pool = new(input, active);
        private readonly List<int> _full = [];
        private readonly RowSlot _slot = new();

        public override ValueGetter<DataViewRowId> GetIdGetter()
            => (ref DataViewRowId value) => value = _pool.Id(_slot.Value);

        protected override Delegate MakeGetter(int column) => _pool.MakeGetter(column, _slot);

        protected override bool MoveNextCore()
        {
            // The slot that was read last is free for the next row.
            if (_slot.Value >= 0 && input.MoveNext())
                Fill(_slot.Value);
            while (_pool.Count < poolRows && input.MoveNext())
                Fill(_pool.Count);
            if (_full.Count == 0)
                return false;

            int pick = rand.Next(_full.Count);
            _slot.Value = _full[pick];
            _full[pick] = _full[^1];
            _full.RemoveAt(_full.Count - 1);
            return true;
        }

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            input.Dispose();
        }

        private void Fill(int slot)
        {
            _pool.Fetch(slot);
            _full.Add(slot);
        }
    }
}
