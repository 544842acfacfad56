using System.Text.Json;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// A trained GPT with its tokenizer: continues texts, and as a step of a pipeline adds generated texts, scores or
/// embeddings to rows. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and where ONNX Runtime is not
/// there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class GptTransformer : TextTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("gpt", Load);

    private readonly TrainedGpt _model;
    private readonly GptAdapters? _adapters;

    internal GptTransformer(
        TrainedGpt model, TokenCodec codec, float threshold = float.PositiveInfinity, GptAdapters? adapters = null)
        : base(new TextModel(model, codec, model.Network.Options) { Threshold = threshold }) =>
        (_model, _adapters) = (model, adapters);

    /// <summary>The number of weights.</summary>
    public long ParameterCount => _model.Network.ParameterCount;

    /// <summary>
    /// Writes the weights as a safetensors file under GPT-2's names, as <see cref="GptOptions.InitialWeights"/> reads
    /// it; adapters are merged into them.
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <param name="layout">How matrices lie in it.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such layout.</exception>
    /// <exception cref="ObjectDisposedException">The transformer has been disposed.</exception>
    public void SaveWeights(string path, GptWeightLayout layout = GptWeightLayout.Linear)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        OptionChecks.Defined(layout);
        HostWeights weights = _model.Weights;
        AtomicFile.Write(path, file => GptWeightFile.Write(file, _model.Network, weights, layout));
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
        if (_adapters is null)
            throw new InvalidOperationException(
                "There are no adapters to save: the model was not trained with option Lora, or was loaded.");
        AtomicFile.Write(path, _adapters.Save);
    }

    private protected override string Family => SavedFamily.Name;

    private protected override void WriteOptions(Utf8JsonWriter writer) => WriteOptions(writer, _model.Network.Options);

    private protected override void WriteWeights(Stream stream) => _model.Weights.Save(stream);

    private static GptTransformer Load(IHostEnvironment environment, JsonElement options, Stream weights)
    {
        (GptOptions read, TokenCodec codec, float threshold) = SavedText<GptOptions>.Read(options);
        var network = new GptNetwork(read with { VocabularySize = codec.VocabularySize });
        var model = new TrainedGpt(
            network, HostWeights.Load(weights, network.Tensors), HostDefaults.Device(environment),
            MLNetInternals.FallbackToCpuOf(environment));
        return new GptTransformer(model, codec, threshold);
    }
}

/// <summary>A trained GPT: its network and weights, and what computes with them.</summary>
internal sealed class TrainedGpt(
    GptNetwork network, HostWeights weights, ComputeDevice device = default, bool fallbackToCpu = false,
    int? threads = null)
    : TokenModel(
        new TokenPass(network), weights, network.VocabularySize, network.Options.ContextLength, network.Options.Width,
        network.Options.Layers, device, fallbackToCpu, threads)
{
    public GptNetwork Network { get; } = network;

    public HostWeights Weights { get; } = weights;

    /// <summary>Tokens, positions and the numbers of wanted results → their hidden states and logits.</summary>
    private sealed class TokenPass(GptNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T all = network.Hidden(w, inputs[0], inputs[1]).Reshape(-1, network.Options.Width);
            T hidden = all.Embed(inputs[2]);
            return [hidden, network.Logits(w, hidden)];
        }
    }
}
