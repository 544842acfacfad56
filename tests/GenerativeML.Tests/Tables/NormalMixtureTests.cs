namespace GenerativeML.Tests;

[TestClass]
public sealed class NormalMixtureTests
{
    [TestMethod]
    public void A_known_mixture_is_found_and_other_components_are_left_out()
    {
        (double Mean, double Deviation, double Weight)[] truth = [(-30, 2, 0.5), (0, 1, 0.3), (50, 5, 0.2)];
        var random = new SplitMix64(7);
        double[] values = new double[6000];
        for (int i = 0; i < values.Length; i++)
        {
            double u = random.NextDouble();
            var part = truth[u < 0.5 ? 0 : u < 0.8 ? 1 : 2];
            values[i] = part.Mean + part.Deviation * Normal(ref random);
        }

        NumberMode[] found = NormalMixture.Fit(values, 10);

        int[] order = [.. Enumerable.Range(0, found.Length).OrderBy(k => found[k].Mean)];
        Assert.HasCount(3, order);
        for (int k = 0; k < 3; k++)
        {
            // Six standard errors of a component's mean, deviation and weight from so many rows.
            double rows = values.Length * truth[k].Weight;
            Assert.AreEqual(truth[k].Mean, found[order[k]].Mean, 6 * truth[k].Deviation / Math.Sqrt(rows) + 0.05);
            Assert.AreEqual(
                truth[k].Deviation, found[order[k]].Deviation, 6 * truth[k].Deviation / Math.Sqrt(2 * rows) + 0.1);
            Assert.AreEqual(truth[k].Weight, found[order[k]].Weight, 6 * 0.5 / Math.Sqrt(values.Length));
        }
        Assert.AreEqual(1, found.Sum(m => m.Weight), 1e-12);
    }

    [TestMethod]
    [DataRow(new double[] { 3 })]
    [DataRow(new double[] { 0, 0, 0, 0 })]
    [DataRow(new double[] { 1e300, -1e300, 5 })]
    public void Few_equal_and_huge_values_have_a_mixture(double[] values)
    {
        NumberMode[] mixture = NormalMixture.Fit(values, 10);
        Assert.IsGreaterThanOrEqualTo(1, mixture.Length);
        Assert.IsTrue(mixture.All(m => double.IsFinite(m.Mean)));
        Assert.IsTrue(mixture.All(m => m.Deviation > 0 && double.IsFinite(m.Deviation)));
    }

    [TestMethod]
    public void Digamma_has_its_known_values()
    {
        const double euler = 0.57721566490153286;
        Assert.AreEqual(-euler, NormalMixture.Digamma(1), 1e-10);
        Assert.AreEqual(-euler - 2 * Math.Log(2), NormalMixture.Digamma(0.5), 1e-10);
        Assert.AreEqual(NormalMixture.Digamma(3.7) + 1 / 3.7, NormalMixture.Digamma(4.7), 1e-10);
    }

    private static double Normal(ref SplitMix64 random) =>
        Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
