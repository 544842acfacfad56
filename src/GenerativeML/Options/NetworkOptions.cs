namespace GenerativeML;

/// <summary>The non-linearity after each hidden layer.</summary>
public enum Activation
{
    /// <summary>max(0, x).</summary>
    Relu,

    /// <summary>x where positive, otherwise 0.01·x.</summary>
    LeakyRelu,

    /// <summary>x where positive, otherwise eˣ − 1 (Clevert 2016).</summary>
    Elu,

    /// <summary>x·Φ(x), with the exact normal distribution function (Hendrycks and Gimpel 2016).</summary>
    Gelu,

    /// <summary>x·σ(x), also called swish (Elfwing 2018).</summary>
    Silu,

    /// <summary>The hyperbolic tangent.</summary>
    Tanh,

    /// <summary>1 / (1 + e⁻ˣ).</summary>
    Sigmoid,

    /// <summary>None: a linear layer.</summary>
    Identity,
}

/// <summary>
/// The shape of images that are vectors: all pixels of the first channel row by row, then those of the next, as
/// <c>ExtractPixels</c> gives them by default.
/// </summary>
/// <param name="Channels">Numbers of a pixel: 1 for greys, 3 for colours.</param>
/// <param name="Height">Rows of pixels.</param>
/// <param name="Width">Pixels of a row.</param>
public sealed record ImageShape(int Channels, int Height, int Width)
{
    /// <summary>Numbers of an image.</summary>
    internal long Length => (long)Channels * Height * Width;

    /// <summary>A square image of one or three channels that has so many numbers; null where there is none.</summary>
    internal static ImageShape? OfSquare(int length)
    {
        foreach (int channels in (ReadOnlySpan<int>)[1, 3])
        {
            int side = (int)Math.Sqrt(length / channels);
            if (channels * side * side == length)
                return new(channels, side, side);
        }
        return null;
    }

    /// <summary>Checks each size.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no pixel, or there are too many numbers.</exception>
    internal void Validate()
    {
        OptionChecks.Within(Channels, 1, VectorInput.MaxWidth, "ImageShape.Channels");
        OptionChecks.Within(Height, 1, VectorInput.MaxWidth, "ImageShape.Height");
        OptionChecks.Within(Width, 1, VectorInput.MaxWidth, "ImageShape.Width");
    }
}
