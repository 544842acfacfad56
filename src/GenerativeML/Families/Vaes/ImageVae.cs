using Microsoft.ML;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// The options of a variational autoencoder of images. Pixels are <see cref="VaeLikelihood.Bernoulli"/> by default, black
/// and white being the least and the largest number of all training images: a grey counts as a share of white.
/// </summary>
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
    /// of them, each from 1 to 1024. Default: 32 and 64.
    /// </summary>
    public IReadOnlyList<int> Channels { get; init; } = [32, 64];

    /// <summary>
    /// Units of the dense layer between the convolutions and the latent distribution, in the encoder and in the
    /// decoder. At most 65,536. Default 256.
    /// </summary>
    public int HiddenWidth { get; init; } = 256;

    internal override ImageFormat Images => new(ImageShape, Resize);

    /// <inheritdoc />
    public override void Validate()
    {
        base.Validate();
        ImageShape?.Validate();
        OptionChecks.Defined(Resize);
        OptionChecks.Within(Channels.Count, 1, 8, "Channels.Count");
        foreach (int channels in Channels)
            OptionChecks.Within(channels, 1, 1024, nameof(Channels));
        OptionChecks.Within(HiddenWidth, 1, OptionChecks.MaxWidth);
    }
}

/// <summary>
/// A VAE of convolutions. The encoder halves height and width with each convolution, which a residual block (He 2016)
/// follows; a dense layer sees all that is left, with the conditions. The decoder is its mirror, and adds a bias of
/// each pixel's own.
/// </summary>
internal sealed class ImageVaeNetwork : VariationalNetwork
{
    private const int Kernel = 5, UpKernel = 4; // the latter makes of two pixels four, without a chequered pattern

    private readonly ImageVaeOptions _options;
    private readonly (int Channels, int Height, int Width)[] _stages; // from the image inwards
    private readonly int _innermost; // numbers of the last stage

    /// <exception cref="FormatException">The input is none of images.</exception>
    public ImageVaeNetwork(ImageVaeOptions options, VectorInput input)
        : base(options, input)
    {
        _options = options;
        if (input.Image?.Shape is not { } shape)
            throw new FormatException("The saved model's input is none of images.");
        _stages = new (int, int, int)[options.Channels.Count + 1];
        _stages[0] = (shape.Channels, shape.Height, shape.Width);
        for (int i = 1; i < _stages.Length; i++)
            _stages[i] = (options.Channels[i - 1], (_stages[i - 1].Height + 1) / 2, (_stages[i - 1].Width + 1) / 2);
        _innermost = _stages[^1].Channels * _stages[^1].Height * _stages[^1].Width;
    }

    // The logarithm of a grey's likelihood is a cross-entropy, in no units.
    public override bool IsLogLikelihood => base.IsLogLikelihood && !Likelihood.HasBernoulli;

    public override int WidestLayer => HiddenWidth;

    protected override int HiddenWidth => _options.HiddenWidth;

    // One scale for all pixels: a border that is black in all training images is no feature of its own.
    protected override VectorScaler ScalerOf(RowStatistics rows)
    {
        ColumnMoments moments = rows.Moments[0];
        double[] deviations = moments.Deviation;
        double spread = Math.Sqrt(deviations.Average(d => d * d));
        double scale = Likelihood.HasBernoulli ? ImageRange.Of(moments).ScaleTo(1) : spread > 0 ? 1 / spread : 0;
        return VectorScaler.Of([.. moments.Mean.Select(mean => (float)mean)], scale);
    }

    // A picture of greys is sampled as expected, also where a pixel happens to be black in all training images.
    protected override (bool[] Binary, float Low) BernoulliOf(RowStatistics rows)
    {
        bool binary = rows.Binary.All(b => b);
        return ([.. rows.Binary.Select(_ => binary)], ImageRange.Of(rows.Moments[0]).Low);
    }

