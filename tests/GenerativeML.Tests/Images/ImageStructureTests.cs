using GenerativeML.Tests.Engines;

namespace GenerativeML.Tests.Images;

/// <summary>What the structure of images is, and how it differs, by plain loops and by both engines.</summary>
[TestClass]
public sealed class ImageStructureTests
{
    private const int Stored = 6, Rows = 3;

    // Sides that halve evenly or not, one and several channels, an image that is its own grid, and how many near ones count.
    public static IEnumerable<object[]> Shapes => [[1, 19, 17, 3], [1, 19, 17, 1], [2, 20, 34, 3], [1, 5, 4, 1]];

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void Differences_are_what_plain_loops_say(int channels, int height, int width, int near)
    {
        var shape = new ImageShape(channels, height, width);
        (Differences pass, HostWeights weights, float[] images, double[] expected) = Make(shape, near);
        AssertClose(Run(pass, weights, images, Rows), "ONNX Runtime");
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
            AssertClose(Run(pass, weights, images, Rows), "torch");

        void AssertClose(float[] found, string engine)
        {
            // Sums of some hundred numbers in single precision, and a logarithm's slope of at most 1/Faint.
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], found[i], 2e-4 * (1 + expected[i]), $"{engine}, {i}");
        }
    }

    // A pixel so bright that its square is infinite is the first image's own.
    [TestMethod]
    [DataRow(0.5f)]
    [DataRow(1e25f)]
    public void An_image_gets_the_same_bits_alone_and_among_others(float pixel)
    {
        (Differences pass, HostWeights weights, float[] images, _) = Make(new(1, 19, 17));
        images[40] = pixel;
        float[] together = Run(pass, weights, images, Rows);
        for (int row = 0; row < Rows; row++)
        {
            float[] alone = Run(pass, weights, images[(row * 19 * 17)..((row + 1) * 19 * 17)], 1);
            Assert.IsTrue(together.AsSpan(row * alone.Length, alone.Length).SequenceEqual(alone), $"{row}");
        }
        Assert.IsTrue(together.All(float.IsFinite));
    }

    // The contrast of c·x + b is that of x, and so is its detail, but for what is next to nothing: where differences of pixels
    // are of the order of a million, it is in the last of single precision's digits.
    [TestMethod]
    public void Brighter_light_and_more_contrast_change_nothing()
    {
        (Differences pass, HostWeights weights, float[] images, _) = Make(new(1, 19, 17));
        float[] mean = weights["structure_mean"], once = Lit(1 << 20, 0), otherwise = Lit(1 << 22, 1 << 21);
        for (int i = 0; i < once.Length; i++)
            Assert.AreEqual(once[i], otherwise[i], 2e-4 * (1 + once[i]), $"{i}");

        float[] Lit(float factor, float more) => Run(
            pass, weights, [.. images.Select((v, i) => factor * (v + mean[i % mean.Length]) + more - mean[i % mean.Length])], Rows);
    }

    // Some of seven images are stored; what contrasts and details deviate by is told by all.
    [TestMethod]
    [DataRow(1)]
    [DataRow(3)]
    [DataRow(100)]
    public void What_is_stored_does_not_depend_on_how_many_images_are_read_at_once(int atOnce)
    {
        var shape = new ImageShape(1, 19, 17);
        int pixels = (int)shape.Length;
        var network = new ImageAutoencoderNetwork(
            new() { Score = ImageScore.Structure, ReferenceRows = Stored }, new VectorInput { Width = pixels, Image = new(shape) });
        var weights = new HostWeights(network.Tensors());
        VectorScaler same = VectorScaler.Of(new float[pixels], scale: 1);
        same.CopyTo(weights["input_mean"], weights["input_scale"], weights["input_limit"]);
        var structure = new ImageStructure(shape, Stored);
        structure.Initialize(weights, same);
        RowField[] fields = [new RowField("Features", FieldKind.Single, pixels)];
        var sample = new RowSample(0, pixels, 7, seed: 1);
        var block = new RowBlock(fields, 1);
        var random = new Random(4);
        Loops loops = new(shape);
        var expected = new List<double[]>();
        for (int i = 0; i < 7; i++)
        {
            foreach (ref float value in block.Singles(0))
                value = (i + 1) * random.NextSingle();
            sample.Observe(block, 0);
            expected.Add(loops.Structure(block.Singles(0).ToArray(), 1, 1));
        }
        using var model = new TrainedVector(network, weights, ComputeDevice.Cpu, fallbackToCpu: false);
        structure.Store(new VectorCalibration(model, fields, [sample], [sample]), seed: 1, atOnce * pixels);
        int width = expected[0].Length;
        double[] scale = [.. new[] { 0, width / 2 }.Select(
            first => 1 / Math.Sqrt(expected.Average(row => row.Skip(first).Take(width / 2).Average(v => v * v))))];
        Assert.AreEqual(scale[0], weights["structure_scale"][0], 1e-4 * scale[0]);
        Assert.AreEqual(scale[1], weights["structure_scale"][1], 1e-4 * scale[1]);
        int[] found =
        [
            .. weights["structure_memory"].Chunk(width).Select(stored => expected.FindIndex(
                row => row.Select((v, i) => Math.Abs(v * scale[2 * i / width] - stored[i])).Max() < 1e-3)),
        ];
        Assert.HasCount(Stored, found.Where(i => i >= 0).Distinct());
        // None of it is a weight that PyTorch would take.
        using var exported = new MemoryStream();
        model.ExportWeights(exported);
        exported.Position = 0;
        Assert.IsFalse(SafetensorsReader.Open(exported).ByName.Keys.Any(name => name.StartsWith("structure", StringComparison.Ordinal)));
    }

    // Stored images at random; of those that are compared the second is a stored one.
    private static (Differences Pass, HostWeights Weights, float[] Images, double[] Expected) Make(ImageShape shape, int near = 3)
    {
        var structure = new ImageStructure(shape, Stored, alike: 100, near);
        var layers = new LayerSpecs();
        structure.Declare(layers);
        var weights = new HostWeights(layers.Tensors);
        (weights["structure_scale"][0], weights["structure_scale"][1]) = (1.5f, 0.7f);
        var random = new Random(3);
        float[] mean = Image();
        structure.Initialize(weights, VectorScaler.Of(mean, scale: 2));
        float[][] stored = [.. Enumerable.Range(0, Stored).Select(_ => Image())], images = [Image(), stored[4], Image()];
        Loops loops = new(shape);
        double[][] known = [.. stored.Select(image => loops.Structure(Seen(image), 1.5, 0.7))];
        known.SelectMany(values => values).Select(value => (float)value).ToArray().CopyTo(weights["structure_memory"], 0);
        double[] expected = [.. images.SelectMany((image, i) => loops.Difference(
            loops.Structure(Seen(image), 1.5, 0.7), i == 1 ? [.. known.Where((_, k) => k != 4)] : known, near))];
        return (new Differences(structure, shape), weights, [.. images.SelectMany(image => image)], expected);

        float[] Seen(float[] standardised) => [.. standardised.Zip(mean, (v, m) => v + 2 * m)];

        float[] Image() => [.. Enumerable.Range(0, (int)shape.Length).Select(_ => 2 * random.NextSingle() - 1)];
    }

    private static float[] Run(Differences pass, HostWeights weights, float[] images, int rows)
    {
        float[] results = new float[rows * pass.Length];
        new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false).RunOnce(pass, rows, [images], [results]);
        return results;
    }

    private sealed class Differences(ImageStructure structure, ImageShape shape) : IForwardPass
    {
        public int Length => shape.Height * shape.Width;

        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
            [structure.Differences(w, inputs[0].Reshape(-1, shape.Channels, shape.Height, shape.Width)).Reshape(-1, Length)];
    }

    /// <summary>The same by definition, in double precision, for images of which nothing is halved before it is seen.</summary>
    private sealed class Loops(ImageShape shape)
    {
        private readonly bool _halves = Math.Min(shape.Height, shape.Width) > 16;
        private readonly int _shorter = Math.Min(shape.Height, shape.Width);

        private int Height => _halves ? (shape.Height + 1) / 2 : shape.Height;

        private int Width => _halves ? (shape.Width + 1) / 2 : shape.Width;

        public double[] Structure(float[] image, double contrastScale, double detailScale)
        {
            (int h, int w) = (shape.Height, shape.Width);
            var contrasts = new List<double>();
            var details = new List<double>();
            foreach (float[] channel in image.Chunk(h * w))
            {
                double[] x = [.. channel.Select(v => (double)v)];
                double[] mean = Smoothed(x, h, w, _shorter * 3 / 32.0), fine = Smoothed(x, h, w, Math.Max(0.5, _shorter / 32.0));
                double[] squares = Smoothed([.. x.Zip(mean, (a, b) => (a - b) * (a - b))], h, w, _shorter * 3 / 32.0);
                contrasts.AddRange(Grid([.. x.Select((v, i) => (v - mean[i]) / Math.Sqrt(squares[i] + 0.0025))]));
                details.AddRange(Grid([.. x.Select((v, i) => Math.Log(Math.Abs(v - fine[i]) + 0.05))]));
            }
            double usual = details.Average();
            return [.. contrasts.Select(v => v * contrastScale), .. details.Select(v => (v - usual) * detailScale)];
        }

        // The mean of the least differences at each place, so many, of these stored images.
        public double[] Difference(double[] own, double[][] stored, int near)
        {
            int places = Height * Width, kinds = own.Length / places;
            double[][] maps =
            [
                .. stored.Select(other => Smoothed(
                    [.. Enumerable.Range(0, places).Select(p => Enumerable.Range(0, kinds)
                        .Average(k => Math.Pow(own[k * places + p] - other[k * places + p], 2)))],
                    Height, Width, Math.Max(0.5, Math.Min(Height, Width) / 8.0))),
            ];
            double[] least = [.. Enumerable.Range(0, places).Select(p => maps.Select(map => map[p]).Order().Take(near).Average())];
            return
            [
                .. Enumerable.Range(0, shape.Height * shape.Width).Select(i =>
                {
                    (int y, int x) = (i / shape.Width, i % shape.Width);
                    return _halves ? least[y / 2 * Width + x / 2] : least[i];
                }),
            ];
        }

        private double[] Grid(double[] values)
        {
            if (!_halves)
                return values;
            return
            [
                .. from y in Enumerable.Range(0, Height)
                   from x in Enumerable.Range(0, Width)
                   select (from b in new[] { 2 * y, 2 * y + 1 }
                           from a in new[] { 2 * x, 2 * x + 1 }
                           where b < shape.Height && a < shape.Width
                           select values[b * shape.Width + a]).Average(),
            ];
        }

        private static double[] Smoothed(double[] values, int height, int width, double deviation)
        {
            int reach = (int)Math.Ceiling(2 * deviation);
            double[] smoothed = new double[values.Length];
            for (int i = 0; i < values.Length; i++)
            {
                double sum = 0, weights = 0;
                for (int y = Math.Max(0, i / width - reach); y <= Math.Min(height - 1, i / width + reach); y++)
                {
                    for (int x = Math.Max(0, i % width - reach); x <= Math.Min(width - 1, i % width + reach); x++)
                    {
                        double squared = Math.Pow(y - i / width, 2) + Math.Pow(x - i % width, 2);
                        double weight = Math.Exp(-squared / (2 * deviation * deviation));
                        (sum, weights) = (sum + weight * values[y * width + x], weights + weight);
                    }
                }
                smoothed[i] = sum / weights;
            }
            return smoothed;
        }
    }
}
