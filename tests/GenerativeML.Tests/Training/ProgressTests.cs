namespace GenerativeML.Tests;

/// <summary>What reports of progress say.</summary>
[TestClass]
public sealed class ProgressTests
{
    [TestMethod]
    public void The_time_left_is_estimated_without_the_first_step()
    {
        var reports = new List<TrainingProgress>();
        var clock = new Clock();
        var run = new TrainingRun
        {
            Options = new TestOptions(),
            Context = new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false, Progress = new Collect(reports) },
            BatchSize = 10,
            Epochs = 1,
            LearningRate = 0.1,
            WeightDecay = 0,
            Identity = "{}",
        };
        var reporter = new ProgressReporter(run, steps: 100, onCpu: false, clock);
        clock.Seconds = 5; // a first step of five seconds
        reporter.Count(10);
        Assert.IsFalse(reporter.IsDue);
        for (int step = 2; step <= 11; step++)
        {
            clock.Seconds += 0.1;
            reporter.Count(10);
        }
        Assert.IsTrue(reporter.IsDue);
        Report(11, last: false);
        Assert.AreEqual(8.9, reports[0].Remaining.TotalSeconds, 1e-6); // 89 steps of 0.1 s
        Assert.AreEqual(100, reports[0].RowsPerSecond, 1e-6);
        Assert.AreEqual(6, reports[0].Elapsed.TotalSeconds, 1e-6);
        Assert.IsFalse(reporter.IsDue);
        Report(11, last: true);
        Assert.AreEqual(110 / 6.0, reports[1].RowsPerSecond, 1e-6, "no step since: the run's mean");

        void Report(long step, bool last) => reporter.Report(
            step, 1, new Dictionary<string, double>(), new Dictionary<string, double>(), 0.1, TimeSpan.Zero, last);
    }

    [TestMethod]
    public void A_report_is_a_line_for_people()
    {
        var progress = new TrainingProgress
        {
            Step = 120,
            Steps = 400,
            Epoch = 3,
            Epochs = 10,
            Losses = new Dictionary<string, double> { ["error"] = 0.123456, ["loss"] = 1234.5678 },
            Validation = new Dictionary<string, double> { ["loss"] = 0.5 },
            LearningRate = 0.1,
            RowsPerSecond = 20000.4,
            Elapsed = TimeSpan.FromSeconds(5.25),
            Remaining = TimeSpan.FromSeconds(12.3),
            DataWait = TimeSpan.Zero,
        };
        Assert.AreEqual(
            "Epoch 3/10, step 120/400: error 0.1235, loss 1235, validation loss 0.5; 20000 rows/s, 12 s left",
            progress.ToString());
        Assert.EndsWith("; done in 5.2 s", (progress with { IsLast = true, Elapsed = TimeSpan.FromSeconds(5.21) }).ToString());
    }

    [TestMethod]
    public void Means_of_losses_count_each_as_often_as_they_are_told_however_many_there_are()
    {
        using var means = new LossMeans();
        double sum = 0, weights = 0;
        for (int i = 0; i < 1000; i++) // more than are held unread
        {
            using TorchSharp.torch.Tensor loss = TorchSharp.torch.tensor(i * 0.5f);
            means.Add([new LossTerm("a", loss), new LossTerm("b", loss)], weight: i % 3);
            sum += i * 0.5 * (i % 3);
            weights += i % 3;
        }
        Assert.AreEqual(sum / weights, means.Means()["a"], 1e-9);
        IReadOnlyDictionary<string, double> read = means.Read();
        Assert.AreEqual(2 * sum / weights, read["loss"], 1e-9);
        Assert.HasCount(0, means.Read());
    }

    private sealed class Clock : TimeProvider
    {
        public double Seconds { get; set; }

        public override long TimestampFrequency => 1_000_000;

        public override long GetTimestamp() => (long)Math.Round(Seconds * TimestampFrequency);
    }

    private sealed class Collect(List<TrainingProgress> reports) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => reports.Add(value);
    }
}
