using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Conformance;

/// <summary>
/// Writes rows, schemas and annotations of any types as text, so that two are equal only if all their bits are.
/// </summary>
internal static class AnyValues
{
    /// <summary>Each column of a schema with its type, and each annotation with its type and value.</summary>
    public static string[] Describe(DataViewSchema schema) =>
    [
        .. schema.Select(column => $"{column.Name}: {column.Type}" + string.Concat(column.Annotations.Schema.Select(
            a => $"; {a.Name}: {a.Type} = {Annotation(column.Annotations, a)}"))),
    ];

    /// <summary>The rows of a view, all visible columns or those named.</summary>
    public static string[] Rows(IDataView view, params string[] columns)
    {
        DataViewSchema.Column[] wanted = ViewRows.Columns(view.Schema, columns);
        using DataViewRowCursor cursor = view.GetRowCursor(wanted);
        return Rows(cursor, wanted);
    }

    /// <summary>The rows of a cursor.</summary>
    public static string[] Rows(DataViewRowCursor cursor, IReadOnlyList<DataViewSchema.Column> columns)
    {
        Func<string>[] cells = [.. columns.Select(c => Reader(c.Type, cursor, c))];
        var rows = new List<string>();
        while (cursor.MoveNext())
            rows.Add(string.Join(" | ", cells.Select(cell => cell())));
        return [.. rows];
    }

    private static string Annotation(DataViewSchema.Annotations annotations, DataViewSchema.Column column) =>
        (string)typeof(AnyValues).GetMethod(column.Type is VectorDataViewType ? nameof(VectorOf) : nameof(ValueOf))!
            .MakeGenericMethod((column.Type as VectorDataViewType)?.ItemType.RawType ?? column.Type.RawType)
            .Invoke(null, [annotations, column.Name])!;

    private static Func<string> Reader(DataViewType type, DataViewRow row, DataViewSchema.Column column) =>
        (Func<string>)typeof(AnyValues).GetMethod(type is VectorDataViewType ? nameof(VectorCell) : nameof(Cell))!
            .MakeGenericMethod((type as VectorDataViewType)?.ItemType.RawType ?? type.RawType)
            .Invoke(null, [row, column])!;

    public static string ValueOf<T>(DataViewSchema.Annotations annotations, string name)
    {
        T value = default!;
        annotations.GetValue(name, ref value);
        return Write(value);
    }

    public static string VectorOf<T>(DataViewSchema.Annotations annotations, string name)
    {
        VBuffer<T> value = default;
        annotations.GetValue(name, ref value);
        return string.Join(" ", value.DenseValues().Select(Write));
    }

    public static Func<string> Cell<T>(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<T> getter = row.GetGetter<T>(column);
        T value = default!;
        return () =>
        {
            getter(ref value);
            return Write(value);
        };
    }

    public static Func<string> VectorCell<T>(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<VBuffer<T>> getter = row.GetGetter<VBuffer<T>>(column);
        VBuffer<T> value = default;
        return () =>
        {
            getter(ref value);
            return string.Join(" ", value.DenseValues().Select(Write));
        };
    }

    private static string Write<T>(T value) => value switch
    {
        float single => BitConverter.SingleToInt32Bits(single).ToString("x8", CultureInfo.InvariantCulture),
        double number => BitConverter.DoubleToInt64Bits(number).ToString("x16", CultureInfo.InvariantCulture),
        DateTime time => time.Ticks.ToString(CultureInfo.InvariantCulture),
        DateTimeOffset moment => moment.UtcTicks.ToString(CultureInfo.InvariantCulture),
        ReadOnlyMemory<char> text => $"'{text}'",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };
}
