using System.Globalization;
using System.Reflection;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Conformance;

/// <summary>Reads data views of any schema, values written so that two are equal only if all their bits are.</summary>
internal static class ViewRows
{
    /// <summary>Each row of the view, all visible columns or those named.</summary>
    public static string[] Read(IDataView view, params string[] columns)
    {
        DataViewSchema.Column[] wanted = Columns(view.Schema, columns);
        using DataViewRowCursor cursor = view.GetRowCursor(wanted);
        return Read(cursor, wanted);
    }

    /// <summary>Each row of a cursor.</summary>
    public static string[] Read(DataViewRowCursor cursor, IReadOnlyList<DataViewSchema.Column> columns)
    {
        Func<string>[] cells = Cells(cursor, columns);
        var rows = new List<string>();
        while (cursor.MoveNext())
            rows.Add(string.Join(" | ", cells.Select(cell => cell())));
        return [.. rows];
    }

    /// <summary>The visible columns, or those named.</summary>
    public static DataViewSchema.Column[] Columns(DataViewSchema schema, params string[] names) =>
        [.. schema.Where(c => !c.IsHidden && (names.Length == 0 || names.Contains(c.Name)))];

    /// <summary>For each column, what reads its value of the current row.</summary>
    public static Func<string>[] Cells(DataViewRow row, IEnumerable<DataViewSchema.Column> columns) =>
        [.. columns.Select(c => (Func<string>)ForType(c.Type, nameof(Scalar), nameof(Vector)).Invoke(null, [row, c])!)];

    /// <summary>Each column of a schema with its type, and each annotation with its type and value.</summary>
    public static string[] Describe(DataViewSchema schema) =>
    [
        .. schema.Select(column => $"{column.Name}: {column.Type}" + string.Concat(column.Annotations.Schema.Select(
            a => $"; {a.Name}: {a.Type} = {Annotation(column.Annotations, a)}"))),
    ];

    /// <summary>The number that was written.</summary>
    /// <exception cref="FormatException">It was no number of type Single.</exception>
    public static float Single(string bits) => bits.Length == 8
        ? BitConverter.Int32BitsToSingle(int.Parse(bits, NumberStyles.HexNumber, CultureInfo.InvariantCulture))
        : throw new FormatException($"'{bits}' is no number.");

    private static string Annotation(DataViewSchema.Annotations annotations, DataViewSchema.Column column) => (string)
        ForType(column.Type, nameof(ScalarOf), nameof(VectorOf)).Invoke(null, [annotations, column.Name])!;

    private static string ScalarOf<T>(DataViewSchema.Annotations annotations, string name)
    {
        T value = default!;
        annotations.GetValue(name, ref value);
        return Write(value);
    }

    private static string VectorOf<T>(DataViewSchema.Annotations annotations, string name)
    {
        VBuffer<T> value = default;
        annotations.GetValue(name, ref value);
        return string.Join(" ", value.DenseValues().Select(Write));
    }

    private static MethodInfo ForType(DataViewType type, string scalar, string vector) => typeof(ViewRows)
        .GetMethod(type is VectorDataViewType ? vector : scalar, BindingFlags.Static | BindingFlags.NonPublic)!
        .MakeGenericMethod((type as VectorDataViewType)?.ItemType.RawType ?? type.RawType);

    private static Func<string> Scalar<T>(DataViewRow row, DataViewSchema.Column column)
    {
        ValueGetter<T> getter = row.GetGetter<T>(column);
        T value = default!;
        return () =>
        {
            getter(ref value);
            return Write(value);
        };
    }

    private static Func<string> Vector<T>(DataViewRow row, DataViewSchema.Column column)
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
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };
}
