using System.Text.Json;

namespace GenerativeML;

/// <summary>
/// Reads the JSON of a safetensors header, token by token and nothing but what the format allows, and keeps
/// count of the memory that the result takes.
/// </summary>
internal ref struct SafetensorsJson
{
    // What .NET takes for one entry beside its text and shape: objects, list and hash table with their growth.
    private const long EntryCost = 320;

    // Text is UTF-16 in memory, and unescaping takes a copy.
    private const long CharacterCost = 4;

    private Utf8JsonReader _json;
    private long _cost;

    public SafetensorsJson(ReadOnlySpan<byte> json)
    {
        _json = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 8 });
        Expect(JsonTokenType.StartObject, "the header");
    }

    /// <summary>The next key of the object that the reader is in, or null at the object's end.</summary>
    public string? NextKey()
    {
        Advance();
        return _json.TokenType == JsonTokenType.PropertyName ? Text() : null;
    }

    /// <summary>Makes sure that nothing but white space follows.</summary>
    public void End()
    {
        if (_json.Read())
            throw SafetensorsHeader.Unsound("something follows the header's object");
    }

    /// <summary>Reads the value of <see cref="SafetensorsHeader.MetadataKey"/>: texts by name.</summary>
    public Dictionary<string, string> ReadMetadata()
    {
        Expect(JsonTokenType.StartObject, SafetensorsHeader.MetadataKey);
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        while (NextKey() is { } key)
        {
            Spend(EntryCost);
            Expect(JsonTokenType.String, SafetensorsHeader.MetadataKey, key);
            if (!metadata.TryAdd(key, Text()))
                throw SafetensorsHeader.Unsound($"{Describe(SafetensorsHeader.MetadataKey, key)} appears twice");
        }

        return metadata;
    }

    /// <summary>Reads the description of a tensor: exactly dtype, shape and data_offsets, in any order.</summary>
    public TensorEntry ReadTensor(string name)
    {
        Spend(EntryCost);
        Expect(JsonTokenType.StartObject, "tensor", name);
        TensorType? type = null;
        Span<long> dimensions = stackalloc long[TensorSpec.MaximumRank];
        Span<long> offsets = stackalloc long[2];
        int rank = -1;
        int ends = -1;
        while (NextField())
        {
            if (type is null && _json.ValueTextEquals("dtype"u8))
                type = ReadType(name);
            else if (rank < 0 && _json.ValueTextEquals("shape"u8))
                rank = ReadNumbers(dimensions, "the shape of tensor", name);
            else if (ends < 0 && _json.ValueTextEquals("data_offsets"u8))
                ends = ReadNumbers(offsets, "data_offsets of tensor", name);
            else
            {
                throw SafetensorsHeader.Unsound(
                    $"tensor {TensorSpec.Quote(name)} has a field that is unknown or appears twice");
            }
        }

        if (type is null || rank < 0 || ends != 2)
            throw SafetensorsHeader.Unsound($"tensor {TensorSpec.Quote(name)} needs dtype, shape and two data_offsets");
        return Locate(name, type.Value, dimensions[..rank], offsets[0], offsets[1]);
    }

    private static TensorEntry Locate(string name, TensorType type, ReadOnlySpan<long> shape, long begin, long end)
    {
        if (!TensorSpec.TryGetLength(type, shape, out long length))
        {
            throw SafetensorsHeader.Unsound(
                $"the shape {TensorSpec.Describe(shape)} of tensor {TensorSpec.Quote(name)} is too large");
        }

        // Both are at least zero, so that the difference cannot overflow.
        if (end - begin != length)
        {
            throw SafetensorsHeader.Unsound(
                $"tensor {TensorSpec.Quote(name)} is {type} {TensorSpec.Describe(shape)}, {length} bytes, " +
                $"and its data_offsets are {begin} to {end}");
        }

        return new TensorEntry(new TensorSpec(name, type, shape), begin);
    }

    private TensorType ReadType(string name)
    {
        Expect(JsonTokenType.String, "dtype of tensor", name);
        foreach (TensorType type in TensorTypes.All)
        {
            if (_json.ValueTextEquals(type.ToString()))
                return type;
        }

        throw SafetensorsHeader.Unsound(
            $"dtype {TensorSpec.Quote(Text())} of tensor {TensorSpec.Quote(name)} is unknown");
    }

    private int ReadNumbers(scoped Span<long> numbers, string what, string name)
    {
        Expect(JsonTokenType.StartArray, what, name);
        int count = 0;
        while (true)
        {
            Advance();
            if (_json.TokenType == JsonTokenType.EndArray)
                return count;
            if (count == numbers.Length)
                throw SafetensorsHeader.Unsound($"{Describe(what, name)} has more than {numbers.Length} numbers");
            // "-0" would pass for zero.
            if (_json.TokenType != JsonTokenType.Number || _json.ValueSpan[0] == (byte)'-'
                || !_json.TryGetInt64(out numbers[count]))
            {
                throw SafetensorsHeader.Unsound(
                    $"{Describe(what, name)} holds something other than whole numbers from 0 to 2^63 - 1");
            }

            count++;
        }
    }

    private bool NextField()
    {
        Advance();
        return _json.TokenType == JsonTokenType.PropertyName;
    }

    // What is expected comes in parts, so that text is put together only for a message.
    private void Expect(JsonTokenType type, string what, string? name = null)
    {
        Advance();
        if (_json.TokenType != type)
        {
            string kind = type switch
            {
                JsonTokenType.StartObject => "an object",
                JsonTokenType.StartArray => "an array",
                _ => "a text",
            };
            throw SafetensorsHeader.Unsound($"{Describe(what, name)} is not {kind}");
        }
    }

    private void Advance()
    {
        if (!_json.Read())
            throw SafetensorsHeader.Unsound("the header ends too early");
    }

    private string Text()
    {
        Spend(_json.ValueSpan.Length * CharacterCost);
        try
        {
            return _json.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            // An escape such as \ud800 that stands alone.
            throw SafetensorsHeader.Unsound("a text in the header is not valid Unicode", e);
        }
    }

    private void Spend(long bytes)
    {
        _cost += bytes;
        if (_cost > SafetensorsHeader.Allowance)
        {
            throw SafetensorsHeader.Unsound(
                $"the header describes more than fits into {SafetensorsHeader.Allowance >> 20} MiB of memory");
        }
    }

    private static string Describe(string what, string? name) =>
        name is null ? what : $"{what} {TensorSpec.Quote(name)}";
}
