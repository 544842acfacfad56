using System.Text.Json.Serialization;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// The options of a GPT: its network, and its training on a stream of tokens. A step trains on
/// <see cref="TrainingOptions.BatchSize"/> windows of <see cref="ContextLength"/> tokens, drawn at random.
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.ValidationFraction"/> holds back the end of the text, in whole;
/// <see cref="TrainingOptions.CacheBudgetBytes"/> is the most memory that the tokens may take.
/// <see cref="TrainingOptions.NonFiniteValues"/> and <see cref="TrainingOptions.ShuffleBufferRows"/> have no meaning
/// for text.
/// </remarks>
public sealed record GptOptions : TrainingOptions
{
    private const int DefaultBatchSize = 12, DefaultSteps = 2000;
    private const int MaxVocabulary = 1 << 24, MaxLayers = 1024, MaxContext = 1 << 20;

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

    /// <summary>The input: a column of text. Default <c>Text</c>.</summary>
    public string TextColumnName { get; init; } = "Text";

    /// <summary>
    /// Whether the rows are lines of one text. Default: no; each row is a document, a beginning and an end of its own.
    /// </summary>
    public bool JoinRows { get; init; }

    /// <summary>What stands after each row of one text. Default: a line feed.</summary>
    public string RowSeparator { get; init; } = "\n";

    /// <summary>
    /// Turns text into tokens. Default: a <see cref="CharacterTokenizer"/> for the characters of the training text. Any
    /// tokenizer of Microsoft.ML.Tokenizers can be given; one that is no <see cref="GptTokenizer"/> can be used, but not
    /// saved inside the model.
    /// </summary>
    [JsonIgnore]
    public Tokenizer? Tokenizer { get; init; }

    /// <summary>
    /// Learns a byte-pair vocabulary of at most so many tokens from the training text, in place of characters. From 257
    /// to 1,000,000. Default: none is learned.
    /// </summary>
    public int? BytePairVocabulary { get; init; }

    /// <summary>
    /// What is done with characters that the training text did not have, where its characters are the tokens. Default:
    /// they are replaced by U+FFFD.
    /// </summary>
    public UnknownCharacters UnknownCharacters { get; init; }

    /// <summary>
    /// The number of tokens. Has to be given with a tokenizer that is no <see cref="GptTokenizer"/>, which does not tell
    /// it; may be given to make it larger than the tokenizer's. Default: the tokenizer's.
    /// </summary>
    public int? VocabularySize { get; init; }

    /// <summary>
    /// The token that stands between documents. Default: <see cref="GptTokenizer.EndOfTextId"/>, or none.
    /// </summary>
    public int? EndOfTextId { get; init; }

    /// <summary>How the column for generated text is made, and samples while training. Default: all defaults.</summary>
    [JsonIgnore]
    public GenerationOptions Generation { get; init; } = new();

    /// <summary>
    /// The share of rows like those of training that are to be predicted as anomalies, for
    /// <see cref="PredictedLabelColumnName"/>. In (0, 0.5]. Default 0.1. Some of the training rows, a tenth to a quarter
    /// and at most 2,048, are held back from training to know by them which scores such rows get.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

    /// <summary>
    /// The column for the text that continues the row's. Default <c>GeneratedText</c>; null: none is added.
    /// </summary>
    public string? GeneratedTextColumnName { get; init; } = "GeneratedText";

    /// <summary>The column for the score, the mean of −log p over the row's tokens. Default: none is added.</summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>The column for the perplexity, the exponential of the score. Default: none is added.</summary>
    public string? PerplexityColumnName { get; init; }

    /// <summary>The column for the predicted label, whether the row is an anomaly. Default: none is added.</summary>
    public string? PredictedLabelColumnName { get; init; }

    /// <summary>
    /// The column for the p-value, in (0, 1]: the share of ordinary rows, the row itself among them, that score as high
    /// or higher. Of fresh rows like those of training it is uniform; NaN where the score is. It is told by the rows
    /// that <see cref="Contamination"/> is calibrated by, whose scores a saved model holds: none is smaller than one
    /// over their number and one. Default: none is added.
    /// </summary>
    public string? PValueColumnName { get; init; }

    /// <summary>
    /// The column for the embedding, the mean of the tokens' final hidden states. Default: none is added.
    /// </summary>
    public string? EmbeddingColumnName { get; init; }

