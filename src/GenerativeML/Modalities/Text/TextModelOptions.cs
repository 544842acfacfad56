using System.Text.Json.Serialization;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>What moves a language model's weights.</summary>
public enum LanguageModelOptimizer
{
    /// <summary>
    /// Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon/) for the matrices of transformers' blocks and of recurrent
    /// cells, each gate's its own: momentum, made orthogonal by a few Newton–Schulz steps; AdamW for embeddings, biases
    /// and scales. Reaches the same loss in far fewer steps.
    /// </summary>
    Muon,

    /// <summary>AdamW (Loshchilov and Hutter 2019) for all.</summary>
    AdamW,
}

/// <summary>
/// The options of a model of texts: which column it reads and which it adds, what its tokens are, and how long it is
/// trained.
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.ValidationFraction"/> holds back the end of the text, in whole;
/// <see cref="TrainingOptions.CacheBudgetBytes"/> is the most memory that the tokens may take.
/// <see cref="TrainingOptions.NonFiniteValues"/> and <see cref="TrainingOptions.ShuffleBufferRows"/> have no meaning
/// for text.
/// </remarks>
public abstract record TextModelOptions : TrainingOptions
{
    private const int MaxVocabulary = 1 << 24;

    /// <summary>
    /// Options with the defaults of text: the learning rate falls in a straight line, and gradients are clipped at 1.
    /// </summary>
    private protected TextModelOptions() => (Schedule, GradientClipNorm) = (LearningRateSchedule.Linear, 1);

    /// <summary>
    /// Optimizer steps. Default: as many as <see cref="TrainingOptions.Epochs"/> asks for, an epoch being as many steps
    /// as see the text's number of tokens once; where that is not set either, 2000, and of a recurrent model 500, whose
    /// steps are larger. Not both.
    /// </summary>
    public int? Steps { get; init; }

    /// <summary>
    /// What moves the weights. <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/>
    /// are AdamW's. Default <see cref="LanguageModelOptimizer.Muon"/>, for given weights
    /// <see cref="LanguageModelOptimizer.AdamW"/>.
    /// </summary>
    public LanguageModelOptimizer? Optimizer { get; init; }

    /// <summary>
    /// Muon's peak learning rate. Default 0.015 of transformers and 0.05 of recurrent cells, for given weights a tenth of
    /// that. Not read where Muon is not used.
    /// </summary>
    public double? MatrixLearningRate { get; init; }

    /// <summary>
    /// Where the fall of the learning rate ends, in shares of its peak, from 0 to 1. Default 0.
    /// </summary>
    public double FinalRateShare { get; init; }

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
    /// Learns a <see cref="WordTokenizer"/> of at most so many tokens from the training text, in place of characters: of its
    /// words, as far as they are there twice, and of bytes. For lines that say the same with other numbers, such as a log's.
    /// From 257 to 1,000,000. Default: none is learned.
    /// </summary>
    public int? WordVocabulary { get; init; }

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
    /// The share of rows like those of training that are to be predicted as anomalies, for
    /// <see cref="PredictedLabelColumnName"/>. In (0, 0.5]. Default 0.1. Some of the training rows, a tenth to a quarter
    /// and at most 2,048, are held back from training to know by them which scores such rows get.
    /// </summary>
    public double Contamination { get; init; } = 0.1;

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
    /// The column for the embedding, the mean of the tokens' final hidden states, or what
    /// <see cref="MaskedLanguageModelOptions.Pooling"/> says. Default: none is added.
    /// </summary>
    public string? EmbeddingColumnName { get; init; }

    /// <summary>Whether some of the training rows are held back to know by them what ordinary rows score.</summary>
    internal bool Calibrates => PredictedLabelColumnName is not null || PValueColumnName is not null;

    /// <summary>The column for text that continues the row's, of models that do so.</summary>
    private protected virtual OutputColumn? ContinuationColumn => null;

    /// <summary>What is left open of tokens, seed, steps and optimizer, decided; weights are given or new.</summary>
    private protected TextModelOptions ResolveText(
        TokenCodec codec, int seed, int batchSize, int steps, bool given, double matrixRate) => With(codec) with
    {
        Seed = seed,
        BatchSize = BatchSize ?? batchSize,
        Steps = Steps ?? (Epochs is null ? steps : null),
        Optimizer = Optimizer ?? (given ? LanguageModelOptimizer.AdamW : LanguageModelOptimizer.Muon),
        MatrixLearningRate = MatrixLearningRate ?? (given ? matrixRate / 10 : matrixRate),
    };

    /// <summary>The same with a tokenizer that is there, whichever way it was come by.</summary>
    internal TextModelOptions With(TokenCodec codec) => this with
    {
        Tokenizer = codec.Tokenizer,
        VocabularySize = codec.VocabularySize,
        BytePairVocabulary = null,
        WordVocabulary = null,
    };

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
            ContinuationColumn,
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
                ContinuationColumn?.Name, EmbeddingColumnName,
            ]);
        ArgumentNullException.ThrowIfNull(RowSeparator);
        OptionChecks.Defined(UnknownCharacters);
        OptionChecks.AboveZero<double>(Contamination, 0.5);
        OptionChecks.Within(BytePairVocabulary ?? 257, 257, 1_000_000, nameof(BytePairVocabulary));
        OptionChecks.Within(WordVocabulary ?? 257, 257, 1_000_000, nameof(WordVocabulary));
        OptionChecks.Within(VocabularySize ?? 1, 1, MaxVocabulary, nameof(VocabularySize));
        if (new object?[] { BytePairVocabulary, WordVocabulary, Tokenizer }.Count(option => option is not null) > 1)
            throw new ArgumentException(
                $"Options {nameof(BytePairVocabulary)} and {nameof(WordVocabulary)} each learn a tokenizer, and option "
                + $"{nameof(Tokenizer)} gives one: set one of them.");
        if (!HasTokenizer && VocabularySize is not null)
            throw NoTokenizer(nameof(VocabularySize));
        OptionChecks.StepsOrEpochs(Steps, Epochs);
        OptionChecks.Defined(Optimizer ?? default, nameof(Optimizer));
        OptionChecks.PositiveFinite(MatrixLearningRate ?? 1, nameof(MatrixLearningRate));
        OptionChecks.Within(FinalRateShare, 0, 1);
    }

    /// <summary>Whether a tokenizer is given.</summary>
    private protected virtual bool HasTokenizer => Tokenizer is not null;

    /// <summary>Why an option cannot be set by itself.</summary>
    private protected static ArgumentException NoTokenizer(string option) =>
        new($"Option {option} belongs to option {nameof(Tokenizer)}, which is not set.");

    /// <summary>A file that an option names has to be there.</summary>
    private protected static void RequireFile(string? path, string option)
    {
        if (path is not null && !File.Exists(path))
            throw new FileNotFoundException($"Option {option} names the file {path}, which is not there.", path);
    }
}
