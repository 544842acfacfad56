using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace GenerativeML;

/// <summary>A message of Protocol Buffers, written field by field: all that an ONNX file needs of it.</summary>
internal sealed class ProtobufMessage
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    public ReadOnlySpan<byte> Bytes => _bytes.WrittenSpan;

    public ProtobufMessage Add(int field, long value) => Varint((ulong)(field << 3)).Varint((ulong)value);

    public ProtobufMessage Add(int field, float value) =>
        Varint((ulong)(field << 3 | 5)).Raw(MemoryMarshal.AsBytes([value]));

    public ProtobufMessage Add(int field, string value) => Add(field, Encoding.UTF8.GetBytes(value));

    public ProtobufMessage Add(int field, ReadOnlySpan<byte> value) =>
        Varint((ulong)(field << 3 | 2)).Varint((ulong)value.Length).Raw(value);

    /// <summary>Adds messages, each as an element of a repeated field.</summary>
    public ProtobufMessage Add(int field, params IEnumerable<ProtobufMessage> values) =>
        values.Aggregate(this, (message, value) => message.Add(field, value.Bytes));

    private ProtobufMessage Varint(ulong value) =>
        value > 127 ? Raw([(byte)(value | 128)]).Varint(value >> 7) : Raw([(byte)value]);

    private ProtobufMessage Raw(ReadOnlySpan<byte> bytes)
    {
        _bytes.Write(bytes);
        return this;
    }
}

/// <summary>A field of a message of Protocol Buffers that was read: a whole number, or bytes.</summary>
internal readonly record struct ProtobufField(int Number, long Value, ReadOnlyMemory<byte> Bytes)
{
    public string Text => Encoding.UTF8.GetString(Bytes.Span);

    /// <summary>The fields of the message that this one is.</summary>
    public List<ProtobufField> Fields => Read(Bytes);

    /// <summary>The fields of a message, in order; numbers of fixed size are skipped.</summary>
    /// <exception cref="FormatException">It is none.</exception>
    public static List<ProtobufField> Read(ReadOnlyMemory<byte> message)
    {
        var fields = new List<ProtobufField>();
        for (int at = 0; at < message.Length;)
        {
            ulong key = Varint(message.Span, ref at);
            ulong size = (key & 7) switch { 0 => 0, 1 => 8, 2 => Varint(message.Span, ref at), 5 => 4, _ => ulong.MaxValue };
            long value = (key & 7) == 0 ? (long)Varint(message.Span, ref at) : 0;
            if (size > (ulong)(message.Length - at) || key >> 3 is 0 or > int.MaxValue)
                throw new FormatException("The file is damaged, or no message of Protocol Buffers.");
            if ((key & 7) is 0 or 2)
                fields.Add(new((int)(key >> 3), value, message.Slice(at, (int)size)));
            at += (int)size;
        }
        return fields;
    }

    private static ulong Varint(ReadOnlySpan<byte> bytes, ref int at)
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            if (at == bytes.Length)
                break;
            byte next = bytes[at++];
            value |= (ulong)(next & 127) << shift;
            if (next < 128)
                return value;
        }
        throw new FormatException("The file is damaged, or no message of Protocol Buffers.");
    }
}

/// <summary>Types of elements, by their numbers in the ONNX format.</summary>
internal enum OnnxType
{
    Float = 1, // Single
    Int32 = 6,
    Int64 = 7,
    Boolean = 9,
    UInt32 = 12,
}

/// <summary>The messages of onnx.proto that networks need. Field numbers are those of that file.</summary>
internal static class OnnxFile
{
    /// <summary>The version of ONNX's operators that files are written for, where no other is asked for.</summary>
    public const int Opset = 20;

    private const int FormatVersion = 10;

    /// <summary>An operation.</summary>
    public static ProtobufMessage Node(
        string op, string domain, IEnumerable<string> inputs, IEnumerable<string> outputs,
        IEnumerable<(string Name, object Value)> attributes)
    {
        ProtobufMessage node = inputs.Aggregate(new ProtobufMessage(), (message, input) => message.Add(1, input));
        node = outputs.Aggregate(node, (message, output) => message.Add(2, output));
        return node.Add(4, op).Add(7, domain)
            .Add(5, attributes.Select(a => Attribute(new ProtobufMessage().Add(1, a.Name), a.Value)));
    }

    /// <summary>A constant, with its values.</summary>
    public static ProtobufMessage Tensor(string name, OnnxType type, ReadOnlySpan<long> shape, Array values) =>
        Header(name, type, shape).Add(9, MemoryMarshal.CreateReadOnlySpan(
            ref MemoryMarshal.GetArrayDataReference(values), Buffer.ByteLength(values)));

    /// <summary>A constant whose values are in another file: <c>location</c>, and where in it.</summary>
    public static ProtobufMessage ExternalTensor(
        string name, OnnxType type, ReadOnlySpan<long> shape, params (string Key, string Value)[] place) =>
        Header(name, type, shape).Add(13, Entries(place)).Add(14, 1);

    /// <summary>An input or output; −1 for a size that is not known, which may have a name.</summary>
    public static ProtobufMessage Value(string name, OnnxType type, IEnumerable<long> shape, params string[] sizeNames)
    {
        ProtobufMessage sizes = new ProtobufMessage().Add(1, shape.Select((n, i) => n < 0
            ? new ProtobufMessage().Add(2, i < sizeNames.Length ? sizeNames[i] : $"{name}_{i}")
            : new ProtobufMessage().Add(1, n)));
        return new ProtobufMessage().Add(1, name).Add(
            2, new ProtobufMessage().Add(1, new ProtobufMessage().Add(1, (long)type).Add(2, sizes)));
    }

    /// <summary>A whole file, with the operations of ONNX, and on request those that ONNX Runtime adds.</summary>
    public static ProtobufMessage Model(
        int opset, IEnumerable<ProtobufMessage> nodes, IEnumerable<ProtobufMessage> constants,
        IEnumerable<ProtobufMessage> inputs, IEnumerable<ProtobufMessage> outputs, bool contributed,
        params (string Key, string Value)[] metadata)
    {
        ProtobufMessage graph = new ProtobufMessage()
            .Add(1, nodes).Add(2, "network").Add(5, constants).Add(11, inputs).Add(12, outputs);
        ProtobufMessage model = new ProtobufMessage().Add(1, FormatVersion).Add(2, "GenerativeML").Add(7, graph)
            .Add(8, new ProtobufMessage().Add(2, opset));
        if (contributed)
            model.Add(8, new ProtobufMessage().Add(1, OnnxGraph.Contributed).Add(2, 1));
        return model.Add(14, Entries(metadata));
    }

    private static IEnumerable<ProtobufMessage> Entries((string Key, string Value)[] entries) =>
        entries.Select(entry => new ProtobufMessage().Add(1, entry.Key).Add(2, entry.Value));

    private static ProtobufMessage Header(string name, OnnxType type, ReadOnlySpan<long> shape)
    {
        var tensor = new ProtobufMessage();
        foreach (long size in shape)
            tensor.Add(1, size);
        return tensor.Add(2, (long)type).Add(8, name);
    }

    private static ProtobufMessage Attribute(ProtobufMessage message, object value) => value switch
    {
        float f => message.Add(2, f).Add(20, 1),
        int i => message.Add(3, i).Add(20, 2),
        string s => message.Add(4, s).Add(20, 3),
        int[] all => all.Aggregate(message, (m, i) => m.Add(8, i)).Add(20, 7),
        _ => throw new NotSupportedException($"An attribute of {value.GetType()}."),
    };
}
