using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Objects as rows: a list can be counted and shuffled, a sequence only read.</summary>
internal sealed class ObjectDataView<TRow> : IDataView
    where TRow : class
{
    private readonly IEnumerable<TRow> _data;
    private readonly ObjectMember[] _members;

    public ObjectDataView(IEnumerable<TRow> data, SchemaDefinition definition)
    {
        _data = data;
        _members = ObjectMember.Of(typeof(TRow), definition, SchemaDefinition.Direction.Read);
        Schema = ObjectRow<TRow>.SchemaOf(_members);
    }

    public bool CanShuffle => _data is IList<TRow>;

    public DataViewSchema Schema { get; }

    public long? GetRowCount() => (_data as ICollection<TRow>)?.Count;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
        => new Cursor(this, columnsNeeded, rand);

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
        => [GetRowCursor(columnsNeeded, rand)];

    private sealed class Cursor : RootCursorBase
    {
        private readonly ObjectMember[] _members;
        private readonly int[] _order;
        private readonly IList<TRow> _list;
        private readonly IEnumerator<TRow> _rows;
        private TRow _current;

        public Cursor(ObjectDataView<TRow> view, IEnumerable<DataViewSchema.Column> active, Random rand)
            : base(view.Schema, active)
        {
            _members = view._members;
            _list = view._data as IList<TRow>;
            if (_list is null)
                _rows = view._data.GetEnumerator();
            else if (rand is not null)
                _order = CacheDataView.Permutation(_list.Count, rand);
        }

        public override ValueGetter<DataViewRowId> GetIdGetter()
            => (ref DataViewRowId value) => value = new((ulong)(_order is null ? Position : _order[Position]), 0);

        protected override Delegate MakeGetter(int column) => _members[column].MakeGetter(() => _current);

        protected override bool MoveNextCore()
        {
            _current = null;
            if (_list is not null)
            {
                int next = (int)Position + 1;
                if (next < _list.Count)
                    _current = _list[_order is null ? next : _order[next]];
                return next < _list.Count;
            }

            if (!_rows.MoveNext())
                return false;
            _current = _rows.Current;
            Contracts.Check(null, _current is not null, "Encountered null when iterating over data, this is not supported.");
            return true;
        }

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            _rows?.Dispose();
        }
    }
}

/// <summary>One object at a time as a row, which is how a <c>PredictionEngine</c> sees its input.</summary>
internal sealed class ObjectRow<TRow> : DataViewRow
    where TRow : class
{
    private readonly Delegate[] _getters;
    private TRow _current;
    private long _position = -1;

    public ObjectRow(SchemaDefinition definition)
    {
        ObjectMember[] members = ObjectMember.Of(typeof(TRow), definition, SchemaDefinition.Direction.Read);
        Schema = SchemaOf(members);
        _getters = [.. members.Select(member => member.MakeGetter(() => _current))];
    }

    public override long Position => _position;

    public override long Batch => 0;

    public override DataViewSchema Schema { get; }

    public static DataViewSchema SchemaOf(ObjectMember[] members)
    {
        DataViewSchema.Builder builder = new();
        builder.AddColumns(members.Select(member => member.Column));
        return builder.ToSchema();
    }

    public void MoveTo(TRow row)
    {
        Contracts.CheckValue(null, row, nameof(row));
        _current = row;
        _position++;
    }

    public override ValueGetter<DataViewRowId> GetIdGetter()
        => (ref DataViewRowId value) => value = new((ulong)_position, 0);

    public override bool IsColumnActive(DataViewSchema.Column column) => true;

    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column)
        => _getters[column.Index].As<TValue>(column);
}

/// <summary>Rows as objects.</summary>
internal sealed class ObjectFiller<TRow>
{
    private readonly (ObjectMember Member, DataViewSchema.Column Column)[] _bound;
    private Action<TRow>[] _setters;

    public ObjectFiller(DataViewSchema schema, SchemaDefinition definition, bool ignoreMissingColumns)
    {
        List<(ObjectMember, DataViewSchema.Column)> bound = [];
        foreach (ObjectMember member in ObjectMember.Of(typeof(TRow), definition, SchemaDefinition.Direction.Write))
        {
            if (schema.GetColumnOrNull(member.Column.Name) is { } column)
            {
                Contracts.Check(
                    null,
                    member.CanHold(column.Type),
                    $"Can't bind the IDataView column '{column.Name}' of type '{column.Type}' to field or property "
                    + $"'{member.MemberName}' of type '{member.MemberType.FullName}'.");
                bound.Add((member, column));
            }
            else if (!ignoreMissingColumns)
            {
                throw Contracts.ExceptSchemaMismatch(null, "Schema", "", member.Column.Name);
            }
        }

        _bound = [.. bound];
    }

    public IEnumerable<DataViewSchema.Column> Columns => _bound.Select(b => b.Column);

    public void Bind(DataViewRow row)
        => _setters = [.. _bound.Select(b => b.Member.MakeSetter<TRow>(row, row.Schema[b.Column.Index]))];

    public void Fill(TRow target)
    {
        foreach (Action<TRow> setter in _setters)
            setter(target);
    }
}
