using System.Collections.Concurrent;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// What a saved model consists of, in the folder of the zip that ML.NET gives it: <c>options.json</c>, which names the
/// family and holds all that it takes to build the model, and <c>weights.safetensors</c>.
/// </summary>
internal static class ModelFile
{
    /// <summary>The loader's name in the head of each saved model. Changing it would orphan them all.</summary>
    public const string LoaderSignature = "GenerativeML";

    private const string OptionsEntry = "options.json";
    private const string WeightsEntry = "weights.safetensors";
    private const int Format = 2;

    /// <summary>No honest options come near this; it bounds what a hostile file can make us read.</summary>
    private const long MaxOptionsBytes = 64L << 20;

    /// <summary>Writes a model: what stands under <c>options</c> in the JSON, and a safetensors file.</summary>
    public static void Save(
        ModelSaveContext context, string family, Action<Utf8JsonWriter> options, Action<Stream> weights)
    {
        ArgumentNullException.ThrowIfNull(context);
        MLNetInternals.WriteHeader(context);
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

    /// <summary>
    /// Reads a model from a <c>ModelLoadContext</c>, a type that is internal to ML.NET, which calls this.
    /// </summary>
    /// <exception cref="FormatException">The file is damaged, of another kind or of a newer version.</exception>
    /// <exception cref="InvalidOperationException">Torch, or the environment's device, is not there.</exception>
    public static ITransformer Create(IHostEnvironment env, object ctx)
    {
        try
        {
            MLNetInternals.CheckHeader(ctx);
            ModelFamily? family = null;
            JsonElement options = default;
            ITransformer? model = null;
            MLNetInternals.ReadEntry(ctx, OptionsEntry, stream => (family, options) = ReadOptions(stream));
            MLNetInternals.ReadEntry(ctx, WeightsEntry, stream => model = family!.Load(env, options, stream));
            return model!;
        }
        catch (Exception error) when (error is FormatException or InvalidOperationException)
        {
            // ML.NET wraps what a loader throws in two errors that say nothing. So the log says it, and the innermost
            // of them, which GetBaseException gives, is this one. Marked as ML.NET's own, so that it reports an error
            // of loading and not one of reflection.
            using (IChannel channel = env.Register(LoaderSignature).Start("Loading"))
                channel.Error(MessageSensitivity.None, error.Message);
            Exception innermost = error.InnerException is null ? error
                : error is FormatException ? new FormatException(error.Message)
                : new InvalidOperationException(error.Message);
            throw env.Process(innermost);
        }
    }

    /// <summary>Reads <c>options.json</c>: the family, and what the family wrote of itself.</summary>
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

/// <summary>A kind of model that can be saved and loaded.</summary>
/// <param name="Name">What the file calls it; never changes.</param>
/// <param name="Load">Makes the transformer from its options and from a stream of safetensors.</param>
internal sealed record ModelFamily(string Name, Func<IHostEnvironment, JsonElement, Stream, ITransformer> Load);

/// <summary>What a saved model holds of another that is a part of it; its weights are the file's.</summary>
internal sealed record SavedPart(string Family, JsonElement Options)
{
    /// <summary>Makes the part.</summary>
    /// <exception cref="FormatException">There is no such family, or what was saved is none of it.</exception>
    public ITransformer Load(IHostEnvironment environment, Stream weights) =>
        ModelFamilies.Find(Family).Load(environment, Options, weights);
}

/// <summary>All families that can be loaded.</summary>
internal static class ModelFamilies
{
    private static readonly ConcurrentDictionary<string, ModelFamily> s_known = new()
    {
        [AutoencoderTrainer.Family.Name] = VectorModelState.Loader(AutoencoderTrainer.Family),
        [ImageAutoencoderTrainer.Family.Name] = VectorModelState.Loader(ImageAutoencoderTrainer.Family),
        [PatchCoreTrainer.Family.Name] = VectorModelState.Loader(PatchCoreTrainer.Family),
        [ImageDiscriminatorTrainer.Family.Name] = VectorModelState.Loader(ImageDiscriminatorTrainer.Family),
        [CycleGanTrainer.Family.Name] = VectorModelState.Loader(CycleGanTrainer.Family),
        [ImageGanTrainer.Family.Name] = VectorModelState.Loader(ImageGanTrainer.Family),
        [ImageVaeTrainer.Family.Name] = VectorModelState.Loader(ImageVaeTrainer.Family),
        [VaeTrainer.Family.Name] = VectorModelState.Loader(VaeTrainer.Family),
        [GaussianMixtureTrainer.Family.Name] = VectorModelState.Loader(GaussianMixtureTrainer.Family),
        [DeepBeliefNetworkTrainer.Family.Name] = VectorModelState.Loader(DeepBeliefNetworkTrainer.Family),
        [BoltzmannMachineTrainer.Family.Name] = VectorModelState.Loader(BoltzmannMachineTrainer.Family),
        [RestrictedBoltzmannMachineTrainer.Family.Name] = VectorModelState.Loader(RestrictedBoltzmannMachineTrainer.Family),
        [NormalizingFlowTrainer.Family.Name] = VectorModelState.Loader(NormalizingFlowTrainer.Family),
        [DiffusionTrainer.Family.Name] = VectorModelState.Loader(DiffusionTrainer.Family),
        [ImageDiffusionTrainer.Family.Name] = VectorModelState.Loader(ImageDiffusionTrainer.Family),
        [ImputingTransformer.SavedFamily.Name] = ImputingTransformer.SavedFamily,
        [AnomalyLikelihoodTransformer.SavedFamily.Name] = AnomalyLikelihoodTransformer.SavedFamily,
        [SeriesWindowsTransformer.SavedFamily.Name] = SeriesWindowsTransformer.SavedFamily,
        [AutoregressiveSeriesTrainer.Family.Name] = SeriesModelState.Loader(AutoregressiveSeriesTrainer.Family),
        [SequenceAutoencoderTrainer.Family.Name] = SeriesModelState.Loader(SequenceAutoencoderTrainer.Family),
        [HiddenMarkovTransformer.SavedFamily.Name] = HiddenMarkovTransformer.SavedFamily,
        [GptTransformer.SavedFamily.Name] = GptTransformer.SavedFamily,
        [RecurrentLanguageModelTransformer.SavedFamily.Name] = RecurrentLanguageModelTransformer.SavedFamily,
        [MaskedLanguageModelTransformer.SavedFamily.Name] = MaskedLanguageModelTransformer.SavedFamily,
        [TextClassifierTransformer.SavedFamily.Name] = TextClassifierTransformer.SavedFamily,
        [GeneratedTextDetector.SavedFamily.Name] = GeneratedTextDetector.SavedFamily,
        [SequenceToSequenceTransformer.SavedFamily.Name] = SequenceToSequenceTransformer.SavedFamily,
        [SketchRnnTransformer.SavedFamily.Name] = SketchRnnTransformer.SavedFamily,
        [SpiralTransformer.SavedFamily.Name] = SpiralTransformer.SavedFamily,
        [CoconetTransformer.SavedFamily.Name] = CoconetTransformer.SavedFamily,
        [WaveNetTransformer.SavedFamily.Name] = WaveNetTransformer.SavedFamily,
        [GanTrainer.Family.Name] = VectorModelState.Loader(GanTrainer.Family),
        [TabularTransformer.SavedFamily.Name] = TabularTransformer.SavedFamily,
    };

    /// <summary>Finds a family by the name that a file gives it.</summary>
    public static ModelFamily Find(string name) =>
        s_known.GetValueOrDefault(name) ?? throw new FormatException(
            $"The saved model is of the family '{name}', which this version does not know.");

    /// <summary>Adds a family that is not the package's own, as tests do.</summary>
    public static void Add(ModelFamily family) => s_known[family.Name] = family;
}

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

    /// <summary>How ONNX files say what numbers stand for: for people's eyes, no letter escaped, no nulls.</summary>
    public static JsonSerializerOptions Readable { get; } = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    };

