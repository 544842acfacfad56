using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

public static class ColumnCursorExtensions
{
    public static IEnumerable<T> GetColumn<T>(this IDataView data, string columnName)
        => data.GetColumn<T>(
            data.Schema.GetColumnOrNull(columnName)
            ?? throw Contracts.ExceptSchemaMismatch(null, nameof(columnName), "input", columnName));

    /// <summary>Vectors come as <c>VBuffer</c> or as arrays, text as memory or as strings.</summary>
    public static IEnumerable<T> GetColumn<T>(this IDataView data, DataViewSchema.Column column)
    {
        if (typeof(T) == column.Type.RawType)
            return Values<T>(data, column);
        if (typeof(T) == typeof(string) && column.Type is TextDataViewType)
            return (IEnumerable<T>)Values<ReadOnlyMemory<char>>(data, column).Select(text => text.ToString());
        if (typeof(T).IsArray && column.Type is VectorDataViewType vector)
        {
            if (typeof(T) == typeof(string[]) && vector.ItemType is TextDataViewType)
            {
                return (IEnumerable<T>)Values<VBuffer<ReadOnlyMemory<char>>>(data, column)
                    .Select(buffer => buffer.DenseValues().Select(text => text.ToString()).ToArray());
            }

            if (typeof(T).GetElementType() == vector.ItemType.RawType)
                return ColumnSets.ForRawType<IEnumerable<T>>(new Arrays(), "Of", vector.ItemType.RawType, data, column);
        }

        throw Contracts.ExceptSchemaMismatch(
            null, nameof(column), "input", column.Name, column.Type.ToString(), typeof(T).ToString());
    }

    private static IEnumerable<T> Values<T>(IDataView data, DataViewSchema.Column column)
    {
        using DataViewRowCursor cursor = data.GetRowCursor([column]);
        ValueGetter<T> getter = cursor.GetGetter<T>(column);
        while (cursor.MoveNext())
        {
            T value = default;
            getter(ref value);
            yield return value;
        }
    }

    private sealed class Arrays
    {
        private IEnumerable<T[]> Of<T>(IDataView data, DataViewSchema.Column column)
            => Values<VBuffer<T>>(data, column).Select(buffer => buffer.DenseValues().ToArray());
    }
}

public static class SchemaAnnotationsExtensions
{
    public static bool HasSlotNames(this DataViewSchema.Column column) => AnnotationUtils.HasSlotNames(column);

    public static void GetSlotNames(this DataViewSchema.Column column, ref VBuffer<ReadOnlyMemory<char>> slotNames)
        => column.Annotations.GetValue(AnnotationUtils.Kinds.SlotNames, ref slotNames);

    public static bool IsNormalized(this DataViewSchema.Column column) => AnnotationUtils.IsNormalized(column);
}
