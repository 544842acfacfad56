using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// The options of a model that learns to continue texts: those of any model of texts, and how text is generated.
/// </summary>
/// <remarks><inheritdoc cref="TextModelOptions" path="/remarks"/></remarks>
public abstract record LanguageModelOptions : TextModelOptions
{
    private protected LanguageModelOptions()
    {
    }

    /// <summary>
    /// The token that stands between documents. Default: <see cref="GptTokenizer.EndOfTextId"/>, or none.
    /// </summary>
    public int? EndOfTextId { get; init; }

    /// <summary>How the column for generated text is made, and samples while training. Default: all defaults.</summary>
    [JsonIgnore]
    public GenerationOptions Generation { get; init; } = new();

    /// <summary>
    /// The column for the text that continues the row's. Default <c>GeneratedText</c>; null: none is added.
    /// </summary>
    public string? GeneratedTextColumnName { get; init; } = "GeneratedText";

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

    /// <summary>The rates and all else that is left open, decided.</summary>
    internal abstract LanguageModelOptions Resolve(TokenCodec codec, int seed);

    private protected sealed override OutputColumn? ContinuationColumn =>
        GeneratedTextColumnName is string text ? new(text, OutputKind.Text) : null;

    /// <summary>What is left open of tokens, seed, steps and optimizer, decided; weights are given or new.</summary>
    private protected LanguageModelOptions ResolveLanguage(
        TokenCodec codec, int seed, int batchSize, int steps, bool given, double matrixRate) =>
        (LanguageModelOptions)ResolveText(codec, seed, batchSize, steps, given, matrixRate) with
        {
            EndOfTextId = codec.EndOfText,
            Generation = Generation with { Seed = Generation.Seed ?? seed },
        };

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ArgumentNullException.ThrowIfNull(Generation);
        Generation.Validate();
        ArgumentNullException.ThrowIfNull(SamplePrompt);
        OptionChecks.AtLeast(SampleEvery ?? 1, 1, nameof(SampleEvery));
        if (SampleEvery is null != Samples is null)
            throw new ArgumentException(
                $"Options {nameof(SampleEvery)} and {nameof(Samples)} belong together: set both or none.");
        if (Tokenizer is null && EndOfTextId is not null)
            throw NoTokenizer(nameof(EndOfTextId));
    }
}