    /// <summary>A threshold as JSON can hold it, which has no infinities: null where no score is above it.</summary>
    public static float? Threshold(float value) =>
        float.IsPositiveInfinity(value) ? null : Math.Max(value, float.MinValue);

    /// <summary>Reads the property <paramref name="name"/> of a JSON object.</summary>
    public static T Read<T>(JsonElement parent, string name)
    {
        if (parent.ValueKind != JsonValueKind.Object || !parent.TryGetProperty(name, out JsonElement value))
            throw new FormatException($"The saved model's options have no '{name}'.");
        return Read<T>(value);
    }

    /// <summary>Checks saved options.</summary>
    /// <exception cref="FormatException">The check says that they are wrong, or a value is null that training decides.</exception>
    public static void Check(Action check) => Checked(() =>
    {
        check();
        return true;
    });

    /// <summary>Makes something of saved options that are checked on the way.</summary>
    /// <exception cref="FormatException">They are found to be wrong, or a value is null that training decides.</exception>
    public static T Checked<T>(Func<T> make)
    {
        try
        {
            return make();
        }
        catch (ArgumentException invalid)
        {
            throw new FormatException($"The saved model's options are wrong: {invalid.Message}", invalid);
        }
        catch (InvalidOperationException open)
        {
            throw new FormatException($"The saved model's options leave open what training decides, or do not fit: {open.Message}", open);
        }
    }

    /// <summary>Reads a JSON value.</summary>
    public static T Read<T>(JsonElement value) => (T)Read(value, typeof(T));

    /// <summary>Reads a JSON value of a type that is known only now.</summary>
    public static object Read(JsonElement value, Type type)
    {
        try
        {
            return value.Deserialize(type, Options)
                ?? throw new FormatException("A saved option is null that must not be.");
        }
        catch (Exception invalid) when (invalid is JsonException or NotSupportedException) // a type that is not named
        {
            throw new FormatException($"The saved options cannot be read: {invalid.Message}");
        }
    }
}
