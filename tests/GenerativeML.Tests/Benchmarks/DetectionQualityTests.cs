using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>AUROC and average precision against cases worked by hand.</summary>
[TestClass]
public sealed class DetectionQualityTests
{
    private const double Exact = 1e-12;

    [TestMethod]
    public void Four_rows_without_ties()
    {
        // From the top: found, missed, found, missed. Three of four pairs are in order; precision 1, then 2/3.
        float[] scores = [0.1f, 0.4f, 0.35f, 0.8f];
        bool[] isAnomaly = [false, false, true, true];
        Assert.AreEqual(0.75, DetectionQuality.Auroc(scores, isAnomaly), Exact);
        Assert.AreEqual((1 + 2.0 / 3) / 2, DetectionQuality.AveragePrecision(scores, isAnomaly), Exact);
    }

    [TestMethod]
    public void Rows_of_equal_score_are_one_step()
    {
        // Two anomalies tie with one normal row: pairs count ½ and 1; all recall comes at precision 2/3.
        float[] scores = [1, 1, 1, 0];
        bool[] isAnomaly = [true, false, true, false];
        Assert.AreEqual(0.75, DetectionQuality.Auroc(scores, isAnomaly), Exact);
        Assert.AreEqual(2.0 / 3, DetectionQuality.AveragePrecision(scores, isAnomaly), Exact);
    }

    [TestMethod]
    public void Equal_scores_say_nothing()
    {
        float[] scores = [2, 2, 2, 2, 2];
        bool[] isAnomaly = [true, false, false, false, false];
        Assert.AreEqual(0.5, DetectionQuality.Auroc(scores, isAnomaly), Exact);
        Assert.AreEqual(0.2, DetectionQuality.AveragePrecision(scores, isAnomaly), Exact);
    }

    [TestMethod]
    public void Best_and_worst_order()
    {
        float[] scores = [float.PositiveInfinity, 3, -1, float.NegativeInfinity];
        Assert.AreEqual(1, DetectionQuality.Auroc(scores, [true, true, false, false]), Exact);
        Assert.AreEqual(1, DetectionQuality.AveragePrecision(scores, [true, true, false, false]), Exact);
        Assert.AreEqual(0, DetectionQuality.Auroc(scores, [false, false, true, true]), Exact);
        double worst = DetectionQuality.AveragePrecision(scores, [false, false, true, true]);
        Assert.AreEqual((1.0 / 3 + 2.0 / 4) / 2, worst, Exact);
    }

    [TestMethod]
    public void Auroc_is_the_share_of_pairs_in_order_whatever_the_ties()
    {
        var random = new Random(4);
        for (int trial = 0; trial < 50; trial++)
        {
            float[] scores = [.. Enumerable.Range(0, 40).Select(_ => (float)random.Next(12))];
            bool[] isAnomaly = [true, false, .. Enumerable.Range(0, 38).Select(_ => random.Next(3) == 0)];
            double[] pairs =
            [
                .. from a in Enumerable.Range(0, 40) where isAnomaly[a]
                   from n in Enumerable.Range(0, 40) where !isAnomaly[n]
                   select scores[a] > scores[n] ? 1 : scores[a] == scores[n] ? 0.5 : 0,
            ];
            Assert.AreEqual(pairs.Average(), DetectionQuality.Auroc(scores, isAnomaly), Exact);
        }
    }

    [TestMethod]
    public void The_volume_of_one_anomaly_without_a_buffer_is_the_average_precision_and_both_have_to_be_found_of_two()
    {
        var random = new Random(3);
        float[] scores = [.. Enumerable.Range(0, 40).Select(_ => random.Next(20) / 4f)];
        bool[] isAnomaly = [.. Enumerable.Range(0, 40).Select(i => i is >= 12 and < 20)];
        Assert.AreEqual(DetectionQuality.AveragePrecision(scores, isAnomaly), DetectionQuality.VolumeUnderPrecisionRecall(scores, isAnomaly, 0), 1e-12);
        // Of two of a row each the first alone is half of the rows, and half of the anomalies: a quarter, at a precision of 1;
        // three quarters come with the third row of the order, at 2/3.
        Assert.AreEqual(
            0.25 + 0.75 * 2 / 3, DetectionQuality.VolumeUnderPrecisionRecall([0.9f, 0.8f, 0.7f, 0.6f], [true, false, true, false], 0), 1e-12);
    }

    [TestMethod]
    public void A_buffer_makes_the_rows_beside_an_anomaly_a_part_of_it()
    {
        // One row of five is one, and the one before it scores highest. Without a buffer, or with one of a row, which is less
        // than one to either side, precision is ½ when it is found. With two rows, those beside it are √½ of one: of
        // (1 + 1 + 2·√½)/2 = 1 + √½ in all √½ are found first, at a precision of √½; the rest at (1 + √½)/2.
        float[] scores = [0.6f, 0.9f, 0.8f, 0.7f, 0.5f];
        bool[] isAnomaly = [false, false, true, false, false];
        double half = Math.Sqrt(0.5), recall = half / (1 + half);
        Assert.AreEqual(0.5, DetectionQuality.VolumeUnderPrecisionRecall(scores, isAnomaly, 1), 1e-12);
        Assert.AreEqual(
            (0.5 + 0.5 + recall * half + (1 - recall) * (1 + half) / 2) / 3, DetectionQuality.VolumeUnderPrecisionRecall(scores, isAnomaly, 2), 1e-12);
        // At the end of the series, and where buffers meet: √½ twice is one.
        Assert.AreEqual(
            (2 * (0.25 + 0.75 * 2 / 3) + 1) / 3, DetectionQuality.VolumeUnderPrecisionRecall([3, 2, 1], [true, false, true], 2), 1e-12);
    }

    [TestMethod]
    public void Rows_of_one_kind_and_scores_that_are_not_numbers_are_refused()
    {
        Assert.ThrowsExactly<ArgumentException>(() => DetectionQuality.Auroc([1, 2], [true, true]));
        Assert.ThrowsExactly<ArgumentException>(() => DetectionQuality.AveragePrecision([1, 2], [false, false]));
        Assert.ThrowsExactly<ArgumentException>(() => DetectionQuality.Auroc([1, float.NaN], [true, false]));
        Assert.ThrowsExactly<ArgumentException>(() => DetectionQuality.Auroc([1], [true, false]));
    }
}
