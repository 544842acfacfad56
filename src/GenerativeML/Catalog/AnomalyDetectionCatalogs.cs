using GenerativeML;

namespace Microsoft.ML;

/// <summary>Autoencoders among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class AutoencoderCatalog
{
    /// <summary>Creates an <see cref="AutoencoderTrainer"/>, which scores rows by how strange they are.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="featureColumnName">The input: a vector of <see cref="float"/> of known size.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="latentDimension">The width of the innermost layer. Default: by the family's own rule.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static AutoencoderTrainer Autoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string featureColumnName = "Features",
        double contamination = 0.1,
        int? latentDimension = null,
        int? epochs = null) => catalog.Autoencoder(new AutoencoderOptions
        {
            FeatureColumnName = featureColumnName,
            Contamination = contamination,
            LatentDimension = latentDimension,
            Epochs = epochs,
        });

    /// <summary>Creates an <see cref="AutoencoderTrainer"/> with all its options.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, or two columns would be added under one name.
    /// </exception>
    public static AutoencoderTrainer Autoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, AutoencoderOptions options) =>
        new(MLNetInternals.EnvironmentOf(catalog), options);
}

/// <summary>Variational autoencoders among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class VaeCatalog
{
    /// <summary>Creates a <see cref="VaeTrainer"/> that scores rows by how unlike the training rows they are.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="featureColumnName">The input: a vector of <see cref="float"/> of known size.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="latentDimension">Features of a latent vector. Default: by the family's own rule.</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static VaeTrainer VariationalAutoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string featureColumnName = "Features",
        double contamination = 0.1,
        int? latentDimension = null,
        int? epochs = null) => catalog.VariationalAutoencoder(new VaeOptions
        {
            FeatureColumnName = featureColumnName,
            Contamination = contamination,
            LatentDimension = latentDimension,
            Epochs = epochs,
        });

    /// <summary>
    /// Creates a <see cref="VaeTrainer"/> that detects anomalies: it adds the columns <c>Score</c> and
    /// <c>PredictedLabel</c>, or others that the options name in their place.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, or two columns would be added under one name.
    /// </exception>
    public static VaeTrainer VariationalAutoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, VaeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new(MLNetInternals.EnvironmentOf(catalog), options.Scoring(detects: true));
    }
}

/// <summary>Models of images among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class ImageCatalog
{
    /// <summary>Creates an <see cref="ImageAutoencoderTrainer"/>, which scores images by how strange they are.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="featureColumnName">The input: images, or vectors of <see cref="float"/> that are images.</param>
    /// <param name="imageShape">
    /// The shape of images as networks see them. Default: the column's own, of vectors without one square, of one channel or
    /// three; images of any size, as of <c>LoadImages</c>, have none.
    /// </param>
    /// <param name="anomalyMapColumnName">The column for an image of where. Default: none is added.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static ImageAutoencoderTrainer ImageAutoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string featureColumnName = "Features",
        ImageShape? imageShape = null,
        string? anomalyMapColumnName = null,
        double contamination = 0.1,
        int? epochs = null) => catalog.ImageAutoencoder(new ImageAutoencoderOptions
        {
            FeatureColumnName = featureColumnName,
            ImageShape = imageShape,
            AnomalyMapColumnName = anomalyMapColumnName,
            Contamination = contamination,
            Epochs = epochs,
        });

    /// <summary>Creates an <see cref="ImageAutoencoderTrainer"/> with all its options.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, or two columns would be added under one name.
    /// </exception>
    public static ImageAutoencoderTrainer ImageAutoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, ImageAutoencoderOptions options) =>
        new(MLNetInternals.EnvironmentOf(catalog), options);

    /// <summary>
    /// Creates a <see cref="PatchCoreTrainer"/>, which scores images by how strange their strangest places are to a network that
    /// was trained elsewhere. The network is read now.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options, of which <see cref="PatchCoreOptions.NetworkPath"/> has to be set.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, or two columns would be added under one name; or the file of the network is missing, or is none
    /// of images, or has no feature maps where they are looked for.
    /// </exception>
    /// <exception cref="InvalidOperationException">ONNX Runtime is not there.</exception>
    public static PatchCoreTrainer PatchCore(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, PatchCoreOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        return new(MLNetInternals.EnvironmentOf(catalog), options.WithNetwork());
    }
}

