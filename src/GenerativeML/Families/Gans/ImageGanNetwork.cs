using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace GenerativeML;

/// <summary>
/// The two networks of a GAN of images, whatever they are made of. The discriminator tells images by features, of which one
/// dense unit and a projection on the condition (Miyato and Koyama 2018) make its judgement.
/// </summary>
internal abstract class ImageGanNetwork : AdversarialNetwork
{
    private const double Shift = 0.125, Covered = 0.5; // of augmentation, in shares of a side

    /// <exception cref="FormatException">The input is none of images.</exception>
    protected ImageGanNetwork(ImageGanOptions options, VectorInput input)
        : base(options, input)
    {
        Options = options;
        Shape = input.Image?.Shape ?? throw new FormatException("The saved model's input is none of images.");
        Levels = ImageStages.Levels(Shape, options.Channels!);
    }

    protected ImageGanOptions Options { get; }

    protected ImageShape Shape { get; }

    /// <summary>Channels and sizes of the levels that images pass, but for DCGAN's; the first is as large as the image.</summary>
    protected (int Channels, int Height, int Width)[] Levels { get; }

    /// <summary>Features that a judgement is made of.</summary>
    protected abstract int FeatureWidth { get; }

    /// <summary>The networks that options ask for, of which everything is decided.</summary>
    public static ImageGanNetwork Of(ImageGanOptions options, VectorInput input) => options.Architecture switch
    {
        ImageGanArchitecture.Dcgan => new DcganNetwork(options, input),
        ImageGanArchitecture.Residual => new ResidualGanNetwork(options, input),
        ImageGanArchitecture.Progressive => new ProgressiveGanNetwork(options, input),
        ImageGanArchitecture.StyleGan => new StyleGanNetwork(options, input),
        _ => throw new ArgumentOutOfRangeException(nameof(options), options.Architecture, "There is no such architecture."),
    };

    // Of a convolution as the product that it is.
    public override int WidestLayer => 3 * 3 * Levels.Max(level => level.Channels);

    public override int PositionsPerRow => Shape.Height * Shape.Width;

    // Some dozen numbers for each channel of the layers of both networks at each place.
    public override long NumbersPerRow => Levels.Sum(level => 50L * level.Channels * level.Height * level.Width);

    protected override VectorScaler ScalerOf(RowStatistics rows)
    {
        var range = ImageRange.Of(rows.Moments[0]);
        float middle = range.Low + (range.High - range.Low) / 2;
        return VectorScaler.Of([.. Enumerable.Repeat(middle, Input.Width)], range.ScaleTo(2));
    }

    public sealed override T JudgeAlone<T>(Scope<T> w, VectorRows<T> rows) => Judge(w, rows);

    protected sealed override T Judge<T>(Scope<T> w, VectorRows<T> rows)
    {
        T features = Features(w, rows), judgement = Dense(w, $"{Discriminator}.judgement", features, FeatureWidth);
        if (rows.Condition is not { } condition)
            return judgement;
        T projection = Dense(w, $"{Discriminator}.projection", condition, Input.ConditionWidth);
        return judgement + (features * projection).Reduce(Reduction.Sum, 1);
    }

    /// <summary>Declares what makes judgements of features.</summary>
    protected void DeclareJudgement(Layers layers)
    {
        DeclareDense(layers, $"{Discriminator}.judgement", FeatureWidth, 1, bias: true);
        if (Input.ConditionWidth > 0)
            DeclareDense(layers, $"{Discriminator}.projection", Input.ConditionWidth, FeatureWidth, bias: false);
    }

    /// <summary>Declares a dense layer of the discriminator. Default: one whose weight is divided by its norm if options say so.</summary>
    protected virtual void DeclareDense(Layers layers, string name, int inputs, int outputs, bool bias)
    {
        if (IsSpectral)
            SpectralNorm.DeclareLinear(layers, name, inputs, outputs, bias);
        else
            layers.Linear(name, inputs, outputs, bias: bias);
    }

