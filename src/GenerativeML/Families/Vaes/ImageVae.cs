using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// The options of a variational autoencoder of images. Pixels are <see cref="VaeLikelihood.Bernoulli"/> by default, black
/// and white being the least and the largest number of all training images: a grey counts as a share of white.
/// </summary>
/// <remarks>
/// Other than of <see cref="VaeOptions"/>, <see cref="TrainingOptions.LearningRate"/> is 2e-3 by default, and
/// <see cref="TrainingOptions.Epochs"/> so many that some 128,000 images are presented, but at least ten and at most 1000.
/// </remarks>
public sealed record ImageVaeOptions : VariationalOptions
{
    /// <summary>
    /// The shape of images as networks see them: a column of images is resized to it, a vector has as many features.
    /// Default: the size of the column's type, in colour; of a vector its three dimensions, or else square, of one
    /// channel or three.
    /// </summary>
    public ImageShape? ImageShape { get; init; }

    /// <summary>How images of other sizes get this one. Default <see cref="ImageResize.Crop"/>.</summary>
    public ImageResize Resize { get; init; }

    /// <summary>
    /// Channels after each halving of height and width, from the input inwards; the decoder mirrors them. One to eight
    /// of them, each from 1 to 1024; no more than two once a single pixel is left. Default: 32 and 64.
    /// </summary>
    public IReadOnlyList<int> Channels { get; init; } = [32, 64];

    /// <summary>
    /// Units of the dense layer between the convolutions and the latent distribution, in the encoder and in the
    /// decoder. At most 65,536. Default 256.
    /// </summary>
    public int HiddenWidth { get; init; } = 256;

    /// <summary>
    /// The peak learning rate of Muon (Jordan 2024, https://kellerjordan.github.io/posts/muon/), which moves the weights of
    /// hidden layers, a convolution's as a matrix with a filter in each row: fewer steps reach the same loss, and each takes
    /// somewhat longer. It follows the same schedule as <see cref="TrainingOptions.LearningRate"/>, by which AdamW moves all
    /// others; that rate does not change this one. What Muon moves has no <see cref="TrainingOptions.WeightDecay"/>, which
    /// concerns AdamW's weights alone. Zero or more; zero: AdamW moves all. Default 0.02.
    /// </summary>
    public double MatrixLearningRate { get; init; } = 0.02;

    internal override ImageFormat Images => new(ImageShape, Resize);

    internal override VectorOptions Resolve(RowStatistics rows)
    {
        ImageStages.Check(rows.Input.Image!.Shape!, Channels);
        return (ImageVaeOptions)base.Resolve(rows) with
        {
            LearningRate = LearningRate ?? 2e-3,
            // Some 1000 steps for few images; many are read ten times at least.
            Epochs = Epochs ?? rows.EpochsFor(presented: 128_000, least: 10, most: 1000),
        };
    }

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        OptionChecks.NonNegativeFinite(MatrixLearningRate);
        ImageShape?.Validate();
        OptionChecks.Defined(Resize);
        ImageStages.Validate(Channels);
        OptionChecks.Within(HiddenWidth, 1, OptionChecks.MaxWidth);
    }
}

/// <summary>
/// A VAE of convolutions: a dense layer sees what the <see cref="ImageStages"/> leave, with the conditions. The decoder is
/// their mirror, and adds a bias of each pixel's own.
/// </summary>
internal sealed class ImageVaeNetwork : VariationalNetwork
{
    private readonly ImageVaeOptions _options;
    private readonly ImageShape _shape;
    private readonly ImageStages _stages;

    /// <exception cref="FormatException">The input is none of images.</exception>
    public ImageVaeNetwork(ImageVaeOptions options, VectorInput input)
        : base(options, input, new ImageOutlines(ShapeOf(input)))
    {
        _options = options;
        _shape = ShapeOf(input);
        _stages = new ImageStages(_shape, options.Channels, options.Activation);
    }

    // The logarithm of a grey's likelihood is a cross-entropy, in no units.
    public override bool IsLogLikelihood => base.IsLogLikelihood && !Likelihood.HasBernoulli;

    public override int WidestLayer => HiddenWidth;

    protected override int HiddenWidth => _options.HiddenWidth;

    // One scale for all pixels: a border that is black in all training images is no feature of its own.
    protected override VectorScaler ScalerOf(RowStatistics rows)
    {
        ColumnMoments moments = rows.Moments[0];
        return Likelihood.HasBernoulli
            ? VectorScaler.Of([.. moments.Mean.Select(mean => (float)mean)], ImageRange.Of(moments).ScaleTo(1))
            : ImageRange.Standardize(moments);
    }

