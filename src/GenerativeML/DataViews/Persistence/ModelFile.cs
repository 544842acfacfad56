using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// What a saved model consists of, in the folder of the zip that ML.NET gives it: <c>options.json</c>, which names the
/// family and holds all that it takes to build the model, and <c>weights.safetensors</c>.
/// </summary>
internal static class ModelFile
{
    private const string OptionsEntry = "options.json";
    private const string WeightsEntry = "weights.safetensors";
    private const int Format = 2;

    /// <summary>No honest options come near this; it bounds what a hostile file can make us read.</summary>
    private const long MaxOptionsBytes = 64L << 20;

    private static readonly ModelHeader s_header = new(
        "GENMLNET", 0x00010001, ModelLoader.LoaderSignature, typeof(ModelFile).Assembly.FullName!);

    /// <summary>
    /// Writes a model: <paramref name="options"/> the value of the JSON property of that name, <paramref name="weights"/>
    /// a safetensors file.
    /// </summary>
    public static void Save(
        ModelSaveContext context, string family, Action<Utf8JsonWriter> options, Action<Stream> weights)
    {
        ArgumentNullException.ThrowIfNull(context);
        MLNetInternals.WriteHeader(context, s_header);
        MLNetInternals.WriteEntry(context, OptionsEntry, stream =>
        {
            using var writer = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true });
            writer.WriteStartObject();
            writer.WriteNumber("format", Format);
            writer.WriteString("family", family);
            writer.WritePropertyName("options");
            options(writer);
            writer.WriteEndObject();
        });
        MLNetInternals.WriteEntry(context, WeightsEntry, weights);
    }

    /// <summary>Reads a model.</summary>
    /// <exception cref="FormatException">
    /// The file is truncated, altered, of another kind or of a newer version.
    /// </exception>
    public static ITransformer Load(IHostEnvironment environment, object loadContext)
    {
        MLNetInternals.CheckHeader(loadContext, s_header);
        ModelFamily? family = null;
        JsonElement options = default;
        ITransformer? model = null;
        MLNetInternals.ReadEntry(loadContext, OptionsEntry, stream => (family, options) = ReadOptions(stream));
        MLNetInternals.ReadEntry(loadContext, WeightsEntry, stream => model = family!.Load(environment, options, stream));
        return model!;
    }

    /// <summary>Reads <c>options.json</c>: the family, and what the family wrote of itself.</summary>
    /// <exception cref="FormatException">The file is truncated, altered, or of a newer version.</exception>
    public static (ModelFamily Family, JsonElement Options) ReadOptions(Stream stream)
    {
        using JsonDocument document = Parse(stream);
        JsonElement root = document.RootElement;
        int format = ModelJson.Read<int>(root, "format");
        if (format != Format)
        {
            throw new FormatException(
                format < Format
                    ? $"The saved model has format {format}, of an earlier version; this one reads format {Format}. "
                        + "Train the model again, or load it with the version that saved it."
                    : $"The saved model has format {format}; this version reads format {Format}. Update the package.");
        }
        ModelFamily family = ModelFamilies.Find(ModelJson.Read<string>(root, "family"));
        return (family, ModelJson.Read<JsonElement>(root, "options"));
    }

    private static JsonDocument Parse(Stream stream)
    {
        if (stream.Length > MaxOptionsBytes)
        {
            throw new FormatException(
                $"'{OptionsEntry}' of the saved model has {stream.Length} bytes; more than {MaxOptionsBytes} cannot be right.");
        }
        try
        {
            return JsonDocument.Parse(stream, new JsonDocumentOptions { AllowDuplicateProperties = false });
        }
        catch (JsonException invalid)
        {
            throw new FormatException($"'{OptionsEntry}' of the saved model is damaged: {invalid.Message}");
        }
    }
}
