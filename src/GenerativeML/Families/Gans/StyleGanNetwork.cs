using TorchSharp;

namespace GenerativeML;

/// <summary>
/// StyleGAN (Karras 2019, 2020). The generator: dense layers make a style of noise and condition; a learned constant becomes an
/// image by convolutions that are modulated by the style, with fresh noise at each place; each level adds to the image, at
/// last tanh. The discriminator is that of <see cref="EqualizedGanNetwork"/>.
/// </summary>
internal sealed class StyleGanNetwork(ImageGanOptions options, VectorInput input)
    : EqualizedGanNetwork(options, input), IStyleSampler
{
    private const int Kernel = 3;
    // Of learning, in shares of the others': a style moves all layers at once. The paper's hundredth is for runs of millions
    // of images, and leaves the mapping as it began in those of some thousand steps.
    private const float MappingRate = 0.1f;
    private const double MeanMomentum = 0.005;
    private const string Mean = $"{Generator}.style.mean"; // a part of the generator: that of the mean weights lags as they do

    private readonly int _width = options.StyleDimension!.Value;

    public int StyleLayers => 2 * Last + 1;

    public override int NormalWidth => LatentWidth + Enumerable.Range(0, StyleLayers).Sum(Places);

    public override void Declare(Layers layers)
    {
        int inputs = LatentWidth + Input.ConditionWidth;
        for (int i = 0; i < Options.MappingLayers; i++)
            EqualizedLayers.DeclareLinear(layers, $"{Generator}.mapping.{i}", i == 0 ? inputs : _width, _width);
        (int channels, int height, int width) = Levels[^1];
        layers.Normal($"{Generator}.constant", 1, channels, height, width);
        for (int layer = 0; layer < StyleLayers; layer++)
        {
            (int from, int to) = Channels(layer);
            EqualizedLayers.DeclareLinear(layers, $"{Generator}.{layer}.style", _width, from, shift: 1);
            EqualizedLayers.DeclareConv2d(layers, $"{Generator}.{layer}.convolution", from, to, Kernel);
            layers.Parameter($"{Generator}.{layer}.noise", 0, 1);
            if (layer % 2 == 0)
            {
                EqualizedLayers.DeclareLinear(layers, $"{Generator}.{layer}.image.style", _width, to, shift: 1);
                EqualizedLayers.DeclareConv2d(layers, $"{Generator}.{layer}.image", to, Shape.Channels, 1);
            }
        }
        layers.Buffer(Mean, _width);
        DeclareDiscriminator(layers, grows: false);
    }

    public override void Initialize(HostWeights weights, RowStatistics rows)
    {
        for (int i = 0; i < Options.MappingLayers; i++)
        {
            foreach (ref float weight in weights[$"{Generator}.mapping.{i}.weight"].AsSpan())
                weight /= MappingRate;
        }
        base.Initialize(weights, rows);
    }

    /// <summary>Noise (B, Z) and conditions → styles, (B, W).</summary>
    public T Style<T>(Scope<T> w, T latent, T? condition)
        where T : struct, ITensor<T>
    {
        T x = new VectorRows<T>(latent.NormalizedPixels(), condition).WithCondition;
        for (int i = 0; i < Options.MappingLayers; i++)
        {
            int inputs = i == 0 ? LatentWidth + Input.ConditionWidth : _width;
            x = EqualizedLayers.Linear(
                w, $"{Generator}.mapping.{i}", x, inputs, EqualizedLayers.RectifierGain, MappingRate).Rectified();
        }
        return x;
    }

    protected override T Generate<T>(Scope<T> w, T latent, T? condition)
    {
        T z = latent.Slice(1, 0, LatentWidth), style = Style(w, z, condition);
        T[] styles = [.. Enumerable.Repeat(style, StyleLayers)];
        if ((object)w is Scope<TorchTensor> { Ops: TorchOps { Random: { } random } } training)
        {
            TorchTensor own = (TorchTensor)(object)style;
            Follow(training[Mean], own);
            TorchTensor[] mixed = Mixed(
                training, own, (TorchTensor)(object)z, condition is { } some ? (TorchTensor)(object)some : (TorchTensor?)null, random);
            styles = (T[])(object)mixed;
        }
        return Synthesize(w, styles, latent);
    }

    public override T Sample<T>(Scope<T> w, T normal, T? uniform, T? condition)
    {
        T mean = w[Mean].Reshape(1, _width), style = Style(w, normal.Slice(1, 0, LatentWidth), condition);
        if (Options.Sampling.StyleTruncation < 1)
            style = mean + (style - mean) * (float)Options.Sampling.StyleTruncation;
        return Synthesize(w, [.. Enumerable.Repeat(style, StyleLayers)], normal);
    }

    public T Sample<T>(Scope<T> w, T normal, T other, T share, T truncation, T? condition)
        where T : struct, ITensor<T>
    {
        T mean = w[Mean].Reshape(1, _width);
        T style = Style(w, normal.Slice(1, 0, LatentWidth), condition), toOther = Style(w, other.Slice(1, 0, LatentWidth), condition) - style;
        T[] styles =
        [
            .. Enumerable.Range(0, StyleLayers)
                .Select(layer => mean + (style + toOther * share.Slice(1, layer, 1) - mean) * truncation),
        ];
        return Synthesize(w, styles, normal);
    }

    // Styles of each layer, (B, W), and numbers of which all but the first are noise of each layer's places.
    private T Synthesize<T>(Scope<T> w, T[] styles, T normal)
        where T : struct, ITensor<T>
    {
        T? image = null;
        // Of as many rows as there are styles.
        T x = w[$"{Generator}.constant.weight"] + styles[0].Slice(1, 0, 1).Reshape(-1, 1, 1, 1) * 0f;
        long at = LatentWidth;
        for (int layer = 0; layer < StyleLayers; at += Places(layer++))
        {
            Scope<T> own = w.Of($"{Generator}.{layer}");
            (int from, int to) = Channels(layer);
            (int channels, int height, int width) level = Levels[LevelOf(layer)];
            T modulation = EqualizedLayers.Linear(own, "style", styles[layer], _width);
            x = EqualizedLayers.Modulated(
                own, "convolution", layer % 2 == 1 ? Doubled(x, LevelOf(layer)) : x, modulation, from, to, Kernel, demodulate: true);
            T noise = normal.Slice(1, at, Places(layer)).Reshape(-1, 1, level.height, level.width);
            x = (x + noise * own["noise"] + own["convolution.bias"].Reshape(-1, 1, 1)).Rectified() * EqualizedLayers.RectifierGain;
            if (layer % 2 == 1)
                continue;
            modulation = EqualizedLayers.Linear(own, "image.style", styles[layer], _width);
            T part = EqualizedLayers.Modulated(own, "image", x, modulation, to, Shape.Channels, 1, demodulate: false)
                + own["image.bias"].Reshape(-1, 1, 1);
            image = image is { } coarser ? Doubled(coarser, LevelOf(layer)) + part : part;
        }
        return image!.Value.Apply(Function.Tanh).Reshape(-1, Input.Width);
    }

    // Of some rows, from a layer on, the style is another's with the same condition, so that no layer counts on what others
    // are told (Karras 2019, section 3.1).
    private TorchTensor[] Mixed(
        Scope<TorchTensor> w, TorchTensor style, TorchTensor latent, TorchTensor? condition, SeededRandom random)
    {
        double share = Options.StyleMixing!.Value;
        long rows = style.Value.shape[0];
        if (share == 0 || rows < 2 || StyleLayers < 2)
            return [.. Enumerable.Repeat(style, StyleLayers)];
        TorchTensor other = Style(w, latent.Value.roll(1, 0), condition);
        torch.Tensor from = random.Uniform([rows, 1], 1, StyleLayers).floor();
        torch.Tensor isMixed = random.Bernoulli([rows, 1], share);
        return
        [
            .. Enumerable.Range(0, StyleLayers).Select(layer =>
            {
                torch.Tensor taken = from.le(torch.zeros_like(from).Plus(layer)).to(from.dtype).mul(isMixed);
                return style + (other - style) * (TorchTensor)taken;
            }),
        ];
    }

    private static void Follow(torch.Tensor mean, torch.Tensor style)
    {
        using IDisposable noGradient = torch.no_grad();
        mean.Scale(1 - MeanMomentum).Add(style.detach().mean([0L]), MeanMomentum);
    }

    private int LevelOf(int layer) => Last - (layer + 1) / 2;

    private int Places(int layer) => Levels[LevelOf(layer)].Height * Levels[LevelOf(layer)].Width;

    private (int From, int To) Channels(int layer) =>
        (Levels[layer % 2 == 1 ? LevelOf(layer) + 1 : LevelOf(layer)].Channels, Levels[LevelOf(layer)].Channels);
}
