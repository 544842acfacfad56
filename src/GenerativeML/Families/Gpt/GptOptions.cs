using System.Text.Json;

namespace GenerativeML;

/// <summary>
/// The options of a GPT: its network, and its training on a stream of tokens. A step trains on
/// <see cref="TrainingOptions.BatchSize"/> windows of <see cref="ContextLength"/> tokens, drawn at random.
/// </summary>
/// <remarks><inheritdoc cref="TextOptions" path="/remarks"/></remarks>
public sealed record GptOptions : TextOptions
{
    private const int DefaultBatchSize = 12, DefaultSteps = 2000;
    private const int MaxLayers = 1024, MaxWidth = 1 << 16, MaxContext = 1 << 20;

    /// <summary>
    /// Options with the defaults of text: the learning rate falls in a straight line, and gradients are clipped at 1.
    /// </summary>
    public GptOptions() => (Schedule, GradientClipNorm) = (LearningRateSchedule.Linear, 1);

    /// <summary>Blocks of attention and perceptron. From 1 to 1024. Default 4.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>Attention heads in a block; divides <see cref="Width"/>. Default 4.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Features of a token's hidden state. From 1 to 65,536. Default 128.</summary>
    public int Width { get; init; } = 128;

    /// <summary>The most tokens that are looked at together. From 1 to 1,048,576. Default 64.</summary>
    public int ContextLength { get; init; } = 64;

    /// <summary>Whether linear layers and layer normalisation have biases, as GPT-2's do. Default: no.</summary>
    public bool Biases { get; init; }

    /// <summary>The perceptrons' non-linearity. Default <see cref="GeluForm.Erf"/>.</summary>
    public GeluForm Gelu { get; init; } = GeluForm.Erf;

    /// <summary>
    /// Whether the output weights are the token embeddings, as GPT-2's are. Default: yes, unless
    /// <see cref="InitialWeights"/> has output weights of its own, as minGPT's can.
    /// </summary>
    public bool? TieEmbeddings { get; init; }

    /// <summary>
    /// The share of hidden features left out at random in a training step: of embeddings, attention weights and what each
    /// half block adds. In [0, 1). Default 0.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>
    /// Optimizer steps. Default: as many as <see cref="TrainingOptions.Epochs"/> asks for, an epoch being as many steps
    /// as see the text's number of tokens once; where that is not set either, 2000. Not both.
    /// </summary>
    public int? Steps { get; init; }

    /// <summary>
    /// In how many parts a step's windows are computed, one after the other: the same step in less memory. From 1 to
    /// the batch size. Default 1.
    /// </summary>
    public int GradientAccumulation { get; init; } = 1;

    /// <summary>
    /// Whether each block is computed a second time in the backward pass, in place of keeping what it computed (Chen
    /// 2016, arXiv:1604.06174): the same gradients, a third more work, far less memory. Default: no.
    /// </summary>
    public bool GradientCheckpointing { get; init; }

    /// <summary>
    /// What moves the weights. <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/>
    /// are AdamW's; by default 0.5/<see cref="Width"/>, at most 0.003 beside Muon and 0.004 without, and for given
    /// weights 1e-4 or, with adapters, 5e-4; and 0.1, but for adapters 0. Default <see cref="GptOptimizer.Muon"/>, for
    /// given weights <see cref="GptOptimizer.AdamW"/>; adapters are always moved by AdamW.
    /// </summary>
    public GptOptimizer? Optimizer { get; init; }

    /// <summary>
    /// Muon's peak learning rate. Default 0.015, for given weights a tenth of that. Not read where Muon is not used.
    /// </summary>
    public double? MatrixLearningRate { get; init; }

    /// <summary>
    /// Where the fall of the learning rate ends, in shares of its peak, from 0 to 1. Default 0.
    /// </summary>
    public double FinalRateShare { get; init; }

    /// <summary>
    /// A safetensors file with weights of GPT-2, nanoGPT or minGPT to start from. They have to be those of the network
    /// that these options describe. Default: none, training starts from random weights.
    /// </summary>
    public string? InitialWeights { get; init; }

    /// <summary>
    /// How matrices lie in <see cref="InitialWeights"/>. Default: as the matrix of queries, keys and values does, which
    /// is never square.
    /// </summary>
    public GptWeightLayout? InitialWeightsLayout { get; init; }

