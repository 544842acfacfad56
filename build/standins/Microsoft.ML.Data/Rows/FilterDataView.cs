namespace Microsoft.ML.Data;

/// <summary>Whether a cursor's current row passes; made anew for each cursor.</summary>
internal delegate Func<RowVerdict> RowTest(DataViewRow row);

internal enum RowVerdict
{
    Keep,
    Drop,

    /// <summary>Neither this row nor any after it.</summary>
    Stop,
}

/// <summary>The rows that pass a test.</summary>
/// <param name="source">All rows.</param>
/// <param name="needed">The columns that the test reads.</param>
/// <param name="test">The test.</param>
/// <param name="ordered">Whether the test depends on the order of rows: then there is no shuffling.</param>
/// <param name="count">How many rows pass of so many, or null when only a pass over them can tell.</param>
internal sealed class FilterDataView(
    IDataView source, DataViewSchema.Column[] needed, RowTest test, bool ordered, Func<long, long> count = null) : IDataView
{
    public bool CanShuffle => !ordered && source.CanShuffle;

    public DataViewSchema Schema => source.Schema;

    public long? GetRowCount() => count is not null && source.GetRowCount() is { } rows ? count(rows) : null;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
    {
        bool[] active = ColumnSets.Flags(Schema, columnsNeeded);
        return new Cursor(source.GetRowCursor(Needed(active), ordered ? null : rand), active, test);
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
    {
        if (ordered)
            return [GetRowCursor(columnsNeeded, rand)];
        bool[] active = ColumnSets.Flags(Schema, columnsNeeded);
        return [.. source.GetRowCursorSet(Needed(active), n, rand).Select(input => new Cursor(input, active, test))];
    }

    private IEnumerable<DataViewSchema.Column> Needed(bool[] active)
        => Schema.Where(c => active[c.Index] || needed.Any(other => other.Index == c.Index)).ToArray();

    private sealed class Cursor(DataViewRowCursor input, bool[] active, RowTest test) : SynchronizedCursorBase(input)
    {
        private readonly Func<RowVerdict> _verdict = test(input);
        private long _position = -1;

        public override long Position => _position;

        public override DataViewSchema Schema => Input.Schema;

        public override bool IsColumnActive(DataViewSchema.Column column) => active[column.Index];

        public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
            => Input.GetGetter<TValue>(column);

        public override bool MoveNext()
        {
            while (Input.MoveNext())
            {
                switch (_verdict())
                {
                    case RowVerdict.Keep:
                        _position++;
                        return true;
                    case RowVerdict.Stop:
                        _position = -1;
                        Input.Dispose();
                        return false;
                }
            }

            _position = -1;
            return false;
        }
    }
}
