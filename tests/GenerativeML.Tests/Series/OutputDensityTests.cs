using TorchSharp;

namespace GenerativeML.Tests.Series;

[TestClass]
[DoNotParallelize]
public sealed class OutputDensityTests
{
    // Two components of two correlated features: logits, means, what softplus makes deviations of, factors.
    private static readonly float[] s_mixture = [0.3f, -0.9f, 0.5f, -1, -0.7f, 0.4f, 0.2f, -0.4f, 0.6f, -0.1f, 0.8f, -1.3f];

    [TestMethod]
    public void A_mixture_of_one_feature_integrates_to_one_and_has_the_mean_that_it_says()
    {
        var density = new MixtureDensity(1, 3);
        float[] parameters = [0.2f, -1, 0.7f, -2, 0.5f, 3, -1, 0.4f, -3];
        Assert.HasCount(density.Width, parameters);
        const double step = 0.002;
        float[] x = [.. Enumerable.Range(0, 12_000).Select(i => (float)(-12 + (i + 0.5) * step))];
        double[] p = Density(density, parameters, x);
        Assert.AreEqual(1, p.Sum() * step, 1e-4);
        float[] mean = new float[1];
        density.Mean(parameters, mean);
        Assert.AreEqual(p.Zip(x, (a, b) => a * b).Sum() * step, mean[0], 1e-3);
    }

    [TestMethod]
    public void A_correlated_mixture_integrates_to_one()
    {
        var density = new MixtureDensity(2, 2, correlated: true);
        const double step = 0.05;
        float[] x = [.. from i in Enumerable.Range(0, 400) from j in Enumerable.Range(0, 400)
            from value in new[] { (float)(-10 + (i + 0.5) * step), (float)(-10 + (j + 0.5) * step) } select value];
        Assert.AreEqual(1, Density(density, s_mixture, x).Sum() * step * step, 1e-4);
    }

    [TestMethod]
    public void A_correlated_component_is_the_bivariate_normal_distribution_of_the_textbook()
    {
        // x = μx + sx·u and y = μy + sy·(ρ·u + √(1 − ρ²)·v): given x, y deviates by sy·√(1 − ρ²), and in these units u
        // takes ρ/√(1 − ρ²) away.
        const double mux = 0.4, muy = -0.3, sx = 0.7, sy = 1.6, rho = -0.6;
        double rest = Math.Sqrt(1 - rho * rho);
        var density = new MixtureDensity(2, 1, correlated: true, leastDeviation: 0);
        float[] parameters = [5, (float)mux, (float)muy, Raw(sx), Raw(sy * rest), (float)(-rho / rest)];
        foreach ((double x, double y) in new[] { (0.0, 0.0), (1.2, -2.0), (-0.8, 0.9) })
        {
            double u = (x - mux) / sx, v = (y - muy) / sy;
            double expected = -(u * u - 2 * rho * u * v + v * v) / (2 * (1 - rho * rho)) - Math.Log(2 * Math.PI * sx * sy * rest);
            Assert.AreEqual(expected, Math.Log(Density(density, parameters, [(float)x, (float)y])[0]), 1e-5);
        }

        // A thousandth of the draws' second moments, to five standard errors.
        var random = new SplitMix64(5);
        const int draws = 40_000;
        double xx = 0, xy = 0, yy = 0;
        float[] drawn = new float[2];
        for (int i = 0; i < draws; i++)
        {
            density.Sample(parameters, ref random, drawn, temperature: 0.25);
            xx += Math.Pow(drawn[0] - mux, 2) / draws;
            yy += Math.Pow(drawn[1] - muy, 2) / draws;
            xy += (drawn[0] - mux) * (drawn[1] - muy) / draws;
        }
        double error = 5 * Math.Sqrt(2.0 / draws);
        Assert.AreEqual(1, xx / (0.25 * sx * sx), error);
        Assert.AreEqual(1, yy / (0.25 * sy * sy), error);
        Assert.AreEqual(rho, xy / (0.25 * sx * sy), error);
    }

    [TestMethod]
    public void Draws_fall_on_components_by_their_weights()
    {
        var density = new MixtureDensity(1, 2);
        float[] parameters = [(float)Math.Log(0.2), (float)Math.Log(0.8), -5, 5, -9, -9], drawn = new float[1];
        var random = new SplitMix64(3);
        int low = 0;
        for (int i = 0; i < 10_000; i++)
        {
            density.Sample(parameters, ref random, drawn);
            low += drawn[0] < 0 ? 1 : 0;
        }
        Assert.AreEqual(0.2, low / 10_000.0, 5 * Math.Sqrt(0.16 / 10_000));
        // Halved temperature squares the odds.
        Span<double> weights = stackalloc double[2];
        MixtureDensity.Weights(parameters.AsSpan(0, 2), 0.5, weights);
        Assert.AreEqual(16, weights[1] / weights[0], 1e-4);
    }

    [TestMethod]
    public void Zeros_and_ones_have_the_probabilities_of_their_logits()
    {
        var density = new BernoulliDensity(2);
        float[] logits = [(float)Math.Log(3), (float)-Math.Log(4)]; // 0.75 and 0.2
        double[] p = Density(density, logits, [0, 0, 0, 1, 1, 0, 1, 1]);
        Assert.AreEqual(0.25 * 0.8, p[0], 1e-6);
        Assert.AreEqual(0.25 * 0.2, p[1], 1e-6);
        Assert.AreEqual(0.75 * 0.8, p[2], 1e-6);
        Assert.AreEqual(0.75 * 0.2, p[3], 1e-6);
    }

    // Softplus undone.
    private static float Raw(double deviation) => (float)Math.Log(Math.Exp(deviation) - 1);

    private static double[] Density(OutputDensity density, float[] parameters, float[] x)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        long rows = x.Length / density.Features;
        TorchTensor all = torch.tensor(parameters).view(1, -1).expand(rows, -1);
        torch.Tensor log = density.LogDensity<TorchTensor>(all, torch.tensor(x).view(rows, -1)).Value;
        Assert.AreSequenceEqual(new[] { rows, 1 }, log.shape);
        return [.. log.data<float>().ToArray().Select(v => Math.Exp(v))];
    }
}
