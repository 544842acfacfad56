using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Unicode;

namespace GenerativeML;

/// <summary>A tensor of a file, and where its bytes lie.</summary>
/// <param name="Spec">Its name, element type and shape.</param>
/// <param name="Offset">Where its first byte is, counted from the first byte after the header.</param>
internal sealed record TensorEntry(TensorSpec Spec, long Offset);

/// <summary>
/// Reads a safetensors file (https://github.com/huggingface/safetensors): the header first, then the bytes of a tensor
/// straight to where they are wanted. It exists only for a file that is sound: types known, sizes equal to type times
/// shape, the data covered from its first byte to its last, once.
/// </summary>
internal sealed class SafetensorsReader
{
    /// <summary>The size of the number that a file starts with: the length of its header.</summary>
    public const int PrefixLength = 8;

    /// <summary>
    /// The longest header that is read, in bytes: that of some 50,000 tensors. What it describes takes at most fifteen
    /// times its length in memory.
    /// </summary>
    public const int MaxHeaderLength = 8 << 20;

    /// <summary>The reserved key of the header that holds the notes.</summary>
    public const string MetadataKey = "__metadata__";

    private readonly Stream _stream;
    private readonly long _dataStart;

    private SafetensorsReader(Stream stream, ReadOnlySpan<byte> json, long dataLength)
    {
        _stream = stream;
        _dataStart = stream.Position;
        (Dictionary<string, TensorEntry> byName, Metadata) = HeaderReader.Read(json);
        (ByName, Tensors) = (byName, [.. byName.Values.OrderBy(t => t.Offset).ThenBy(t => t.Spec.Length)]);
        long end = 0;
        foreach (TensorEntry tensor in Tensors)
        {
            if (tensor.Offset != end)
            {
                string how = tensor.Offset > end ? "after a hole" : "inside another tensor";
                throw Unsound(
                    $"the data of tensor {TensorSpec.Quote(tensor.Spec.Name)} starts at {tensor.Offset}, {how}: "
                    + $"{end} was expected");
            }
            // Cannot overflow: the header gave the end as a number of its own.
            end += tensor.Spec.Length;
        }
        if (end != dataLength)
            throw Unsound($"the tensors take {end} bytes, and {dataLength} bytes follow the header");
    }

    /// <summary>The tensors, in the order of their data.</summary>
    public IReadOnlyList<TensorEntry> Tensors { get; }

    public IReadOnlyDictionary<string, TensorEntry> ByName { get; }

    /// <summary>What the writer noted, text by text; empty where it noted nothing.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads and checks the header of a file from where the stream stands to its end.</summary>
    /// <param name="stream">The file. It can seek, stays the caller's, and open.</param>
    /// <exception cref="FormatException">The file is not sound; the message says why.</exception>
    public static SafetensorsReader Open(Stream stream)
    {
        long rest = stream.Length - stream.Position - PrefixLength;
        if (rest < 0)
            throw Unsound($"it has {rest + PrefixLength} bytes, fewer than the {PrefixLength} of the header's length");
        Span<byte> prefix = stackalloc byte[PrefixLength];
        ReadExactly(stream, prefix);
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (length > MaxHeaderLength)
            throw Unsound($"the header's length is {length}, and {MaxHeaderLength} bytes are allowed");
        if ((long)length > rest)
            throw Unsound($"the header's length is {length}, and {rest} bytes follow");
        byte[] json = GC.AllocateUninitializedArray<byte>((int)length);
        ReadExactly(stream, json);
        return new SafetensorsReader(stream, json, rest - json.Length);
    }