    protected override void DeclareStacks(Layers layers)
    {
        for (int i = 1; i < _stages.Length; i++)
        {
            layers.Conv2d($"encoder.{i}.convolution", _stages[i - 1].Channels, _stages[i].Channels, Kernel);
            Residual($"encoder.{i}", _stages[i].Channels);
        }
        layers.Linear("encoder.hidden", _innermost + Input.ConditionWidth, HiddenWidth);
        layers.Linear("decoder.hidden", LatentDimension + Input.ConditionWidth, HiddenWidth);
        layers.Linear("decoder.innermost", HiddenWidth, _innermost);
        for (int i = _stages.Length - 1; i > 0; i--)
        {
            Residual($"decoder.{i}", _stages[i].Channels);
            layers.ConvTranspose2d(
                $"decoder.{i}.convolution", _stages[i].Channels, _stages[i - 1].Channels, UpKernel);
        }
        layers.Parameter("output.bias", 0, Input.Width);

        void Residual(string name, int channels)
        {
            layers.Conv2d($"{name}.residual.0", channels, channels, 3);
            layers.Conv2d($"{name}.residual.1", channels, channels, 1);
        }
    }

    protected override T Hidden<T>(Scope<T> w, VectorRows<T> rows)
    {
        T x = rows.Features.Reshape(-1, _stages[0].Channels, _stages[0].Height, _stages[0].Width);
        for (int i = 1; i < _stages.Length; i++)
        {
            Scope<T> stage = w.Of($"encoder.{i}");
            x = stage.Conv2d("convolution", x, stride: 2, padding: Kernel / 2).Apply(_options.Activation);
            x = Residual(stage, x);
        }
        return w.Linear("encoder.hidden", rows.Join(x.Reshape(-1, _innermost))).Apply(_options.Activation);
    }

    protected override T Decode<T>(Scope<T> w, VectorRows<T> latent)
    {
        T x = w.Linear("decoder.hidden", latent.WithCondition).Apply(_options.Activation);
        x = w.Linear("decoder.innermost", x).Apply(_options.Activation);
        x = x.Reshape(-1, _stages[^1].Channels, _stages[^1].Height, _stages[^1].Width);
        for (int i = _stages.Length - 1; i > 0; i--)
        {
            Scope<T> stage = w.Of($"decoder.{i}");
            x = stage.ConvTranspose2d("convolution", Residual(stage, x), stride: 2, padding: 1);
            // Twice as large as the stage; where the next had an odd size, there is a line too many.
            x = x.Slice(2, 0, _stages[i - 1].Height).Slice(3, 0, _stages[i - 1].Width);
            x = i > 1 ? x.Apply(_options.Activation) : x;
        }
        return x.Reshape(-1, Input.Width) + w["output.bias"];
    }

    private T Residual<T>(Scope<T> w, T x)
        where T : struct, ITensor<T>
    {
        T inner = w.Conv2d("residual.0", x, padding: 1).Apply(_options.Activation);
        return x + w.Conv2d("residual.1", inner);
    }
}

/// <summary>
/// Trains a variational autoencoder of convolutions to generate images like those that it was trained on, to encode,
/// reconstruct and score them: what <see cref="VaeTrainer"/> does, for vectors that are images.
/// </summary>
/// <remarks>
/// <para>
/// To create this trainer, use <see cref="GenerativeCatalog.ImageVae(ImageVaeOptions)"/>. With
/// <see cref="VectorOptions.ConditionColumnNames"/> it is conditional (Sohn 2015): generated rows have those
/// columns too, with the values that are asked for. Of keys, Booleans, and Singles that hold at most twenty values, all
/// of them whole, these are values of training rows; of other Singles, any.
/// </para>
/// <inheritdoc cref="VectorTrainer{TTransformer}" path="/remarks/list"/>
/// <para>It adds the same columns as <see cref="VaeTrainer"/>, by default <c>Latent</c>.</para>
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
