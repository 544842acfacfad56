using System.Numerics;

namespace GenerativeML;

/// <summary>
/// Convolutions that make of an image ever smaller ones of more channels, and their mirror: each stage halves height and
/// width, and a residual block (He 2016) belongs to it.
/// </summary>
/// <param name="shape">The image.</param>
/// <param name="channels">Channels of each stage, from the image inwards.</param>
/// <param name="activation">The non-linearity after each layer but the last.</param>
internal sealed class ImageStages(ImageShape shape, IReadOnlyList<int> channels, Activation activation)
{
    /// <summary>The most stages, and the most channels of one.</summary>
    public const int MaxStages = 8, MaxChannels = 1024;

    private const int LeastStages = 2; // that an image of any size may have, as families have them by default

    private const int Kernel = 5, UpKernel = 4; // the latter makes of two pixels four, without a chequered pattern

    private readonly (int Channels, int Height, int Width)[] _stages = Of(shape, channels);

    /// <summary>Numbers of the last stage.</summary>
    public int Innermost { get; } = Of(shape, channels)[^1] is var (c, h, w) ? c * h * w : 0;

    /// <summary>Checks what options say of stages.</summary>
    public static void Validate(IReadOnlyList<int> channels)
    {
        ArgumentNullException.ThrowIfNull(channels);
        OptionChecks.Within(channels.Count, 1, MaxStages, "Channels.Count");
        foreach (int each in channels)
            OptionChecks.Within(each, 1, MaxChannels, "Channels");
    }

    /// <summary>Checks that no stage after the second halves a single pixel.</summary>
    /// <exception cref="InvalidOperationException">One does; the message says how many stages there can be.</exception>
    public static void Check(ImageShape shape, IReadOnlyList<int> channels) => CheckFits(
        shape, "they", "Channels", channels.Count, Math.Max(LeastStages, Halvings(Math.Max(shape.Height, shape.Width))));

    /// <summary>Checks that an option has not more elements than images of a shape can have.</summary>
    /// <exception cref="InvalidOperationException">It has; the message says how many there can be of what.</exception>
    public static void CheckFits(ImageShape shape, string ofWhat, string option, int count, int most)
    {
        if (count > most)
        {
            throw new InvalidOperationException(
                $"Images of {shape.Height} × {shape.Width} pixels are too small for the {count} elements of option {option}: "
                + $"{ofWhat} can have {most} at most.");
        }
    }

    /// <summary>How often a side is halved, rounded up, until one pixel is left: the logarithm to the base of two, rounded up.</summary>
    public static int Halvings(int side) => side > 1 ? BitOperations.Log2((uint)side - 1) + 1 : 0;

    /// <summary>Declares <c>encoder.1</c>, <c>encoder.2</c> …, the first of which may see more channels.</summary>
    public void DeclareEncoder(Layers layers, int more = 0)
    {
        for (int i = 1; i < _stages.Length; i++)
        {
            int inputs = _stages[i - 1].Channels + (i == 1 ? more : 0);
            layers.Conv2d($"encoder.{i}.convolution", inputs, _stages[i].Channels, Kernel);
            Residual(layers, $"encoder.{i}", _stages[i].Channels);
        }
    }

    /// <summary>Declares <c>decoder.1</c>, <c>decoder.2</c> …, counted from the image.</summary>
    public void DeclareDecoder(Layers layers)
    {
        for (int i = _stages.Length - 1; i > 0; i--)
        {
            Residual(layers, $"decoder.{i}", _stages[i].Channels);
            layers.ConvTranspose2d($"decoder.{i}.convolution", _stages[i].Channels, _stages[i - 1].Channels, UpKernel);
        }
    }

    /// <summary>Images (B, C, H, W) → (B, innermost).</summary>
    public T Encode<T>(Scope<T> w, T x)
        where T : struct, ITensor<T>
    {
        for (int i = 1; i < _stages.Length; i++)
        {
            Scope<T> stage = w.Of($"encoder.{i}");
            x = stage.Conv2d("convolution", x, stride: 2, padding: Kernel / 2).Apply(activation);
            x = Residual(stage, x);
        }
        return x.Reshape(-1, Innermost);
    }

    /// <summary>(B, innermost) → images (B, C, H, W).</summary>
    public T Decode<T>(Scope<T> w, T hidden)
        where T : struct, ITensor<T>
    {
        T x = hidden.Reshape(-1, _stages[^1].Channels, _stages[^1].Height, _stages[^1].Width);
        for (int i = _stages.Length - 1; i > 0; i--)
        {
            Scope<T> stage = w.Of($"decoder.{i}");
            x = stage.ConvTranspose2d("convolution", Residual(stage, x), stride: 2, padding: 1);
            // Twice as large as the stage; where the next had an odd size, there is a line too many.
            x = x.Slice(2, 0, _stages[i - 1].Height).Slice(3, 0, _stages[i - 1].Width);
            x = i > 1 ? x.Apply(activation) : x;
        }
        return x;
    }

    /// <summary>Levels of these channels: the first as large as the image, each other half as large as the one before.</summary>
    public static (int Channels, int Height, int Width)[] Levels(ImageShape shape, IReadOnlyList<int> channels) =>
        [.. Of(shape, channels).Zip(channels, (size, each) => (each, size.Height, size.Width))];

    /// <summary>The image, and what each stage makes of it.</summary>
    public static (int Channels, int Height, int Width)[] Of(ImageShape shape, IReadOnlyList<int> channels)
    {
        var stages = new (int Channels, int Height, int Width)[channels.Count + 1];
        stages[0] = (shape.Channels, shape.Height, shape.Width);
        for (int i = 1; i < stages.Length; i++)
            stages[i] = (channels[i - 1], (stages[i - 1].Height + 1) / 2, (stages[i - 1].Width + 1) / 2);
        return stages;
    }

    private static void Residual(Layers layers, string name, int channels)
    {
        layers.Conv2d($"{name}.residual.0", channels, channels, 3);
        layers.Conv2d($"{name}.residual.1", channels, channels, 1);
    }

    private T Residual<T>(Scope<T> w, T x)
        where T : struct, ITensor<T>
    {
        T inner = w.Conv2d("residual.0", x, padding: 1).Apply(activation);
        return x + w.Conv2d("residual.1", inner);
    }
}
