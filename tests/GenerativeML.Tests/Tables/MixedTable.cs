using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Tables;

/// <summary>
/// A table with a column of every type that tables can hold, missing values and annotations among them.
/// </summary>
internal static class MixedTable
{
    private static readonly string[] s_colours = ["red", "green", "blue", ""];

    /// <summary>The same rows for the same number; the text <c>Row</c> tells them apart.</summary>
    public static TableView Rows(int rows) => new TableView(rows)
        .Add("Single", NumberDataViewType.Single, row => row % 7 == 3 ? float.NaN : row / 10f)
        .Add("Double", NumberDataViewType.Double, row => Math.Sqrt(row) * 1e6)
        .Add("SByte", NumberDataViewType.SByte, row => (sbyte)(row % 200 - 100))
        .Add("Byte", NumberDataViewType.Byte, row => (byte)(row % 3))
        .Add("Int16", NumberDataViewType.Int16, row => (short)(-row * 3))
        .Add("UInt16", NumberDataViewType.UInt16, row => (ushort)(60_000 + row))
        .Add("Int32", NumberDataViewType.Int32, row => row * 1_000_003)
        .Add("UInt32", NumberDataViewType.UInt32, row => uint.MaxValue - (uint)row)
        .Add("Int64", NumberDataViewType.Int64, row => (1L << 53) - row)
        .Add("UInt64", NumberDataViewType.UInt64, row => (ulong)row << 40)
        .Add("Flag", BooleanDataViewType.Instance, row => row % 5 == 0, Notes())
        .Add("Colour", TextDataViewType.Instance, row => s_colours[row % 4].AsMemory())
        .Add("Row", TextDataViewType.Instance, row => $"row {row}".AsMemory())
        .Add("Key", new KeyDataViewType(typeof(uint), 3), row => (uint)(row % 4), KeyValues("a", "b", "c"))
        .Add("Grade", new KeyDataViewType(typeof(byte), 2), row => (byte)(1 + row % 2), KeyNumbers(0.5f, 2.5f))
        .Add("Bare", new KeyDataViewType(typeof(ulong), 1UL << 40), row => 1UL << (row % 40))
        .Add("Day", DateTimeDataViewType.Instance,
            row => row % 9 == 1 ? default : new DateTime(2020, 2, 27).AddDays(row))
        .Add("Time", DateTimeDataViewType.Instance,
            row => new DateTime(1999, 12, 31, 23, 59, 58).AddMilliseconds(row * 250))
        .Add("Moment", DateTimeOffsetDataViewType.Instance,
            row => new DateTimeOffset(2024, 1, 1, 0, row % 60, 0, TimeSpan.FromHours(2)))
        .Add("Span", TimeSpanDataViewType.Instance, row => TimeSpan.FromHours(row - 30))
        .AddVector("Sparse", 3, row => [row % 2, row / 4f, row % 6 == 5 ? float.NaN : 1], SlotNames("odd", "", "gap"))
        .Add("Tags", new VectorDataViewType(TextDataViewType.Instance, 2), row => new VBuffer<ReadOnlyMemory<char>>(
            2, [s_colours[row % 3].AsMemory(), s_colours[row % 4].AsMemory()]))
        .Add("Image", new VectorDataViewType(NumberDataViewType.Byte, 2, 2),
            row => new VBuffer<byte>(4, [1, 2, (byte)(row % 2), (byte)row]));

    public static DataViewSchema.Annotations KeyValues(params string[] values)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        AddTexts(builder, "KeyValues", values);
        return builder.ToAnnotations();
    }

    public static DataViewSchema.Annotations KeyNumbers(params float[] values)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add("KeyValues", new VectorDataViewType(NumberDataViewType.Single, values.Length),
            (ref VBuffer<float> v) => VBuffer<float>.Copy(values, 0, ref v, values.Length));
        return builder.ToAnnotations();
    }

    public static DataViewSchema.Annotations SlotNames(params string[] names)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        AddTexts(builder, "SlotNames", names);
        builder.AddPrimitiveValue("IsNormalized", BooleanDataViewType.Instance, true);
        return builder.ToAnnotations();
    }

    private static DataViewSchema.Annotations Notes()
    {
        var builder = new DataViewSchema.Annotations.Builder();
        builder.AddPrimitiveValue("Note", TextDataViewType.Instance, "said of it".AsMemory());
        builder.AddPrimitiveValue("Weight", NumberDataViewType.Single, float.NaN);
        builder.AddPrimitiveValue("Set", new KeyDataViewType(typeof(uint), 7), 3u);
        return builder.ToAnnotations();
    }

    private static void AddTexts(DataViewSchema.Annotations.Builder builder, string name, string[] texts)
    {
        ReadOnlyMemory<char>[] values = [.. texts.Select(t => t.AsMemory())];
        builder.Add(
            name, new VectorDataViewType(TextDataViewType.Instance, values.Length),
            (ref VBuffer<ReadOnlyMemory<char>> v) =>
                VBuffer<ReadOnlyMemory<char>>.Copy(values, 0, ref v, values.Length));
    }
}
