using System.Text.Json;
using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>Reads saved options strictly: nothing missing, nothing null that must not be, nothing unknown.</summary>
internal static class ModelJson
{
    /// <summary>How options are written and read. Nulls are written, too: an option's default may be another.</summary>
    public static JsonSerializerOptions Options { get; } = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        IgnoreReadOnlyProperties = true,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>Reads the property <paramref name="name"/> of a JSON object.</summary>
    /// <exception cref="FormatException">It is missing, or is no <typeparamref name="T"/>.</exception>
    public static T Read<T>(JsonElement parent, string name)
    {
        if (parent.ValueKind != JsonValueKind.Object || !parent.TryGetProperty(name, out JsonElement value))
            throw new FormatException($"The saved model's options have no '{name}'.");
        return Read<T>(value);
    }

    /// <summary>Reads a JSON value.</summary>
    /// <exception cref="FormatException">It is no <typeparamref name="T"/>.</exception>
    public static T Read<T>(JsonElement value) => (T)Read(value, typeof(T));

    /// <summary>Reads a JSON value of a type that is known only now.</summary>
    /// <exception cref="FormatException">It is no <paramref name="type"/>.</exception>
    public static object Read(JsonElement value, Type type)
    {
        try
        {
            return value.Deserialize(type, Options)
                ?? throw new FormatException("A saved option is null that must not be.");
        }
        catch (JsonException invalid)
        {
            throw new FormatException($"The saved options cannot be read: {invalid.Message}");
        }
    }
}
