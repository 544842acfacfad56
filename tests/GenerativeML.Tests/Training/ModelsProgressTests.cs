namespace GenerativeML.Tests;

[TestClass]
public sealed class ModelsProgressTests
{
    [TestMethod]
    public void Several_models_are_reported_as_one_run()
    {
        var heard = new List<TrainingProgress>();
        var progress = new ModelsProgress(new Listener(heard), models: 3);
        IProgress<TrainingProgress> first = progress.Next();
        first.Report(Value(5, of: 10, seconds: 2));
        first.Report(Value(10, of: 10, last: true));
        IProgress<TrainingProgress> second = progress.Next(), third = progress.Next(); // at the same time
        second.Report(Value(4, of: 8)); // fewer rows
        second.Report(Value(6, of: 8, last: true)); // stopped early
        third.Report(Value(8, of: 8, last: true));
        CollectionAssert.AreEqual(new long[] { 5, 10, 15, 20, 30 }, heard.Select(p => p.Step).ToArray());
        Assert.IsTrue(heard.All(p => p.Steps == 30));
        CollectionAssert.AreEqual(new[] { false, false, false, false, true }, heard.Select(p => p.IsLast).ToArray());
        // Two seconds are left of the first, and two others take as long as all of it.
        Assert.IsGreaterThanOrEqualTo(TimeSpan.FromSeconds(6), heard[0].Remaining);
        Assert.AreEqual(TimeSpan.Zero, heard[^1].Remaining);
    }

    [TestMethod]
    public void A_run_that_ends_between_models_has_a_last_report()
    {
        var heard = new List<TrainingProgress>();
        var progress = new ModelsProgress(new Listener(heard), models: 3);
        progress.Next().Report(Value(10, of: 10, last: true));
        progress.End();
        Assert.IsTrue(heard[^1].IsLast);
        progress.End();
        Assert.HasCount(2, heard);
    }

    private static TrainingProgress Value(long step, long of, double seconds = 0, bool last = false) => new()
    {
        Step = step, Steps = of, Epoch = 1, Epochs = 1, Losses = new Dictionary<string, double>(),
        Validation = new Dictionary<string, double>(), LearningRate = 1, RowsPerSecond = 1, Elapsed = TimeSpan.Zero,
        Remaining = TimeSpan.FromSeconds(seconds), DataWait = TimeSpan.Zero, IsLast = last,
    };

    private sealed class Listener(List<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard.Add(value);
    }
}
