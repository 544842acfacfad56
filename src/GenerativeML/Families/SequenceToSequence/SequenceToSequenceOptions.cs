using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// The options of a model that turns texts into others: its columns, tokens and network, and its training on pairs of
/// texts. A step trains on <see cref="TrainingOptions.BatchSize"/> pairs of about the same length, so that little of what
/// is computed is padding; each token of a target is predicted from the source and the right tokens before it (teacher
/// forcing).
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/> are AdamW's; by default
/// 0.5/<see cref="Width"/>, at most 0.003 beside Muon and 0.001 without; and 0.1.
/// <see cref="TrainingOptions.ValidationFraction"/> holds back pairs;
/// <see cref="TrainingOptions.CacheBudgetBytes"/> is the most memory that the tokens may take.
/// <see cref="TrainingOptions.NonFiniteValues"/> and <see cref="TrainingOptions.ShuffleBufferRows"/> have no meaning for
/// text.
/// </remarks>
public sealed record SequenceToSequenceOptions : TrainingOptions
{
    private const int DefaultBatchSize = 64, DefaultSteps = 3000;
    private const int MaxLayers = 1024, MaxWindow = 1 << 16;

    /// <summary>
    /// Options with the defaults of text: the learning rate falls in a straight line, and gradients are clipped at 1.
    /// </summary>
    public SequenceToSequenceOptions() => (Schedule, GradientClipNorm) = (LearningRateSchedule.Linear, 1);

    /// <summary>The input: a column of text. Default <c>Source</c>.</summary>
    public string SourceColumnName { get; init; } = "Source";

    /// <summary>
    /// The column of the texts to be made of it. It is read in training, and afterwards only for
    /// <see cref="ScoreColumnName"/>. Default <c>Target</c>.
    /// </summary>
    public string TargetColumnName { get; init; } = "Target";

    /// <summary>
    /// The column for the text that the model makes of the source. Default <c>GeneratedText</c>; null: none is added.
    /// </summary>
    public string? GeneratedTextColumnName { get; init; } = "GeneratedText";

    /// <summary>
    /// The column for the made text's log-probability, in nats, divided by its number of tokens, the one that ends it among
    /// them: 0 at most; NaN where there is no source. Default: none is added.
    /// </summary>
    public string? LogProbabilityColumnName { get; init; }

    /// <summary>
    /// The column for the other texts of the beam, best first: a vector of text of
    /// <see cref="BeamSearchOptions.Beams"/> − 1, empty where there are fewer. It needs two beams. Default: none is added.
    /// </summary>
    public string? AlternativesColumnName { get; init; }

    /// <summary>
    /// The column for the score of a given pair, the mean of −log p over the tokens of the text in
    /// <see cref="TargetColumnName"/>, which then has to be there, and of its end; the higher, the stranger. NaN where one
    /// of the two is empty. Default: none is added.
    /// </summary>
    public string? ScoreColumnName { get; init; }

    /// <summary>
    /// Turns sources into tokens; it has to have a token that ends texts. Default: one for the characters of the training
    /// texts.
    /// </summary>
    [JsonIgnore]
    public GptTokenizer? SourceTokenizer { get; init; }

    /// <summary>The same for targets. With <see cref="SharedVocabulary"/> it is the sources'.</summary>
    [JsonIgnore]
    public GptTokenizer? TargetTokenizer { get; init; }

    /// <summary>
    /// Learns byte-pair vocabularies of at most so many tokens from the training texts, in place of characters. From 257 to
    /// 1,000,000. Default: none are learned.
    /// </summary>
    public int? BytePairVocabulary { get; init; }

    /// <summary>
    /// Whether sources and targets have one vocabulary, and so the same embeddings: for texts that have words in common.
    /// Default: no.
    /// </summary>
    public bool SharedVocabulary { get; init; }

    /// <summary>
    /// What is done with characters that the training texts did not have, where characters are the tokens. Default: they
    /// are replaced by U+FFFD.
    /// </summary>
    public UnknownCharacters UnknownCharacters { get; init; }

    /// <summary>
    /// The most tokens of a source, the one that ends it not counted. From 1 to 65,536. Default: as many as the longest of
    /// the training rows has.
    /// </summary>
    public int? MaxSourceTokens { get; init; }

    /// <summary>
    /// The most tokens of a target, the one that ends it not counted. From 1 to 65,536. Default: as many as the longest of
    /// the training rows has.
    /// </summary>
    public int? MaxTargetTokens { get; init; }

    /// <summary>What becomes of longer texts. Default: they are an error.</summary>
    public LongTexts LongTexts { get; init; }

    /// <summary>Features of a token's hidden state. From 1 to 65,536. Default 128.</summary>
    public int Width { get; init; } = 128;

    /// <summary>Attention heads in a layer; divides <see cref="Width"/>. Default 4.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Layers that read the source. From 1 to 1024. Default 2.</summary>
    public int EncoderLayers { get; init; } = 2;

    /// <summary>Layers that write the target. From 1 to 1024. Default 2.</summary>
    public int DecoderLayers { get; init; } = 2;

    /// <summary>Hidden features of a layer's perceptron. From 1 to 262,144. Default: four times the width.</summary>
    public int? FeedForwardWidth { get; init; }

    /// <summary>
    /// The share of hidden features left out at random in a training step: of embeddings and of what each part of a layer
    /// adds. In [0, 1). Default 0; small corpora of a language want 0.1 to 0.3.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>
    /// The share of a right token's probability that training gives to all tokens alike (Szegedy 2016), which keeps the
    /// model from being too sure. In [0, 1). Default 0.1.
    /// </summary>
    public double LabelSmoothing { get; init; } = 0.1;

