using System.Buffers.Binary;
using System.Text;

namespace GenerativeML.Tests.Weights;

/// <summary>Files put together by hand, sound or not, apart from the writer under test.</summary>
internal static class SafetensorsFiles
{
    /// <summary>A file of this header and data, with the right number before them unless another is given.</summary>
    public static byte[] Build(string header, int dataLength = 0, ulong? headerLength = null) =>
        Build(Encoding.UTF8.GetBytes(header), new byte[dataLength], headerLength);

    public static byte[] Build(ReadOnlySpan<byte> header, ReadOnlySpan<byte> data, ulong? headerLength = null)
    {
        var prefix = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, headerLength ?? (ulong)header.Length);
        return [.. prefix, .. header, .. data];
    }

    /// <summary>The file that the writer makes of tensors and their bytes.</summary>
    public static byte[] Write(
        IEnumerable<(TensorSpec Spec, byte[] Bytes)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var bytes = tensors.ToDictionary(t => t.Spec, t => t.Bytes);
        using var stream = new MemoryStream();
        SafetensorsWriter.Write(stream, bytes.Keys, (spec, write) => write(bytes[spec]), metadata);
        return stream.ToArray();
    }

    /// <summary>Reads every byte of a file, or throws.</summary>
    public static (SafetensorsReader File, Dictionary<string, byte[]> Bytes) Read(byte[] file)
    {
        SafetensorsReader reader = SafetensorsReader.Open(new MemoryStream(file));
        var bytes = new Dictionary<string, byte[]>();
        foreach (TensorEntry tensor in reader.Tensors)
        {
            var buffer = new byte[tensor.Spec.Length];
            reader.Read(tensor, 0, buffer);
            bytes.Add(tensor.Spec.Name, buffer);
        }

        return (reader, bytes);
    }
}