    /// <summary>
    /// A safetensors file with low-rank adapters, as <c>GptTransformer.SaveAdapters</c> writes it, that are merged into
    /// <see cref="InitialWeights"/>. Default: none.
    /// </summary>
    public string? InitialAdapters { get; init; }

    /// <summary>
    /// Trains low-rank adapters in place of the weights of <see cref="InitialWeights"/>, which stay. Default: all
    /// weights are trained.
    /// </summary>
    public LoraOptions? Lora { get; init; }

    /// <summary>
    /// Options for the network that a <c>config.json</c> of GPT-2 describes (as Hugging Face writes it): sizes, biases,
    /// the form of GELU and dropout. Everything else has its default, and can be changed by <c>with</c>.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FormatException">
    /// It describes a network that this is not; the message lists what differs.
    /// </exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static GptOptions FromConfig(string path) => GptConfig.Read(File.ReadAllText(path));

    /// <summary>
    /// Options for the network that a safetensors file of weights belongs to, as far as the file tells: layers, width,
    /// context and biases are those of its tensors. Heads and the form of GELU are taken to be as in GPT-2, 64 features
    /// to a head and <see cref="GeluForm.Tanh"/>; where they are not, <see cref="FromConfig"/> is the way.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FormatException">
    /// It has no weights of a GPT, or heads of 64 features do not fit its width.
    /// </exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static GptOptions FromWeights(string path)
    {
        using FileStream file = File.OpenRead(path);
        return GptWeightFile.Describe(file);
    }

    /// <summary>The number format, the rates and all else that is left open, decided.</summary>
    /// <param name="codec">The tokenizer.</param>
    /// <param name="seed">The seed.</param>
    internal GptOptions Resolve(TokenCodec codec, int seed)
    {
        bool given = InitialWeights is not null;
        GptOptimizer optimizer = Lora is not null ? GptOptimizer.AdamW
            : Optimizer ?? (given ? GptOptimizer.AdamW : GptOptimizer.Muon);
        double rate = Lora is not null ? 5e-4
            : given ? 1e-4
            : Math.Min(0.5 / Width, optimizer == GptOptimizer.Muon ? 3e-3 : 4e-3);
        return this with
        {
            VocabularySize = codec.VocabularySize,
            EndOfTextId = codec.EndOfText,
            Tokenizer = codec.Tokenizer,
            BytePairVocabulary = null,
            Generation = Generation with { Seed = Generation.Seed ?? seed },
            Seed = seed,
            TieEmbeddings = TieEmbeddings ?? (given ? null : true),
            BatchSize = BatchSize ?? DefaultBatchSize,
            Steps = Steps ?? (Epochs is null ? DefaultSteps : null),
            Optimizer = optimizer,
            LearningRate = LearningRate ?? rate,
            MatrixLearningRate = MatrixLearningRate ?? (given ? 1.5e-3 : 1.5e-2),
            WeightDecay = WeightDecay ?? (Lora is not null ? 0 : 0.1),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(Layers, 1, MaxLayers);
        OptionChecks.Within(Width, 1, MaxWidth);
        OptionChecks.Within(Heads, 1, Width);
        if (Width % Heads != 0)
            throw new ArgumentOutOfRangeException(
                nameof(Heads), Heads, $"Option Heads must divide Width, {Width}, but is {Heads}.");
        OptionChecks.Within(ContextLength, 1, MaxContext);
        OptionChecks.Defined(Gelu);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        if (Steps is int steps)
            OptionChecks.AtLeast(steps, 1, nameof(Steps));
        if (Steps is not null && Epochs is not null)
            throw new ArgumentException("Option Steps and option Epochs exclude each other, but both are set.");
        OptionChecks.Within(GradientAccumulation, 1, BatchSize ?? DefaultBatchSize);
        if (Optimizer is GptOptimizer optimizer)
            OptionChecks.Defined(optimizer, nameof(Optimizer));
        if (MatrixLearningRate is double rate)
            OptionChecks.PositiveFinite(rate, nameof(MatrixLearningRate));
        OptionChecks.Within(FinalRateShare, 0, 1);
        Lora?.Validate(Width);
        RequireFile(InitialWeights, nameof(InitialWeights));
        RequireFile(InitialAdapters, nameof(InitialAdapters));
        if (InitialWeightsLayout is GptWeightLayout layout)
            OptionChecks.Defined(layout, nameof(InitialWeightsLayout));
        if (InitialWeights is null && (Lora is not null || InitialAdapters is not null))
        {
            string option = Lora is not null ? nameof(Lora) : nameof(InitialAdapters);
            throw new ArgumentException($"Option {option} adapts given weights: set option InitialWeights too.");
        }
    }

    private static void RequireFile(string? path, string option)
    {
        if (path is not null && !File.Exists(path))
            throw new FileNotFoundException($"Option {option} names the file {path}, which is not there.", path);
    }
}

/// <summary>A <c>config.json</c> of GPT-2 as Hugging Face writes it.</summary>
internal sealed class GptConfig
{
    private readonly JsonElement _json;

