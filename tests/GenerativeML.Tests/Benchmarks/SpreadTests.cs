using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>Medians and ratios of rounds.</summary>
[TestClass]
public sealed class SpreadTests
{
    [TestMethod]
    public void The_median_is_the_middle_or_the_mean_of_the_two_in_the_middle()
    {
        Assert.AreEqual(new Spread(3, 1, 9), Spread.Of([9, 1, 3]));
        Assert.AreEqual(new Spread(4, 1, 9), Spread.Of([9, 1, 3, 5]));
        Assert.AreEqual(new Spread(2, 2, 2), Spread.Of([2]));
    }

    [TestMethod]
    public void No_figures_have_no_median() => Assert.ThrowsExactly<ArgumentException>(() => Spread.Of([]));

    [TestMethod]
    public void The_ratio_is_that_of_the_medians_and_its_spread_that_of_the_rounds()
    {
        Spread ratio = Spread.Ratio([1, 2, 4], [4, 4, 4]);
        Assert.AreEqual(new Spread(2, 1, 4), ratio);
    }

    [TestMethod]
    public void Sides_that_ran_in_other_rounds_have_no_ratio() =>
        Assert.ThrowsExactly<ArgumentException>(() => Spread.Ratio([1, 2], [1]));
}
