using System.Text;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>A schema as bytes, with annotations that are texts or truth values.</summary>
internal static class SchemaFile
{
    public static void Write(DataViewSchema schema, Stream stream)
    {
        using BinaryWriter writer = new(stream, Encoding.UTF8, leaveOpen: true);
        writer.Write(schema.Count);
        foreach (DataViewSchema.Column column in schema)
        {
            writer.Write(column.Name);
            WriteType(writer, column.Type);
            WriteAnnotations(writer, column.Annotations);
        }
    }

    public static DataViewSchema Read(Stream stream, IExceptionContext context)
    {
        try
        {
            using BinaryReader reader = new(stream, Encoding.UTF8, leaveOpen: true);
            DataViewSchema.Builder builder = new();
            for (int left = reader.ReadInt32(); left > 0; left--)
                builder.AddColumn(reader.ReadString(), ReadType(reader), ReadAnnotations(reader));
            return builder.ToSchema();
        }
        catch (Exception ex) when (ex is IOException or ArgumentException or ArithmeticException or IndexOutOfRangeException)
        {
            throw context.Process(new FormatException("Corrupt schema", ex));
        }
    }

    public static void WriteStrings(this BinaryWriter writer, string[] values)
    {
        writer.Write(values.Length);
        foreach (string value in values)
            writer.Write(value);
    }

    public static string[] ReadStrings(this BinaryReader reader)
    {
        List<string> values = [];
        for (int left = reader.ReadInt32(); left > 0; left--)
            values.Add(reader.ReadString());
        return [.. values];
    }

    private static void WriteType(BinaryWriter writer, DataViewType type)
    {
        var vector = type as VectorDataViewType;
        PrimitiveDataViewType item = vector?.ItemType ?? (PrimitiveDataViewType)type;
        writer.Write((byte)item.GetRawKind());
        writer.Write((item as KeyDataViewType)?.Count ?? 0);
        writer.Write(vector?.Dimensions.Length ?? 0);
        for (int i = 0; i < vector?.Dimensions.Length; i++)
            writer.Write(vector.Dimensions[i]);
    }

    private static DataViewType ReadType(BinaryReader reader)
    {
        PrimitiveDataViewType item = ColumnTypeExtensions.PrimitiveTypeFromKind((DataKind)reader.ReadByte());
        if (reader.ReadUInt64() is > 0 and ulong keys)
            item = new KeyDataViewType(item.RawType, keys);
        List<int> dimensions = [];
        for (int left = reader.ReadInt32(); left > 0; left--)
            dimensions.Add(reader.ReadInt32());
        return dimensions.Count == 0 ? item : new VectorDataViewType(item, dimensions.ToArray());
    }

    private static void WriteAnnotations(BinaryWriter writer, DataViewSchema.Annotations annotations)
    {
        DataViewSchema.Column[] kept = [.. annotations.Schema.Where(c =>
            c.Type is BooleanDataViewType or VectorDataViewType { ItemType: TextDataViewType })];
        writer.Write(kept.Length);
        foreach (DataViewSchema.Column column in kept)
        {
            writer.Write(column.Name);
            WriteType(writer, column.Type);
            if (column.Type is BooleanDataViewType)
            {
                bool flag = false;
                annotations.GetValue(column.Name, ref flag);
                writer.Write(flag);
                continue;
            }

            VBuffer<ReadOnlyMemory<char>> texts = default;
            annotations.GetValue(column.Name, ref texts);
            writer.WriteStrings([.. texts.DenseValues().Select(text => text.ToString())]);
        }
    }

    private static DataViewSchema.Annotations ReadAnnotations(BinaryReader reader)
    {
        DataViewSchema.Annotations.Builder builder = new();
        for (int left = reader.ReadInt32(); left > 0; left--)
        {
            string name = reader.ReadString();
            DataViewType type = ReadType(reader);
            if (type is BooleanDataViewType flag)
            {
                builder.AddPrimitiveValue(name, flag, reader.ReadBoolean());
                continue;
            }

            string[] texts = reader.ReadStrings();
            VBuffer<ReadOnlyMemory<char>> all = new(texts.Length, [.. texts.Select(text => text.AsMemory())]);
            builder.Add(name, type, (ref VBuffer<ReadOnlyMemory<char>> value) => all.CopyTo(ref value));
        }

        return builder.ToAnnotations();
    }
}
