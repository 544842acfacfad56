using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>Times are compared only where both sides did the same work, which their losses and scores tell.</summary>
[TestClass]
public sealed class AgreementTests
{
    [TestMethod]
    public void Losses_agree_within_what_their_rounds_differ_by()
    {
        // Means 2.0 and 2.1, deviation 0.1 on both sides: the standard error of the difference is 0.082.
        double[] ours = [1.9, 2.0, 2.1], theirs = [2.0, 2.1, 2.2];
        var close = Agreement.OfLosses("loss", ours, theirs);
        Assert.IsTrue(close.Holds);
        Assert.AreEqual(0.1, close.Difference, 1e-12);
        Assert.AreEqual(4 * Math.Sqrt(2 * 0.01 / 3) + 0.005 * 2.1, close.Allowed, 1e-12);
        Assert.IsFalse(Agreement.OfLosses("loss", ours, [.. theirs.Select(l => l + 0.4)]).Holds);
    }

    [TestMethod]
    public void Losses_that_hardly_differ_from_round_to_round_have_half_a_percent_left()
    {
        Assert.IsTrue(Agreement.OfLosses("loss", [4, 4], [4.015, 4.015]).Holds);
        Assert.IsFalse(Agreement.OfLosses("loss", [4, 4], [4.03, 4.03]).Holds);
    }

    [TestMethod]
    public void One_round_is_no_measure_of_noise() =>
        Assert.ThrowsExactly<ArgumentException>(() => Agreement.OfLosses("loss", [1], [1, 1]));

    [TestMethod]
    public void A_loss_that_is_not_a_number_agrees_with_nothing()
    {
        Assert.IsFalse(Agreement.OfLosses("loss", [double.NaN, 1], [1, 1]).Holds);
        Assert.IsFalse(Agreement.OfLosses("loss", [1, 1], [1, double.NaN]).Holds);
    }

    [TestMethod]
    public void Scores_agree_to_a_small_share_of_their_size()
    {
        Assert.IsTrue(Agreement.OfScores("scores", [100, 1.00005], [100.005, 1]).Holds);
        Assert.IsFalse(Agreement.OfScores("scores", [1, 2, 3.001], [1, 2, 3]).Holds);
    }

    [TestMethod]
    public void A_score_near_zero_is_measured_by_the_usual_one() =>
        Assert.IsTrue(Agreement.OfScores("scores", [2, 1e-6], [2, 0]).Holds);

    [TestMethod]
    public void Other_rows_are_no_scores_to_compare_with()
    {
        Assert.ThrowsExactly<ArgumentException>(() => Agreement.OfScores("scores", [1], [1, 2]));
        Assert.ThrowsExactly<ArgumentException>(() => Agreement.OfScores("scores", [], []));
        Assert.IsFalse(Agreement.OfScores("scores", [double.NaN, 1], [1, 1]).Holds);
    }
}