/// <summary>Models of densities among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class DensityCatalog
{
    /// <summary>Creates a <see cref="GaussianMixtureTrainer"/> that detects anomalies: rows that are improbable.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public static GaussianMixtureTrainer GaussianMixture(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, GaussianMixtureOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options.Scoring(detects: true));

    /// <summary>Creates a <see cref="DiffusionTrainer"/> that detects anomalies: rows that are badly denoised.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public static DiffusionTrainer Diffusion(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, DiffusionOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options.Scoring(detects: true));

    /// <summary>Creates a <see cref="NormalizingFlowTrainer"/> that detects anomalies: rows that are improbable.</summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public static NormalizingFlowTrainer NormalizingFlow(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, NormalizingFlowOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options.Scoring(detects: true));

    /// <summary>
    /// Creates a <see cref="BayesianNetworkTrainer"/> that detects anomalies among rows of mixed columns: rows that are
    /// improbable. All columns count, unless <see cref="TabularOptions.ColumnNames"/> names some: leave a label out.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">Edges go round in a circle, or options contradict each other.</exception>
    public static BayesianNetworkTrainer BayesianNetwork(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, BayesianNetworkOptions? options = null)
    {
        options ??= new();
        return new(MLNetInternals.EnvironmentOf(catalog), options with
        {
            ScoreColumnName = options.ScoreColumnName ?? "Score",
            PredictedLabelColumnName = options.PredictedLabelColumnName ?? "PredictedLabel",
        });
    }

    /// <summary>
    /// Creates a <see cref="RestrictedBoltzmannMachineTrainer"/> that detects anomalies: rows of a high free energy.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public static RestrictedBoltzmannMachineTrainer RestrictedBoltzmannMachine(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, RestrictedBoltzmannMachineOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options.Scoring(detects: true));
}

/// <summary>Autoencoders of series among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class SequenceAutoencoderCatalog
{
    /// <summary>
    /// Creates a <see cref="SequenceAutoencoderTrainer"/>: it scores the steps of series, one in each row, by how badly
    /// they are reconstructed, in the columns <c>Score</c> and <c>PredictedLabel</c>.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public static SequenceAutoencoderTrainer SequenceAutoencoder(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, SequenceAutoencoderOptions? options = null) =>
        new(MLNetInternals.EnvironmentOf(catalog), options ?? new());
}

/// <summary>Autoregressive networks of series among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class AutoregressiveSeriesCatalog
{
    /// <summary>
    /// Creates an <see cref="AutoregressiveSeriesTrainer"/> that detects anomalies: it scores the steps of series, one in
    /// each row, by how improbable they are after those before them, in the columns <c>Score</c> and <c>PredictedLabel</c>.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public static AutoregressiveSeriesTrainer AutoregressiveSeries(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, AutoregressiveSeriesOptions? options = null)
    {
        options ??= new();
        return new(MLNetInternals.EnvironmentOf(catalog), options with
        {
            PredictedLabelColumnName = options.PredictedLabelColumnName ?? "PredictedLabel",
        });
    }
}

/// <summary>Hidden Markov models among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class HiddenMarkovCatalog
{
    /// <summary>
    /// Creates a <see cref="HiddenMarkovTrainer"/> that detects anomalies: steps of sequences that are improbable after
    /// those before them, or texts and series that are. It adds the columns <c>Score</c> and <c>PredictedLabel</c>, or
    /// others that the options name in their place.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="options">The options. Default: all defaults.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// A column's name is empty, two columns would be added under one name, or options contradict each other.
    /// </exception>
    public static HiddenMarkovTrainer HiddenMarkov(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog, HiddenMarkovOptions? options = null)
    {
        options ??= new();
        return new(MLNetInternals.EnvironmentOf(catalog), options with
        {
            ScoreColumnName = options.ScoreColumnName ?? "Score",
            PredictedLabelColumnName = options.PredictedLabelColumnName ?? "PredictedLabel",
        });
    }
}

