using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// The rows of two views, one after the other, with a Boolean column that says which is the second. A label that one of them
/// lacks is missing in its rows.
/// </summary>
internal sealed class DomainView : IDataView
{
    private readonly IDataView[] _views;
    private readonly DataViewSchema.Column?[][] _columns; // of each view, the features and, at will, the label

    /// <exception cref="ArgumentOutOfRangeException">A column is missing, or of another type than in the other view.</exception>
    public DomainView(IDataView[] views, string features, string? label, string domain)
    {
        _views = views;
        string[] names = label is null ? [features] : [features, label];
        _columns = [.. views.Select(view => names.Select(name => view.Schema.GetColumnOrNull(name)).ToArray())];
        var builder = new DataViewSchema.Builder();
        for (int c = 0; c < names.Length; c++)
        {
            DataViewSchema.Column?[] found = [.. _columns.Select(of => of[c])];
            int lacks = c == 0 ? Array.IndexOf(found, null) : found.All(column => column is null) ? 0 : -1;
            if (lacks >= 0)
            {
                throw InputColumns.Missing(
                    names[c], InputColumns.Expected(c == 0 ? InputKind.Image : InputKind.Class), views[lacks].Schema, lacks == 0 ? "first" : "second");
            }
            DataViewSchema.Column one = found.First(column => column is not null)!.Value;
            if (found.FirstOrDefault(column => column?.Type.Equals(one.Type) == false) is { } other)
                throw InputColumns.Mismatch(names[c], one.Type.ToString()!, other.Type.ToString()!, unknownSize: false, "second");
            string[] keys = [.. found.OfType<DataViewSchema.Column>().Select(Keys).Distinct()];
            if (keys.Length > 1)
            {
                throw new ArgumentOutOfRangeException(
                    nameof(views), $"The keys of column '{names[c]}' stand for other values in the second view than in the first: map both by the same transformer.");
            }
            builder.AddColumn(names[c], one.Type, one.Annotations);
        }
        builder.AddColumn(domain, BooleanDataViewType.Instance);
        Schema = builder.ToSchema();
    }

    // All of them, as one text.
    private static string Keys(DataViewSchema.Column column) => string.Join(
        '\n', TableCells.KeysOf(column) is { } keys ? Enumerable.Range(1, keys.Count).Select(key => $"{TableValues.OfKey(keys, key)}") : []);

    public bool CanShuffle => false;

    public DataViewSchema Schema { get; }

    public long? GetRowCount() => _views[0].GetRowCount() + _views[1].GetRowCount();

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null)
    {
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        var parts = new List<DataViewRowCursor>();
        try
        {
            for (int v = 0; v < _views.Length; v++)
                parts.Add(_views[v].GetRowCursor(_columns[v].Where((_, c) => active[c]).OfType<DataViewSchema.Column>()));
            return new Cursor(this, active, [.. parts]);
        }
        catch
        {
            parts.ForEach(part => part.Dispose());
            throw;
        }
    }

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) => [GetRowCursor(columnsNeeded, rand)];

    private sealed class Cursor(DomainView view, bool[] active, DataViewRowCursor[] parts) : RowCursor(view.Schema, active)
    {
        private int _current;

        public override long Batch => 0;

        public override ValueGetter<DataViewRowId> GetIdGetter() =>
            (ref DataViewRowId id) => id = new DataViewRowId((ulong)Position, 0);

        protected override bool Advance()
        {
            while (!parts[_current].MoveNext())
            {
                if (++_current == parts.Length)
                {
                    _current--;
                    return false;
                }
            }
            return true;
        }

        protected override Delegate Getter<TValue>(int column)
        {
            if (column == view.Schema.Count - 1)
                return (ValueGetter<bool>)((ref bool value) => value = Position >= 0 ? _current == 1 : throw NoRow);
            ValueGetter<TValue>?[] getters =
                [.. parts.Select((part, v) => view._columns[v][column] is { } found ? part.GetGetter<TValue>(found) : null)];
            return (ValueGetter<TValue>)((ref TValue value) =>
            {
                if (Position < 0)
                    throw NoRow;
                if (getters[_current] is { } getter)
                    getter(ref value);
                else
                    value = default!;
            });
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
    }
}
