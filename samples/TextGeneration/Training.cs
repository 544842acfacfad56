using GenerativeML;

namespace TextGeneration;

/// <summary>From what the user asks for to the trainer's options.</summary>
internal static class Training
{
    /// <summary>The options of the model that <paramref name="settings"/> describe.</summary>
    /// <param name="settings">What the user asks for.</param>
    /// <param name="bar">Told of progress; null where nothing is trained.</param>
    /// <exception cref="ArgumentException">Weights come without their vocabulary.</exception>
    public static GptOptions Options(Settings settings, TrainingBar? bar)
    {
        // Given weights decide the network; otherwise the user does.
        GptOptions sizes = settings switch
        {
            { Weights: null } => new()
            {
                Layers = settings.Layers, Heads = settings.Heads, Width = settings.Width,
                ContextLength = settings.Context,
            },
            { Config: string config } => GptOptions.FromConfig(config),
            { Weights: string weights } => GptOptions.FromWeights(weights),
        };
        BytePairTokenizer? tokenizer = settings switch
        {
            { Weights: null } => null,
            { Vocabulary: string vocabulary, Merges: string merges } => BytePairTokenizer.Load(vocabulary, merges),
            _ => throw new ArgumentException(
                "--weights need the vocabulary that belongs to them: --vocab and --merges."),
        };
        return sizes with
        {
            InitialWeights = settings.Weights,
            Lora = settings is { Rank: int rank, Corpus: not null } ? new() { Rank = rank } : null,
            Tokenizer = tokenizer,
            BytePairVocabulary = tokenizer is null && settings.Tokens > 0 ? settings.Tokens : null,
            JoinRows = settings.Corpus is not null,
            Steps = settings.Steps,
            ValidationFraction = 0.1,
            Seed = settings.Seed,
            Progress = bar,
            SampleEvery = bar is null ? null : settings.SampleEvery,
            Samples = bar,
            SamplePrompt = "The",
            Generation = settings.Generation,
        };
    }
}
