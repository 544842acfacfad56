namespace GenerativeML.Tests;

[TestClass]
public class DiffusionSamplerTests
{
    // A normal distribution of two features that depend on each other.
    private static readonly double[] s_mean = [0.4, -0.7];
    private static readonly double[,] s_covariance = { { 1.3, 0.5 }, { 0.5, 0.6 } };

    [TestMethod]
    [DataRow(NoiseSchedule.Linear)]
    [DataRow(NoiseSchedule.Cosine)]
    public void Noise_at_once_is_what_a_chain_of_steps_adds(NoiseSchedule schedule)
    {
        float[] levels = new NoiseLevels(schedule).Sampling(NoiseLevels.Steps);
        double mean = 1, variance = 0;
        for (int t = 0; t < 1000; t++)
        {
            // x ← √(1 − β)·x + √β·ε, with β as the papers have it.
            double beta = schedule == NoiseSchedule.Linear
                ? 0.0001 + t * (0.02 - 0.0001) / 999
                : Math.Min(0.999, 1 - Signal((t + 1) / 1000.0) / Signal(t / 1000.0));
            mean *= Math.Sqrt(1 - beta);
            variance = (1 - beta) * variance + beta;
            double expected = Math.Sqrt(variance) / mean;
            Assert.AreEqual(expected, levels[999 - t], 1e-4 * expected, $"step {t}");
        }
        Assert.AreEqual(0, levels[1000]);

        static double Signal(double share) => Math.Pow(Math.Cos((share + 0.008) / 1.008 * Math.PI / 2), 2);
    }

    [TestMethod]
    public void Levels_of_the_continuous_schedule_fall_from_80_to_0_002_along_a_power()
    {
        float[] levels = new NoiseLevels(NoiseSchedule.Karras).Sampling(3);
        double middle = Math.Pow((Math.Pow(80, 1 / 7.0) + Math.Pow(0.002, 1 / 7.0)) / 2, 7);
        CollectionAssert.AreEqual(new[] { 80, (float)middle, 0.002f, 0 }, levels, Comparer<float>.Create(
            (a, b) => Math.Abs(a - b) <= 1e-4 * b ? 0 : 1));
    }

    [TestMethod]
    public void Half_of_the_levels_that_captions_are_trained_at_are_high()
    {
        const int Rows = 20_000;
        using var scope = TorchSharp.torch.NewDisposeScope();
        var levels = new NoiseLevels(NoiseSchedule.Karras);
        // By a table of the normal distribution: ln 10 = 2.303 is 2.336 deviations of 1.2 above −0.5, and ln ½ 0.161 below;
        // of levels that are spread from ½ to 80, ln 8 / ln 160 = 0.410 are above 10.
        foreach ((TrainingNoise noise, double above, double below) in (ReadOnlySpan<(TrainingNoise, double, double)>)
            [(NoiseLevels.OfCaptions, 0.2097, 0.2180), (NoiseLevels.Karras, 0.0098, 0.4361)])
        {
            using TorchSharp.torch.Tensor drawn = levels.Draw(new SeededRandom(TorchSharp.torch.CPU, 3), Rows, noise);
            float[] values = drawn.data<float>().ToArray();
            AssertShare(above, values.Count(v => v > 10));
            AssertShare(below, values.Count(v => v < 0.5f));
            Assert.IsTrue(values.All(v => v is >= 0.002f and <= 80));
        }

        static void AssertShare(double expected, int count) => // four standard errors
            Assert.AreEqual(expected, count / (double)Rows, 4 * Math.Sqrt(expected * (1 - expected) / Rows));
    }

