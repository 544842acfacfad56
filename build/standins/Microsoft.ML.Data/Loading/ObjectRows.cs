using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Objects as rows, in the order in which they come: not even a list is shuffled.</summary>
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

    public bool CanShuffle => false;

    public DataViewSchema Schema { get; }

    public long? GetRowCount() => (_data as ICollection<TRow>)?.Count;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random rand = null)
        => new Cursor(this, columnsNeeded);

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random rand = null)
        => [GetRowCursor(columnsNeeded, rand)];

    private sealed class Cursor(ObjectDataView<TRow> view, IEnumerable<DataViewSchema.Column> active)
        : RootCursorBase(view.Schema, active)
    {
        private readonly IEnumerator<TRow> _rows = view._data.GetEnumerator();
        private TRow _current;

        protected override Delegate MakeGetter(int column) => view._members[column].MakeGetter(() => _current);

        protected override bool MoveNextCore()
        {
            bool moved = _rows.MoveNext();
            _current = moved ? _rows.Current : null;
            Contracts.Check(
                null, !moved || _current is not null, "One of the rows is null");
            return moved;
        }

        protected override void Dispose(bool disposing)
        {
            base.Dispose(disposing);
            _rows.Dispose();
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
                    $"Member {member.MemberName} is a {member.MemberType}, which cannot hold {column}");
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