    // A picture of greys is sampled as expected, also where a pixel happens to be black in all training images.
    protected override (bool[] Binary, float Low) BernoulliOf(RowStatistics rows)
    {
        bool binary = rows.Binary.All(b => b);
        return ([.. rows.Binary.Select(_ => binary)], ImageRange.Of(rows.Moments[0]).Low);
    }

    // All weights of hidden layers: the first convolution and the last, which have next to no inputs or outputs, are AdamW's.
    public override IReadOnlyList<UpdateRule> Updates(TorchLayers layers)
    {
        double rate = _options.MatrixLearningRate;
        MuonMatrix[] matrices =
        [
            .. from layer in layers.Tensors
               where rate > 0 && layer.Key.EndsWith(".weight", StringComparison.Ordinal)
                   && layer.Key is not ("encoder.1.convolution.weight" or "decoder.1.convolution.weight")
               select new MuonMatrix(layer.Value),
        ];
        return
        [
            new UpdateRule(
                "all", layers.Parameters(),
                Muon: matrices.Length > 0 ? new(matrices, rate / _options.LearningRate!.Value) : null),
        ];
    }

    protected override void DeclareStacks(Layers layers)
    {
        _stages.DeclareEncoder(layers);
        layers.Linear("encoder.hidden", _stages.Innermost + Input.ConditionWidth, HiddenWidth);
        layers.Linear("decoder.hidden", LatentDimension + Input.ConditionWidth, HiddenWidth);
        layers.Linear("decoder.innermost", HiddenWidth, _stages.Innermost);
        _stages.DeclareDecoder(layers);
        layers.Parameter("output.bias", 0, Input.Width);
    }

    protected override T Hidden<T>(Scope<T> w, VectorRows<T> rows)
    {
        T image = rows.Features.Reshape(-1, _shape.Channels, _shape.Height, _shape.Width);
        return w.Linear("encoder.hidden", rows.Join(_stages.Encode(w, image))).Apply(_options.Activation);
    }

    protected override T Decode<T>(Scope<T> w, VectorRows<T> latent)
    {
        T x = w.Linear("decoder.hidden", latent.WithCondition).Apply(_options.Activation);
        x = w.Linear("decoder.innermost", x).Apply(_options.Activation);
        return _stages.Decode(w, x).Reshape(-1, Input.Width) + w["output.bias"];
    }

    private static ImageShape ShapeOf(VectorInput input) =>
        input.Image?.Shape ?? throw new FormatException("The saved model's input is none of images.");
}

/// <summary>
/// Trains a variational autoencoder of convolutions to generate images like those that it was trained on, to encode,
/// reconstruct and score them: what <see cref="VaeTrainer"/> does, for images.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.ImageVae(string, ImageShape?, int?)"/> or
/// <see cref="GenerativeCatalog.ImageVae(ImageVaeOptions)"/>. With
/// <see cref="VectorOptions.ConditionColumnNames"/> it is conditional (Sohn 2015): generated rows have those
/// columns too, with the values that are asked for. Of keys, Booleans, and Singles that hold at most twenty values, all
/// of them whole, these are values of training rows; of other Singles, any.
/// </para>
/// <list type="table">
/// <listheader><term>Characteristic</term><description>This trainer</description></listheader>
/// <item><term>Input</term><description>A column of <see cref="Microsoft.ML.Data.MLImage"/>, or one of vectors of
/// <see cref="float"/> that are images. Columns of conditions may be read.</description></item>
/// <item><term>Normalization</term><description>Done inside: black is zero, white one.</description></item>
/// <item><term>Caching</term>
/// <description>Done inside, within <see cref="TrainingOptions.CacheBudgetBytes"/>.</description></item>
/// <item><term>Packages beside Microsoft.ML</term><description>To train, and to compute on a GPU, TorchSharp-cpu or
/// TorchSharp-cuda; to compute on the CPU, Microsoft.ML.OnnxRuntime.</description></item>
/// </list>
/// <para>
/// It adds the same columns as <see cref="VaeTrainer"/>, by default <c>Latent</c>; a reconstruction is an image or a vector, as
/// the input is.
/// </para>
/// </remarks>
public sealed class ImageVaeTrainer : VectorTrainer<VectorGenerator>
{
    internal static readonly VectorFamily Family = VectorFamily.Of<ImageVaeOptions>(
        "image vae", (options, input) => new ImageVaeNetwork(options, input));

    internal ImageVaeTrainer(IHostEnvironment environment, ImageVaeOptions options)
        : base(environment, Family, options)
    {
    }
}