    /// <summary>Reads bytes of one of the tensors, from an offset of its own on, until all are filled.</summary>
    /// <exception cref="FormatException">The file ends earlier than it said.</exception>
    public void Read(TensorEntry tensor, long offset, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + destination.Length, tensor.Spec.Length, nameof(offset));
        _stream.Position = _dataStart + tensor.Offset + offset;
        ReadExactly(_stream, destination);
    }

    /// <summary>
    /// Holds the tensors against those of a model: the same names, types and shapes, no more, no fewer.
    /// </summary>
    /// <exception cref="FormatException">They differ; the message says where.</exception>
    public void Require(IEnumerable<TensorSpec> expected)
    {
        string[] names = [.. expected.Select(t => t.Name)];
        string[] lists =
        [
            .. List("missing", names.Except(ByName.Keys)),
            .. List("unexpected", Tensors.Select(t => t.Spec.Name).Except(names)),
        ];
        if (lists.Length > 0)
            throw Another(string.Join("; ", lists));
        foreach (TensorSpec spec in expected)
        {
            TensorSpec found = ByName[spec.Name].Spec;
            if (found.Type != spec.Type || !found.Shape.SequenceEqual(spec.Shape))
                throw Another(
                    $"tensor {TensorSpec.Quote(spec.Name)} should be {spec.Type} {TensorSpec.Describe(spec.Shape)} "
                    + $"and is {found.Type} {TensorSpec.Describe(found.Shape)}");
        }

        static FormatException Another(string how) => new($"The weights are those of another model: {how}.");
    }

    /// <summary>Names for a message: "missing 'a', 'b' and 4 more"; nothing where there are none.</summary>
    public static IEnumerable<string> List(string what, IEnumerable<string> names, int shown = 5)
    {
        string[] all = [.. names];
        string rest = all.Length > shown ? $" and {all.Length - shown} more" : "";
        if (all.Length > 0)
            yield return $"{what} {string.Join(", ", all.Take(shown).Select(TensorSpec.Quote))}{rest}";
    }

    /// <summary>The one exception for a file that is not sound.</summary>
    public static FormatException Unsound(string reason, Exception? inner = null) =>
        new($"Not a sound safetensors file: {reason}.", inner);

    private static void ReadExactly(Stream stream, Span<byte> destination)
    {
        if (stream.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false) < destination.Length)
            throw Unsound("it ends earlier than its length said");
    }

    /// <summary>Reads the JSON of a header, token by token and nothing but what the format allows.</summary>
    private ref struct HeaderReader
    {
        private static readonly TensorType[] s_types = Enum.GetValues<TensorType>();

        private Utf8JsonReader _json;

        private HeaderReader(ReadOnlySpan<byte> json) => _json = new(json, new JsonReaderOptions { MaxDepth = 8 });

        /// <summary>The tensors and the notes of a header.</summary>
        /// <exception cref="FormatException">It is not sound; the message says why, and for which tensor.</exception>
        public static (Dictionary<string, TensorEntry> Tensors, Dictionary<string, string> Metadata) Read(
            ReadOnlySpan<byte> json)
        {
            if (json.IsEmpty || json[0] != (byte)'{')
                throw Unsound("the header does not start with '{'");
            if (!Utf8.IsValid(json))
                throw Unsound("the header is not valid UTF-8");
            try
            {
                return new HeaderReader(json).Read();
            }
            catch (JsonException e)
            {
                throw Unsound(
                    $"the header is not valid JSON (at byte {e.BytePositionInLine} of line {e.LineNumber})", e);
            }
            catch (InvalidOperationException e)
            {
                // An escape such as \ud800 that stands alone.
                throw Unsound("a text in the header is not valid Unicode", e);
            }
        }

        private (Dictionary<string, TensorEntry> Tensors, Dictionary<string, string> Metadata) Read()
        {
            var tensors = new Dictionary<string, TensorEntry>(StringComparer.Ordinal);
            Dictionary<string, string>? metadata = null;
            Expect(JsonTokenType.StartObject, "the header");
            while (NextField())
            {
                string key = _json.GetString()!;
                if (key != MetadataKey)
                {
                    if (!tensors.TryAdd(key, ReadTensor(key)))
                        throw Unsound($"tensor {TensorSpec.Quote(key)} appears twice");
                }
                else
                {
                    metadata = metadata is null ? ReadMetadata() : throw Unsound($"{key} appears twice");
                }
            }
            _json.Read(); // an error where something but white space follows
            return (tensors, metadata ?? []);
        }

        private Dictionary<string, string> ReadMetadata()
        {
            Expect(JsonTokenType.StartObject, MetadataKey);
            var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
            while (NextField())
            {
                string key = _json.GetString()!;
                Expect(JsonTokenType.String, MetadataKey, key);
                if (!metadata.TryAdd(key, _json.GetString()!))
                    throw Unsound($"{Describe(MetadataKey, key)} appears twice");
            }
            return metadata;
        }

        // Exactly dtype, shape and data_offsets, in any order.
        private TensorEntry ReadTensor(string name)
        {
            Expect(JsonTokenType.StartObject, "tensor", name);
            TensorType? type = null;
            Span<long> dimensions = stackalloc long[TensorSpec.MaximumRank], offsets = stackalloc long[2];
            int rank = -1, ends = -1;
            while (NextField())
            {
                if (type is null && _json.ValueTextEquals("dtype"u8))
                    type = ReadType(name);
                else if (rank < 0 && _json.ValueTextEquals("shape"u8))
                    rank = ReadNumbers(dimensions, "the shape of tensor", name);
                else if (ends < 0 && _json.ValueTextEquals("data_offsets"u8))
                    ends = ReadNumbers(offsets, "data_offsets of tensor", name);
                else
                    throw Unsound($"tensor {TensorSpec.Quote(name)} has a field that is unknown or appears twice");
            }
            if (type is null || rank < 0 || ends != 2)
                throw Unsound($"tensor {TensorSpec.Quote(name)} needs dtype, shape and two data_offsets");
            ReadOnlySpan<long> shape = dimensions[..rank];
            if (!TensorSpec.TryGetLength(type.Value, shape, out long length))
                throw Unsound(
                    $"the shape {TensorSpec.Describe(shape)} of tensor {TensorSpec.Quote(name)} is too large");
            // Both are at least zero, so that the difference cannot overflow.
            if (offsets[1] - offsets[0] != length)
                throw Unsound(
                    $"tensor {TensorSpec.Quote(name)} is {type} {TensorSpec.Describe(shape)}, {length} bytes, "
                    + $"and its data_offsets are {offsets[0]} to {offsets[1]}");
            return new TensorEntry(new TensorSpec(name, type.Value, shape), offsets[0]);
        }

        private TensorType ReadType(string name)
        {
            Expect(JsonTokenType.String, "dtype of tensor", name);
            foreach (TensorType type in s_types)
            {
                if (_json.ValueTextEquals(type.ToString()))
                    return type;
            }
            throw Unsound(
                $"dtype {TensorSpec.Quote(_json.GetString()!)} of tensor {TensorSpec.Quote(name)} is unknown");
        }

        private int ReadNumbers(scoped Span<long> numbers, string what, string name)
        {
            Expect(JsonTokenType.StartArray, what, name);
            int count = 0;
            for (_json.Read(); _json.TokenType != JsonTokenType.EndArray; _json.Read())
            {
                if (count == numbers.Length)
                    throw Unsound($"{Describe(what, name)} has more than {numbers.Length} numbers");
                // "-0" would pass for zero.
                if (_json.TokenType != JsonTokenType.Number || _json.ValueSpan[0] == (byte)'-'
                    || !_json.TryGetInt64(out numbers[count++]))
                {
                    throw Unsound(
                        $"{Describe(what, name)} holds something other than whole numbers from 0 to 2^63 - 1");
                }
            }
            return count;
        }

        private bool NextField() => _json.Read() && _json.TokenType == JsonTokenType.PropertyName;

        // What is expected comes in parts, so that text is put together only for a message.
        private void Expect(JsonTokenType type, string what, string? name = null)
        {
            _json.Read();
            if (_json.TokenType == type)
                return;
            string kind = type == JsonTokenType.StartObject ? "an object"
                : type == JsonTokenType.StartArray ? "an array" : "a text";
            throw Unsound($"{Describe(what, name)} is not {kind}");
        }

        private static string Describe(string what, string? name) =>
            name is null ? what : $"{what} {TensorSpec.Quote(name)}";
    }
}
