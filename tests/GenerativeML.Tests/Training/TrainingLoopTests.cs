using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class TrainingLoopTests
{
    private const double Slope = 2.5;

    // (x, slope·x) with x spread over [−1, 1].
    private static ArrayRows Rows(long count = 500) =>
        new(count, 2, (i, j) => (float)((i * 37 % count * 2.0 / count - 1) * (j == 0 ? 1 : Slope)));

    private static TrainingOutcome Train(LinearFamily family, TestOptions options, int epochs = 20, double rate = 0.1)
    {
        using TrainingData data = TrainingData.Prepare(Rows(), options, 1, torch.CPU, []);
        var run = new TrainingRun
        {
            Options = options,
            Context = new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false, Progress = options.Progress },
            BatchSize = 50,
            Epochs = epochs,
            LearningRate = rate,
            WeightDecay = 0,
            Identity = """{"family":"linear"}""",
        };
        return TrainingLoop.Run(family, data, run, torch.CPU);
    }

    [TestMethod]
    [DataRow(LearningRateSchedule.Linear)]
    [DataRow(LearningRateSchedule.Cosine)]
    public void A_line_is_learned(LearningRateSchedule schedule)
    {
        using var family = new LinearFamily();
        TrainingOutcome outcome = Train(family, new TestOptions { Schedule = schedule }, epochs: 40);
        Assert.AreEqual(Slope, family.Weight, 1e-3);
        Assert.AreEqual(400, outcome.Steps);
    }

    [TestMethod]
    public void An_update_takes_no_gradients_of_what_another_moves()
    {
        using var family = new TwoPlayers();
        using TrainingData data = TrainingData.Prepare(Rows(), new TestOptions(), 1, torch.CPU, []);
        TrainingLoop.Run(
            family, data,
            new TrainingRun
            {
                Options = new TestOptions { Schedule = LearningRateSchedule.Constant, WarmupFraction = 0 },
                Context = new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false },
                BatchSize = 500, Epochs = 1, LearningRate = 0.1, WeightDecay = 0, Identity = """{"family":"players"}""",
            },
            torch.CPU);
        CollectionAssert.AreEqual(new[] { (true, false), (false, true) }, family.Seen);
        // Adam's first step is one learning rate, against the gradient: of a·b by a it is 2, of −a·b by b −0.9.
        Assert.AreEqual(0.9, family.First, 1e-6);
        Assert.AreEqual(2.1, family.Second, 1e-6);
        Assert.IsTrue(family.BothLearn);
    }

    [TestMethod]
    public void Progress_counts_up_to_the_end_and_tells_the_losses()
    {
        var reports = new List<TrainingProgress>();
        using var family = new LinearFamily();
        Train(family, new TestOptions { Progress = new Collect(reports), ValidationFraction = 0.2 });
        Assert.IsTrue(reports.Zip(reports.Skip(1)).All(p => p.First.Step <= p.Second.Step));
        TrainingProgress last = reports[^1];
        Assert.IsTrue(last.IsLast);
        Assert.IsFalse(reports.SkipLast(1).Any(p => p.IsLast));
        Assert.AreEqual(last.Steps, last.Step);
        Assert.AreEqual(20, last.Epoch);
        Assert.IsTrue(last.Losses.ContainsKey("error") && last.Losses.ContainsKey("loss"));
        Assert.IsTrue(last.Validation["loss"] >= 0);
        Assert.AreEqual(TimeSpan.Zero, last.Remaining);
        Assert.IsGreaterThan(1 << 20, last.PeakDeviceBytes!.Value);
    }

    [TestMethod]
    public void The_same_seed_gives_the_same_bits_whatever_ran_before()
    {
        float Weight()
        {
            using var family = new LinearFamily { Noise = 0.3 };
            Train(family, new TestOptions(), epochs: 3);
            return family.Weight;
        }

        float first = Weight();
        torch.rand(17).Dispose();
        Assert.AreEqual(first, Weight());
    }

    [TestMethod]
    public void Torchs_global_state_is_as_it_was_after_a_run_and_after_a_failed_one()
    {
        using torch.Tensor before = torch.get_rng_state();
        int threads = torch.get_num_threads();
        using (torch.no_grad())
        {
            using var family = new LinearFamily { Noise = 0.3 };
            Train(family, new TestOptions(), epochs: 2);
            using var failing = new LinearFamily { OnStep = _ => throw new IOException() };
            Assert.ThrowsExactly<IOException>(() => Train(failing, new TestOptions()));
            Assert.IsFalse(torch.is_grad_enabled());
        }
        Assert.IsTrue(torch.is_grad_enabled());
        Assert.AreEqual(threads, torch.get_num_threads());
        Assert.AreEqual(torch.ScalarType.Float32, torch.get_default_dtype());
        using torch.Tensor after = torch.get_rng_state();
        Assert.IsTrue(before.bytes.SequenceEqual(after.bytes));
    }

    [TestMethod]
    public void No_tensor_is_left_behind_by_a_run_nor_by_a_failed_or_cancelled_one()
    {
        using var family = new LinearFamily { Noise = 0.3 };
        using var failing = new LinearFamily { OnStep = s => { if (s == 7) throw new IOException(); } };
        using var stop = new CancellationTokenSource();
        using var stopping = new LinearFamily { OnStep = s => { if (s == 7) stop.Cancel(); } };
        long before = torch.Tensor.TotalCount;
        Train(family, new TestOptions { ValidationFraction = 0.2 });
        Assert.AreEqual(before, torch.Tensor.TotalCount);
        Assert.ThrowsExactly<IOException>(() => Train(failing, new TestOptions()));
        Assert.AreEqual(before, torch.Tensor.TotalCount);
        Assert.ThrowsExactly<OperationCanceledException>(
            () => Train(stopping, new TestOptions { CancellationToken = stop.Token }));
        Assert.AreEqual(before, torch.Tensor.TotalCount);
    }

    [TestMethod]
    public void Cancellation_stops_within_one_step()
    {
        using var stop = new CancellationTokenSource();
        long last = -1;
        using var family = new LinearFamily { OnStep = s => { last = s; if (s == 12) stop.Cancel(); } };
        OperationCanceledException error = Assert.ThrowsExactly<OperationCanceledException>(
            () => Train(family, new TestOptions { CancellationToken = stop.Token }));
        Assert.AreEqual(stop.Token, error.CancellationToken);
        Assert.AreEqual("Training was cancelled after step 13.", error.Message);
        Assert.AreEqual(12, last);
    }

    [TestMethod]
    public void A_cancelled_run_returns_the_model_so_far_if_asked_to()
    {
        using var stop = new CancellationTokenSource();
        using var family = new LinearFamily { OnStep = s => { if (s == 12) stop.Cancel(); } };
        var options = new TestOptions
        {
            CancellationToken = stop.Token,
            CancellationBehavior = CancellationBehavior.ReturnModel,
        };
        TrainingOutcome outcome = Train(family, options);
        Assert.IsTrue(outcome.Cancelled);
        Assert.AreEqual(13, outcome.Steps);
        Assert.AreNotEqual(0, family.Weight);
    }

    [TestMethod]
    public void A_run_cancelled_before_its_first_step_has_no_model_to_return()
    {
        using var family = new LinearFamily();
        var options = new TestOptions
        {
            CancellationToken = new CancellationToken(true),
            CancellationBehavior = CancellationBehavior.ReturnModel,
        };
        Assert.ThrowsExactly<OperationCanceledException>(() => Train(family, options));
    }

    [TestMethod]
    public void Early_stopping_ends_a_run_that_no_longer_improves_and_keeps_the_best_weights()
    {
        // A rate so high that the first epochs overshoot: the best epoch is not the last.
        var reports = new List<TrainingProgress>();
        using var family = new LinearFamily();
        var options = new TestOptions
        {
            ValidationFraction = 0.2,
            EarlyStoppingPatience = 3,
            Schedule = LearningRateSchedule.Constant,
            WarmupFraction = 0,
            GradientClipNorm = 0,
            Progress = new Collect(reports),
        };
        TrainingOutcome outcome = Train(family, options, epochs: 400, rate: 0.7);
        Assert.IsTrue(outcome.StoppedEarly);
        Assert.IsLessThan(400, outcome.Epochs);
        double error = (family.Weight - Slope) * (family.Weight - Slope) / 3; // x² averages a third
        Assert.IsLessThanOrEqualTo(reports[^1].Validation["loss"] + 1e-9, error * 1.1);
    }

    [TestMethod]
    public void A_loss_that_is_not_a_number_ends_the_run_with_advice()
    {
        using var family = new LinearFamily { DivergeAt = 5 };
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Train(family, new TestOptions()));
        StringAssert.Contains(error.Message, "error became NaN");
        StringAssert.Contains(error.Message, "LearningRate");
    }

    [TestMethod]
    public void Weights_that_the_last_step_broke_are_not_returned()
    {
        using var family = new LinearFamily { BreakAt = 29 };
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Train(family, new TestOptions(), epochs: 3)); // 30 steps
        StringAssert.Contains(error.Message, "'weight' became NaN or infinite by step 30 of 30");
        StringAssert.Contains(error.Message, "LearningRate");
    }

    [TestMethod]
    public void The_last_report_of_a_run_has_losses_even_if_no_step_was_made_since_the_one_before()
    {
        var reports = new List<TrainingProgress>();
        using var family = new LinearFamily();
        using TrainingData data = TrainingData.Prepare(Rows(), new TestOptions(), 1, torch.CPU, []);
        var run = new TrainingRun
        {
            Options = new TestOptions(),
            Context = new()
            {
                Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false, Progress = new Collect(reports),
                ReportInterval = TimeSpan.Zero,
            },
            BatchSize = 50,
            Epochs = 1,
            LearningRate = 0.1,
            WeightDecay = 0,
            Identity = "{}",
        };
        TrainingLoop.Run(family, data, run, torch.CPU);
        CollectionAssert.AreEqual(
            new long[] { 2, 3, 4, 5, 6, 7, 8, 9, 10, 10 }, reports.Select(r => r.Step).ToArray());
        CollectionAssert.AreEqual(reports[^2].Losses.ToArray(), reports[^1].Losses.ToArray());
        Assert.IsTrue(reports[^1].IsLast && reports[^1].Losses["loss"] > 0);
    }

    private sealed class Collect(List<TrainingProgress> reports) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => reports.Add(value);
    }

    // a lowers a·b, then b raises it.
    private sealed class TwoPlayers : ITrainable, IDisposable
    {
        private readonly TorchSharp.Modules.Parameter _a = new(torch.ones(1)), _b = new(torch.full(1, 2f));

        public List<(bool First, bool Second)> Seen { get; } = [];

        public float First => _a.item<float>();

        public float Second => _b.item<float>();

        public bool BothLearn => _a.requires_grad && _b.requires_grad;

        public IReadOnlyList<(string Name, torch.Tensor Value)> State => [("a", _a), ("b", _b)];

        public IReadOnlyList<UpdateRule> Updates => [new UpdateRule("first", [_a]), new UpdateRule("second", [_b])];

        public IReadOnlyList<LossTerm> Loss(Batch batch, int update, StepContext step)
        {
            Seen.Add((_a.requires_grad, _b.requires_grad));
            return [new LossTerm("game", _a.mul(_b).sum().Scaled(update == 0 ? 1 : -1))];
        }

        public IReadOnlyList<LossTerm> ValidationLoss(Batch batch, StepContext step) => [];

        public void Dispose()
        {
            _a.Dispose();
            _b.Dispose();
        }
    }
}
