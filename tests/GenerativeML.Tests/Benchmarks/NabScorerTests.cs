using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

[TestClass]
public sealed class NabScorerTests
{
    // 200 rows, of which 30 are not scored; windows of ten and of twenty rows.
    private static readonly NabSeries s_series = new("hand", new float[200], [(100, 109), (150, 169)]);

    [TestMethod]
    public void The_probation_is_15_percent_of_the_rows_and_never_more_than_of_5000()
    {
        Assert.AreEqual(30, NabScorer.Probation(200));
        Assert.AreEqual(604, NabScorer.Probation(4032));
        Assert.AreEqual(750, NabScorer.Probation(22_695));
    }

    [TestMethod]
    public void A_detection_counts_by_where_it_is()
    {
        (double Value, int Window)[] rows = new NabScorer().Rows(s_series);
        Assert.AreEqual((-0.11, -1), rows[50]); // before any window: all of it
        Assert.AreEqual(1, rows[100].Value, 1e-12); // the first row of a window: position −1
        Assert.AreEqual(0, rows[100].Window);
        // Row 104 of a window that ends with 109: position −6/10.
        double inside = (2 / (1 + Math.Exp(5 * -0.6)) - 1) / (2 / (1 + Math.Exp(-5)) - 1);
        Assert.AreEqual(inside, rows[104].Value, 1e-12);
        // Row 115, six behind a window of width ten: position 6/9.
        Assert.AreEqual(0.11 * (2 / (1 + Math.Exp(5 * 6.0 / 9)) - 1), rows[115].Value, 1e-12);
        Assert.AreEqual(-1, rows[115].Window);
        Assert.AreEqual(-0.11, rows[140].Value, 1e-12); // more than three widths behind
        Assert.AreEqual(1, rows[150].Window);
    }

    [TestMethod]
    public void A_perfect_detector_has_100_and_a_silent_one_0()
    {
        float[] perfect = new float[200], silent = new float[200];
        perfect[100] = perfect[150] = 1;
        Assert.AreEqual((1.0, 100.0, 2, 0), Rounded(new NabScorer().Best([(s_series, perfect)])));
        Assert.AreEqual(0, new NabScorer().At(0.5, [(s_series, silent)]).Score, 1e-12);
    }

    [TestMethod]
    public void One_threshold_is_found_for_all_series_and_only_the_best_detection_of_a_window_counts()
    {
        float[] scores = new float[200];
        (scores[20], scores[50], scores[102], scores[100], scores[160]) = (9, 3, 5, 4, 2);
        (double Value, int Window)[] rows = new NabScorer().Rows(s_series);
        // Row 20 is not scored. At 5 row 102 is detected, at 4 row 100 as well, which counts in its place; at 3 a row outside.
        Assert.AreEqual(Normal(rows[102].Value - 1), new NabScorer().At(5, [(s_series, scores)]).Score, 1e-9);
        Assert.AreEqual(Normal(rows[100].Value - 1), new NabScorer().At(4, [(s_series, scores)]).Score, 1e-9);
        Assert.AreEqual(Normal(rows[100].Value - 1 - 0.11), new NabScorer().At(3, [(s_series, scores)]).Score, 1e-9);
        double all = Normal(rows[100].Value + rows[160].Value - 0.11);
        Assert.AreEqual((2.0, Math.Round(all, 6), 2, 1), Rounded(new NabScorer().Best([(s_series, scores)])));

        static double Normal(double sum) => 100 * (sum + 2) / 4;
    }

    private static (double, double, int, int) Rounded((double Threshold, double Score, int Found, int Falsely) point) =>
        (point.Threshold, Math.Round(point.Score, 6), point.Found, point.Falsely);
}
