using TorchSharp;

namespace GenerativeML;

/// <summary>
/// GANs of equalised layers (<see cref="EqualizedLayers"/>), whose discriminator may grow from small images to large ones
/// (Karras 2018): of each level, two convolutions, and one of single pixels that an image of that size enters by; the last
/// level knows how much images of the batch differ, and ends in a dense layer.
/// </summary>
internal abstract class EqualizedGanNetwork(ImageGanOptions options, VectorInput input) : ImageGanNetwork(options, input)
{
    private const int Kernel = 3;
    private const string Deviation = $"{Discriminator}.deviation";

    /// <summary>The level of the smallest images.</summary>
    protected int Last => Levels.Length - 1;

    protected override int FeatureWidth => Levels[^1].Channels;

    /// <summary>How far the networks have grown: from 0 at the last level to the number of levels less one.</summary>
    protected virtual float Growth<T>(Scope<T> w)
        where T : struct, ITensor<T> => Last;

    /// <summary>The largest level that there is by now, and how much of it counts; the next counts for the rest.</summary>
    protected (int Level, float Share) Grown<T>(Scope<T> w)
        where T : struct, ITensor<T>
    {
        float growth = Growth(w), part = growth - MathF.Floor(growth);
        return (Last - (int)MathF.Ceiling(growth), part > 0 ? part : 1);
    }

    /// <summary>Declares the discriminator, for images of all levels or of the first alone.</summary>
    protected void DeclareDiscriminator(Layers layers, bool grows)
    {
        for (int i = 0; i <= Last; i++)
        {
            string name = $"{Discriminator}.{i}";
            int channels = Levels[i].Channels;
            if (i == 0 || grows)
                EqualizedLayers.DeclareConv2d(layers, $"{name}.image", Shape.Channels, channels, 1);
            EqualizedLayers.DeclareConv2d(layers, $"{name}.0", channels + (i == Last ? 1 : 0), channels, Kernel);
            if (i < Last)
                EqualizedLayers.DeclareConv2d(layers, $"{name}.1", channels, Levels[i + 1].Channels, Kernel);
        }
        layers.Buffer(Deviation, 1);
        EqualizedLayers.DeclareLinear(
            layers, $"{Discriminator}.features", Levels[^1].Channels * Levels[^1].Height * Levels[^1].Width, FeatureWidth);
        DeclareJudgement(layers);
    }

    protected sealed override T Features<T>(Scope<T> w, VectorRows<T> rows)
    {
        (int first, float share) = Grown(w);
        T image = rows.Features.Reshape(-1, Shape.Channels, Shape.Height, Shape.Width);
        for (int i = 0; i < first; i++)
            image = image.Halved();
        T x = OfImage(first, image);
        for (int i = first; i < Last; i++)
        {
            x = Convolution(i, 0, Levels[i].Channels, x);
            x = Convolution(i, 1, Levels[i].Channels, x).Halved();
            if (i == first && share < 1)
                x = x * share + OfImage(first + 1, image.Halved()) * (1 - share);
        }
        x = Convolution(Last, 0, Levels[^1].Channels + 1, EqualizedLayers.WithBatchDeviation(w, Deviation, x));
        int width = Levels[^1].Channels * Levels[^1].Height * Levels[^1].Width;
        return EqualizedLayers.Linear(
            w, $"{Discriminator}.features", x.Reshape(-1, width), width, EqualizedLayers.RectifierGain).Rectified();

        T OfImage(int level, T image) => EqualizedLayers.Conv2d(
            w, $"{Discriminator}.{level}.image", image, Shape.Channels, 1, EqualizedLayers.RectifierGain).Rectified();

        T Convolution(int level, int layer, int inputs, T x) => EqualizedLayers.Conv2d(
            w, $"{Discriminator}.{level}.{layer}", x, inputs, Kernel, EqualizedLayers.RectifierGain).Rectified();
    }

    protected sealed override void DeclareDense(Layers layers, string name, int inputs, int outputs, bool bias) =>
        EqualizedLayers.DeclareLinear(layers, name, inputs, outputs, bias);

    protected sealed override T Dense<T>(Scope<T> w, string name, T x, int inputs) =>
        EqualizedLayers.Linear(w, name, x, inputs);

    /// <summary>Images of a level brought to the size of the whole image.</summary>
    protected T ToWhole<T>(T image, int level)
        where T : struct, ITensor<T>
    {
        for (int i = level - 1; i >= 0; i--)
            image = Doubled(image, i);
        return image;
    }
}

