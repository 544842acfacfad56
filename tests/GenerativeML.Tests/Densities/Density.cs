namespace GenerativeML.Tests;

/// <summary>What tests of densities have in common: data of known density, and results of trained models.</summary>
internal static class Density
{
    /// <summary>Rows of a correlated normal distribution, (count × 3): far from standard, two of the features alike.</summary>
    public static float[] Normal(int count, ulong seed = 1)
    {
        var random = new SplitMix64(seed);
        float[] e = new float[3 * count], rows = new float[3 * count];
        NormalNumbers.Fill(ref random, e);
        for (int i = 0; i < rows.Length; i += 3)
        {
            rows[i] = 100 + 5 * e[i];
            rows[i + 1] = -3 + 0.02f * (0.8f * e[i] + 0.6f * e[i + 1]);
            rows[i + 2] = 0.5f * e[i + 1] + 2 * e[i + 2];
        }
        return rows;
    }

    /// <summary>The entropy of <see cref="Normal"/>: d/2·log(2πe) and the logarithms of the factor's diagonal.</summary>
    public static double NormalEntropy => 1.5 * Math.Log(2 * Math.PI * Math.E) + Math.Log(5 * 0.02 * 0.6 * 2);

    /// <summary>Two half circles that reach into each other, with noise of 0.1, (count × 2).</summary>
    public static float[] TwoMoons(int count, ulong seed = 1)
    {
        var random = new SplitMix64(seed);
        float[] rows = new float[2 * count];
        NormalNumbers.Fill(ref random, rows);
        for (int i = 0; i < count; i++)
        {
            double angle = Math.PI * random.NextDouble();
            bool upper = i % 2 == 0;
            rows[2 * i] = 0.1f * rows[2 * i] + (float)(upper ? Math.Cos(angle) : 1 - Math.Cos(angle));
            rows[2 * i + 1] = 0.1f * rows[2 * i + 1] + (float)(upper ? Math.Sin(angle) : 0.5 - Math.Sin(angle));
        }
        return rows;
    }

    public static VectorFitResult Fit(VectorFamily family, VectorOptions options, float[] rows, int width, int seed = 1) =>
        VectorFit.Fit(
            new ArrayRows(rows.Length / width, width, (i, j) => rows[i * width + j]), family, options,
            Trained.OnCpu with { Seed = seed });

    public static float[] Latent(TrainedVector model, float[] rows) => Trained.Compute(
        model, rows, r => new() { Latent = r }, ((IEncoder)model.Network).LatentDimension);

    public static float[] Generate(TrainedVector model, int count, ulong seed = 3)
    {
        float[] rows = new float[count * model.Network.Input.Width];
        model.Generate(rows, Memory<float>.Empty, count, seed, []);
        return rows;
    }

    /// <summary>Means and covariances of rows.</summary>
    public static (double[] Mean, double[,] Covariance) Moments(float[] rows, int width)
    {
        int count = rows.Length / width;
        double[] mean = [.. Enumerable.Range(0, width).Select(j => Enumerable.Range(0, count).Average(i => (double)rows[i * width + j]))];
        double[,] covariance = new double[width, width];
        for (int i = 0; i < rows.Length; i += width)
            for (int j = 0; j < width; j++)
                for (int k = 0; k < width; k++)
                    covariance[j, k] += (rows[i + j] - mean[j]) * (rows[i + k] - mean[k]) / count;
        return (mean, covariance);
    }

    /// <summary>Means within a share of a deviation, covariances within a share of two deviations' product.</summary>
    public static void AssertMoments(float[] expected, float[] actual, int width, double tolerance)
    {
        (double[] mean, double[,] covariance) = Moments(expected, width);
        (double[] foundMean, double[,] found) = Moments(actual, width);
        double Deviation(int j) => Math.Sqrt(covariance[j, j]);
        for (int j = 0; j < width; j++)
        {
            Assert.AreEqual(mean[j], foundMean[j], tolerance * Deviation(j), $"mean {j}");
            for (int k = 0; k < width; k++)
                Assert.AreEqual(covariance[j, k], found[j, k], 2 * tolerance * Deviation(j) * Deviation(k), $"covariance {j}, {k}");
        }
    }

    /// <summary>The sum of p over a grid of cells around rows of two features.</summary>
    public static double Integral(TrainedVector model, float[] rows)
    {
        (double[] mean, double[,] covariance) = Moments(rows, 2);
        const int Side = 300;
        const double Reach = 6;
        double width = 2 * Reach * Math.Sqrt(covariance[0, 0]) / Side, height = 2 * Reach * Math.Sqrt(covariance[1, 1]) / Side;
        float[] grid = new float[2 * Side * Side];
        for (int i = 0; i < Side * Side; i++)
        {
            grid[2 * i] = (float)(mean[0] + (i / Side - Side / 2 + 0.5) * width);
            grid[2 * i + 1] = (float)(mean[1] + (i % Side - Side / 2 + 0.5) * height);
        }
        return Trained.Scores(model, grid).Sum(s => Math.Exp(-s)) * width * height;
    }

    /// <summary>Scores, latent vectors and generated rows of both engines, and of rows alone and together.</summary>
    public static void AssertEnginesAgree(TrainedVector model, float[] rows)
    {
        int width = model.Network.Input.Width;
        float[] score = Trained.Scores(model, rows), latent = Latent(model, rows), made = Generate(model, 300);
        for (int i = 0; i < 40; i++)
        {
            float[] row = rows[(i * width)..((i + 1) * width)], alone = Latent(model, row);
            Assert.AreEqual(score[i], Trained.Scores(model, row)[0], "a row alone");
            CollectionAssert.AreEqual(latent[(i * alone.Length)..((i + 1) * alone.Length)], alone);
        }
        model.Dispose();
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
        {
            foreach ((float[] a, float[] b) in new[]
            {
                (score, Trained.Scores(model, rows)), (latent, Latent(model, rows)), (made, Generate(model, 300)),
            })
            {
                for (int i = 0; i < a.Length; i++)
                    Assert.AreEqual(a[i], b[i], 1e-4f * Math.Max(1, Math.Abs(a[i])));
            }
        }
        model.Dispose();
    }
}
