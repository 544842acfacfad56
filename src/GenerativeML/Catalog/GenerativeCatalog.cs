using GenerativeML;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>The estimators that belong to none of ML.NET's own catalogs: <c>mlContext.Generative</c>.</summary>
public sealed class GenerativeCatalog
{
    private readonly IHostEnvironment _environment;

    internal GenerativeCatalog(IHostEnvironment environment) => _environment = environment;

    /// <summary>What <c>mlContext.Generative</c> gives, for languages without extension properties, as F# and VB.</summary>
    /// <param name="mlContext">The context.</param>
    /// <returns>The catalog of this context.</returns>
    /// <exception cref="ArgumentNullException">There is no context.</exception>
    public static GenerativeCatalog Of(MLContext mlContext)
    {
        ArgumentNullException.ThrowIfNull(mlContext);
        return new(mlContext);
    }

    /// <summary>Creates an <see cref="AutoencoderTrainer"/> that turns a wide vector into a short latent one.</summary>
    /// <param name="outputColumnName">The column for the latent vector.</param>
    /// <param name="inputColumnName">A vector of <see cref="float"/> of known size. Default: the output's name.</param>
    /// <param name="options">
    /// The options, among them <see cref="AutoencoderOptions.LatentDimension"/>; its columns are not used. Default: all
    /// defaults.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public AutoencoderTrainer AutoencoderFeaturizer(
        string outputColumnName, string? inputColumnName = null, AutoencoderOptions? options = null) =>
        new(_environment, Only(options, inputColumnName ?? outputColumnName) with { LatentColumnName = outputColumnName });

    /// <summary>
    /// Creates an <see cref="AutoencoderTrainer"/> that replaces a vector by what an autoencoder makes of it: noise is
    /// undone as far as other features tell what was there.
    /// </summary>
    /// <param name="outputColumnName">The column for the reconstruction, a vector as wide as the input.</param>
    /// <param name="inputColumnName">A vector of <see cref="float"/> of known size. Default: the output's name.</param>
    /// <param name="options">The options; its columns are not used. Default: all defaults.</param>
    /// <inheritdoc cref="AutoencoderFeaturizer(string, string?, AutoencoderOptions?)" path="/exception"/>
    public AutoencoderTrainer AutoencoderDenoiser(
        string outputColumnName, string? inputColumnName = null, AutoencoderOptions? options = null) =>
        new(
            _environment,
            Only(options, inputColumnName ?? outputColumnName) with { ReconstructionColumnName = outputColumnName });

    private static AutoencoderOptions Only(AutoencoderOptions? options, string input) => (options ?? new()) with
    {
        FeatureColumnName = input,
        ScoreColumnName = null,
        PredictedLabelColumnName = null,
        PValueColumnName = null,
        FeatureScoreColumnName = null,
        ReconstructionColumnName = null,
        LatentColumnName = null,
    };

    /// <summary>Creates a <see cref="VaeTrainer"/>, which learns to generate and to encode rows of vectors.</summary>
    /// <param name="featureColumnName">The input: a vector of <see cref="float"/> of known size.</param>
    /// <param name="latentDimension">Features of a latent vector. Default: by the family's own rule.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <inheritdoc cref="Vae(VaeOptions)" path="/exception"/>
    public VaeTrainer Vae(string featureColumnName = "Features", int? latentDimension = null, int? epochs = null) =>
        Vae(new() { FeatureColumnName = featureColumnName, LatentDimension = latentDimension, Epochs = epochs });

    /// <summary>
    /// Creates a <see cref="VaeTrainer"/> with all its options: it adds the column <c>Latent</c>, or another that the
    /// options name in its place.
    /// </summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, or two columns would be added under one name.
    /// </exception>
    public VaeTrainer Vae(VaeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new(_environment, options with { LatentColumnName = options.LatentColumnName ?? "Latent" });
    }

    /// <summary>
    /// Creates an <see cref="ImageVaeTrainer"/>, which learns to generate and to encode images.
    /// </summary>
    /// <param name="featureColumnName">The input: images, or vectors of <see cref="float"/> that are images.</param>
    /// <param name="imageShape">
    /// The shape of images as networks see them. Default: the column's own, of vectors without one square, of one channel or
    /// three; images of any size, as of <c>LoadImages</c>, have none.
    /// </param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <inheritdoc cref="ImageVae(ImageVaeOptions)" path="/exception"/>
    public ImageVaeTrainer ImageVae(
        string featureColumnName = "Features", ImageShape? imageShape = null, int? epochs = null) =>
        ImageVae(new() { FeatureColumnName = featureColumnName, ImageShape = imageShape, Epochs = epochs });

    /// <summary>
    /// Creates an <see cref="ImageVaeTrainer"/> with all its options: it adds the column <c>Latent</c>, or
    /// another that the options name in its place.
    /// </summary>
    /// <param name="options">The options.</param>
    /// <inheritdoc cref="Vae(VaeOptions)" path="/exception"/>
    public ImageVaeTrainer ImageVae(ImageVaeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new(_environment, options with { LatentColumnName = options.LatentColumnName ?? "Latent" });
    }

    /// <summary>Creates a <see cref="GanTrainer"/>, which learns to generate rows of vectors.</summary>
    /// <param name="featureColumnName">The input: a vector of <see cref="float"/> of known size.</param>
    /// <param name="objective">The game that generator and discriminator play.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <inheritdoc cref="Gan(GanOptions)" path="/exception"/>
    public GanTrainer Gan(
        string featureColumnName = "Features",
        GanObjective objective = GanObjective.WassersteinGradientPenalty,
        int? epochs = null) =>
        Gan(new() { FeatureColumnName = featureColumnName, Objective = objective, Epochs = epochs });

    /// <summary>Creates a <see cref="GanTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <inheritdoc cref="Vae(VaeOptions)" path="/exception"/>
    public GanTrainer Gan(GanOptions options) => new(_environment, options);

    /// <summary>Creates an <see cref="ImageGanTrainer"/>, which learns to generate images.</summary>
    /// <param name="featureColumnName">
    /// The input: images of one size, or vectors of <see cref="float"/> that are images; for those of any size, as of
    /// <c>LoadImages</c>, there is <see cref="ImageGanOptions.ImageShape"/>.
    /// </param>
    /// <param name="objective">The game that generator and discriminator play.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <inheritdoc cref="Gan(GanOptions)" path="/exception"/>
    public ImageGanTrainer ImageGan(
        string featureColumnName = "Features",
        GanObjective objective = GanObjective.NonSaturating,
        int? epochs = null) =>
        ImageGan(new() { FeatureColumnName = featureColumnName, Objective = objective, Epochs = epochs });

    /// <summary>Creates an <see cref="ImageGanTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <inheritdoc cref="Vae(VaeOptions)" path="/exception"/>
    public ImageGanTrainer ImageGan(ImageGanOptions options) => new(_environment, options);

    /// <summary>
    /// Creates a <see cref="CycleGanTrainer"/>, which learns to translate images of one set into ones of another, and back.
    /// </summary>
    /// <param name="featureColumnName">
    /// The input: images of one size, or vectors of <see cref="float"/> that are images; for those of any size, as of
    /// <c>LoadImages</c>, there is <see cref="CycleGanOptions.ImageShape"/>.
    /// </param>
    /// <param name="domainColumnName">
    /// Which of the two sets an image is from: a Boolean, a key of two values, or a Single of two whole ones.
    /// </param>
    /// <param name="outputColumnName">The column for the translation.</param>
    /// <inheritdoc cref="Gan(GanOptions)" path="/exception"/>
    public CycleGanTrainer CycleGan(
        string featureColumnName = "Features", string domainColumnName = "Domain", string outputColumnName = "Translation") =>
        CycleGan(new()
        {
            FeatureColumnName = featureColumnName, DomainColumnName = domainColumnName,
            TranslationColumnName = outputColumnName,
        });

    /// <summary>Creates a <see cref="CycleGanTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <inheritdoc cref="Vae(VaeOptions)" path="/exception"/>
    public CycleGanTrainer CycleGan(CycleGanOptions options) => new(_environment, options);

    /// <summary>Creates a <see cref="GaussianMixtureTrainer"/>, which learns to score, generate and cluster rows.</summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public GaussianMixtureTrainer GaussianMixture(GaussianMixtureOptions? options = null) =>
        new(_environment, options.Scoring());

    /// <summary>
    /// Creates an <see cref="AutoregressiveSeriesTrainer"/>, which learns series of numbers, one step in each row: it scores
    /// and forecasts them, and makes others.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public AutoregressiveSeriesTrainer AutoregressiveSeries(AutoregressiveSeriesOptions? options = null) =>
        new(_environment, options ?? new());

    /// <summary>
    /// Creates a <see cref="HiddenMarkovTrainer"/>, which learns sequences: it adds the columns <c>State</c> and
    /// <c>Score</c>, or others that the options name in their place.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public HiddenMarkovTrainer HiddenMarkov(HiddenMarkovOptions? options = null)
    {
        options ??= new();
        return new(_environment, options with
        {
            ScoreColumnName = options.ScoreColumnName ?? "Score",
            StateColumnName = options.StateColumnName ?? "State",
        });
    }

    /// <summary>Creates a <see cref="DiffusionTrainer"/>, which learns to generate rows and to fill in what they lack.</summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public DiffusionTrainer Diffusion(DiffusionOptions? options = null) => new(_environment, options ?? new());

    /// <summary>Creates an <see cref="ImageDiffusionTrainer"/>, which learns to generate images.</summary>
    /// <param name="featureColumnName">
    /// The input: images of one size, or vectors of <see cref="float"/> that are images; for those of any size, as of
    /// <c>LoadImages</c>, there is <see cref="ImageDiffusionOptions.ImageShape"/>.
    /// </param>
    /// <param name="conditions">
    /// Columns that images depend on: labels, each a key, a Boolean or a Single, or captions, which are texts. Default: none.
    /// </param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <inheritdoc cref="Vae(VaeOptions)" path="/exception"/>
    public ImageDiffusionTrainer ImageDiffusion(
        string featureColumnName = "Features", string[]? conditions = null, int? epochs = null) => ImageDiffusion(
            new() { FeatureColumnName = featureColumnName, ConditionColumnNames = conditions ?? [], Epochs = epochs });

    /// <summary>Creates an <see cref="ImageDiffusionTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <inheritdoc cref="Vae(VaeOptions)" path="/exception"/>
    public ImageDiffusionTrainer ImageDiffusion(ImageDiffusionOptions options) => new(_environment, options);

    /// <summary>Creates an estimator that learns to fill in missing values of rows, from rows with missing values.</summary>
    /// <param name="options">
    /// The options of the diffusion model; <see cref="TrainingOptions.NonFiniteValues"/> is not asked. Default: all defaults.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">An option names a column of a detector's.</exception>
    public ImputingEstimator Impute(DiffusionOptions? options = null) => new(_environment, options ?? new());

    /// <summary>Creates a <see cref="NormalizingFlowTrainer"/>, which learns to score, generate and encode rows.</summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public NormalizingFlowTrainer NormalizingFlow(NormalizingFlowOptions? options = null) =>
        new(_environment, options.Scoring());

    /// <summary>
    /// Creates a <see cref="BoltzmannMachineTrainer"/>, which learns to score and generate rows of few zeros and ones.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public BoltzmannMachineTrainer BoltzmannMachine(BoltzmannMachineOptions? options = null) =>
        new(_environment, options.Scoring());

    /// <summary>
    /// Creates a <see cref="DeepBeliefNetworkTrainer"/>, which learns to score, generate and encode rows; or with a label to
    /// classify them, in columns that <c>MulticlassClassification.Evaluate</c> reads.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public DeepBeliefNetworkTrainer DeepBeliefNetwork(DeepBeliefNetworkOptions? options = null) =>
        new(_environment, options.Scoring(detects: options?.LabelColumnName is not null));

    /// <summary>
    /// Creates a <see cref="RestrictedBoltzmannMachineTrainer"/>, which learns to score, generate and encode rows.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public RestrictedBoltzmannMachineTrainer RestrictedBoltzmannMachine(RestrictedBoltzmannMachineOptions? options = null) =>
        new(_environment, options.Scoring());

    /// <summary>Creates a <see cref="TabularDiffusionTrainer"/>, which learns to generate rows of mixed columns.</summary>
    /// <param name="label">The column that classifiers will be trained to predict. Default: none.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <inheritdoc cref="TabularGan(TabularGanOptions)" path="/exception"/>
    public TabularDiffusionTrainer TabularDiffusion(string? label = null, int? epochs = null) =>
        TabularDiffusion(new TabularDiffusionOptions { LabelColumnName = label, Epochs = epochs });

    /// <summary>Creates a <see cref="TabularDiffusionTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <inheritdoc cref="TabularGan(TabularGanOptions)" path="/exception"/>
    public TabularDiffusionTrainer TabularDiffusion(TabularDiffusionOptions options) => new(_environment, options);

    /// <summary>Creates a <see cref="TabularGanTrainer"/>, which learns to generate rows of mixed columns.</summary>
    /// <param name="label">The column that classifiers will be trained to predict. Default: none.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <inheritdoc cref="TabularGan(TabularGanOptions)" path="/exception"/>
    public TabularGanTrainer TabularGan(string? label = null, int? epochs = null) =>
        TabularGan(new TabularGanOptions { LabelColumnName = label, Epochs = epochs });

    /// <summary>Creates a <see cref="TabularGanTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty or given twice, or constraints contradict each other.
    /// </exception>
    public TabularGanTrainer TabularGan(TabularGanOptions options) => new(_environment, options);

    /// <summary>Creates a <see cref="TabularVaeTrainer"/>, which learns to generate rows of mixed columns.</summary>
    /// <param name="label">The column that classifiers will be trained to predict. Default: none.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <inheritdoc cref="TabularVae(TabularVaeOptions)" path="/exception"/>
    public TabularVaeTrainer TabularVae(string? label = null, int? epochs = null) =>
        TabularVae(new TabularVaeOptions { LabelColumnName = label, Epochs = epochs });

    /// <summary>Creates a <see cref="TabularVaeTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <inheritdoc cref="TabularGan(TabularGanOptions)" path="/exception"/>
    public TabularVaeTrainer TabularVae(TabularVaeOptions options) => new(_environment, options);

    /// <summary>
    /// Creates a <see cref="BayesianNetworkTrainer"/>, which learns what columns depend on each other, to answer questions
    /// and to generate rows of mixed columns.
    /// </summary>
    /// <param name="label">The column that classifiers will be trained to predict. Default: none.</param>
    /// <inheritdoc cref="BayesianNetwork(BayesianNetworkOptions)" path="/exception"/>
    public BayesianNetworkTrainer BayesianNetwork(string? label = null) =>
        BayesianNetwork(new BayesianNetworkOptions { LabelColumnName = label });

    /// <summary>Creates a <see cref="BayesianNetworkTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty or given twice, edges go round in a circle, or options contradict each other.
    /// </exception>
    public BayesianNetworkTrainer BayesianNetwork(BayesianNetworkOptions options) => new(_environment, options);

    /// <summary>Creates a <see cref="GptTrainer"/>, which learns from a column of text to continue texts.</summary>
    /// <param name="textColumnName">The input: a column of text, each row a document.</param>
    /// <param name="generatedTextColumnName">The column for the text that continues the row's.</param>
    /// <param name="layers">Blocks of attention and perceptron.</param>
    /// <param name="heads">Attention heads in a block; divides <paramref name="width"/>.</param>
    /// <param name="width">Features of a token's hidden state.</param>
    /// <param name="contextLength">The most tokens that are looked at together.</param>
    /// <param name="steps">Optimizer steps. Default: 2000.</param>
    /// <inheritdoc cref="Gpt(GptOptions)" path="/exception"/>
    public GptTrainer Gpt(
        string textColumnName = "Text",
        string generatedTextColumnName = "GeneratedText",
        int layers = 4,
        int heads = 4,
        int width = 128,
        int contextLength = 64,
        int? steps = null) => Gpt(new GptOptions
        {
            TextColumnName = textColumnName,
            GeneratedTextColumnName = generatedTextColumnName,
            Layers = layers,
            Heads = heads,
            Width = width,
            ContextLength = contextLength,
            Steps = steps,
        });

    /// <summary>Creates a <see cref="GptTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public GptTrainer Gpt(GptOptions options) => new(_environment, options);

    /// <summary>
    /// A <see cref="GptTransformer"/> of weights that were trained elsewhere, such as GPT-2's released ones, without
    /// training: <see cref="GptOptions.InitialWeights"/>, and <see cref="TextModelOptions.Tokenizer"/> that belongs
    /// to them. <see cref="GptOptions.FromConfig"/> reads the sizes.
    /// </summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Options are missing, or contradict each other.</exception>
    /// <exception cref="FormatException">
    /// The weights are not those of the network that the options describe, or do not match the vocabulary; the message
    /// lists all that differs.
    /// </exception>
    public GptTransformer PretrainedGpt(GptOptions options) => GptTrainer.Pretrained(_environment, options);

    /// <summary>
    /// Creates a <see cref="RecurrentLanguageModelTrainer"/>, which learns from a column of text to continue texts: a
    /// network of LSTM or GRU cells.
    /// </summary>
    /// <param name="textColumnName">The input: a column of text, each row a document.</param>
    /// <param name="generatedTextColumnName">The column for the text that continues the row's.</param>
    /// <param name="cell">The cells.</param>
    /// <param name="layers">Layers of cells.</param>
    /// <param name="width">Features of embeddings and of each layer's state.</param>
    /// <param name="steps">Optimizer steps. Default: 500.</param>
    /// <inheritdoc cref="RecurrentLanguageModel(RecurrentLanguageModelOptions)" path="/exception"/>
    public RecurrentLanguageModelTrainer RecurrentLanguageModel(
        string textColumnName = "Text",
        string generatedTextColumnName = "GeneratedText",
        RecurrentCell cell = RecurrentCell.Lstm,
        int layers = 2,
        int width = 128,
        int? steps = null) => RecurrentLanguageModel(new RecurrentLanguageModelOptions
        {
            TextColumnName = textColumnName,
            GeneratedTextColumnName = generatedTextColumnName,
            Cell = cell,
            Layers = layers,
            Width = width,
            Steps = steps,
        });

    /// <summary>Creates a <see cref="RecurrentLanguageModelTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public RecurrentLanguageModelTrainer RecurrentLanguageModel(RecurrentLanguageModelOptions options) =>
        new(_environment, options);

    /// <summary>
    /// Creates a <see cref="MaskedLanguageModelTrainer"/>, BERT, which learns from a column of text to tell hidden tokens by
    /// those around them.
    /// </summary>
    /// <param name="textColumnName">The input: a column of text, each row a document.</param>
    /// <param name="embeddingColumnName">The column for the text's embedding.</param>
    /// <param name="layers">Blocks of attention and perceptron.</param>
    /// <param name="heads">Attention heads in a block; divides the width.</param>
    /// <param name="width">Features of a token's hidden state, and of an embedding.</param>
    /// <param name="contextLength">The most tokens that are looked at together, two of them special.</param>
    /// <param name="steps">Optimizer steps. Default: 2000.</param>
    /// <inheritdoc cref="MaskedLanguageModel(MaskedLanguageModelOptions)" path="/exception"/>
    public MaskedLanguageModelTrainer MaskedLanguageModel(
        string textColumnName = "Text",
        string embeddingColumnName = "Embedding",
        int layers = 4,
        int heads = 4,
        int width = 128,
        int contextLength = 64,
        int? steps = null) => MaskedLanguageModel(new MaskedLanguageModelOptions
        {
            TextColumnName = textColumnName,
            EmbeddingColumnName = embeddingColumnName,
            Layers = layers,
            Heads = heads,
            Width = width,
            ContextLength = contextLength,
            Steps = steps,
        });

    /// <summary>Creates a <see cref="MaskedLanguageModelTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public MaskedLanguageModelTrainer MaskedLanguageModel(MaskedLanguageModelOptions options) => new(_environment, options);

    /// <summary>
    /// A <see cref="MaskedLanguageModelTransformer"/> of weights that were trained elsewhere, such as BERT's released ones,
    /// without training: <see cref="MaskedLanguageModelOptions.InitialWeights"/>, and
    /// <see cref="MaskedLanguageModelOptions.WordPieces"/> that belong to them.
    /// <see cref="MaskedLanguageModelOptions.FromConfig"/> reads the sizes.
    /// </summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Options are missing, or contradict each other.</exception>
    /// <exception cref="FormatException">
    /// The weights are not those of the network that the options describe, or do not match the vocabulary; the message
    /// lists all that differs.
    /// </exception>
    public MaskedLanguageModelTransformer PretrainedMaskedLanguageModel(MaskedLanguageModelOptions options) =>
        MaskedLanguageModelTrainer.Pretrained(_environment, options);

    /// <summary>
    /// Creates an estimator that makes a trained language model tell generated texts from genuine ones: the columns
    /// <c>Score</c>, <c>PredictedLabel</c> and <c>Features</c>. Fitted on genuine texts, of which it learns what they score;
    /// trainers of <c>mlContext.BinaryClassification</c> learn from the features.
    /// </summary>
    /// <param name="languageModel">The model whose expectations decide; it is used, and not changed.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty, or two columns would be added under one name.</exception>
    public GeneratedTextEstimator GeneratedTextDetector(
        LanguageModelTransformer languageModel, GeneratedTextOptions? options = null) =>
        new(_environment, languageModel, options ?? new());

    /// <summary>
    /// Creates a <see cref="SequenceToSequenceTrainer"/>, which learns from pairs of texts to make the one of the other.
    /// </summary>
    /// <param name="sourceColumnName">The input: a column of text.</param>
    /// <param name="targetColumnName">The column of the texts to be made of it; read in training.</param>
    /// <param name="generatedTextColumnName">The column for the text that the model makes of the source.</param>
    /// <param name="width">Features of a token's hidden state.</param>
    /// <param name="layers">Layers that read the source, and as many that write the target.</param>
    /// <param name="bytePairVocabulary">The most tokens that are learned. Default: characters are tokens.</param>
    /// <param name="steps">Optimizer steps. Default: 3000.</param>
    /// <inheritdoc cref="SequenceToSequence(SequenceToSequenceOptions)" path="/exception"/>
    public SequenceToSequenceTrainer SequenceToSequence(
        string sourceColumnName = "Source",
        string targetColumnName = "Target",
        string generatedTextColumnName = "GeneratedText",
        int width = 128,
        int layers = 2,
        int? bytePairVocabulary = null,
        int? steps = null) => SequenceToSequence(new SequenceToSequenceOptions
        {
            SourceColumnName = sourceColumnName,
            TargetColumnName = targetColumnName,
            GeneratedTextColumnName = generatedTextColumnName,
            Width = width,
            EncoderLayers = layers,
            DecoderLayers = layers,
            BytePairVocabulary = bytePairVocabulary,
            Steps = steps,
        });

    /// <summary>Creates a <see cref="SequenceToSequenceTrainer"/> with all its options.</summary>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public SequenceToSequenceTrainer SequenceToSequence(SequenceToSequenceOptions options) => new(_environment, options);

    /// <summary>
    /// A WaveNet (van den Oord 2016) of sound: makes sound sample by sample, goes on with given sound, makes it anew
    /// from its spectrogram, and scores it.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Two options contradict each other.</exception>
    public WaveNetTrainer WaveNet(WaveNetOptions? options = null) => new(_environment, options ?? new());

    /// <summary>
    /// A Coconet (Huang 2017) of music of voices: fills in what is unknown of a piece, such as the voices that go with a
    /// given one, and makes others.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Two options contradict each other.</exception>
    public CoconetTrainer Coconet(CoconetOptions? options = null) => new(_environment, options ?? new());

    /// <summary>
    /// A Sketch-RNN (Ha and Eck 2017) of drawings of lines: draws others, draws given ones anew, goes from one to another,
    /// and goes on with what was begun.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Two options contradict each other.</exception>
    public SketchRnnTrainer SketchRnn(SketchRnnOptions? options = null) => new(_environment, options ?? new());

    /// <summary>
    /// A SPIRAL agent (Ganin 2018; Mellor 2019) of grey images: paints given ones, and others like them, by strokes of a
    /// brush, and says which strokes.
    /// </summary>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Two options contradict each other.</exception>
    public SpiralTrainer Spiral(SpiralOptions? options = null) => new(_environment, options ?? new());

    /// <summary>
    /// Creates an <see cref="AugmentingEstimator{TTransformer}"/>: <paramref name="estimator"/>, trained on real rows
    /// and on synthetic ones.
    /// </summary>
    /// <typeparam name="TTransformer">What the estimator makes.</typeparam>
    /// <param name="estimator">An estimator or a whole chain of them, such as a classifier with its features.</param>
    /// <param name="generator">What learns the training rows and makes more of them.</param>
    /// <param name="options">How many. Default: as many as there are real rows.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Two options contradict each other.</exception>
    public AugmentingEstimator<TTransformer> Augment<TTransformer>(
        IEstimator<TTransformer> estimator, TabularEstimator generator, AugmentationOptions? options = null)
        where TTransformer : class, ITransformer
    {
        ArgumentNullException.ThrowIfNull(estimator);
        ArgumentNullException.ThrowIfNull(generator);
        return new(_environment, estimator, generator.Fit, options ?? new());
    }

    /// <summary>
    /// Says what this process computes with: versions, native libraries, threads, processor and devices. It never fails:
    /// where libtorch cannot be loaded, it says why.
    /// </summary>
    /// <remarks>Loads libtorch if that has not happened yet, and measures whether bfloat16 is worth while.</remarks>
    public RuntimeDiagnostics Diagnostics() => RuntimeDiagnostics.Describe() with
    {
        MLNetVersion = RuntimeDiagnostics.VersionOf(_environment.GetType().Assembly),
    };
}

