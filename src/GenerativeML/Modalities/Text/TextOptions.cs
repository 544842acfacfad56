using System.Text.Json.Serialization;
using Microsoft.ML.Tokenizers;

namespace GenerativeML;

/// <summary>
/// The options of a family that learns a column of text: which tokens it has, which columns are added, how text is
/// generated. A trained model keeps them, with what training decided in the place of what they left open.
/// </summary>
/// <remarks>
/// <see cref="TrainingOptions.ValidationFraction"/> holds back the end of the text, in whole;
/// <see cref="TrainingOptions.CacheBudgetBytes"/> is the most memory that the tokens may take.
/// <see cref="TrainingOptions.NonFiniteValues"/> and <see cref="TrainingOptions.ShuffleBufferRows"/> have no meaning
/// for text.
/// </remarks>
public abstract record TextOptions : TrainingOptions
{
    /// <summary>The most tokens that there can be.</summary>
    internal const int MaxVocabulary = 1 << 24;

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

    /// <summary>The added columns, in the order of the schema, for embeddings of a width.</summary>
    internal IReadOnlyList<OutputColumn> Outputs(int width)
    {
        OutputColumn?[] columns =
        [
            PredictedLabelColumnName is string label
                ? new(label, OutputKind.Boolean) { Score = ScoreAnnotation.AnomalyLabel } : null,
            ScoreColumnName is string score
                ? new(score, OutputKind.Single) { Score = ScoreAnnotation.AnomalyScore } : null,
            PerplexityColumnName is string perplexity ? new(perplexity, OutputKind.Single) : null,
            GeneratedTextColumnName is string text ? new(text, OutputKind.Text) : null,
            EmbeddingColumnName is string embedding ? new(embedding, OutputKind.Single, width) : null,
        ];
        return [.. columns.OfType<OutputColumn>()];
    }

    /// <inheritdoc/>
    public override void Validate()
    {
        base.Validate();
        ColumnNames.Check(
            [TextColumnName],
            [
                PredictedLabelColumnName, ScoreColumnName, PerplexityColumnName, GeneratedTextColumnName,
                EmbeddingColumnName,
            ]);
        ArgumentNullException.ThrowIfNull(RowSeparator);
        ArgumentNullException.ThrowIfNull(Generation);
        Generation.Validate();
        OptionChecks.Defined(UnknownCharacters);
        ArgumentNullException.ThrowIfNull(SamplePrompt);
        if (SampleEvery is int every)
            OptionChecks.AtLeast(every, 1, nameof(SampleEvery));
        if (SampleEvery is null != Samples is null)
            throw new ArgumentException(
                $"Options {nameof(SampleEvery)} and {nameof(Samples)} belong together: set both or none.");
        OptionChecks.Within(Contamination, double.Epsilon, 0.5);
        if (BytePairVocabulary is int pairs)
            OptionChecks.Within(pairs, 257, 1_000_000, nameof(BytePairVocabulary));
        if (VocabularySize is int size)
            OptionChecks.Within(size, 1, MaxVocabulary, nameof(VocabularySize));
        if (BytePairVocabulary is not null && Tokenizer is not null)
            throw new ArgumentException(
                $"Option {nameof(BytePairVocabulary)} learns a tokenizer and option {nameof(Tokenizer)} gives one: "
                + "set one of them.");
        if (Tokenizer is null && (VocabularySize is not null || EndOfTextId is not null))
            throw new ArgumentException(
                $"Options {nameof(VocabularySize)} and {nameof(EndOfTextId)} belong to option {nameof(Tokenizer)}, "
                + "which is not set.");
    }
}
