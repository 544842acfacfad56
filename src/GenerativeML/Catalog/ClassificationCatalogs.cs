using GenerativeML;

namespace Microsoft.ML;

/// <summary>Discriminators of images among the trainers of <see cref="MulticlassClassificationCatalog"/>.</summary>
public static class ImageDiscriminatorCatalog
{
    /// <summary>Creates an <see cref="ImageDiscriminatorTrainer"/>, which learns to tell classes of images apart.</summary>
    /// <param name="catalog"><c>mlContext.MulticlassClassification.Trainers</c>.</param>
    /// <param name="labelColumnName">What is to be told apart: a key.</param>
    /// <param name="featureColumnName">The input: images, or vectors of <see cref="float"/> that are images.</param>
    /// <param name="imageShape">
    /// The shape of images as networks see them. Default: the column's own, of vectors without one square, of one channel or
    /// three; images of any size, as of <c>LoadImages</c>, have none.
    /// </param>
    /// <param name="epochs">Passes over the training rows. Default: by their number.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static ImageDiscriminatorTrainer ImageDiscriminator(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        string labelColumnName = "Label",
        string featureColumnName = "Features",
        ImageShape? imageShape = null,
        int? epochs = null) => catalog.ImageDiscriminator(new ImageDiscriminatorOptions
        {
            LabelColumnName = labelColumnName,
            FeatureColumnName = featureColumnName,
            ImageShape = imageShape,
            Epochs = epochs,
        });

    /// <summary>Creates an <see cref="ImageDiscriminatorTrainer"/> with all its options.</summary>
    /// <param name="catalog"><c>mlContext.MulticlassClassification.Trainers</c>.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty, or two columns would be added under one name.</exception>
    public static ImageDiscriminatorTrainer ImageDiscriminator(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog, ImageDiscriminatorOptions options) =>
        new(MLNetInternals.EnvironmentOf(catalog), options);
}

/// <summary>Classifiers of texts among the trainers of <see cref="MulticlassClassificationCatalog"/>.</summary>
public static class TextClassifierCatalog
{
    /// <summary>
    /// Creates a <see cref="TextClassifierTrainer"/>, which fine-tunes a masked language model, trained here or released, for
    /// a label.
    /// </summary>
    /// <param name="catalog"><c>mlContext.MulticlassClassification.Trainers</c>.</param>
    /// <param name="encoder">The masked language model; it stays as it is.</param>
    /// <param name="textColumnName">The input: a column of text.</param>
    /// <param name="labelColumnName">The label: a key.</param>
    /// <param name="epochs">Passes over the training rows. Default: 4, or as many as it takes to 200 steps.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">A column's name is empty.</exception>
    public static TextClassifierTrainer TextClassifier(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        MaskedLanguageModelTransformer encoder,
        string textColumnName = "Text",
        string labelColumnName = "Label",
        int? epochs = null) => catalog.TextClassifier(new TextClassifierOptions
        {
            Encoder = encoder,
            TextColumnName = textColumnName,
            LabelColumnName = labelColumnName,
            Epochs = epochs,
        });

    /// <summary>Creates a <see cref="TextClassifierTrainer"/> with all its options.</summary>
    /// <param name="catalog"><c>mlContext.MulticlassClassification.Trainers</c>.</param>
    /// <param name="options">The options.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    /// <exception cref="ArgumentException">
    /// The encoder is not set, a column's name is empty, or two columns would be added under one name.
    /// </exception>
    public static TextClassifierTrainer TextClassifier(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog, TextClassifierOptions options) =>
        new(MLNetInternals.EnvironmentOf(catalog), options);
}