/// <summary>
/// Adds to <see cref="MLContext"/> the property <c>Generative</c>, a <see cref="GenerativeCatalog"/>: <c>ml.Generative.Vae()</c>.
/// </summary>
public static class GenerativeContext
{
    extension(MLContext mlContext)
    {
        /// <summary>The estimators of generative models that belong to none of ML.NET's own catalogs.</summary>
        public GenerativeCatalog Generative => GenerativeCatalog.Of(mlContext);
    }
}

/// <summary>The way to a model of this package that is part of a pipeline.</summary>
public static class GenerativeModelExtensions
{
    /// <summary>
    /// Finds what generates rows in a fitted or loaded model, however deep in chains it is, without naming its class.
    /// </summary>
    /// <param name="model">A transformer, or a chain of them.</param>
    /// <returns>The last generator of the chain.</returns>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public static IDataGenerator FindGenerator(this ITransformer model) =>
        FindLast<IDataGenerator>(model) ?? throw new InvalidOperationException(
            "Nothing in this model generates rows: models of TabularVae, TabularGan, Vae, Gan and the like do.");

    /// <summary>
    /// Finds a transformer of a class, or what an interface describes, in a fitted or loaded model, however deep in
    /// chains it is: such as a <see cref="GptTransformer"/> to stream texts, an <see cref="IAnomalyDetector"/> to set its
    /// threshold.
    /// </summary>
    /// <typeparam name="T">What is looked for.</typeparam>
    /// <param name="model">A transformer, or a chain of them.</param>
    /// <returns>The last one of the chain.</returns>
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public static T Find<T>(this ITransformer model)
        where T : class => FindLast<T>(model)
            ?? throw new InvalidOperationException($"There is no {typeof(T).Name} in this model.");

