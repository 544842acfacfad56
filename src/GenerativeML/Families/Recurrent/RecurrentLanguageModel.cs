using System.Text.Json;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The options of a recurrent language model: its network, and its training on a stream of tokens. As many readers as
/// <see cref="TrainingOptions.BatchSize"/> go through the text, evenly spaced; a step trains on the next
/// <see cref="WindowLength"/> tokens of each, and the state in which a window ends is the one in which the reader's next
/// begins. Of documents, a reader that has come to the start of one goes every other time to that of a random one, with
/// a new state.
/// </summary>
/// <remarks>
/// <inheritdoc cref="LanguageModelOptions" path="/remarks"/>
/// <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/> are AdamW's; by default
/// 1.28/<see cref="Width"/>, at most 0.01, and for given weights 0.001; and 0.01.
/// <see cref="TrainingOptions.Precision"/> concerns the logits; the recurrent layers compute in 32 bits.
/// </remarks>
public sealed record RecurrentLanguageModelOptions : LanguageModelOptions
{
    private const int DefaultBatchSize = 64, DefaultSteps = 500;
    private const int MaxLayers = 64, MaxWindow = 1 << 16;

    /// <summary>The cells. Default <see cref="RecurrentCell.Lstm"/>.</summary>
    public RecurrentCell Cell { get; init; } = RecurrentCell.Lstm;

    /// <summary>Layers of cells. From 1 to 64. Default 2.</summary>
    public int Layers { get; init; } = 2;

    /// <summary>Features of embeddings and of each layer's state. From 1 to 65,536. Default 128.</summary>
    public int Width { get; init; } = 128;

    /// <summary>
    /// The tokens of a window, over which gradients flow back (Williams and Peng 1990). A trained model has no such end:
    /// its state carries what was. From 1 to 65,536. Default 64.
    /// </summary>
    public int WindowLength { get; init; } = 64;

    /// <summary>
    /// Whether the output weights are the embeddings (Press and Wolf 2017), which saves a matrix where there are many
    /// tokens. Default: no.
    /// </summary>
    public bool TieEmbeddings { get; init; }

    /// <summary>
    /// The share of features left out at random in a training step, of embeddings and of what each layer gives, not of
    /// what cells remember (Zaremba 2014). In [0, 1). Default 0.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>
    /// A safetensors file with weights to start from, of the network that these options describe, under the names that
    /// <see cref="RecurrentLanguageModelTransformer.SaveWeights"/> gives them. Default: none, training starts from random
    /// weights.
    /// </summary>
    public string? InitialWeights { get; init; }

