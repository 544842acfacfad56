using GenerativeML.Tests.Engines;

namespace GenerativeML.Tests.Images;

/// <summary>The outlines of images, by plain loops and by both engines.</summary>
[TestClass]
public sealed class ImageOutlinesTests
{
    private const int Rows = 3;

    // Halved evenly or not, once or twice or never, several channels, an image of one line, and long ones, halved along
    // one side more often than along the other, or only there.
    public static IEnumerable<object[]> Shapes =>
        [[1, 19, 17], [2, 18, 12], [1, 5, 4], [1, 1, 3], [1, 8, 100], [2, 71, 3], [1, 12, 83]];

    [TestMethod]
    [DynamicData(nameof(Shapes))]
    public void They_are_what_plain_loops_say(int channels, int height, int width)
    {
        var shape = new ImageShape(channels, height, width);
        (Pass pass, HostWeights weights, float[] mean) = Make(shape);
        float[] images = Images(shape);
        double[] expected =
        [
            .. images.Chunk((int)shape.Length).SelectMany(image => Expected(shape, [.. image.Zip(mean, (v, m) => v + 2.0 * m)])),
        ];
        AssertClose(Run(pass, weights, images), "ONNX Runtime");
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
            AssertClose(Run(pass, weights, images), "torch");

        void AssertClose(float[] found, string engine)
        {
            Assert.HasCount(expected.Length, found);
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], found[i], 1e-4 * (1 + expected[i]), $"{engine}, {i}");
        }
    }

    [TestMethod]
    public void However_long_an_image_is_each_side_of_its_grid_is_8_at_most()
    {
        Assert.AreEqual(8 * 8 * 8, new ImageOutlines(new(1, 8, 1000)).Width);
        Assert.AreEqual(8 * 8 * 3, new ImageOutlines(new(1, 1000, 3)).Width);
        Assert.AreEqual(3 * 8 * 7 * 7, new ImageOutlines(new(3, 28, 28)).Width);
        Assert.AreEqual(8 * 8 * 8, new ImageOutlines(new(1, 64, 64)).Width);
    }

    [TestMethod]
    public void Light_and_contrast_change_nothing_and_a_negative_has_other_outlines()
    {
        var shape = new ImageShape(1, 19, 17);
        (Pass pass, HostWeights weights, float[] mean) = Make(shape);
        float[] images = Images(shape), once = Run(pass, weights, Lit(1, 0)), otherwise = Run(pass, weights, Lit(4, 2));
        for (int i = 0; i < once.Length; i++)
            Assert.AreEqual(once[i], otherwise[i], 1e-4 * (1 + once[i]), $"{i}");
        Assert.IsGreaterThan(0.1, Run(pass, weights, Lit(-1, 0)).Zip(once, (a, b) => Math.Abs(a - b)).Average());
        Assert.IsTrue(Run(pass, weights, Lit(0, 3)).All(v => Math.Abs(v) < 0.1)); // rounding beside nothing

        float[] Lit(float factor, float more) =>
            [.. images.Select((v, i) => factor * (v + 2 * mean[i % mean.Length]) + more - 2 * mean[i % mean.Length])];
    }

    [TestMethod]
    public void An_image_gets_the_same_bits_alone_and_among_others()
    {
        var shape = new ImageShape(1, 19, 17);
        (Pass pass, HostWeights weights, _) = Make(shape);
        float[] images = Images(shape), together = Run(pass, weights, images);
        for (int row = 0; row < Rows; row++)
        {
            float[] alone = Run(pass, weights, images[(row * 19 * 17)..((row + 1) * 19 * 17)]);
            Assert.IsTrue(together.AsSpan(row * alone.Length, alone.Length).SequenceEqual(alone), $"{row}");
        }
    }

    /// <summary>The same by definition, in double precision.</summary>
    internal static double[] Expected(ImageShape shape, double[] image)
    {
        (int h, int w) = (shape.Height, shape.Width);
        double side = Math.Min(h, w);
        var all = new List<double>();
        foreach (double[] channel in image.Chunk(h * w))
        {
            double[] x = Smoothed(channel, h, w, Math.Max(0.5, side / 32));
            double At(int y, int c) => x[(Math.Clamp(y, 0, h - 1) * w) + Math.Clamp(c, 0, w - 1)];

            for (int d = 0; d < 8; d++)
            {
                double[] rise = new double[h * w];
                for (int y = 0; y < h; y++)
                {
                    for (int c = 0; c < w; c++)
                    {
                        double across = At(y, c + 1) - At(y, c - 1), down = At(y + 1, c) - At(y - 1, c);
                        rise[(y * w) + c] = Math.Max(0, (across * Math.Cos(Math.PI * d / 4)) + (down * Math.Sin(Math.PI * d / 4)));
                    }
                }
                (double[] Values, int Height, int Width) map = (Smoothed(rise, h, w, Math.Max(0.5, side / 20)), h, w);
                while (map.Height > 8 || map.Width > 8)
                    map = Halved(map.Values, map.Height, map.Width);
                all.AddRange(map.Values);
            }
        }
        double square = all.Average(v => v * v);
        return [.. all.Select(v => square > 0 ? v / Math.Sqrt(square) : 0)];
    }

    private static (double[] Values, int Height, int Width) Halved(double[] values, int height, int width)
    {
        (int down, int across) = (height > 8 ? 2 : 1, width > 8 ? 2 : 1);
        (int h, int w) = ((height + down - 1) / down, (width + across - 1) / across);
        return (
            [
                .. from y in Enumerable.Range(0, h)
                   from x in Enumerable.Range(0, w)
                   select (from b in Enumerable.Range(down * y, down)
                           from a in Enumerable.Range(across * x, across)
                           where b < height && a < width
                           select values[(b * width) + a]).Average(),
            ],
            h, w);
    }

    private static double[] Smoothed(double[] values, int height, int width, double deviation)
    {
        int reach = (int)Math.Ceiling(2 * deviation);
        double[] smoothed = new double[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            double sum = 0, weights = 0;
            for (int y = Math.Max(0, (i / width) - reach); y <= Math.Min(height - 1, (i / width) + reach); y++)
            {
                for (int x = Math.Max(0, (i % width) - reach); x <= Math.Min(width - 1, (i % width) + reach); x++)
                {
                    double squared = Math.Pow(y - (i / width), 2) + Math.Pow(x - (i % width), 2);
                    double weight = Math.Exp(-squared / (2 * deviation * deviation));
                    (sum, weights) = (sum + (weight * values[(y * width) + x]), weights + weight);
                }
            }
            smoothed[i] = sum / weights;
        }
        return smoothed;
    }

    private static (Pass Pass, HostWeights Weights, float[] Mean) Make(ImageShape shape)
    {
        var outlines = new ImageOutlines(shape);
        var layers = new LayerSpecs();
        outlines.Declare(layers);
        var weights = new HostWeights(layers.Tensors);
        var random = new Random(3);
        float[] mean = [.. Enumerable.Range(0, (int)shape.Length).Select(_ => random.NextSingle())];
        outlines.Initialize(weights, VectorScaler.Of(mean, scale: 2));
        return (new Pass(outlines), weights, mean);
    }

    private static float[] Images(ImageShape shape)
    {
        var random = new Random(4);
        return [.. Enumerable.Range(0, Rows * (int)shape.Length).Select(_ => 2 * random.NextSingle() - 1)];
    }

    private static float[] Run(Pass pass, HostWeights weights, float[] images)
    {
        int rows = images.Length / weights["outline_mean"].Length;
        float[] results = new float[rows * pass.Width];
        new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false).RunOnce(pass, rows, [images], [results]);
        return results;
    }

    private sealed class Pass(ImageOutlines outlines) : IForwardPass
    {
        public int Width => outlines.Width;

        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [outlines.Of(w, inputs[0])];
    }
}
