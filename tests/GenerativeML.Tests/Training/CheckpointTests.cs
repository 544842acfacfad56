using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public sealed class CheckpointTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private static float Train(
        string? folder, long stopAt = -1, string identity = """{"Epochs":6}""", long budget = 1 << 20, long rows = 500,
        int every = 7, float changed = 0, long divergeAt = long.MaxValue, long breakAt = -1)
    {
        using var stop = new CancellationTokenSource();
        using var family = new LinearFamily
        {
            Noise = 0.2,
            OnStep = s => { if (s == stopAt) stop.Cancel(); },
            DivergeAt = divergeAt,
            BreakAt = breakAt,
        };
        var options = new TestOptions
        {
            CacheBudgetBytes = budget,
            ValidationFraction = 0.2,
            CancellationToken = stop.Token,
            Checkpoint = folder is null ? null : new CheckpointOptions(folder) { Every = every, Keep = 2 },
        };
        var source = new ArrayRows(
            rows, 2, (i, j) => (i * 37 % rows / (float)rows - 0.5f) * (j == 0 ? 1 : 3) + (i == 7 ? changed : 0));
        using TrainingData data = TrainingData.Prepare(source, options, 1, torch.CPU, []);
        var run = new TrainingRun
        {
            Options = options,
            Context = new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false },
            BatchSize = 32,
            Epochs = 6,
            LearningRate = 0.05,
            WeightDecay = 0.01,
            Identity = identity,
        };
        TrainingLoop.Run(family, data, run, torch.CPU);
        return family.Weight;
    }

    [TestMethod]
    [DataRow(1L << 20)]
    [DataRow(800L)]
    public void A_run_stopped_anywhere_and_started_again_ends_with_the_same_bits(long budget)
    {
        float whole = Train(null, budget: budget);
        foreach (long stopAt in new long[] { 0, 1, 6, 7, 12, 13, 40 })
        {
            string folder = Path.Combine(_folder, $"stop{stopAt}");
            Assert.ThrowsExactly<OperationCanceledException>(() => Train(folder, stopAt, budget: budget));
            Assert.AreEqual(whole, Train(folder, budget: budget), $"stopped at {stopAt}");
        }
    }

    [TestMethod]
    public void A_run_stopped_at_the_end_of_an_epoch_has_measured_that_epoch()
    {
        OperationCanceledException stopped = // 13 steps an epoch
            Assert.ThrowsExactly<OperationCanceledException>(() => Train(_folder, stopAt: 12));
        StringAssert.Contains(
            stopped.Message, $"cancelled after step 13. The same Fit goes on from the checkpoint in {_folder}.");
        using FileStream file = File.OpenRead(Directory.GetFiles(_folder).Max()!);
        string progress = SafetensorsReader.Open(file).Metadata["progress"];
        Assert.DoesNotContain("Infinity", progress, "the best validation loss so far is that of the first epoch");
    }

    [TestMethod]
    public void A_run_that_was_killed_goes_on_from_the_newest_checkpoint()
    {
        float whole = Train(_folder);
        // What a kill after the last periodic checkpoint leaves: files, and a temporary one half written.
        string newest = Directory.GetFiles(_folder).Max()!;
        File.WriteAllBytes(newest + AtomicFile.TemporarySuffix, new byte[100]);
        Assert.AreEqual(whole, Train(_folder));
    }

    [TestMethod]
    public void A_folder_that_cannot_be_written_to_is_named_with_the_option_before_training()
    {
        string file = Path.Combine(_folder, "file");
        File.WriteAllText(file, "");
        string[] wrong = [file, Path.Combine(file, "below"), .. OperatingSystem.IsLinux() ? new[] { "/proc", "/proc/nope" } : []];
        foreach (string folder in wrong)
        {
            IOException error = Assert.ThrowsExactly<IOException>(() => Train(folder, stopAt: 0));
            StringAssert.Contains(error.Message, $"Option Checkpoint names the folder '{folder}'");
            Assert.IsNotNull(error.InnerException);
        }
        string right = Path.Combine(_folder, "new");
        Train(right, every: 1000);
        Assert.IsTrue(Directory.GetFiles(right).All(path => Path.GetFileName(path).StartsWith("checkpoint-", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void Only_the_newest_are_kept()
    {
        Train(_folder);
        string[] names = [.. Directory.GetFiles(_folder).Select(f => Path.GetFileName(f)).Order()];
        CollectionAssert.AreEqual(
            new[] { "checkpoint-000000000070.safetensors", "checkpoint-000000000077.safetensors" }, names);
    }

    [TestMethod]
    public void A_checkpoint_of_other_options_is_refused_with_the_difference()
    {
        Train(_folder);
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Train(_folder, identity: """{"Epochs":7}"""));
        StringAssert.Contains(error.Message, "Epochs is 7 and was 6");
    }

    [TestMethod]
    public void A_checkpoint_of_other_data_is_refused_with_the_difference()
    {
        Train(_folder);
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Train(_folder, rows: 400));
        StringAssert.Contains(error.Message, "training rows is 320 and was 400");
    }

    [TestMethod]
    [DataRow(1L << 20)]
    [DataRow(800L)]
    public void A_checkpoint_of_rows_that_changed_is_refused(long budget)
    {
        Train(_folder, budget: budget);
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Train(_folder, budget: budget, changed: 1e-3f));
        StringAssert.Contains(error.Message, "fingerprint of the rows of ");
    }

    [TestMethod]
    [DataRow(30L, -1L, "error became NaN")]
    [DataRow(long.MaxValue, 34L, "'weight' became NaN")]
    public void A_run_that_diverged_writes_no_checkpoint_and_names_the_last_good_one(
        long divergeAt, long breakAt, string what)
    {
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Train(_folder, divergeAt: divergeAt, breakAt: breakAt));
        StringAssert.Contains(error.Message, what);
        StringAssert.Contains(error.Message, "by step 35"); // the first checkpoint after it
        StringAssert.Contains(error.Message, $"The checkpoint of step 28 in {_folder} is from before.");
        Assert.EndsWith("checkpoint-000000000028.safetensors", Directory.GetFiles(_folder).Max()!);
        float whole = Train(null);
        Assert.AreEqual(whole, Train(_folder), "going on from the good one without what broke the run");
    }

    [TestMethod]
    public void A_damaged_checkpoint_is_refused_with_its_name()
    {
        Train(_folder);
        string newest = Directory.GetFiles(_folder).Max()!;
        byte[] bytes = File.ReadAllBytes(newest);
        File.WriteAllBytes(newest, bytes[..(bytes.Length / 2)]);
        FormatException error = Assert.ThrowsExactly<FormatException>(() => Train(_folder));
        StringAssert.Contains(error.Message, Path.GetFileName(newest));
    }
}