/// <summary>GPTs among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class GptCatalog
{
    /// <summary>
    /// Creates a <see cref="GptTrainer"/> that scores texts, such as lines of a log, by how unlikely they are: the
    /// columns <c>Score</c> and <c>PredictedLabel</c>. All options are those of
    /// <see cref="GenerativeCatalog.Gpt(GptOptions)"/>.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="textColumnName">The input: a column of text, each row a document.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="contextLength">The most tokens that are looked at together.</param>
    /// <param name="steps">Optimizer steps. Default: 2000.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static GptTrainer Gpt(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string textColumnName = "Text",
        double contamination = 0.1,
        int contextLength = 64,
        int? steps = null) => new(MLNetInternals.EnvironmentOf(catalog), new GptOptions
        {
            TextColumnName = textColumnName,
            Contamination = contamination,
            ContextLength = contextLength,
            Steps = steps,
            GeneratedTextColumnName = null,
            ScoreColumnName = "Score",
            PredictedLabelColumnName = "PredictedLabel",
        });
}

/// <summary>Recurrent language models among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class RecurrentLanguageModelCatalog
{
    /// <summary>
    /// Creates a <see cref="RecurrentLanguageModelTrainer"/> that scores texts, such as lines of a log, by how unlikely
    /// they are: the columns <c>Score</c> and <c>PredictedLabel</c>. All options are those of
    /// <see cref="GenerativeCatalog.RecurrentLanguageModel(RecurrentLanguageModelOptions)"/>.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="textColumnName">The input: a column of text, each row a document.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="steps">Optimizer steps. Default: 500.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static RecurrentLanguageModelTrainer RecurrentLanguageModel(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string textColumnName = "Text",
        double contamination = 0.1,
        int? steps = null) => new(MLNetInternals.EnvironmentOf(catalog), new RecurrentLanguageModelOptions
        {
            TextColumnName = textColumnName,
            Contamination = contamination,
            Steps = steps,
            GeneratedTextColumnName = null,
            ScoreColumnName = "Score",
            PredictedLabelColumnName = "PredictedLabel",
        });
}

/// <summary>Masked language models among the trainers of <see cref="AnomalyDetectionCatalog"/>.</summary>
public static class MaskedLanguageModelCatalog
{
    /// <summary>
    /// Creates a <see cref="MaskedLanguageModelTrainer"/> that scores texts, such as lines of a log, by how unlikely each
    /// token is among the others: the columns <c>Score</c> and <c>PredictedLabel</c>. All options are those of
    /// <see cref="GenerativeCatalog.MaskedLanguageModel(MaskedLanguageModelOptions)"/>.
    /// </summary>
    /// <param name="catalog"><c>mlContext.AnomalyDetection.Trainers</c>.</param>
    /// <param name="textColumnName">The input: a column of text, each row a document.</param>
    /// <param name="contamination">The share of the training rows that are taken to be anomalies, in (0, 0.5].</param>
    /// <param name="contextLength">The most tokens that are looked at together, two of them special.</param>
    /// <param name="steps">Optimizer steps. Default: 2000.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static MaskedLanguageModelTrainer MaskedLanguageModel(
        this AnomalyDetectionCatalog.AnomalyDetectionTrainers catalog,
        string textColumnName = "Text",
        double contamination = 0.1,
        int contextLength = 64,
        int? steps = null) => new(MLNetInternals.EnvironmentOf(catalog), new MaskedLanguageModelOptions
        {
            TextColumnName = textColumnName,
            Contamination = contamination,
            ContextLength = contextLength,
            Steps = steps,
            ScoreColumnName = "Score",
            PredictedLabelColumnName = "PredictedLabel",
        });
}
