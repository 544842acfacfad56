using Microsoft.ML;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace GenerativeML;

/// <summary>The options of a discriminator of images, such as of generated ones from genuine ones.</summary>
public sealed record ImageDiscriminatorOptions : VectorOptions
{
    /// <summary>All defaults, with the column <c>Score</c>.</summary>
    public ImageDiscriminatorOptions() => ScoreColumnName = "Score";

    /// <summary>What is to be told apart: a key, which training alone reads. Default <c>Label</c>.</summary>
    public string LabelColumnName { get; init; } = "Label";

    /// <summary>The column for the most probable class, a key. Default <c>PredictedLabel</c>; null: none is added.</summary>
    public string? PredictedLabelColumnName { get; init; } = "PredictedLabel";

    /// <summary>
    /// The column for the features that classes are told by, a vector of <see cref="FeatureWidth"/>. Default: none is added.
    /// </summary>
    public string? LatentColumnName { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.ImageShape"/>
    public ImageShape? ImageShape { get; init; }

    /// <inheritdoc cref="ImageVaeOptions.Resize"/>
    public ImageResize Resize { get; init; }

    /// <summary>
    /// Channels after each halving of height and width. One to eight of them, each from 1 to 1024; no more than two
    /// once a single pixel is left. Default: 32 and 64.
    /// </summary>
    public IReadOnlyList<int> Channels { get; init; } = [32, 64];

    /// <summary>Units of the dense layer behind the convolutions. At most 65,536. Default 128.</summary>
    public int FeatureWidth { get; init; } = 128;

    /// <summary>The share of these units that training leaves out at random. In [0, 1). Default 0.3.</summary>
    public double Dropout { get; init; } = 0.3;

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override VectorColumns Columns => base.Columns with
    {
        Class = LabelColumnName, PredictedLabel = PredictedLabelColumnName, Latent = LatentColumnName,
    };

    private protected override OptionalColumns Supported => OptionalColumns.None;

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        ImageStages.Check(rows.Input.Image!.Shape!, Channels);
        int found = rows.Moments[^1].Maximum.Count(most => most > 0);
        if (found < 2)
            throw new InvalidOperationException(
                $"Column '{LabelColumnName}' has {found} class in the training rows; there is nothing to tell apart.");
        return this with
        {
            BatchSize = BatchSize ?? 64, LearningRate = LearningRate ?? 2e-3, WeightDecay = WeightDecay ?? 1e-2,
            Epochs = Epochs ?? rows.EpochsFor(presented: 120_000, least: 3, most: 100),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ImageShape?.Validate();
        OptionChecks.Defined(Resize);
        ImageStages.Validate(Channels);
        OptionChecks.Within(FeatureWidth, 1, OptionChecks.MaxWidth);
        OptionChecks.WithinHalfOpen(Dropout, 0, 1);
    }
}

/// <summary>
/// A classifier of images: convolutions, a dense layer, whose outputs are an image's features, and a unit for each class.
/// </summary>
internal abstract class ImageClassifierNetwork : VectorNetwork
{
    private readonly ImageStages _stages;
    private readonly double _dropout;

    /// <exception cref="FormatException">The input is none of images.</exception>
    protected ImageClassifierNetwork(VectorInput input, IReadOnlyList<int> channels, int featureWidth, double dropout)
        : base(input)
    {
        Shape = input.Image?.Shape ?? throw new FormatException("The saved model's input is none of images.");
        _stages = new ImageStages(Shape, channels, Activation.Relu);
        (Features, _dropout) = (featureWidth, dropout);
    }

    /// <summary>Classes that it tells apart, K.</summary>
    public abstract int Classes { get; }

    /// <summary>Features of an image, F.</summary>
    public int Features { get; }

    protected ImageShape Shape { get; }

    protected override VectorScaler ScalerOf(RowStatistics rows) => ImageRange.Standardize(rows.Moments[0]);

    public override void Declare(Layers layers)
    {
        _stages.DeclareEncoder(layers);
        layers.Linear("features", _stages.Innermost, Features);
        layers.Linear("classes", Features, Classes);
    }

    /// <summary>Images → features (B, F) and logits (B, K).</summary>
    public (T Features, T Logits) Pass<T>(Scope<T> w, T images)
        where T : struct, ITensor<T>
    {
        T pictures = images.Reshape(-1, Shape.Channels, Shape.Height, Shape.Width);
        T features = w.Linear("features", _stages.Encode(w, pictures).Apply(Function.Relu)).Apply(Function.Relu);
        return (features, w.Linear("classes", w.Dropout(features, _dropout)));
    }
}

/// <summary>The network of a discriminator.</summary>
internal sealed class ImageDiscriminatorNetwork(ImageDiscriminatorOptions options, VectorInput input)
    : ImageClassifierNetwork(input, options.Channels, options.FeatureWidth, options.Dropout), IClassifier, IEncoder
{
    public override int Classes => Input.Classes;

    public int LatentDimension => Features;

    public override IReadOnlyList<LossTerm> Loss(VectorStep step)
    {
        TorchTensor logits = Pass<TorchTensor>(step.Weights, step.Rows).Logits, known = step.Class!;
        // Images of no known class count nothing.
        return [new LossTerm("classes", (known * (logits.LogSumExp(1) - logits)).Reduce(Reduction.Sum, 1).Value.mean())];
    }

    public T Classify<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => Pass(w, rows.Features).Logits.Softmax();

    public (T Mean, T? Deviation) Encode<T>(Scope<T> w, VectorRows<T> rows)
        where T : struct, ITensor<T> => (Pass(w, rows.Features).Features, null);
}

/// <summary>
/// Learns to tell classes of images apart by convolutions, as the discriminator of a GAN tells generated ones from genuine
/// ones: which of a data set's images a model made, or which model made them.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use
/// <see cref="ImageDiscriminatorCatalog.ImageDiscriminator(MulticlassClassificationCatalog.MulticlassClassificationTrainers, ImageDiscriminatorOptions)"/>.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Input</term><description>A column of <see cref="Microsoft.ML.Data.MLImage"/>, or one of vectors of
/// <see cref="float"/> that are images; a label, a key.</description></item>
/// <item><term>Normalization</term><description>Done inside: less the mean image, in units of what all
/// pixels deviate by.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to compute on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// <para>Added columns, which <c>mlContext.MulticlassClassification.Evaluate</c> reads:</para>
/// <list type="table">
/// <listheader><term>Column</term><description>Type and meaning</description></listheader>
/// <item><term><c>PredictedLabel</c></term><description>A key, the most probable class, whose values are those of the
/// label.</description></item>
/// <item><term><c>Score</c></term><description>A vector of <see cref="float"/>: the probability of each class.</description></item>
/// <item><term><c>Latent</c></term><description>On request: a vector, the features that classes are told by.</description></item>
/// </list>
/// </remarks>
public sealed class ImageDiscriminatorTrainer : VectorTrainer<VectorTransformer>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<ImageDiscriminatorOptions>(
        "image discriminator", (options, input) => new ImageDiscriminatorNetwork(options, input),
        state => new VectorTransformer(state));

    internal ImageDiscriminatorTrainer(IHostEnvironment environment, ImageDiscriminatorOptions options)
        : base(environment, Family, options)
    {
    }
}