    // 40,000 rows have a variance of 1.3 within 0.01, 10,000 within 0.02; what is left of the tolerance is the steps' error.
    [TestMethod]
    [DataRow(DiffusionSamplerKind.DpmSolver, NoiseSchedule.Karras, 40, 0.0)]
    [DataRow(DiffusionSamplerKind.DpmSolver, NoiseSchedule.Linear, 50, 0.0)]
    [DataRow(DiffusionSamplerKind.DpmSolver, NoiseSchedule.Cosine, 50, 0.0)]
    [DataRow(DiffusionSamplerKind.Heun, NoiseSchedule.Karras, 30, 0.0)]
    [DataRow(DiffusionSamplerKind.Heun, NoiseSchedule.Cosine, 100, 0.0)]
    [DataRow(DiffusionSamplerKind.Ddim, NoiseSchedule.Karras, 200, 0.0)]
    [DataRow(DiffusionSamplerKind.Ddim, NoiseSchedule.Linear, 200, 0.0)]
    [DataRow(DiffusionSamplerKind.Ddim, NoiseSchedule.Linear, 200, 0.5)]
    [DataRow(DiffusionSamplerKind.Ddpm, NoiseSchedule.Linear, 1000, 0.0)]
    [DataRow(DiffusionSamplerKind.Ddpm, NoiseSchedule.Karras, 500, 0.0)]
    public void Of_a_normal_distribution_whose_best_denoiser_is_known_samples_have_mean_and_covariance(
        DiffusionSamplerKind sampler, NoiseSchedule schedule, int steps, double eta)
    {
        float[] rows = Sample(steps <= 100 ? 40_000 : 10_000, new() { Sampler = sampler, Steps = steps, Eta = eta }, schedule);
        (double[] mean, double[,] covariance) = Density.Moments(rows, 2);
        for (int j = 0; j < 2; j++)
        {
            Assert.AreEqual(s_mean[j], mean[j], 0.03);
            for (int k = 0; k < 2; k++)
                Assert.AreEqual(s_covariance[j, k], covariance[j, k], 0.05);
        }
    }

    [TestMethod]
    public void Deterministic_samplers_follow_one_path_and_random_ones_do_not()
    {
        DiffusionSampling ddim = new() { Sampler = DiffusionSamplerKind.Ddim, Steps = 1000 };
        float[] one = Sample(50, ddim, NoiseSchedule.Karras), again = Sample(50, ddim, NoiseSchedule.Karras);
        CollectionAssert.AreEqual(one, again);
        foreach (DiffusionSamplerKind other in new[] { DiffusionSamplerKind.Heun, DiffusionSamplerKind.DpmSolver })
        {
            float[] path = Sample(50, new() { Sampler = other, Steps = 100 }, NoiseSchedule.Karras);
            for (int i = 0; i < one.Length; i++)
                Assert.AreEqual(path[i], one[i], 0.02, "where the same differential equation leads"); // DDIM's error is O(1/steps)
        }
        float[] random = Sample(50, ddim with { Eta = 1 }, NoiseSchedule.Karras);
        Assert.IsGreaterThan(0.2, one.Zip(random, (a, b) => Math.Abs(a - b)).Average());
        CollectionAssert.AreEqual(random, Sample(50, new() { Sampler = DiffusionSamplerKind.Ddpm, Steps = 1000 }, NoiseSchedule.Karras));
    }

    [TestMethod]
    public void What_a_sampler_has_not_is_refused()
    {
        Refused(new() { Steps = 1001 }, "Steps", NoiseSchedule.Linear);
        Refused(new() { Steps = 1001 }, "Steps", NoiseSchedule.Cosine);
        Refused(new() { Steps = 0 }, "Steps");
        Refused(new() { Eta = 0.5 }, "Eta");
        Refused(new() { Eta = double.NaN, Sampler = DiffusionSamplerKind.Ddim }, "Eta");
        Refused(new() { GuidanceScale = 2 }, "GuidanceScale");
        Refused(new() { GuidanceScale = -1 }, "GuidanceScale");
        new DiffusionSampling { Steps = 1001 }.Validate(NoiseSchedule.Karras, false, 0.1);

        static void Refused(DiffusionSampling sampling, string option, NoiseSchedule schedule = NoiseSchedule.Karras) => StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => sampling.Validate(schedule, hasConditions: false, 0.1)).Message, option);
    }

    // E[x₀ | x] = μ + Σ·(Σ + σ²·I)⁻¹·(x − μ).
    private static float[] Sample(int count, DiffusionSampling sampling, NoiseSchedule schedule)
    {
        float[] rows = new float[2 * count];
        var random = new SplitMix64(5);
        DiffusionSampler.Run(rows, new NoiseLevels(schedule).Sampling(sampling.Steps), sampling, ref random, (noisy, level, clean) =>
        {
            double noise = (double)level * level;
            (double a, double b, double c) = (s_covariance[0, 0] + noise, s_covariance[0, 1], s_covariance[1, 1] + noise);
            double determinant = a * c - b * b;
            for (int i = 0; i < 2 * count; i += 2)
            {
                (double x, double y) = (noisy.Span[i] - s_mean[0], noisy.Span[i + 1] - s_mean[1]);
                (double u, double v) = ((c * x - b * y) / determinant, (a * y - b * x) / determinant);
                clean.Span[i] = (float)(s_mean[0] + s_covariance[0, 0] * u + s_covariance[0, 1] * v);
                clean.Span[i + 1] = (float)(s_mean[1] + s_covariance[1, 0] * u + s_covariance[1, 1] * v);
            }
        });
        return rows;
    }
}