    /// <summary>Such a layer: (B, inputs) → (B, outputs).</summary>
    protected virtual T Dense<T>(Scope<T> w, string name, T x, int inputs)
        where T : struct, ITensor<T> => IsSpectral ? SpectralNorm.Linear(w, name, x) : w.Linear(name, x);

    /// <summary>Declares a convolution of the discriminator, whose weight is divided by its norm if options say so.</summary>
    protected void DeclareConv2d(Layers layers, string name, int inputs, int outputs, int kernel)
    {
        if (IsSpectral)
            SpectralNorm.DeclareConv2d(layers, name, inputs, outputs, kernel);
        else
            layers.Conv2d(name, inputs, outputs, kernel);
    }

    /// <summary>Such a convolution, which leaves height and width as they are or divides them by the stride.</summary>
    protected T Conv2d<T>(Scope<T> w, string name, T x, int kernel, int stride = 1)
        where T : struct, ITensor<T> => IsSpectral
            ? SpectralNorm.Conv2d(w, name, x, stride, kernel / 2)
            : w.Conv2d(name, x, stride, kernel / 2);

    /// <summary>Images of a level as large as those of another, twice as large or one line less.</summary>
    protected T Doubled<T>(T x, int to)
        where T : struct, ITensor<T> => x.Doubled().Slice(2, 0, Levels[to].Height).Slice(3, 0, Levels[to].Width);

    public override torch.Tensor Augmented(torch.Tensor rows, SeededRandom random)
    {
        if (!Options.Augmentation)
            return rows;
        (int channels, int height, int width) = Shape;
        long count = rows.shape[0];
        torch.Tensor x = rows.view(count, channels, height, width).Plus(random.Uniform([count, 1, 1, 1], -0.5, 0.5));
        torch.Tensor mean = x.mean([1L, 2, 3], keepdim: true);
        x = x.Minus(mean).mul(random.Uniform([count, 1, 1, 1], 0.5, 1.5)).Plus(mean);
        x = Shifted(Shifted(x, 2, height), 3, width);
        return x.mul(Seen(height).view(count, 1, height, 1).mul(Seen(width).view(count, 1, 1, width)).neg().Plus(1.0))
            .reshape(count, -1);

        // Each image by its own number of pixels; what comes in is grey, the middle between black and white.
        torch.Tensor Shifted(torch.Tensor images, int axis, int length)
        {
            int most = (int)Math.Round(Shift * length);
            if (most == 0)
                return images;
            torch.Tensor padded = axis == 2
                ? pad(images, [0, 0, most, most])
                : pad(images, [most, most, 0, 0]);
            torch.Tensor begin = random.Uniform([count, 1], 0, 2 * most + 1).floor();
            torch.Tensor places = begin.Plus(Centers(length)).to(torch.ScalarType.Int64); // (B, length)
            places = axis == 2 ? places.view(count, 1, length, 1) : places.view(count, 1, 1, length);
            return padded.gather(axis, places.expand([.. images.shape]));
        }

        // One for the places of an axis that are covered.
        torch.Tensor Seen(int length)
        {
            torch.Tensor begin = random.Uniform([count, 1], -Covered * length, length);
            torch.Tensor offset = Centers(length).Minus(begin);
            return offset.ge(torch.zeros_like(offset)).logical_and(offset.lt(torch.zeros_like(offset).Plus(Covered * length)))
                .to(torch.ScalarType.Float32);
        }

        torch.Tensor Centers(int length) => HostTensors.FromRows(
            [.. Enumerable.Range(0, length).Select(i => i + 0.5f)], 1, length, random.Device);
    }
}

/// <summary>
/// DCGAN (Radford 2016). The generator: a dense layer, then transposed convolutions with batch normalisation, at last tanh.
/// The discriminator: convolutions with leaky rectifiers, batch normalised where gradients by its input do not count.
/// </summary>
internal sealed class DcganNetwork : ImageGanNetwork
{
    private const int Kernel = 5, UpKernel = 4; // the latter makes of two pixels four, without a chequered pattern
    private const float Slope = 0.2f;
    private const double Deviation = 0.02; // of first weights

