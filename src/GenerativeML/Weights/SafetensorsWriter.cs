using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace GenerativeML;

/// <summary>
/// Writes safetensors files. The same tensors and notes give the same bytes, in whatever order they were given: tensors
/// lie by type, last of <see cref="TensorType"/> first, then by name; notes by name; the header is padded with spaces so
/// that the data, and with it each tensor, starts at a multiple of its element's size.
/// </summary>
internal static class SafetensorsWriter
{
    private const int Alignment = 8;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    /// <summary>
    /// Writes a file. <paramref name="content"/> is asked for each tensor in turn and gives its bytes, little-endian,
    /// row-major, in pieces of any size.
    /// </summary>
    /// <exception cref="ArgumentException">
    /// A name appears twice, is <c>__metadata__</c> or not valid Unicode, or there is more than a header holds.
    /// </exception>
    /// <exception cref="InvalidOperationException">A tensor was given fewer or more bytes than it has.</exception>
    public static void Write(
        Stream stream, IEnumerable<TensorSpec> tensors, Action<TensorSpec, Action<ReadOnlySpan<byte>>> content,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        TensorSpec[] sorted =
            [.. tensors.OrderByDescending(t => t.Type).ThenBy(t => t.Name, StringComparer.Ordinal)];
        ReadOnlySpan<byte> header = Header(sorted, metadata ?? new Dictionary<string, string>());
        Span<byte> prefix = stackalloc byte[SafetensorsReader.PrefixLength];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        stream.Write(prefix);
        stream.Write(header);
        foreach (TensorSpec tensor in sorted)
        {
            long left = tensor.Length;
            content(tensor, bytes =>
            {
                left -= bytes.Length;
                if (left >= 0)
                    stream.Write(bytes);
            });
            if (left != 0)
                throw new InvalidOperationException($"Tensor {tensor} was given {tensor.Length - left} bytes.");
        }
    }

    private static ReadOnlySpan<byte> Header(TensorSpec[] tensors, IReadOnlyDictionary<string, string> metadata)
    {
        var header = new ArrayBufferWriter<byte>();
        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsReader.MetadataKey };
        using (var json = new Utf8JsonWriter(header, new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartObject();
            if (metadata.Count > 0)
            {
                json.WriteStartObject(SafetensorsReader.MetadataKey);
                foreach ((string key, string value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                    json.WriteString(StrictUtf8.GetBytes(key), StrictUtf8.GetBytes(value));
                json.WriteEndObject();
            }
            long offset = 0;
            foreach (TensorSpec tensor in tensors)
            {
                if (!names.Add(tensor.Name))
                    throw new ArgumentException($"Tensor {TensorSpec.Quote(tensor.Name)} has a name that is taken.");
                long end = checked(offset + tensor.Length);
                json.WriteStartObject(StrictUtf8.GetBytes(tensor.Name));
                json.WriteString("dtype", tensor.Type.ToString());
                WriteNumbers(json, "shape", tensor.Shape);
                WriteNumbers(json, "data_offsets", [offset, end]);
                json.WriteEndObject();
                offset = end;
            }
            json.WriteEndObject();
        }
        while (header.WrittenCount % Alignment != 0)
            header.Write(" "u8);
        if (header.WrittenCount > SafetensorsReader.MaxHeaderLength)
            throw new ArgumentException(
                $"The header would take {header.WrittenCount} bytes, of {SafetensorsReader.MaxHeaderLength} allowed.");
        return header.WrittenSpan;
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, ReadOnlySpan<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (long number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }
}
