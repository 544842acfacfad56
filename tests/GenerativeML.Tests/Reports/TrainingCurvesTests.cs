using System.Text;
using GenerativeML.Tests.Conformance;
using Microsoft.ML;

namespace GenerativeML.Tests.Reports;

[TestClass]
[DoNotParallelize]
public sealed class TrainingCurvesTests
{
    [TestMethod]
    public void A_run_becomes_a_page_and_files_for_TensorBoard()
    {
        string folder = Directory.CreateTempSubdirectory("genml").FullName;
        try
        {
            var heard = new List<TrainingProgress>();
            using var curves = new TrainingCurves(Path.Combine(folder, "run"), new Listener(heard.Add));
            Assert.Throws<InvalidOperationException>(() => curves.SaveHtml(Path.Combine(folder, "none.html")));
            var ml = new MLContext(1);
            using VectorGenerator model = ml.Generative.Vae(new VaeOptions { Epochs = 3, ValidationFraction = 0.2, Progress = curves })
                .Fit(ConformanceData.Table(200));
            Assert.AreSequenceEqual(heard, curves.Reports);
            Assert.IsTrue(curves.Reports[^1].IsLast);

            curves.SaveHtml(Path.Combine(folder, "curves.html"), "A < B");
            string page = File.ReadAllText(Path.Combine(folder, "curves.html"));
            StringAssert.Contains(page, "<h1>A &lt; B</h1>");
            Assert.AreEqual(3, page.Split("<svg ").Length - 1);
            OnePage.AssertWhole(page);
            foreach (string name in curves.Reports[^1].Losses.Keys)
                StringAssert.Contains(page, $"</span>{name}");

            // The file by its format: records of a length, its checksum, the event and another checksum.
            curves.Dispose();
            byte[] file = File.ReadAllBytes(Directory.GetFiles(Path.Combine(folder, "run")).Single());
            var tags = new List<string>();
            int records = 0;
            for (int at = 0; at < file.Length; records++)
            {
                int length = (int)BitConverter.ToInt64(file, at);
                tags.Add(Encoding.Latin1.GetString(file, at + 12, length));
                at += 12 + length + 4;
            }
            StringAssert.Contains(tags[0], "brain.Event:2");
            TrainingProgress last = curves.Reports[^1];
            int scalars = curves.Reports.Sum(r => r.Losses.Count + r.Validation.Count + 2);
            Assert.AreEqual(scalars, records - 1);
            foreach (string name in last.Losses.Keys)
                Assert.IsTrue(tags.Any(t => t.Contains($"training/{name}")), name);
            foreach (string name in last.Validation.Keys)
                Assert.IsTrue(tags.Any(t => t.Contains($"validation/{name}")), name);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Long_runs_are_thinned_out_and_keep_their_ends()
    {
        var curves = new TrainingCurves();
        for (int step = 1; step <= 50_000; step++)
            curves.Report(At(step, step == 50_000));
        IReadOnlyList<TrainingProgress> reports = curves.Reports;
        Assert.IsLessThanOrEqualTo(4001, reports.Count);
        Assert.IsGreaterThan(1500, reports.Count);
        Assert.AreEqual(1, reports[0].Step);
        Assert.AreEqual(50_000, reports[^1].Step);
        Assert.IsTrue(reports.Zip(reports.Skip(1)).All(pair => pair.Second.Step - pair.First.Step is > 0 and <= 64));
    }

    private static TrainingProgress At(long step, bool last) => new()
    {
        Step = step, Steps = 50_000, Epoch = 1, Epochs = 1, Losses = new Dictionary<string, double> { ["loss"] = 1.0 / step },
        Validation = new Dictionary<string, double>(), LearningRate = 0.1, RowsPerSecond = 1, Elapsed = TimeSpan.Zero,
        Remaining = TimeSpan.Zero, DataWait = TimeSpan.Zero, IsLast = last,
    };

    private sealed class Listener(Action<TrainingProgress> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => report(value);
    }
}