    private readonly (int Channels, int Height, int Width)[] _stages; // from the image inwards
    private readonly bool _normalizes; // the discriminator

    /// <inheritdoc/>
    public DcganNetwork(ImageGanOptions options, VectorInput input)
        : base(options, input)
    {
        _stages = ImageStages.Of(Shape, options.Channels!);
        FeatureWidth = _stages[^1].Channels * _stages[^1].Height * _stages[^1].Width;
        // A penalty on gradients is one of each row by itself.
        _normalizes = options is { R1Weight: 0, SpectralNormalization: false }
            and not { Objective: GanObjective.WassersteinGradientPenalty };
    }

    public override int WidestLayer => FeatureWidth;

    public override int PositionsPerRow => 1;

    public override long NumbersPerRow => _stages.Sum(stage => 20L * stage.Channels * stage.Height * stage.Width);

    protected override int FeatureWidth { get; }

    public override void Declare(Layers layers)
    {
        layers.Linear($"{Generator}.innermost", NormalWidth + Input.ConditionWidth, FeatureWidth);
        for (int i = _stages.Length - 1; i > 0; i--)
        {
            layers.BatchNorm($"{Generator}.{i}.normalization", _stages[i].Channels);
            layers.ConvTranspose2d(
                $"{Generator}.{i}.convolution", _stages[i].Channels, _stages[i - 1].Channels, UpKernel);
        }
        for (int i = 1; i < _stages.Length; i++)
        {
            DeclareConv2d(layers, $"{Discriminator}.{i}", _stages[i - 1].Channels, _stages[i].Channels, Kernel);
            if (_normalizes && i > 1)
                layers.BatchNorm($"{Discriminator}.{i}.normalization", _stages[i].Channels);
        }
        DeclareJudgement(layers);
    }

    /// <remarks>As the paper says: matrices normal, of a small deviation; shifts zero.</remarks>
    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        var random = new SplitMix64(SplitMix64.Derive(Input.Seed, RandomPurpose.Initialization, -1));
        foreach (TensorSpec spec in Declared().Tensors.Where(t => t.Shape.Length > 1))
        {
            float[] values = weights[spec.Name];
            NormalNumbers.Fill(ref random, values);
            for (int i = 0; i < values.Length; i++)
                values[i] *= (float)Deviation;
        }
        foreach (TensorSpec bias in Declared().Tensors.Where(t => t.Name.EndsWith(".bias", StringComparison.Ordinal)))
            Array.Clear(weights[bias.Name]);
        base.Initialize(weights, rows);
    }

    protected override T Generate<T>(Scope<T> w, T latent, T? condition)
    {
        T x = w.Linear($"{Generator}.innermost", new VectorRows<T>(latent, condition).WithCondition);
        x = x.Reshape(-1, _stages[^1].Channels, _stages[^1].Height, _stages[^1].Width);
        for (int i = _stages.Length - 1; i > 0; i--)
        {
            Scope<T> stage = w.Of($"{Generator}.{i}");
            x = stage.BatchNorm("normalization", x, pictures: true).Apply(Function.Relu);
            x = stage.ConvTranspose2d("convolution", x, stride: 2, padding: 1);
            // Twice as large as the stage; where the next had an odd size, there is a line too many.
            x = x.Slice(2, 0, _stages[i - 1].Height).Slice(3, 0, _stages[i - 1].Width);
        }
        return x.Apply(Function.Tanh).Reshape(-1, Input.Width);
    }

    protected override T Features<T>(Scope<T> w, VectorRows<T> rows)
    {
        T x = rows.Features.Reshape(-1, _stages[0].Channels, _stages[0].Height, _stages[0].Width);
        for (int i = 1; i < _stages.Length; i++)
        {
            string layer = $"{Discriminator}.{i}";
            x = Conv2d(w, layer, x, Kernel, stride: 2);
            if (_normalizes && i > 1)
                x = w.BatchNorm(layer + ".normalization", x, pictures: true);
            x = x.LeakyRelu(Slope);
        }
        return x.Reshape(-1, FeatureWidth);
    }
}
