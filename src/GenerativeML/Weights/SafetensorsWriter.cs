using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace GenerativeML;

/// <summary>
/// Writes a safetensors file: the header at once, then the tensors' bytes as they come. The same tensors and
/// notes give the same bytes, in whatever order they were given: tensors lie by type, last of
/// <see cref="TensorType"/> first, then by name; notes by name; the header is padded with spaces so that the
/// data starts at a multiple of eight. Each tensor so starts at a multiple of its element's size.
/// </summary>
internal sealed class SafetensorsWriter
{
    private const int Alignment = 8;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private static readonly Comparer<byte[]> ByteOrder =
        Comparer<byte[]>.Create(static (a, b) => a.AsSpan().SequenceCompareTo(b));

    private readonly Stream _stream;
    private readonly TensorSpec[] _tensors;
    private int _current;
    private long _written;

    /// <summary>Writes the header.</summary>
    /// <param name="stream">Where the file goes. It stays the caller's, and open.</param>
    /// <param name="tensors">What the file will hold, in any order.</param>
    /// <param name="metadata">Notes of the writer, text by text.</param>
    /// <exception cref="ArgumentException">
    /// A name appears twice, is <c>__metadata__</c> or not valid Unicode, or there is more than a header holds.
    /// </exception>
    public SafetensorsWriter(
        Stream stream, IEnumerable<TensorSpec> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(tensors);
        _stream = stream;
        _tensors = [.. tensors.OrderByDescending(t => t.Type).ThenBy(t => Encode(t.Name), ByteOrder)];
        byte[] header = Header(metadata);
        Span<byte> prefix = stackalloc byte[SafetensorsHeader.PrefixLength];
        BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
        stream.Write(prefix);
        stream.Write(header);
    }

    /// <summary>The tensors in the order in which <see cref="Write"/> wants them.</summary>
    public IReadOnlyList<TensorSpec> Tensors => _tensors;

    /// <summary>Writes the next bytes of a tensor: little-endian, row-major, in pieces of any size.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is not this tensor's turn, or it has fewer bytes left.
    /// </exception>
    public void Write(TensorSpec tensor, ReadOnlySpan<byte> bytes)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        SkipComplete(until: tensor);
        bool isNext = _current < _tensors.Length && ReferenceEquals(_tensors[_current], tensor);
        if (!isNext || bytes.Length > tensor.Length - _written)
            throw new InvalidOperationException($"Not the turn of {bytes.Length} bytes of tensor {tensor}.");
        _stream.Write(bytes);
        _written += bytes.Length;
    }

    /// <summary>Makes sure that every byte was written.</summary>
    /// <exception cref="InvalidOperationException">A tensor is incomplete.</exception>
    public void Complete()
    {
        SkipComplete(until: null);
        if (_current < _tensors.Length)
            throw new InvalidOperationException($"Tensor {_tensors[_current]} is incomplete.");
    }

    // Moves past tensors that have all their bytes, which an empty one has from the start.
    private void SkipComplete(TensorSpec? until)
    {
        while (_current < _tensors.Length && !ReferenceEquals(_tensors[_current], until)
            && _written == _tensors[_current].Length)
        {
            _current++;
            _written = 0;
        }
    }

    private byte[] Header(IReadOnlyDictionary<string, string>? metadata)
    {
        var json = new StringBuilder("{");
        if (metadata is { Count: > 0 })
        {
            AppendText(json, SafetensorsHeader.MetadataKey).Append(":{");
            foreach ((string key, string value) in metadata.OrderBy(m => Encode(m.Key), ByteOrder))
            {
                AppendText(json, key).Append(':');
                AppendText(json, value).Append(',');
            }

            CloseList(json, '}').Append(',');
        }

        var names = new HashSet<string>(StringComparer.Ordinal) { SafetensorsHeader.MetadataKey };
        long offset = 0;
        foreach (TensorSpec tensor in _tensors)
        {
            if (!names.Add(tensor.Name))
                throw new ArgumentException($"Tensor {TensorSpec.Quote(tensor.Name)} has a name that is taken.");
            long end = checked(offset + tensor.Length);
            string shape = string.Join(',', tensor.Shape.ToArray());
            AppendText(json, tensor.Name).Append(CultureInfo.InvariantCulture,
                $$$"""
                :{"dtype":"{{{tensor.Type}}}","shape":[{{{shape}}}],"data_offsets":[{{{offset}}},{{{end}}}]},
                """);
            offset = end;
        }

        CloseList(json, '}');
        return Pad(Encode(json.ToString()));
    }

    private static byte[] Pad(byte[] header)
    {
        int padded = (header.Length + Alignment - 1) / Alignment * Alignment;
        if (padded > SafetensorsHeader.MaximumLength)
        {
            throw new ArgumentException(
                $"The header would take {padded} bytes, and {SafetensorsHeader.MaximumLength} are allowed.");
        }

        int length = header.Length;
        Array.Resize(ref header, padded);
        header.AsSpan(length).Fill((byte)' ');
        return header;
    }

    private static StringBuilder CloseList(StringBuilder json, char end)
    {
        if (json[^1] == ',')
            json.Length--;
        return json.Append(end);
    }

    // Only what JSON demands is escaped, so that the bytes do not depend on a library's idea of safe characters.
    private static StringBuilder AppendText(StringBuilder json, string text)
    {
        json.Append('"');
        foreach (char c in text)
        {
            if (c is '"' or '\\')
                json.Append('\\').Append(c);
            else if (c < ' ')
                json.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else
                json.Append(c);
        }

        return json.Append('"');
    }

    private static byte[] Encode(string text)
    {
        try
        {
            return StrictUtf8.GetBytes(text);
        }
        catch (EncoderFallbackException e)
        {
            throw new ArgumentException($"The text {TensorSpec.Quote(text)} is not valid Unicode.", e);
        }
    }
}
