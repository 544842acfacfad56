using System.Text.Json;
using System.Text.Json.Serialization;

namespace GenerativeML.Benchmarks;

/// <summary>Options of a trainer that a command line gives as JSON.</summary>
internal static class ChosenOptions
{
    private static readonly JsonSerializerOptions Json = new()
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters = { new JsonStringEnumConverter() },
    };

    /// <summary>The defaults with what the JSON changes; a name that is none of the options' is an error.</summary>
    public static T Read<T>(string? json) => JsonSerializer.Deserialize<T>(json ?? "{}", Json)!;
}
