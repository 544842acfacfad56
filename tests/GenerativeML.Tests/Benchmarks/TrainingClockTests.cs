using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>What a run's reports say of the time and the loss of its steps.</summary>
[TestClass]
public sealed class TrainingClockTests
{
    [TestMethod]
    public void Steps_are_timed_from_the_first_report_after_those_that_are_skipped()
    {
        var clock = new TrainingClock(skipped: 10);
        Report(clock, step: 8, seconds: 5, loss: 4);
        Report(clock, step: 12, seconds: 6, loss: 3);
        Report(clock, step: 20, seconds: 8, loss: 1);
        Assert.AreEqual(2.0 / 8, clock.SecondsPerStep, 1e-12);
    }

    [TestMethod]
    public void A_run_with_one_report_is_timed_as_a_whole()
    {
        var clock = new TrainingClock(skipped: 10);
        Report(clock, step: 20, seconds: 4, loss: 1);
        Assert.AreEqual(0.2, clock.SecondsPerStep, 1e-12);
        Assert.AreEqual(1, clock.Loss("loss"), 1e-12);
    }

    [TestMethod]
    public void The_loss_is_the_mean_over_the_steps_after_the_first_report_in_the_second_half()
    {
        var clock = new TrainingClock(skipped: 0);
        Report(clock, step: 4, seconds: 1, loss: 9);
        Report(clock, step: 12, seconds: 2, loss: 5);
        Report(clock, step: 14, seconds: 3, loss: 2);
        Report(clock, step: 20, seconds: 4, loss: 4);
        Report(clock, step: 20, seconds: 4, loss: double.NaN); // a last report with no step to tell of
        Assert.AreEqual(12, clock.LossesFrom);
        Assert.AreEqual((2 * 2 + 6 * 4) / 8.0, clock.Loss("loss"), 1e-12);
        Assert.AreEqual(16.5, clock.Mean(Enumerable.Range(1, 20).Select(i => (double)i)), 1e-12);
    }

    [TestMethod]
    public void Where_no_report_falls_into_the_second_half_the_last_one_before_has_to_do()
    {
        var clock = new TrainingClock(skipped: 0);
        Report(clock, step: 3, seconds: 1, loss: 9);
        Report(clock, step: 8, seconds: 2, loss: 5);
        Report(clock, step: 20, seconds: 3, loss: 2);
        Assert.AreEqual(8, clock.LossesFrom);
        Assert.AreEqual(2, clock.Loss("loss"), 1e-12);
    }

    [TestMethod]
    public void Training_that_says_nothing_has_no_time() =>
        Assert.ThrowsExactly<InvalidOperationException>(() => new TrainingClock(skipped: 0).SecondsPerStep);

    private static void Report(TrainingClock clock, long step, double seconds, double loss) =>
        clock.Report(new TrainingProgress
        {
            Step = step,
            Steps = 20,
            Epoch = 1,
            Epochs = 1,
            Losses = new Dictionary<string, double> { ["loss"] = loss },
            Validation = new Dictionary<string, double>(),
            LearningRate = 1,
            RowsPerSecond = 1,
            Elapsed = TimeSpan.FromSeconds(seconds),
            Remaining = TimeSpan.Zero,
            DataWait = TimeSpan.Zero,
        });
}