    /// <summary>Steps between samples of text while training. Default: none are made.</summary>
    [JsonIgnore]
    public int? SampleEvery { get; init; }

    /// <summary>Told the samples of text, on the thread that trains.</summary>
    [JsonIgnore]
    public IProgress<TrainingSample>? Samples { get; init; }

    /// <summary>
    /// What samples continue. Default: nothing, which is the beginning of a document; a text of joined rows has none, so
    /// that it needs a prompt.
    /// </summary>
    [JsonIgnore]
    public string SamplePrompt { get; init; } = "";

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

    /// <summary>Whether some of the training rows are held back to know by them what ordinary rows score.</summary>
    internal bool Calibrates => PredictedLabelColumnName is not null || PValueColumnName is not null;

    /// <summary>The rates and all else that is left open, decided.</summary>
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

    /// <summary>The added columns, in the order of the schema, for embeddings of a width.</summary>
    internal IReadOnlyList<OutputColumn> Outputs(int width)
    {
        OutputColumn?[] columns =
        [
            PredictedLabelColumnName is string label
                ? new(label, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel } : null,
            ScoreColumnName is string score
                ? new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore } : null,
            PValueColumnName is string pValue ? new(pValue, OutputKind.Single) : null,
            PerplexityColumnName is string perplexity ? new(perplexity, OutputKind.Single) : null,
            GeneratedTextColumnName is string text ? new(text, OutputKind.Text) : null,
            EmbeddingColumnName is string embedding ? new(embedding, OutputKind.Single, width) : null,
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ColumnNames.Check(
            [TextColumnName],
            [
                PredictedLabelColumnName, ScoreColumnName, PValueColumnName, PerplexityColumnName,
                GeneratedTextColumnName, EmbeddingColumnName,
            ]);
        ArgumentNullException.ThrowIfNull(RowSeparator);
        ArgumentNullException.ThrowIfNull(Generation);
        Generation.Validate();
        OptionChecks.Defined(UnknownCharacters);
        ArgumentNullException.ThrowIfNull(SamplePrompt);
        OptionChecks.AtLeast(SampleEvery ?? 1, 1, nameof(SampleEvery));
        if (SampleEvery is null != Samples is null)
            throw new ArgumentException(
                $"Options {nameof(SampleEvery)} and {nameof(Samples)} belong together: set both or none.");
        OptionChecks.AboveZero<double>(Contamination, 0.5);
        OptionChecks.Within(BytePairVocabulary ?? 257, 257, 1_000_000, nameof(BytePairVocabulary));
        OptionChecks.Within(VocabularySize ?? 1, 1, MaxVocabulary, nameof(VocabularySize));
        if (BytePairVocabulary is not null && Tokenizer is not null)
            throw new ArgumentException(
                $"Option {nameof(BytePairVocabulary)} learns a tokenizer and option {nameof(Tokenizer)} gives one: "
                + "set one of them.");
        if (Tokenizer is null && (VocabularySize is not null || EndOfTextId is not null))
            throw new ArgumentException(
                $"Options {nameof(VocabularySize)} and {nameof(EndOfTextId)} belong to option {nameof(Tokenizer)}, "
                + "which is not set.");
        OptionChecks.Within(Layers, 1, MaxLayers);
        OptionChecks.Within(Width, 1, OptionChecks.MaxWidth);
        OptionChecks.Within(Heads, 1, Width);
        if (Width % Heads != 0)
            throw new ArgumentOutOfRangeException(
                nameof(Heads), Heads, $"Option Heads must divide Width, {Width}, but is {Heads}.");
        OptionChecks.Within(ContextLength, 1, MaxContext);
        OptionChecks.Defined(Gelu);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.AtLeast(Steps ?? 1, 1, nameof(Steps));
        if (Steps is not null && Epochs is not null)
            throw new ArgumentException("Option Steps and option Epochs exclude each other, but both are set.");
        OptionChecks.Within(GradientAccumulation, 1, BatchSize ?? DefaultBatchSize);
        OptionChecks.Defined(Optimizer ?? default, nameof(Optimizer));
        OptionChecks.PositiveFinite(MatrixLearningRate ?? 1, nameof(MatrixLearningRate));
        OptionChecks.Within(FinalRateShare, 0, 1);
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

    private static void RequireFile(string? path, string option)
    {
        if (path is not null && !File.Exists(path))
            throw new FileNotFoundException($"Option {option} names the file {path}, which is not there.", path);
    }
}
