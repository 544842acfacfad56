namespace GenerativeML;

/// <summary>
/// The options of a GPT: its network, and its training on a stream of tokens. A step trains on
/// <see cref="TrainingOptions.BatchSize"/> windows of <see cref="ContextLength"/> tokens, drawn at random.
/// </summary>
/// <remarks>
/// <inheritdoc cref="LanguageModelOptions" path="/remarks"/>
/// <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/> are AdamW's; by default
/// 0.5/<see cref="Width"/>, at most 0.003 beside Muon and 0.004 without, and for given weights 1e-4 or, with adapters,
/// 5e-4; and 0.1, but for adapters 0. Adapters are always moved by AdamW.
/// </remarks>
public sealed record GptOptions : LanguageModelOptions
{
    private const int DefaultBatchSize = 12, DefaultSteps = 2000;
    private const int MaxLayers = 1024, MaxContext = 1 << 20;

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
    /// Whether each block is computed a second time in the backward pass, in place of keeping what it computed (Chen
    /// 2016, arXiv:1604.06174): the same gradients, a third more work, far less memory. Default: no.
    /// </summary>
    public bool GradientCheckpointing { get; init; }

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

    /// <summary>The rates and all else that is left open, decided.</summary>
    internal override GptOptions Resolve(TokenCodec codec, int seed)
    {
        bool given = InitialWeights is not null;
        var resolved = (GptOptions)ResolveLanguage(codec, seed, DefaultBatchSize, DefaultSteps, given, 0.015);
        LanguageModelOptimizer optimizer = Lora is null ? resolved.Optimizer!.Value : LanguageModelOptimizer.AdamW;
        double rate = Lora is not null ? 5e-4
            : given ? 1e-4
            : Math.Min(0.5 / Width, optimizer == LanguageModelOptimizer.Muon ? 3e-3 : 4e-3);
        return resolved with
        {
            TieEmbeddings = TieEmbeddings ?? (given ? null : true),
            Optimizer = optimizer,
            LearningRate = LearningRate ?? rate,
            WeightDecay = WeightDecay ?? (Lora is not null ? 0 : 0.1),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(Layers, 1, MaxLayers);
        OptionChecks.Within(Width, 1, OptionChecks.MaxWidth);
        OptionChecks.Heads(Heads, Width);
        OptionChecks.Within(ContextLength, 1, MaxContext);
        OptionChecks.Defined(Gelu);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        Lora?.Validate(Width);
        RequireFile(InitialWeights, nameof(InitialWeights));
        RequireFile(InitialAdapters, nameof(InitialAdapters));
        OptionChecks.Defined(InitialWeightsLayout ?? default, nameof(InitialWeightsLayout));
        if (InitialWeights is null && (Lora is not null || InitialAdapters is not null))
        {
            string option = Lora is not null ? nameof(Lora) : nameof(InitialAdapters);
            throw new ArgumentException($"Option {option} adapts given weights: set option InitialWeights too.");
        }
    }
}
