namespace Microsoft.ML.Data;

internal enum RowVerdict
{
    Keep,
    Drop,

    /// <summary>Neither this row nor any after it.</summary>
    Stop,
}

/// <summary>Some of the rows, chosen by their place, so that there is no shuffling.</summary>
/// <param name="source">All rows.</param>
/// <param name="makeTest">Makes, for a cursor, the function that judges one row after the other.</param>
/// <param name="count">How many of so many rows are kept, or null when only a pass over them can tell.</param>
internal sealed class FilterDataView(IDataView source, Func<Func<RowVerdict>> makeTest, Func<long, long> count = null)
    : IDataView
{
    public bool CanShuffle => false;

    public DataViewSchema Schema => source.Schema;

    public long? GetRowCount() => count is not null && source.GetRowCount() is { } rows ? count(rows) : null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
        => new Cursor(source.GetRowCursor(columnsNeeded), makeTest());

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
        => [GetRowCursor(columnsNeeded)];

    private sealed class Cursor(DataViewRowCursor input, Func<RowVerdict> test) : SynchronizedCursorBase(input)
    {
        private long _position = -1;

        public override long Position => _position;

        public override DataViewSchema Schema => Input.Schema;

        public override bool IsColumnActive(DataViewSchema.Column column) => Input.IsColumnActive(column);

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
            => Input.GetGetter<TValue>(column);

        public override bool MoveNext()
        {
            RowVerdict verdict;
            do
            {
                verdict = Input.MoveNext() ? test() : RowVerdict.Stop;
            }
            while (verdict == RowVerdict.Drop);

            if (verdict == RowVerdict.Keep)
            {
                _position++;
                return true;
            }

            _position = -1;
            Input.Dispose();
            return false;
        }
    }
}