    /// <summary>The rates and all else that is left open, decided.</summary>
    internal override RecurrentLanguageModelOptions Resolve(TokenCodec codec, int seed)
    {
        bool given = InitialWeights is not null;
        return (RecurrentLanguageModelOptions)ResolveLanguage(codec, seed, DefaultBatchSize, DefaultSteps, given, 0.05) with
        {
            LearningRate = LearningRate ?? (given ? 1e-3 : Math.Min(1.28 / Width, 1e-2)),
            WeightDecay = WeightDecay ?? 0.01,
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Defined(Cell);
        OptionChecks.Within(Layers, 1, MaxLayers);
        OptionChecks.Within(Width, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(WindowLength, 1, MaxWindow);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        RequireFile(InitialWeights, nameof(InitialWeights));
    }
}

/// <summary>
/// Trains a recurrent network, of LSTM or GRU cells, on a column of text: a model that continues texts, tells how likely
/// one is, and gives embeddings. Beside a GPT of the same size it looks back without end, each token costs the same, and
/// memory does not grow with the text.
/// </summary>
/// <remarks>
/// <para>To create this trainer, use
/// <see cref="Microsoft.ML.GenerativeCatalog.RecurrentLanguageModel(RecurrentLanguageModelOptions)"/>.</para>
/// <inheritdoc cref="LanguageModelTrainer{TTransformer}" path="/remarks/*"/>
/// </remarks>
public sealed class RecurrentLanguageModelTrainer : LanguageModelTrainer<RecurrentLanguageModelTransformer>
{
    private readonly RecurrentLanguageModelOptions _options;

    internal RecurrentLanguageModelTrainer(IHostEnvironment environment, RecurrentLanguageModelOptions options)
        : base(environment, nameof(RecurrentLanguageModelTrainer), options) => _options = options;

    /// <summary>Trains on a text by options that are decided.</summary>
    internal static TrainedLanguageModel Train(
        TokenCorpus corpus, RecurrentLanguageModelOptions options, TrainingContext context,
        Action<long, Func<TrainedLanguageModel>>? afterStep = null)
    {
        var network = new RecurrentNetwork(options);
        HostWeights? given = ReadInitial(network);
        var kept = new RecurrentNetwork(options with { InitialWeights = null });
        torch.Device device = TorchRuntime.Resolve(context.Device, context.FallbackToCpu);
        bool bfloat16 = PrecisionChoice.UseBFloat16(
            options.Precision, device, options.Width, options.AtOnce(options.BatchSize!.Value * (long)options.WindowLength));
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new TokenReaders(
            corpus, options.WindowLength, options.ValidationFraction, context.Seed, device);
        return LanguageModelFit.Run(
            network, given, data, options, context, device, bfloat16,
            all => new TrainedLanguageModel(
                kept, all.Select(spec => network.Tensors.Any(t => t.Name == spec.Name) ? spec : null),
                context.Device, context.FallbackToCpu),
            afterStep);
    }

    // The weights that options name; null where they name none.
    private static HostWeights? ReadInitial(RecurrentNetwork network)
    {
        if (network.Options.InitialWeights is not string path)
            return null;
        using FileStream file = File.OpenRead(path);
        SafetensorsReader reader = SafetensorsReader.Open(file);
        var found = reader.Tensors.ToDictionary(entry => entry.Spec.Name);
        List<string> faults = WeightFile.Faults(found, network.Tensors, RecurrentNetwork.Embeddings);
        if (faults.Count > 0)
            throw new FormatException($"The weights are not those of the network: {string.Join("; ", faults)}.");
        return HostWeights.Of(network.Tensors.Select(spec => (spec, WeightFile.Read(reader, found[spec.Name]))));
    }

    private protected override TrainedLanguageModel Train(
        TokenCorpus corpus, TokenCodec codec, TrainingContext context,
        Action<long, Func<TrainedLanguageModel>>? afterStep) =>
        Train(corpus, _options.Resolve(codec, context.Seed), context, afterStep);

    private protected override RecurrentLanguageModelTransformer Transformer(TextModel model) => new(model);
}

/// <summary>
/// A trained recurrent language model with its tokenizer: continues texts, and as a step of a pipeline adds generated
/// texts, scores or embeddings to rows. On the CPU ONNX Runtime computes, without torch; on a CUDA device, and where ONNX
/// Runtime is not there, torch does.
/// </summary>
/// <remarks><inheritdoc cref="GenerativeTransformer" path="/remarks"/></remarks>
public sealed class RecurrentLanguageModelTransformer : LanguageModelTransformer
{
    /// <summary>The name in saved models, and how one is loaded.</summary>
    internal static readonly ModelFamily SavedFamily = new("rnn", Load);

    private readonly TrainedLanguageModel _model;

    internal RecurrentLanguageModelTransformer(TextModel text)
        : base(text) => _model = text.Model;

    /// <summary>
    /// Writes the weights as a safetensors file under the names of a torch module: <c>encoder.weight</c>,
    /// <c>rnn.weight_ih_l0</c> and so on, as torch.nn.LSTM and torch.nn.GRU have them, <c>decoder.weight</c> unless it is
    /// the embeddings, and <c>decoder.bias</c>.
    /// </summary>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    public void SaveWeights(string path)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        AtomicFile.Write(path, file => _model.Weights.Save(file, new Dictionary<string, string> { ["format"] = "pt" }));
    }

    private static RecurrentLanguageModelTransformer Load(IHostEnvironment environment, JsonElement json, Stream weights) =>
        new(ReadSaved<RecurrentLanguageModelOptions>(json, options =>
        {
            var network = new RecurrentNetwork(options);
            return new TrainedLanguageModel(
                network, HostWeights.Load(weights, network.Tensors), HostDefaults.LoadingDevice(environment),
                MLNetInternals.FallbackToCpuOf(environment));
        }));
}