/// <summary>
/// Progressive growing (Karras 2018): training begins with the smallest images, and while it goes on levels of twice the size
/// are faded in, in both networks and in the real images. The generator: a dense layer, then two convolutions of each level,
/// with normalised pixels; one of single pixels makes an image of any level; at last tanh.
/// </summary>
internal sealed class ProgressiveGanNetwork(ImageGanOptions options, VectorInput input) : EqualizedGanNetwork(options, input)
{
    private const string GrowthName = "growth"; // no part of the generator: its mean would lag behind
    private const int Kernel = 3;

    public override void Declare(Layers layers)
    {
        (int channels, int height, int width) = Levels[^1];
        EqualizedLayers.DeclareLinear(layers, $"{Generator}.innermost", NormalWidth + Input.ConditionWidth, channels * height * width);
        for (int i = Last; i >= 0; i--)
        {
            if (i < Last)
                EqualizedLayers.DeclareConv2d(layers, $"{Generator}.{i}.0", Levels[i + 1].Channels, Levels[i].Channels, Kernel);
            EqualizedLayers.DeclareConv2d(layers, $"{Generator}.{i}.1", Levels[i].Channels, Levels[i].Channels, Kernel);
            EqualizedLayers.DeclareConv2d(layers, $"{Generator}.{i}.image", Levels[i].Channels, Shape.Channels, 1);
        }
        DeclareDiscriminator(layers, grows: true);
        layers.Buffer(GrowthName, 1);
    }

    /// <remarks>For the next step; the run ends with networks that are fully grown.</remarks>
    public override void AfterUpdate(TorchLayers layers, int update, StepContext step)
    {
        base.AfterUpdate(layers, update, step);
        bool isLast = update != DiscriminatorUpdate || (step.Step + 1) % Options.DiscriminatorStepsPerGeneratorStep!.Value != 0;
        if (isLast)
            layers.Tensors[GrowthName].Fill(GrowthAt(step.Step + 1, step.Steps));
    }

    /// <summary>
    /// How far networks have grown at a step: levels come one after the other, over the share of the run that options name;
    /// for half of its time a level stays as it is, in the other half the next one fades in.
    /// </summary>
    public float GrowthAt(long step, long steps)
    {
        double time = Last * Math.Min(1, step / (steps * Options.GrowthFraction!.Value)), level = Math.Floor(time);
        return (float)(level + Math.Max(0, 2 * (time - level) - 1));
    }

    protected override float Growth<T>(Scope<T> w) =>
        w.Number(GrowthName) is >= 0 and float growth ? Math.Min(growth, Last) : 0;

    protected override TorchTensor Real(Scope<TorchTensor> w, TorchTensor rows) => Faded(w, rows);

    /// <summary>Images (B, D) with no more detail than the networks have by now, and the newest as far as it is faded in.</summary>
    public T Faded<T>(Scope<T> w, T rows)
        where T : struct, ITensor<T>
    {
        (int level, float share) = Grown(w);
        if (level == 0 && share == 1)
            return rows;
        T image = rows.Reshape(-1, Shape.Channels, Shape.Height, Shape.Width);
        for (int i = 0; i < level; i++)
            image = image.Halved();
        if (share < 1)
            image = image * share + Doubled(image.Halved(), level) * (1 - share);
        return ToWhole(image, level).Reshape(-1, Input.Width);
    }

    protected override T Generate<T>(Scope<T> w, T latent, T? condition)
    {
        (int first, float share) = Grown(w);
        (int channels, int height, int width) = Levels[^1];
        T x = new VectorRows<T>(latent.NormalizedPixels(), condition).WithCondition;
        x = EqualizedLayers.Linear(
            w, $"{Generator}.innermost", x, NormalWidth + Input.ConditionWidth, EqualizedLayers.RectifierGain);
        x = Convolution(Last, 1, x.Reshape(-1, channels, height, width).Rectified().NormalizedPixels());
        T image = first == Last || first + 1 == Last && share < 1 ? ToImage(Last, x) : x;
        for (int i = Last - 1; i >= first; i--)
        {
            x = Convolution(i, 1, Convolution(i, 0, Doubled(x, i)));
            if (i == first)
                image = share < 1 ? ToImage(i, x) * share + Doubled(image, i) * (1 - share) : ToImage(i, x);
            else if (i == first + 1 && share < 1)
                image = ToImage(i, x);
        }
        return ToWhole(image, first).Apply(Function.Tanh).Reshape(-1, Input.Width);

        T ToImage(int level, T x) => EqualizedLayers.Conv2d(w, $"{Generator}.{level}.image", x, Levels[level].Channels, 1);

        T Convolution(int level, int layer, T x)
        {
            int inputs = Levels[layer == 0 ? level + 1 : level].Channels;
            return EqualizedLayers.Conv2d(w, $"{Generator}.{level}.{layer}", x, inputs, Kernel, EqualizedLayers.RectifierGain)
                .Rectified().NormalizedPixels();
        }
    }
}