    /// <summary>
    /// Optimizer steps. Default: as many as <see cref="TrainingOptions.Epochs"/> asks for; where that is not set either,
    /// 3000. Not both.
    /// </summary>
    public int? Steps { get; init; }

    /// <summary>
    /// What moves the weights: Muon the matrices of layers, AdamW the rest, or AdamW all. Default
    /// <see cref="LanguageModelOptimizer.Muon"/>.
    /// </summary>
    public LanguageModelOptimizer Optimizer { get; init; }

    /// <summary>Muon's peak learning rate. Default 0.015. Not read where Muon is not used.</summary>
    public double? MatrixLearningRate { get; init; }

    /// <summary>Where the fall of the learning rate ends, in shares of its peak, from 0 to 1. Default 0.</summary>
    public double FinalRateShare { get; init; }

    /// <summary>How texts are searched for. Default: all defaults.</summary>
    public BeamSearchOptions Generation { get; init; } = new();

    /// <summary>Batch size, steps and rates that are left open, decided.</summary>
    internal SequenceToSequenceOptions Resolve(int seed) => this with
    {
        Seed = seed,
        BytePairVocabulary = null, // a tokenizer is there, whichever way it was come by
        BatchSize = BatchSize ?? DefaultBatchSize,
        Steps = Steps ?? (Epochs is null ? DefaultSteps : null),
        LearningRate = LearningRate
            ?? Math.Min(0.5 / Width, Optimizer == LanguageModelOptimizer.Muon ? 3e-3 : 1e-3),
        WeightDecay = WeightDecay ?? 0.1,
        MatrixLearningRate = MatrixLearningRate ?? 0.015,
    };

    /// <summary>The added columns, in the order of the schema.</summary>
    internal IReadOnlyList<OutputColumn> Outputs()
    {
        OutputColumn?[] columns =
        [
            ScoreColumnName is string score
                ? new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore } : null,
            LogProbabilityColumnName is string probability ? new(probability, OutputKind.Single) : null,
            GeneratedTextColumnName is string text ? new(text, OutputKind.Text) : null,
            AlternativesColumnName is string others ? new(others, OutputKind.Text, Generation.Beams - 1) : null,
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ColumnNames.Check(
            [SourceColumnName, TargetColumnName],
            [ScoreColumnName, LogProbabilityColumnName, GeneratedTextColumnName, AlternativesColumnName]);
        ArgumentNullException.ThrowIfNull(Generation);
        Generation.Validate();
        if (AlternativesColumnName is not null && Generation.Beams < 2)
            throw new ArgumentException(
                $"Option {nameof(AlternativesColumnName)} needs two beams at least, but Generation.Beams is "
                + $"{Generation.Beams}.");
        OptionChecks.Defined(UnknownCharacters);
        OptionChecks.Defined(LongTexts);
        OptionChecks.Within(BytePairVocabulary, 257, 1_000_000);
        OptionChecks.Within(MaxSourceTokens, 1, MaxWindow);
        OptionChecks.Within(MaxTargetTokens, 1, MaxWindow);
        OptionChecks.Within(Width, 1, OptionChecks.MaxWidth);
        OptionChecks.Heads(Heads, Width);
        OptionChecks.Within(EncoderLayers, 1, MaxLayers);
        OptionChecks.Within(DecoderLayers, 1, MaxLayers);
        OptionChecks.Within(FeedForwardWidth, 1, 4 * OptionChecks.MaxWidth);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.WithinHalfOpen(LabelSmoothing, 0, 1);
        OptionChecks.StepsOrEpochs(Steps, Epochs);
        OptionChecks.Defined(Optimizer);
        OptionChecks.PositiveFinite(MatrixLearningRate ?? 1, nameof(MatrixLearningRate));
        OptionChecks.Within(FinalRateShare, 0, 1);
        CheckTokenizers();
    }

    private void CheckTokenizers()
    {
        (GptTokenizer? Tokenizer, string Option)[] given =
            [(SourceTokenizer, nameof(SourceTokenizer)), (TargetTokenizer, nameof(TargetTokenizer))];
        foreach ((GptTokenizer? tokenizer, string option) in given)
        {
            if (tokenizer is { EndOfTextId: null })
                throw new ArgumentException(
                    $"Option {option} has no token that ends texts: make it with one (endOfText: true).");
        }
        if (BytePairVocabulary is not null
            && (SharedVocabulary ? given.Any(t => t.Tokenizer is not null) : given.All(t => t.Tokenizer is not null)))
            throw new ArgumentException(
                $"Option {nameof(BytePairVocabulary)} learns tokenizers, but options {nameof(SourceTokenizer)} and "
                + $"{nameof(TargetTokenizer)} leave none to learn: set one or the other.");
        if (SharedVocabulary && SourceTokenizer is not null && TargetTokenizer is not null && SourceTokenizer != TargetTokenizer)
            throw new ArgumentException(
                $"With option {nameof(SharedVocabulary)}, {nameof(SourceTokenizer)} and {nameof(TargetTokenizer)} have to "
                + "be the same, but are two.");
    }
}

/// <summary>What becomes of a text with more tokens than the window that the options name for it.</summary>
public enum LongTexts
{
    /// <summary>It is an error, which names the row.</summary>
    Error,

    /// <summary>As many of its first tokens are used as fit.</summary>
    Cut,
}
