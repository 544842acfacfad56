using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// The rows of several data views, spread evenly among each other: a trainer that takes rows in their order sees at any
/// point as large a share of each as at any other. Nothing is held.
/// </summary>
internal sealed class MixedDataView : IDataView
{
    private readonly (IDataView Data, long Rows)[] _parts;
    private readonly DataViewSchema.Column[][] _columns;

    /// <param name="schema">The columns; a view may have others beside them.</param>
    /// <param name="parts">The views and their numbers of rows; the first gives the columns their annotations.</param>
    /// <exception cref="ArgumentOutOfRangeException">A view lacks a column, or has it with another type.</exception>
    public MixedDataView(DataViewSchema schema, IReadOnlyList<(IDataView Data, long Rows)> parts)
    {
        _parts = [.. parts];
        _columns = [.. _parts.Select(part => Find(part.Data.Schema, schema))];
        DataViewSchema.Builder builder = new();
        builder.AddColumns(_columns[0]);
        Schema = builder.ToSchema();
    }

    public bool CanShuffle => false;

    public DataViewSchema Schema { get; }

    public long? GetRowCount() => _parts.Sum(part => part.Rows);

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        List<DataViewRowCursor> cursors = [];
        try
        {
            for (int p = 0; p < _parts.Length; p++)
                cursors.Add(_parts[p].Data.GetRowCursor(_columns[p].Where((_, c) => active[c])));
            return new Cursor(this, active, [.. cursors]);
        }
        catch
        {
            foreach (DataViewRowCursor cursor in cursors)
                cursor.Dispose();
            throw;
        }
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
        [GetRowCursor(columnsNeeded, rand)];

    private static DataViewSchema.Column[] Find(DataViewSchema data, DataViewSchema wanted)
    {
        var found = new DataViewSchema.Column[wanted.Count];
        for (int c = 0; c < found.Length; c++)
        {
            if (data.GetColumnOrNull(wanted[c].Name) is not DataViewSchema.Column column
                || !column.Type.Equals(wanted[c].Type))
            {
                throw new ArgumentOutOfRangeException(
                    nameof(data), $"Column '{wanted[c].Name}' is missing or of another type than {wanted[c].Type}.");
            }
            found[c] = column;
        }
        return found;
    }

    private sealed class Cursor(MixedDataView view, bool[] active, DataViewRowCursor[] parts)
        : RowCursor(view.Schema, active)
    {
        private readonly long[] _taken = new long[parts.Length];
        private readonly bool[] _ended = new bool[parts.Length];
        private int _current = -1;

        public override long Batch => 0;

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref DataViewRowId id) => id = new DataViewRowId((ulong)Position, 0);

        /// <summary>Takes the next row of the view that is furthest behind.</summary>
        protected override bool Advance()
        {
            while (Behind() is int part and >= 0)
            {
                if (parts[part].MoveNext())
                {
                    _taken[part]++;
                    _current = part;
                    return true;
                }
                _ended[part] = true;
            }
            return false;
        }

        protected override Delegate Getter<TValue>(int column)
        {
            ValueGetter<TValue>[] getters =
                [.. parts.Select((part, p) => part.GetGetter<TValue>(view._columns[p][column]))];
            return (ValueGetter<TValue>)((ref TValue value) =>
                (Position >= 0 ? getters[_current] : throw NoRow)(ref value));
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                foreach (DataViewRowCursor part in parts)
                    part.Dispose();
            }
            base.Dispose(disposing);
        }

        private int Behind()
        {
            int behind = -1;
            double least = double.PositiveInfinity;
            for (int p = 0; p < parts.Length; p++)
            {
                double share = (_taken[p] + 0.5) / view._parts[p].Rows;
                if (_ended[p] || share >= least)
                    continue;
                (behind, least) = (p, share);
            }
            return behind;
        }
    }
}
