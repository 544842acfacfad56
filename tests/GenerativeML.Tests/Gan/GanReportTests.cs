using GenerativeML.Tests.Rows;
using Microsoft.ML;

namespace GenerativeML.Tests;

/// <summary>What a report says of figures.</summary>
[TestClass]
public class GanReportTests
{
    private static GanReport Report(double distance, double coverage, double best = double.PositiveInfinity) => new()
    {
        Stages = [Figures(1, Math.Min(best, distance), coverage), Figures(2, distance, coverage)],
        ComparedRows = 100,
        ReferenceSlicedWasserstein = 0.1,
        ReferenceMeanDiscrepancy = 0.01,
        ReferenceCoverage = 0.95,
    };

    private static GanFigures Figures(long step, double distance, double coverage) => new()
    {
        Step = step,
        DiscriminatorLoss = 1.5,
        GeneratorLoss = double.NaN,
        DiscriminatorGradientNorm = double.NaN,
        GeneratorGradientNorm = 0.25,
        SlicedWasserstein = distance,
        MeanDiscrepancy = 0,
        Coverage = coverage,
    };

    [TestMethod]
    [DataRow(0.1, 0.93, "hardly to be told apart")]
    [DataRow(0.167, 0.69, "close, but not the same")] // farther, and a third is missing
    [DataRow(0.167, 0.93, "close, but not the same")]
    [DataRow(0.08, 0.7, "close, but not the same")]
    [DataRow(0.08, 0.5, "clearly different")]
    [DataRow(0.35, 0.93, "clearly different")]
    public void The_verdict_follows_from_distance_and_coverage(double distance, double coverage, string verdict)
    {
        GanReport report = Report(distance, coverage);
        StringAssert.Contains(report.Verdict()[0], verdict);
        Assert.AreEqual(coverage < 0.6 * 0.95, report.ModeCollapse);
        Assert.AreEqual(report.ModeCollapse, report.Verdict()[1].StartsWith("Mode collapse", StringComparison.Ordinal));
        Assert.HasCount(2, report.Verdict());
    }

    [TestMethod]
    public void A_training_that_was_better_before_does_not_settle()
    {
        Assert.HasCount(3, Report(0.5, 0.9, best: 0.2).Verdict());
        // Twice as near as training rows are is chance.
        Assert.HasCount(2, Report(0.15, 0.9, best: 0.05).Verdict());
    }

    [TestMethod]
    public void What_was_not_measured_is_a_dash_and_comes_back_from_a_file()
    {
        GanReport report = Report(0.1, 0.93);
        string[] columns = report.ToString().Split('\n')[4].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        CollectionAssert.AreEqual(new[] { "2", "1.500", "–", "–", "0.25", "0.1000", "0.0000", "93", "%" }, columns);
        Assert.AreEqual(report.ToString(), GanReport.Read(report.Write()).ToString());
        Assert.Throws<FormatException>(() => GanReport.Read(null));
    }

    [TestMethod]
    public void Without_held_back_rows_nothing_is_claimed()
    {
        string[] verdict = [.. (Report(double.NaN, double.NaN) with { ComparedRows = 0 }).Verdict()];
        Assert.HasCount(1, verdict);
        StringAssert.Contains(verdict[0], "ValidationFraction");
        // Rows were held back, and training was cancelled before any were compared with them.
        verdict = [.. (Report(0.1, 0.93) with { Stages = [] }).Verdict()];
        Assert.HasCount(1, verdict);
        StringAssert.Contains(verdict[0], "ended before its first stage");
        StringAssert.Contains(verdict[0], "100 that were held back");
    }

    [TestMethod]
    public void Of_rows_that_are_all_alike_it_says_so()
    {
        var ml = new MLContext(1);
        foreach (bool alike in new[] { true, false })
        {
            IDataView data = new TableView(60).AddVector("Features", 16, row => [.. Enumerable.Repeat(alike ? 0.5f : row % 2, 16)]);
            using GanTransformer gan = ml.Generative.ImageGan(new ImageGanOptions { Channels = [2], Epochs = 1, Stages = 1 }).Fit(data);
            GanReport report = GanReport.Read(gan.Report.Write());
            Assert.AreEqual(alike, report.Verdict()[0].StartsWith("All training rows are alike", StringComparison.Ordinal), report.ToString());
            Assert.HasCount(alike ? 1 : 2, report.Verdict());
            Assert.IsFalse(alike && report.ModeCollapse);
        }
    }
}
