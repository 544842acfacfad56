using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>Where a transformer's blocks normalise.</summary>
public enum NormPlacement
{
    /// <summary>
    /// Before attention and before the perceptron, and once more behind the last block (Xiong 2020, arXiv:2002.04745):
    /// needs no warm-up, and trains better from random weights.
    /// </summary>
    Before,

    /// <summary>After each of them, over the sum with what went in (Vaswani 2017): what BERT's released weights have.</summary>
    After,
}

/// <summary>What a text's embedding is made of.</summary>
public enum TextPooling
{
    /// <summary>The mean of the tokens' final hidden states, those of the special tokens around them too.</summary>
    Mean,

    /// <summary>The final hidden state of the token that stands before the text, <c>[CLS]</c>.</summary>
    FirstToken,

    /// <summary>
    /// The mean of what tokens are before the first block and behind the last (first-last average, Su 2021,
    /// arXiv:2103.15316): which words are there, and how they stand together.
    /// </summary>
    FirstAndLast,
}

/// <summary>
/// The options of a masked language model: its network, which reads a text from both sides, and its training, which hides
/// some of the tokens and learns to tell them by the others (Devlin 2019, arXiv:1810.04805). A step trains on
/// <see cref="TrainingOptions.BatchSize"/> texts, or windows of those that are longer than <see cref="ContextLength"/>
/// allows.
/// </summary>
/// <remarks>
/// <inheritdoc cref="TextModelOptions" path="/remarks"/>
/// <see cref="TrainingOptions.LearningRate"/> and <see cref="TrainingOptions.WeightDecay"/> are AdamW's; by default
/// 0.5/<see cref="Width"/>, at most 0.003, and for given weights 5e-5; and 0.01.
/// </remarks>
public sealed record MaskedLanguageModelOptions : TextModelOptions
{
    /// <summary>The fewest windows of a batch in which pairs are contrasted, in each process.</summary>
    internal const int LeastContrasted = 4;

    private const int DefaultBatchSize = 32, DefaultSteps = 2000;
    private const double DefaultContrast = 0.2;
    private const int MaxLayers = 1024, MaxContext = 1 << 16, MaxTokenTypes = 1 << 10;

    /// <summary>Tokens that are added to those of a tokenizer that has no special ones: padding, [CLS], [SEP] and [MASK].</summary>
    internal const int AddedTokens = 4;

    /// <summary>Blocks of attention and perceptron. From 1 to 1024. Default 4.</summary>
    public int Layers { get; init; } = 4;

    /// <summary>Attention heads in a block; divides <see cref="Width"/>. Default 4.</summary>
    public int Heads { get; init; } = 4;

    /// <summary>Features of a token's hidden state. From 1 to 65,536. Default 128.</summary>
    public int Width { get; init; } = 128;

    /// <summary>Features of a perceptron's hidden layer. From 1 to 65,536. Default: four times the width.</summary>
    public int? FeedForwardWidth { get; init; }

    /// <summary>
    /// The most tokens that are looked at together, two of them special. From 3 to 65,536. Default 64. Of a longer text,
    /// each token is scored in the window around it; its embedding is that of windows one after the other.
    /// </summary>
    public int ContextLength { get; init; } = 64;

    /// <summary>
    /// Where blocks normalise. Default <see cref="NormPlacement.Before"/>; released weights need
    /// <see cref="NormPlacement.After"/>.
    /// </summary>
    public NormPlacement NormPlacement { get; init; }

    /// <summary>What normalisation adds to a variance. Positive. Default 1e-12, as BERT has it.</summary>
    public double LayerNormEpsilon { get; init; } = 1e-12;

    /// <summary>The non-linearity of perceptrons and of the head. Default <see cref="GeluForm.Erf"/>.</summary>
    public GeluForm Gelu { get; init; } = GeluForm.Erf;

    /// <summary>
    /// Token types that there are embeddings of; a text's are of the first one. From 0, none, to 1024. Default 0; BERT's
    /// released weights have 2, for pairs of texts.
    /// </summary>
    public int TokenTypes { get; init; }

    /// <summary>
    /// The share of hidden features left out at random in a training step: of embeddings, attention weights and what each
    /// half block adds. In [0, 1). Default 0.
    /// </summary>
    public double Dropout { get; init; }

    /// <summary>
    /// The share of a text's tokens that are to be predicted, at least one. In (0, 1). Default 0.15. Of them, four fifths
    /// are hidden, a tenth is replaced by a random token and a tenth stays as it is, so that the network attends to what
    /// it sees, too.
    /// </summary>
    public double MaskShare { get; init; } = 0.15;

    /// <summary>
    /// Whether all tokens of a word are hidden together: letters and digits that stand side by side, or the parts of a word
    /// in word pieces. A score then hides, with each token, what follows it of its word. Default: no.
    /// </summary>
    public bool WholeWords { get; init; }

    /// <summary>
    /// The word pieces of released weights, in place of a tokenizer. Default: none, tokens are characters, or as
    /// <see cref="TextModelOptions.Tokenizer"/> or <see cref="TextModelOptions.BytePairVocabulary"/> say.
    /// </summary>
    [JsonIgnore]
    public WordPieceVocabulary? WordPieces { get; init; }

    /// <summary>What the embedding of a text is. Default <see cref="TextPooling.Mean"/>.</summary>
    public TextPooling Pooling { get; init; }