    /// <summary>
    /// Writes a model of this package as an ONNX file, which any ONNX Runtime of version 1.17 or later computes, and
    /// other programs: operations of ONNX's own, opset 20, any number of rows. Of a chain it is the last model of this
    /// package that is in it, without what comes before and after; <c>ml.Model.ConvertToOnnx</c> writes whole chains.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Inputs and outputs go by names, and the first axis of each is that of rows, windows, drawings or texts. Those that are columns
    /// have the columns' names and units, as Singles: of a condition the number, the number of the key, counted from 1, or 1 for
    /// true and 0 for false; an output that would hide an input has <c>.output</c> behind its name. Rows with NaN or infinity are
    /// treated as in <c>Transform</c>, and the threshold is that of the moment. What else goes in and comes out, family by family,
    /// is in the table of the page "Saving, loading, deploying", section ONNX; <see cref="OnnxContent"/> says what each is for, and
    /// the file's metadata what it takes to use it, such as a diffusion model's levels or what a table's tokens stand for.
    /// </para>
    /// <para>Weights of more than 256 MB are in a second file, which has the same name with <c>.data</c> behind.</para>
    /// </remarks>
    /// <param name="model">A transformer, or a chain of them, fitted or loaded.</param>
    /// <param name="path">The file; it appears under this name when it is complete.</param>
    /// <param name="content">
    /// What it computes. Default: <see cref="OnnxContent.Transform"/>; for families that have none, the first that they have.
    /// </param>
    /// <exception cref="InvalidOperationException">Nothing in the model is of this package.</exception>
    /// <exception cref="NotSupportedException">
    /// The model cannot do that, or a graph cannot, such as many steps in one, a search along gradients, or reading texts instead of
    /// tokens; the message says what the model can be.
    /// </exception>
    public static void SaveOnnx(this ITransformer model, string path, OnnxContent? content = null)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(path);
        GenerativeTransformer found = FindLast<GenerativeTransformer>(model) ?? throw new InvalidOperationException(
            "Nothing in this model is of this package. ml.Model.ConvertToOnnx writes ML.NET's own transformers.");
        found.ToOnnx(content).Save(path);
    }

    /// <summary>The last transformer of a class, or what an interface describes, in a chain; null where there is none.</summary>
    internal static T? FindLast<T>(ITransformer model)
        where T : class
    {
        ArgumentNullException.ThrowIfNull(model);
        return model switch
        {
            T found => found,
            IEnumerable<ITransformer> chain => chain.Select(FindLast<T>).LastOrDefault(found => found is not null),
            _ => null,
        };
    }
}
