namespace GenerativeML;

/// <summary>
/// Which outlines run where in an image, whatever its light and contrast: how strongly brightness rises in each of eight
/// directions around each place of a coarse grid (histograms of oriented gradients, Dalal and Triggs 2005), all of it as
/// one vector of a fixed length. Two images of a thing that is shifted or bent a little are near each other so.
/// </summary>
/// <param name="shape">The image.</param>
internal sealed class ImageOutlines(ImageShape shape)
{
    private const int Directions = 8;
    private const int GridSide = 8; // at most
    private const float Tiny = 1e-8f; // more than rounding leaves of an image of one grey, less than any step of 8 bits

    /// <summary>Numbers of an image's outlines, S.</summary>
    public int Width => shape.Channels * Directions * Grid.Height * Grid.Width;

    private (int Height, int Width) Grid { get; } = (GridOf(shape.Height), GridOf(shape.Width));

    private double Side => Math.Min(shape.Height, shape.Width);

    private GaussianWindow Fine => new("outline_fine", Math.Max(0.5, Side / 32), shape.Height, shape.Width);

    private GaussianWindow Around => new("outline_around", Math.Max(0.5, Side / 20), shape.Height, shape.Width);

    /// <summary>Declares the windows, how neighbours differ, what is amiss at the border, and the mean image.</summary>
    public void Declare(Layers layers)
    {
        Fine.Declare(layers);
        Around.Declare(layers);
        layers.Buffer("outline_rise", Directions, 1, 3, 3);
        layers.Buffer("outline_border", 1, Directions, shape.Height, shape.Width);
        layers.Buffer("outline_mean", 1, shape.Channels, shape.Height, shape.Width);
    }

    /// <summary>Sets all of them; standardising takes the mean from each pixel, which belongs to the outlines.</summary>
    public void Initialize(HostWeights weights, VectorScaler scaler)
    {
        Fine.Initialize(weights);
        Around.Initialize(weights);
        float[] rise = weights["outline_rise"], border = weights["outline_border"], mean = weights["outline_mean"];
        for (int d = 0; d < Directions; d++)
        {
            (double sin, double cos) = Math.SinCos(2 * Math.PI * d / Directions);
            Span<float> each = rise.AsSpan(9 * d, 9);
            (each[3], each[5], each[1], each[7]) = ((float)-cos, (float)cos, (float)-sin, (float)sin);
        }
        // What a convolution makes of an image of ones, beyond which are zeros: so many times a pixel is too much there, where
        // its own value stands for the neighbour that it lacks.
        (int h, int wide) = (shape.Height, shape.Width);
        for (int i = 0; i < border.Length; i++)
        {
            (int d, int y, int x) = (i / (h * wide), i / wide % h, i % wide);
            border[i] = (x < wide - 1 ? rise[(9 * d) + 5] : 0) + (x > 0 ? rise[(9 * d) + 3] : 0)
                + (y < h - 1 ? rise[(9 * d) + 7] : 0) + (y > 0 ? rise[(9 * d) + 1] : 0);
        }
        for (int i = 0; i < mean.Length; i++)
            mean[i] = scaler.Mean(i) * scaler.Scale(i);
    }

    /// <summary>Standardised images (B, C·H·W) → (B, S), whose mean square is one, or next to zero of images of one grey.</summary>
    public T Of<T>(Scope<T> w, T images)
        where T : struct, ITensor<T>
    {
        T x = images.Reshape(-1, shape.Channels, shape.Height, shape.Width) + w["outline_mean"];
        x = Fine.Mean(w, x.Reshape(-1, 1, shape.Height, shape.Width));
        x = (x.Conv2d(w["outline_rise"], null, padding: 1) - x * w["outline_border"]).Apply(Function.Relu);
        x = Around.Mean(w, x.Reshape(-1, 1, shape.Height, shape.Width));
        (int height, int width) = (shape.Height, shape.Width);
        for (; height > GridSide && width > GridSide; (height, width) = ((height + 1) / 2, (width + 1) / 2))
            x = x.Halved();
        for (; height > GridSide; height = (height + 1) / 2)
            x = Halved(x, height, width);
        for (; width > GridSide; width = (width + 1) / 2)
            x = Halved(x, width, 1);
        x = x.Reshape(-1, Width);
        T length = (x.Apply(Function.Square).Reduce(Reduction.Sum, 1) + Tiny).Apply(Function.Sqrt);
        return x * MathF.Sqrt(Width) / length;
    }

    private static int GridOf(int side)
    {
        while (side > GridSide)
            side = (side + 1) / 2;
        return side;
    }

    // The means of two neighbours along one side, (…, side, inner) → (…, ⌈side / 2⌉, inner); the end of an odd one stays.
    private static T Halved<T>(T x, int side, int inner)
        where T : struct, ITensor<T>
    {
        x = x.Reshape(-1, side, inner);
        if (side % 2 > 0)
            x = T.Concat(1, x, x.Slice(1, side - 1, 1));
        return x.Reshape(-1, (side + 1) / 2, 2, inner).Reduce(Reduction.Mean, 2);
    }
}
