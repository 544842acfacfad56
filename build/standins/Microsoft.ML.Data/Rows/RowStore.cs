namespace Microsoft.ML.Data;

/// <summary>Which row of a <see cref="RowStore"/> a cursor is at.</summary>
internal sealed class RowSlot
{
    public int Value = -1;
}

/// <summary>Rows copied out of a cursor: some columns, and the identity of each row.</summary>
internal sealed class RowStore
{
    private readonly Lane[] _lanes;
    private readonly ValueGetter<DataViewRowId> _idGetter;
    private DataViewRowId[] _ids = new DataViewRowId[16];

    public RowStore(DataViewRow source, IEnumerable<DataViewSchema.Column> columns)
    {
        _idGetter = source.GetIdGetter();
        _lanes = new Lane[source.Schema.Count];
        foreach (DataViewSchema.Column column in columns)
        {
            Type lane = column.Type is VectorDataViewType vector
                ? typeof(VectorLane<>).MakeGenericType(vector.ItemType.RawType)
                : typeof(Lane<>).MakeGenericType(column.Type.RawType);
            _lanes[column.Index] = (Lane)Activator.CreateInstance(lane, source, source.Schema[column.Index]);
        }
    }

    public int Count { get; private set; }

    /// <summary>Copies the source's row into one of the slots, or into a new one at the end.</summary>
    public void Fetch(int slot)
    {
        if (slot == _ids.Length)
            Array.Resize(ref _ids, 2 * slot);
        _idGetter(ref _ids[slot]);
        foreach (Lane lane in _lanes)
            lane?.Fetch(slot);
        Count = Math.Max(Count, slot + 1);
    }

    public void Clear() => Count = 0;

    public DataViewRowId Id(int slot) => _ids[slot];

    public Delegate MakeGetter(int column, RowSlot slot) => _lanes[column].MakeGetter(slot);

    private abstract class Lane
    {
        public abstract void Fetch(int slot);

        public abstract Delegate MakeGetter(RowSlot slot);
    }

    private class Lane<T>(DataViewRow source, DataViewSchema.Column column) : Lane
    {
        private readonly ValueGetter<T> _getter = source.GetGetter<T>(column);

        protected T[] Values = new T[16];

        public override void Fetch(int slot)
        {
            if (slot == Values.Length)
                Array.Resize(ref Values, 2 * slot);
            _getter(ref Values[slot]);
        }

        public override Delegate MakeGetter(RowSlot slot) => (ValueGetter<T>)((ref T value) => value = Values[slot.Value]);
    }

    private sealed class VectorLane<T>(DataViewRow source, DataViewSchema.Column column)
        : Lane<VBuffer<T>>(source, column)
    {
        public override Delegate MakeGetter(RowSlot slot)
            => (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) => Values[slot.Value].CopyTo(ref value));
    }
}
