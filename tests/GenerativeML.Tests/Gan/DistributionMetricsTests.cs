namespace GenerativeML.Tests;

[TestClass]
public class DistributionMetricsTests
{
    private static float[] Normal(int rows, int width, double shift, ulong seed)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, rows * width).Select(_ => (float)(shift
            + Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];
    }

    [TestMethod]
    public void Sliced_Wasserstein_in_one_dimension_is_the_shift()
    {
        float[] a = Normal(200, 1, 0, 1), b = [.. a.Select(x => x + 3).Reverse()];
        Assert.AreEqual(0, DistributionMetrics.SlicedWasserstein(a, [.. a.Reverse()], 1, 0), 1e-9);
        Assert.AreEqual(3, DistributionMetrics.SlicedWasserstein(a, b, 1, 0), 1e-5);
    }

    [TestMethod]
    public void Sliced_Wasserstein_of_a_shift_in_the_plane_is_its_mean_shadow()
    {
        float[] a = Normal(50, 2, 0, 1), b = [.. a.Select((x, i) => x + (i % 2 == 0 ? 1 : 0))];
        // The mean of |cos| over all directions is 2/π; 64 of them come near it.
        Assert.AreEqual(2 / Math.PI, DistributionMetrics.SlicedWasserstein(a, b, 2, 0), 0.08);
    }

    [TestMethod]
    public void Mean_discrepancy_is_the_one_worked_by_hand()
    {
        // Rows 0, 1 against 0, 2: the median distance of the second set is 2, so k(d) = exp(−d²/8).
        double own = Math.Exp(-1 / 8.0), other = Math.Exp(-4 / 8.0);
        double between = (1 + Math.Exp(-4 / 8.0) + Math.Exp(-1 / 8.0) + Math.Exp(-1 / 8.0)) / 4;
        double expected = Math.Sqrt(Math.Max(0, own + other - 2 * between));
        Assert.AreEqual(expected, DistributionMetrics.MeanDiscrepancy([0, 1], [0, 2], 1), 1e-6);

        double far = DistributionMetrics.MeanDiscrepancy([0, 1], [100, 102], 1);
        Assert.AreEqual(Math.Sqrt(own + other), far, 1e-6);
    }

    [TestMethod]
    public void Mean_discrepancy_grows_with_the_shift_and_is_near_zero_without()
    {
        const double chance = 0.05; // what rows of one distribution lie apart: 1 / √rows
        float[] a = Normal(400, 2, 0, 1);
        Assert.IsLessThan(2 * chance, DistributionMetrics.MeanDiscrepancy(a, Normal(400, 2, 0, 2), 2));
        Assert.IsGreaterThan(8 * chance, DistributionMetrics.MeanDiscrepancy(a, Normal(400, 2, 1, 2), 2));
    }

    [TestMethod]
    public void Coverage_counts_the_real_rows_that_a_made_one_is_near_to()
    {
        // Seven rows, one apart, and three others far away: the fifth neighbour of a row in the first group is within it.
        float[] real = [0, 1, 2, 3, 4, 5, 6, 100, 101, 102];
        Assert.AreEqual(1, DistributionMetrics.Coverage(real, real, 1));
        Assert.AreEqual(0.7, DistributionMetrics.Coverage([3], real, 1), 1e-9);
        Assert.AreEqual(0, DistributionMetrics.Coverage([-1000], real, 1));
    }
}