    private GptConfig(JsonElement json) => _json = json;

    /// <summary>Options for the network that it describes.</summary>
    /// <exception cref="FormatException">
    /// It describes one that this package has not; the message lists everything that stands against it.
    /// </exception>
    public static GptOptions Read(string text)
    {
        JsonElement json;
        try
        {
            json = JsonElement.Parse(text);
        }
        catch (JsonException e)
        {
            throw new FormatException($"The configuration is not valid JSON: {e.Message}", e);
        }
        if (json.ValueKind != JsonValueKind.Object)
            throw new FormatException("The configuration is not a JSON object.");
        var config = new GptConfig(json);
        string[] faults = [.. config.Faults()];
        if (faults.Length > 0)
            throw new FormatException($"The configuration is not one of a GPT-2: {string.Join("; ", faults)}.");
        return new GptOptions
        {
            Layers = config.Whole("n_layer")!.Value,
            Heads = config.Whole("n_head")!.Value,
            Width = config.Whole("n_embd")!.Value,
            ContextLength = (config.Whole("n_positions") ?? config.Whole("n_ctx"))!.Value,
            Biases = true,
            Gelu = config.Text("activation_function") == "gelu" ? GeluForm.Erf : GeluForm.Tanh,
            TieEmbeddings = config.Is("tie_word_embeddings", JsonValueKind.False) ? false : null,
            Dropout = config.Number("resid_pdrop") ?? 0,
        };
    }

    private IEnumerable<string> Faults()
    {
        foreach (string name in (string[])["n_layer", "n_head", "n_embd", "n_positions"])
        {
            if (Whole(name) is null && !(name == "n_positions" && Whole("n_ctx") is not null))
                yield return $"{name} is missing or no whole number";
        }
        (string Name, bool Differs, string Supported)[] others =
        [
            ("activation_function", Text("activation_function") is not (null or "gelu" or "gelu_new" or "gelu_pytorch_tanh"),
                "gelu or gelu_new"),
            ("layer_norm_epsilon", (float)(Number("layer_norm_epsilon") ?? 1e-5) != 1e-5f, "1e-05"),
            ("n_inner", Whole("n_inner") is int inner && inner != 4 * Whole("n_embd"), "four times n_embd"),
            ("scale_attn_weights", Is("scale_attn_weights", JsonValueKind.False), "true"),
            ("scale_attn_by_inverse_layer_idx", Is("scale_attn_by_inverse_layer_idx", JsonValueKind.True), "false"),
            ("add_cross_attention", Is("add_cross_attention", JsonValueKind.True), "false"),
        ];
        foreach ((string name, _, string supported) in others.Where(o => o.Differs))
            yield return $"{name} is {_json.GetProperty(name).GetRawText()}, and {supported} is supported";
    }

    private bool Is(string name, JsonValueKind kind) =>
        _json.TryGetProperty(name, out JsonElement value) && value.ValueKind == kind;

    private int? Whole(string name) =>
        Is(name, JsonValueKind.Number) && _json.GetProperty(name).TryGetInt32(out int n) ? n : null;

    private double? Number(string name) => Is(name, JsonValueKind.Number) ? _json.GetProperty(name).GetDouble() : null;

    private string? Text(string name) => Is(name, JsonValueKind.String) ? _json.GetProperty(name).GetString() : null;
}
