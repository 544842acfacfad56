namespace GenerativeML;

/// <summary>
/// What is drawn in an image, whatever its light: at each place the contrast to what is around it, in units of how much
/// that varies (local contrast normalisation, Jarrett 2009), and how much fine detail there is. Of so many training images
/// it is stored; another image is compared, place by place, with the few of those that are like it (as SPADE does, Cohen
/// and Hoshen 2020, with features of a trained network).
/// </summary>
/// <param name="shape">The image.</param>
/// <param name="stored">Training images that are stored, M.</param>
/// <param name="alike">Stored images, the likest as a whole, that each place is compared with.</param>
/// <param name="near">Of these, the nearest at each place, whose mean counts.</param>
internal sealed class ImageStructure(ImageShape shape, int stored, int alike = 32, int near = 3)
{
    private const int SeenSide = 64, GridSide = 16; // the shorter side of what is seen, and of the places, at most
    private const float Faint = 0.05f; // contrast and detail, in what pixels deviate by, that are next to nothing
    private const float Same = 1e-6f; // as of NearestRows

    private readonly int _alike = Math.Min(alike + 1, stored); // one may be the image itself
    private readonly int _near = Math.Min(near, stored - 1);
    private readonly int _seenHalvings = Halvings(Math.Min(shape.Height, shape.Width), SeenSide);
    private readonly int _gridHalvings = Halvings(Math.Min(shape.Height, shape.Width), GridSide);

    /// <summary>Whether there are images to compare with.</summary>
    public bool Compares => _near > 0;

    /// <summary>Numbers of one image's structure, S.</summary>
    public int Width => 2 * shape.Channels * Height * Across;

    private int Height => Halved(shape.Height, _gridHalvings);

    private int Across => Halved(shape.Width, _gridHalvings);

    private int SeenHeight => Halved(shape.Height, _seenHalvings);

    private int SeenWidth => Halved(shape.Width, _seenHalvings);

    private double Seen => Math.Min(SeenHeight, SeenWidth);

    private GaussianWindow Around => new("structure_around", Seen * 3 / 32, SeenHeight, SeenWidth);

    private GaussianWindow Fine => new("structure_fine", Math.Max(0.5, Seen / 32), SeenHeight, SeenWidth);

    private GaussianWindow Neighbours =>
        new("structure_neighbours", Math.Max(0.5, Math.Min(Height, Across) / 8.0), Height, Across);

    /// <summary>Declares the windows, what is stored, (M, S), the scales of contrast and detail, and the mean image.</summary>
    public void Declare(Layers layers)
    {
        if (!Compares)
            return;
        Array.ForEach([Around, Fine, Neighbours], window => window.Declare(layers));
        layers.Buffer("structure_mean", 1, shape.Channels, shape.Height, shape.Width);
        layers.Buffer("structure_scale", 1, [1, 2, 1, 1, 1]);
        layers.Buffer("structure_memory", stored, Width);
    }

    /// <summary>Sets the windows, and what standardising takes from each pixel, which belongs to the structure.</summary>
    public void Initialize(HostWeights weights, VectorScaler scaler)
    {
        if (!Compares)
            return;
        Array.ForEach([Around, Fine, Neighbours], window => window.Initialize(weights));
        float[] mean = weights["structure_mean"];
        for (int i = 0; i < mean.Length; i++)
            mean[i] = scaler.Mean(i) * scaler.Scale(i);
    }

    /// <summary>Stores the structure of rows drawn at random from a calibration's sample.</summary>
    /// <param name="calibration">The sample, and where to store.</param>
    /// <param name="seed">What rows are drawn by.</param>
    /// <param name="atOnce">Numbers that are held at a time, rounded up to one row's.</param>
    public void Store(VectorCalibration calibration, int seed, int atOnce = 1 << 22)
    {
        if (!Compares)
            return;
        float[] scale = calibration.Weights["structure_scale"], memory = calibration.Weights["structure_memory"];
        int[] order = NearestRows.Drawn(calibration.Count, seed), places = new int[order.Length];
        for (int i = 0; i < order.Length; i++)
            places[order[i]] = i;
        int part = Width / 2, pixels = (int)shape.Length, rows = Math.Max(1, atOnce / Math.Max(Width, pixels));
        double[] sums = new double[scale.Length];
        for (int first = 0; first < calibration.Count; first += rows)
        {
            int count = Math.Min(rows, calibration.Count - first);
            float[] some = calibration.Run(
                new Pass(this), calibration.Rows[(first * pixels)..((first + count) * pixels)], [], count, [Width])[0];
            for (int i = 0; i < some.Length; i++)
                sums[i % Width / part] += some[i] * (double)some[i];
            for (int row = 0; row < count; row++)
            {
                if (places[first + row] < stored)
                    some.AsSpan(row * Width, Width).CopyTo(memory.AsSpan(places[first + row] * Width, Width));
            }
        }
        // Where there is nothing, as in images of one grey, the scale is of no matter.
        for (int kind = 0; kind < scale.Length; kind++)
            scale[kind] = sums[kind] > 0 ? (float)(1 / Math.Sqrt(sums[kind] / (calibration.Count * (double)part))) : 1;
        for (int i = 0; i < memory.Length; i++)
            memory[i] *= scale[i % Width / part];
    }