    /// <summary>
    /// What telling which windows are neighbours, by their embeddings, counts beside telling hidden tokens. Embeddings then say
    /// what a text is about, and less how it is spelt (Giorgi 2021, DeCLUTR, arXiv:2006.03659). 0: nothing. Default: 0.2 where
    /// <see cref="TextModelOptions.EmbeddingColumnName"/> is set, and otherwise 0, as where a batch has fewer than four windows
    /// or <see cref="TrainingOptions.GradientAccumulation"/> parts, which go with no other.
    /// </summary>
    /// <remarks>
    /// A batch is then of pairs: a window of a text and the one beside it, or a text of one window twice, with other tokens
    /// hidden (Gao 2021, SimCSE, arXiv:2104.08821). The loss is that of hidden tokens, <c>masked</c>, and <c>contrast</c>, the
    /// weighted cross-entropy of a softmax over cosines, divided by 0.1, of a window's embedding, as <see cref="Pooling"/>
    /// says, with all others of the batch but those of the same text, of which its partner is to be told. Several processes
    /// compare the windows of each, a multiple of four. Validation is by hidden tokens alone.
    /// </remarks>
    public double? ContrastiveWeight { get; init; }

    /// <summary>
    /// A safetensors file with weights of a BERT to start from, under Hugging Face's names, with or without <c>bert.</c>
    /// before them. They have to be those of the network that these options describe; <see cref="FromConfig"/> reads its
    /// sizes. Default: none, training starts from random weights.
    /// </summary>
    public string? InitialWeights { get; init; }

    /// <summary>The tokenizer's tokens, and the special ones.</summary>
    internal int TokenCount => VocabularySize!.Value + (WordPieces is null ? AddedTokens : 0);

    private protected override bool HasTokenizer => base.HasTokenizer || WordPieces is not null;

    internal int PerceptronWidth => FeedForwardWidth ?? 4 * Width;

    /// <summary>Tokens of a text that fit into the context beside the special ones.</summary>
    internal int Room => ContextLength - 2;

    /// <summary>
    /// Options for the network that a <c>config.json</c> of BERT describes (as Hugging Face writes it): sizes, token types,
    /// the form of GELU, normalisation and dropout. Everything else has its default, and can be changed by <c>with</c>.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <exception cref="FormatException">It describes a network that this is not; the message lists what differs.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static MaskedLanguageModelOptions FromConfig(string path) => BertConfig.Read(File.ReadAllText(path));

    private bool IsContrastedByDefault =>
        EmbeddingColumnName is not null && GradientAccumulation == 1 && (BatchSize ?? DefaultBatchSize) >= LeastContrasted;

    /// <summary>The rates and all else that is left open, decided.</summary>
    internal MaskedLanguageModelOptions Resolve(TokenCodec codec, int seed)
    {
        bool given = InitialWeights is not null;
        return (MaskedLanguageModelOptions)ResolveText(codec, seed, DefaultBatchSize, DefaultSteps, given, 0.015) with
        {
            LearningRate = LearningRate ?? (given ? 5e-5 : Math.Min(0.5 / Width, 3e-3)),
            WeightDecay = WeightDecay ?? 0.01,
            ContrastiveWeight = ContrastiveWeight ?? (IsContrastedByDefault ? DefaultContrast : 0),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.Within(Layers, 1, MaxLayers);
        OptionChecks.Within(Width, 1, OptionChecks.MaxWidth);
        OptionChecks.Heads(Heads, Width);
        OptionChecks.Within(FeedForwardWidth ?? 1, 1, OptionChecks.MaxWidth, nameof(FeedForwardWidth));
        OptionChecks.Within(ContextLength, 3, MaxContext);
        OptionChecks.Defined(NormPlacement);
        OptionChecks.PositiveFinite(LayerNormEpsilon);
        OptionChecks.Defined(Gelu);
        OptionChecks.Within(TokenTypes, 0, MaxTokenTypes);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
        OptionChecks.Defined(Pooling);
        OptionChecks.NonNegativeFinite(ContrastiveWeight);
        if (ContrastiveWeight > 0 && (GradientAccumulation > 1 || (BatchSize ?? DefaultBatchSize) < LeastContrasted))
            throw new ArgumentException(
                $"Option {nameof(ContrastiveWeight)} is {ContrastiveWeight}: it compares all windows of a batch, {LeastContrasted} at "
                + $"least, and a step cannot be computed in parts. Option {nameof(BatchSize)} is {BatchSize ?? DefaultBatchSize}, "
                + $"{nameof(GradientAccumulation)} is {GradientAccumulation}.");
        if (!(MaskShare > 0 && MaskShare < 1))
            throw new ArgumentOutOfRangeException(
                nameof(MaskShare), MaskShare, $"Option MaskShare must be above 0 and below 1, but is {MaskShare}.");
        if (WordPieces is { } pieces
            && (BytePairVocabulary is not null || WordVocabulary is not null || (Tokenizer ?? pieces.Tokenizer) != pieces.Tokenizer))
            throw new ArgumentException(
                $"Option {nameof(WordPieces)} is a tokenizer: options {nameof(Tokenizer)}, {nameof(BytePairVocabulary)} and "
                + $"{nameof(WordVocabulary)} cannot be set beside it.");
        RequireFile(InitialWeights, nameof(InitialWeights));
    }
}
