using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Keeps the values that a column passes through, for each row of a batch.</summary>
internal abstract class ColumnBuffer
{
    /// <summary>
    /// Keeps the value of the row that the input stands on, as row <paramref name="row"/> of the batch.
    /// </summary>
    public abstract void Fill(int row);

    /// <summary>A <see cref="ValueGetter{TValue}"/> for the row that <paramref name="at"/> names.</summary>
    public abstract Delegate Getter(IBatchPosition at);

    /// <summary>A buffer for <paramref name="capacity"/> values of a column of <paramref name="input"/>.</summary>
    public static ColumnBuffer Create(DataViewRow input, DataViewSchema.Column column, int capacity)
    {
        Type buffer = column.Type is VectorDataViewType vector
            ? typeof(VectorBuffer<>).MakeGenericType(vector.ItemType.RawType)
            : typeof(ValueBuffer<>).MakeGenericType(column.Type.RawType);
        return (ColumnBuffer)Activator.CreateInstance(buffer, input, column, capacity)!;
    }

    private sealed class ValueBuffer<T>(DataViewRow input, DataViewSchema.Column column, int capacity) : ColumnBuffer
    {
        private readonly T[] _values = new T[capacity];
        private readonly ValueGetter<T> _getter = input.GetGetter<T>(column);

        public override void Fill(int row)
        {
            // A getter may reuse or dispose the object it is handed (images do); the one of an earlier batch may still
            // be in somebody's hands.
            if (!typeof(T).IsValueType)
                _values[row] = default!;
            _getter(ref _values[row]);
        }

        public override Delegate Getter(IBatchPosition at) =>
            (ValueGetter<T>)((ref T value) => value = _values[at.Row]);
    }

    private sealed class VectorBuffer<T>(DataViewRow input, DataViewSchema.Column column, int capacity) : ColumnBuffer
    {
        private readonly VBuffer<T>[] _values = new VBuffer<T>[capacity];
        private readonly ValueGetter<VBuffer<T>> _getter = input.GetGetter<VBuffer<T>>(column);

        public override void Fill(int row) => _getter(ref _values[row]);

        public override Delegate Getter(IBatchPosition at) =>
            (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) => _values[at.Row].CopyTo(ref value));
    }
}