    /// <summary>
    /// Standardised images (B, C, H, W) → how much each pixel's place differs from the likeliest, (B, 1, H, W).
    /// </summary>
    public T Differences<T>(Scope<T> w, T images)
        where T : struct, ITensor<T>
    {
        T own = (Of(w, images).Reshape(-1, 2, shape.Channels, Height, Across) * w["structure_scale"]).Reshape(-1, Width);
        T memory = w["structure_memory"];
        // Squared distances less the square of the image itself: good enough to choose by.
        T squares = memory.Apply(Function.Square).Reduce(Reduction.Sum, 1).Reshape(stored);
        (_, T likest) = own.Linear(memory * -2f, squares).Smallest(_alike);
        T each = (own.Reshape(0, 1, Width) - memory.Embed(likest)).Apply(Function.Square);
        each = each.Reshape(-1, 2 * shape.Channels, Height, Across).Reduce(Reduction.Mean, 1);
        each = Neighbours.Mean(w, each).Reshape(-1, _alike, Height * Across).Transpose(0, 2, 1);
        (T nearest, _) = each.Smallest(_near + 1);
        // Leaves out an image that is the same, as all training images are, otherwise one too many.
        T least = nearest.Reduce(Reduction.Min, 2), most = nearest.Reduce(Reduction.Max, 2);
        T isSame = T.OneIfLess(least.Reduce(Reduction.Max, 1), least.Reduce(Reduction.Max, 1) * 0f + Same);
        T left = most + (least - most) * isSame;
        T places = ((nearest.Reduce(Reduction.Sum, 2) - left) * (1f / _near)).Reshape(-1, 1, Height, Across);
        for (int i = 0; i < _gridHalvings; i++)
            places = places.Doubled();
        return places.Slice(2, 0, shape.Height).Slice(3, 0, shape.Width);
    }

    // (B, C, H, W) → contrast, then detail, (B, S).
    private T Of<T>(Scope<T> w, T images)
        where T : struct, ITensor<T>
    {
        T x = images.Reshape(-1, shape.Channels, shape.Height, shape.Width) + w["structure_mean"];
        x = x.Reshape(-1, 1, shape.Height, shape.Width);
        for (int i = 0; i < _seenHalvings; i++)
            x = x.Halved();
        T difference = x - Around.Mean(w, x);
        T deviation = (Around.Mean(w, difference.Apply(Function.Square)) + Faint * Faint).Apply(Function.Sqrt);
        T contrast = difference / deviation;
        T detail = ((x - Fine.Mean(w, x)).Apply(Function.Abs) + Faint).Apply(Function.Log);
        for (int i = _seenHalvings; i < _gridHalvings; i++)
            (contrast, detail) = (contrast.Halved(), detail.Halved());
        int places = Height * Across;
        (contrast, detail) = (contrast.Reshape(-1, shape.Channels * places), detail.Reshape(-1, shape.Channels * places));
        return T.Concat(1, contrast, detail - detail.Reduce(Reduction.Mean, 1));
    }

    private static int Halvings(int side, int most)
    {
        int halvings = 0;
        for (; side > most; side = (side + 1) / 2)
            halvings++;
        return halvings;
    }

    private static int Halved(int side, int halvings)
    {
        for (int i = 0; i < halvings; i++)
            side = (side + 1) / 2;
        return side;
    }

    private sealed class Pass(ImageStructure structure) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [structure.Of(w, inputs[0])];
    }
}

/// <summary>
/// Means of pixels and their neighbours, weighted by a normal distribution of this deviation in pixels, in images of this
/// height and width.
/// </summary>
internal sealed record GaussianWindow(string Name, double Deviation, int Height, int Width)
{
    private int Reach => (int)Math.Ceiling(2 * Deviation);

    private int Side => 2 * Reach + 1;

    private string Sums => Name + "_sums";

    /// <summary>Declares the weights, (1, 1, side, side), and at each pixel the sum of those within the image.</summary>
    public void Declare(Layers layers)
    {
        layers.Buffer(Name, 1, 1, Side, Side);
        layers.Buffer(Sums, 1, 1, Height, Width);
    }

    /// <summary>Sets the weights, whose sum is one, and their sums within the image.</summary>
    public void Initialize(HostWeights weights)
    {
        double[] line = [.. Enumerable.Range(-Reach, Side).Select(i => Math.Exp(-i * i / (2 * Deviation * Deviation)))];
        double sum = line.Sum();
        float[] window = weights[Name], sums = weights[Sums];
        for (int i = 0; i < window.Length; i++)
            window[i] = (float)(line[i / Side] * line[i % Side] / (sum * sum));
        double[] down = Within(Height), across = Within(Width);
        for (int i = 0; i < sums.Length; i++)
            sums[i] = (float)(down[i / Width] * across[i % Width]);

        double[] Within(int length) =>
        [
            .. Enumerable.Range(0, length).Select(place =>
                line.Where((_, i) => place + i - Reach >= 0 && place + i - Reach < length).Sum() / sum),
        ];
    }

    /// <summary>(B, 1, H, W) → the weighted sums, zero being beyond the border.</summary>
    public T Sum<T>(Scope<T> w, T x)
        where T : struct, ITensor<T> => x.Conv2d(w[Name], null, padding: Reach);

    /// <summary>(B, 1, H, W) → the weighted means of the pixels that there are.</summary>
    public T Mean<T>(Scope<T> w, T x)
        where T : struct, ITensor<T> => Sum(w, x) / w[Sums];
}
