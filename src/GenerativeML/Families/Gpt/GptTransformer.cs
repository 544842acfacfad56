using System.Text.Json;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained GPT with its tokenizer: continues texts, and as a step of a pipeline adds generated texts, scores or
/// embeddings to rows. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and where ONNX Runtime is not
/// there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class GptTransformer : LanguageModelTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("gpt", Load);

    private readonly TrainedGpt _model;

    internal GptTransformer(TextModel text)
        : base(text) => _model = (TrainedGpt)text.Model;

    /// <summary>The most tokens that are looked at together.</summary>
    public int ContextLength => _model.ContextLength;

    /// <summary>
    /// Writes the weights as a safetensors file under GPT-2's names, as <see cref="GptOptions.InitialWeights"/> reads
    /// it; adapters are merged into them.
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <param name="layout">How matrices lie in it.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layout.</exception>
    public void SaveWeights(string path, GptWeightLayout layout = GptWeightLayout.Linear)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        OptionChecks.Defined(layout);
        AtomicFile.Write(path, file => GptWeightFile.Write(file, _model.Network, _model.Weights, layout));
    }

    /// <summary>
    /// Writes the low-rank adapters that training made as a safetensors file, as
    /// <see cref="GptOptions.InitialAdapters"/> reads it. They belong to the weights that training started from.
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <exception cref="InvalidOperationException">
    /// The transformer is not fresh from training with option <see cref="GptOptions.Lora"/>: a saved model has its
    /// adapters merged into its weights.
    /// </exception>
    public void SaveAdapters(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        GptAdapters adapters = _model.Adapters ?? throw new InvalidOperationException(
            "There are no adapters to save: the model was not trained with option Lora, or was loaded.");
        AtomicFile.Write(path, adapters.Save);
    }

    /// <summary>
    /// Writes a folder as ONNX Runtime's generate() API reads it, Microsoft.ML.OnnxRuntimeGenAI or onnxruntime-genai:
    /// <c>model.onnx</c>, which is <see cref="OnnxContent.LogitsWithCache"/>, and <c>genai_config.json</c>. Of a
    /// <see cref="BytePairTokenizer"/> also <c>tokenizer.json</c> and <c>tokenizer_config.json</c>; others that API does not
    /// have, and it is to be given their tokens.
    /// </summary>
    /// <remarks>
    /// The window does not slide there: a text ends at the latest with <see cref="ContextLength"/> tokens, the prompt among
    /// them. Temperature, TopK, TopP and RepetitionPenalty of <see cref="LanguageModelOptions.Generation"/> are its defaults.
    /// </remarks>
    /// <param name="folder">The folder; it is made if it is not there. Files of these names in it are replaced.</param>
    public void SaveGenAI(string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        Directory.CreateDirectory(folder);
        // Another model's, which may have been here, would be taken for this one's.
        File.Delete(Path.Combine(folder, "tokenizer.json"));
        File.Delete(Path.Combine(folder, "tokenizer_config.json"));
        ToOnnx(OnnxContent.LogitsWithCache).Save(Path.Combine(folder, GptGenAI.Network));
        if (Tokenizer is BytePairTokenizer tokenizer)
        {
            GptGenAI.Write(folder, "tokenizer.json", GptGenAI.Tokenizer(tokenizer));
            GptGenAI.Write(folder, "tokenizer_config.json", GptGenAI.TokenizerConfig(tokenizer, ContextLength));
        }
        GptGenAI.Write(
            folder, "genai_config.json", GptGenAI.Config(_model.Network.Options, VocabularySize, Text.Codec.EndOfText));
    }

    private static GptTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights) =>
        new(ReadSaved<GptOptions>(json, options =>
        {
            var network = new GptNetwork(options);
            return new TrainedGpt(
                network, HostWeights.Load(weights, network.Tensors), HostDefaults.LoadingDevice(environment),
                MLNetInternals.FallbackToCpuOf(environment));
        }));
}

/// <summary>A trained GPT.</summary>
internal sealed class TrainedGpt(
    GptNetwork network, HostWeights weights, ComputeDevice device = default, bool fallbackToCpu = false,
    int? threads = null) : TrainedLanguageModel(network, weights, device, fallbackToCpu, threads)
{
    public new GptNetwork Network => network;

    /// <summary>
    /// The adapters that training made, which belong to the weights that it started from; in <c>Weights</c> they are
    /// merged.
    /// </summary>
    public GptAdapters? Adapters { get; init; }
}
