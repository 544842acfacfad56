using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>Several processes, here threads, train the model that one trains.</summary>
[TestClass]
public sealed class DistributedTrainingTests : IDisposable
{
    private const int Steps = 200, Rows = 240, Batch = 24; // of others than language models

    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // Two blobs with some structure, so that there is something to learn.
    private static readonly ArrayRows s_rows = new(Rows, 6, (i, j) =>
        MathF.Sin(i * 0.7f * (j % 3 + 1)) + (i % 2 == 0 ? 1 : -1) + 0.1f * MathF.Cos(i * (j + 2)));

    public static IEnumerable<object[]> Families =>
    [
        ["autoencoder"], ["denoising"], ["vae"], ["free bits"], ["wgan-gp"], ["packed gan"], ["diffusion"], ["gpt"], ["recurrent"], ["rbm"],
    ];

    private static HostWeights Train(
        string family, DistributedOptions? distributed, CheckpointOptions? checkpoint = null, int steps = Steps,
        IRowSource? rows = null, long budget = 1 << 30, double validation = 0, int batch = Batch,
        int parts = 1, IProgress<TrainingProgress>? progress = null, int? seed = null, CancellationToken cancellation = default)
    {
        var context = new TrainingContext { Warning = NotApart, Seed = seed ?? 3, Progress = progress, ReportInterval = TimeSpan.Zero, Device = ComputeDevice.Cpu, FallbackToCpu = false };
        if (family is "gpt" or "gpt by Muon")
        {
            // A key's bias changes nothing: its gradient is rounding alone, which Adam makes as large as any.
            return TinyGpt.Fit(TinyGpt.Corpus(500), TinyGpt.Options(steps, biases: false) with
            {
                Optimizer = family == "gpt" ? LanguageModelOptimizer.AdamW : LanguageModelOptimizer.Muon, BatchSize = 8, Dropout = 0.1, GradientAccumulation = parts, Distributed = distributed, Checkpoint = checkpoint, ValidationFraction = validation,
            }, context).Weights;
        }
        if (family == "recurrent")
        {
            var options = new RecurrentLanguageModelOptions
            {
                VocabularySize = 11, Layers = 1, Width = 8, WindowLength = 8, BatchSize = 8, Steps = steps, Dropout = 0.1,
                Distributed = distributed, Checkpoint = checkpoint, GradientAccumulation = parts,
            };
            return RecurrentLanguageModelTrainer.Train(
                TinyGpt.Corpus(500), (RecurrentLanguageModelOptions)options.Resolve(new TokenCodec(new ByteTokenizer(), 11, null), 0), context).Weights;
        }
        (VectorFamily of, VectorOptions made) = family switch
        {
            "autoencoder" => (AutoencoderTrainer.Family, (VectorOptions)new AutoencoderOptions { EnsembleSize = 1, PredictedLabelColumnName = null, HiddenLayers = [8], LatentDimension = 2 }),
            "denoising" => (AutoencoderTrainer.Family, new AutoencoderOptions
            {
                EnsembleSize = 2, PredictedLabelColumnName = null, HiddenLayers = [8], LatentDimension = 2, InputNoise = 0.2, InputMasking = 0.3, Dropout = 0.1,
            }),
            "free bits" => (VaeTrainer.Family, new VaeOptions { HiddenLayers = [8], LatentDimension = 3, FreeBits = 0.3 }),
            "vae" => (VaeTrainer.Family, new VaeOptions { HiddenLayers = [8], LatentDimension = 2 }),
            "wgan-gp" => (GanTrainer.Family, new GanOptions { GeneratorLayers = [8], DiscriminatorLayers = [8] }),
            "packed gan" => (GanTrainer.Family, new GanOptions { GeneratorLayers = [8], DiscriminatorLayers = [8], PackSize = 3 }),
            "rbm" => (RestrictedBoltzmannMachineTrainer.Family, new RestrictedBoltzmannMachineOptions { HiddenUnits = 6 }),
            _ => (DiffusionTrainer.Family, new DiffusionOptions { HiddenWidth = 8, Blocks = 1, ReferenceRows = 0 }),
        };
        using TrainedVector model = VectorFit.Fit(rows ?? s_rows, of, made with
        {
            Epochs = (steps + Rows / Batch - 1) / (Rows / Batch), BatchSize = batch, Distributed = distributed, Checkpoint = checkpoint,
            CacheBudgetBytes = budget, ValidationFraction = validation, GradientAccumulation = parts,
            CancellationToken = cancellation,
        }, context).Model;
        return model.Weights;
    }

    private static void NotApart(string warning)
    {
        if (warning.Contains("process 0", StringComparison.Ordinal))
            throw new InvalidOperationException(warning);
    }

    // Of the tensor where it is largest, in shares of the tensor's own size.
    private static (double Distance, string Tensor) Distance(HostWeights expected, HostWeights actual) =>
        expected.Specs.Select(spec =>
        {
            double size = Math.Sqrt(expected[spec.Name].Sum(v => (double)v * v));
            double apart = Math.Sqrt(expected[spec.Name].Zip(actual[spec.Name]).Sum(pair => Math.Pow(pair.First - pair.Second, 2)));
            return (apart == 0 ? 0 : apart / size, spec.Name);
        }).Max();

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Processes_that_share_the_rows_end_with_the_weights_of_one(string family)
    {
        HostWeights one = Train(family, null);
        foreach (int processes in new[] { 2, 4 })
        {
            HostWeights[] several = ThreadRing.Run(processes, (distributed, _) => Train(family, distributed));
            foreach (HostWeights other in several[1..])
                TinyGpt.AssertSame(several[0], other);
            (double distance, string tensor) = Distance(one, several[0]);
            Console.WriteLine($"{family}, {processes} processes: {distance:g3} in {tensor}");
            Assert.IsLessThan(1e-4, distance);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_step_in_parts_is_the_step_of_all_rows(string family)
    {
        if (family is "free bits" or "rbm")
        {
            // All rows' divergence has a limit, and chains would move in each part.
            Assert.Contains("GradientAccumulation is 4", Assert.Throws<ArgumentException>(() => Train(family, null, parts: 4)).Message);
            return;
        }
        (double distance, string tensor) = Distance(Train(family, null, steps: 10), Train(family, null, steps: 10, parts: 4));
        Console.WriteLine($"{family}: {distance:g3} in {tensor}");
        Assert.IsLessThan(1e-5, distance);
    }

    [TestMethod]
    [DataRow("denoising", 2)]
    [DataRow("denoising", 5)]
    [DataRow("wgan-gp", 3)]
    [DataRow("gpt", 2)]
    [DataRow("gpt", 4)]
    [DataRow("gpt by Muon", 2)]
    [DataRow("gpt by Muon", 3)]
    [DataRow("gpt by Muon", 7)]
    public void Processes_that_share_the_optimizers_state_end_with_the_weights_of_those_that_do_not(string family, int processes)
    {
        HostWeights[] each = ThreadRing.Run(processes, (distributed, _) => Train(family, distributed, steps: 30));
        HostWeights[] sharded = ThreadRing.Run(processes, (distributed, _) => Train(family, distributed with { ShardOptimizer = true }, steps: 30));
        foreach (HostWeights other in sharded)
            TinyGpt.AssertSame(sharded[0], other);
        (double distance, string tensor) = Distance(each[0], sharded[0]);
        Console.WriteLine($"{family}, {processes} processes: {distance:g3} in {tensor}");
        Assert.IsLessThan(family == "gpt by Muon" ? 1e-4 : 1e-6, distance); // Muon lifts rounding, as it does what is rare
    }

    [TestMethod]
    [DataRow("gpt by Muon", 1, false)]
    [DataRow("gpt by Muon", 2, true)]
    [DataRow("denoising", 4, true)]
    [DataRow("denoising", 3, false)]
    public void A_checkpoint_of_a_shared_state_is_one_of_the_whole(string family, int processes, bool shards)
    {
        HostWeights whole = Train(family, null, steps: 30);
        CheckpointOptions checkpoint = new(_folder) { Every = 10, Keep = 9 };
        ThreadRing.Run(3, (distributed, _) => Train(family, distributed with { ShardOptimizer = true }, checkpoint, steps: 30));
        foreach (string file in Directory.GetFiles(_folder).Order().Skip(1))
            File.Delete(file);
        HostWeights[] resumed = ThreadRing.Run(
            processes, (distributed, _) => Train(family, distributed with { ShardOptimizer = shards }, checkpoint, steps: 30));
        Assert.HasCount(3, Directory.GetFiles(_folder));
        Assert.IsLessThan(2e-5, Distance(whole, resumed[0]).Distance);
    }

    [TestMethod]
    [DataRow(24, 1 << 30, DisplayName = "kept")]
    [DataRow(24, 1000, DisplayName = "streamed")]
    [DataRow(7, 1 << 30, DisplayName = "shares of different size")]
    [DataRow(3, 1 << 30, DisplayName = "one row each")]
    [DataRow(24, 1 << 30, true, DisplayName = "the optimizer's state shared")]
    public void However_rows_are_read_and_divided_the_weights_are_those_of_one(int batch, int budget, bool shards = false)
    {
        HostWeights Fit(DistributedOptions? distributed) => Train(
            "denoising", distributed is null ? null : distributed with { ShardOptimizer = shards }, steps: 40, budget: budget, batch: batch, validation: 0.2);
        HostWeights one = Fit(null);
        HostWeights[] several = ThreadRing.Run(3, (distributed, _) => Fit(distributed));
        Assert.IsLessThan(1e-5, Distance(one, several[0]).Distance);
        TinyGpt.AssertSame(several[0], several[2]);
    }

    [TestMethod]
    [DataRow(24)]
    [DataRow(7)]
    public void Rows_that_processes_keep_together_are_trained_on_as_if_each_kept_all(int batch)
    {
        HostWeights Fit(DistributedOptions? distributed) => Train("denoising", distributed, steps: 40, batch: batch, validation: 0.2);
        HostWeights[] each = ThreadRing.Run(3, (distributed, _) => Fit(distributed));
        HostWeights[] together = ThreadRing.Run(3, (distributed, _) => Fit(distributed with { ShareRows = true }));
        TinyGpt.AssertSame(each[0], together[0]);
        TinyGpt.AssertSame(each[0], together[2]);
    }

    [TestMethod]
    public void Of_shared_rows_each_process_keeps_every_nth_and_reads_what_one_that_keeps_all_does()
    {
        var rows = new ArrayRows(100, 3, (i, j) => i + (1000 * j));
        const int Batch = 10;
        float[][] Read(TrainingData data) =>
        [
            .. data.Epoch(1, Batch, 3, CancellationToken.None).SelectMany(batch => batch.Fields[0].data<float>().ToArray().Chunk(3)),
        ];

        using TrainingData whole = TrainingData.Prepare(rows, new TestOptions(), 1, torch.CPU, []);
        float[][] expected = Read(whole);
        float[][][] parts = ThreadRing.Run(3, (distributed, rank) =>
        {
            using var data = (CachedTrainingData)TrainingData.Prepare(
                rows, new TestOptions { Distributed = distributed with { ShareRows = true } }, 1, torch.CPU, []);
            Assert.AreEqual(rank == 0 ? 34 : 33, data.HeldRows);
            data.Share = count => new RowRange(0, count, count).Part(rank, 3);
            return Read(data);
        });
        // Of each batch of ten rows, the parts of the three processes one behind the other.
        int[] taken = new int[3];
        for (int batch = 0; batch < expected.Length / Batch; batch++)
        {
            var joined = new List<float[]>();
            for (int rank = 0; rank < 3; rank++)
            {
                int count = new RowRange(0, Batch, Batch).Part(rank, 3).Count;
                joined.AddRange(parts[rank].Skip(taken[rank]).Take(count));
                taken[rank] += count;
            }
            for (int i = 0; i < Batch; i++)
                CollectionAssert.AreEqual(expected[(batch * Batch) + i], joined[i]);
        }
    }

    [TestMethod]
    public void Models_that_need_all_rows_at_once_refuse_to_share_them()
    {
        foreach ((bool _, Exception? error) in ThreadRing.Try(2, (distributed, _) =>
        {
            VectorFit.Fit(s_rows, GaussianMixtureTrainer.Family, new GaussianMixtureOptions { Distributed = distributed with { ShareRows = true } }, new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false });
            return true;
        }))
            Assert.Contains("Option Distributed.ShareRows is set", error!.Message);
    }

    [TestMethod]
    [DataRow(1, 0, 1.1, DisplayName = "found at the end")]
    [DataRow(2, 10, 1.1, DisplayName = "found at a checkpoint")]
    [DataRow(2, 8, double.NaN, DisplayName = "no number")] // before others hear of it by a gradient
    [DataRow(2, 10, 1.000001, DisplayName = "rounded otherwise")]
    public void Weights_that_drift_apart_in_a_process_are_found(int drifting, int every, double factor)
    {
        int last = 0;
        bool isWrong = factor is not 1.000001;
        var warnings = new System.Collections.Concurrent.ConcurrentBag<string>();
        (float Weight, Exception? Error)[] ends = ThreadRing.Try(3, (distributed, rank) =>
        {
            LinearFamily? made = null;
            using LinearFamily family = made = new LinearFamily
            {
                OnUpdate = step =>
                {
                    if (rank == 0)
                        last = (int)step;
                    if (step == 7 && rank == drifting)
                        made!.Updates[0].Parameters[0].mul_(factor);
                },
            };
            var options = new TestOptions { Distributed = distributed, Checkpoint = every == 0 ? null : new CheckpointOptions(_folder) { Every = every } };
            using TrainingData data = TrainingData.Prepare(s_rows, options, 1, torch.CPU, []);
            TrainingLoop.Run(family, data, new()
            {
                Options = options,
                Context = new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false, Warning = warnings.Add },
                BatchSize = 24, Epochs = 3, LearningRate = 0.01, WeightDecay = 0, Identity = "{}",
            }, torch.CPU);
            return family.Weight;
        });
        string[] said = isWrong ? [.. ends.Select(end => end.Error!.Message)] : [.. warnings];
        Assert.HasCount(3, said);
        foreach (string text in said)
            Assert.Contains($"After step {(every == 0 ? 30 : every)} the weights of process {drifting} are not those of process 0", text);
        Assert.AreEqual(isWrong && every > 0 ? every - 1 : 29, last);
        if (!isWrong)
            Assert.IsTrue(ends.All(end => end.Weight == ends[0].Weight));
    }

    [TestMethod]
    public void Muon_is_as_far_from_one_process_by_processes_as_by_parts_of_a_step()
    {
        // It lifts what is rare in a gradient, and so its rounding: nearer than a step in parts it cannot be.
        HostWeights one = Train("gpt by Muon", null, steps: 40);
        double parts = Distance(one, Train("gpt by Muon", null, steps: 40, parts: 2)).Distance;
        double processes = Distance(one, ThreadRing.Run(2, (distributed, _) => Train("gpt by Muon", distributed, steps: 40))[0]).Distance;
        Assert.IsLessThan(1e-4, processes);
        Assert.IsLessThan(4 * parts, processes);
    }

    [TestMethod]
    public void Parts_of_a_step_are_shared_as_well_with_the_random_numbers_of_the_whole()
    {
        HostWeights one = Train("gpt", null, steps: 10);
        HostWeights inParts = Train("gpt", null, steps: 10, parts: 3);
        Assert.IsLessThan(1e-4, Distance(one, inParts).Distance); // with dropout
        HostWeights[] several = ThreadRing.Run(2, (distributed, _) => Train("gpt", distributed, steps: 10, parts: 2));
        Assert.IsLessThan(1e-4, Distance(one, several[0]).Distance);
    }

    [TestMethod]
    [DataRow("vae")]
    [DataRow("free bits")]
    [DataRow("wgan-gp")]
    public void Losses_and_validation_are_those_of_all_rows_and_the_first_process_alone_reports(string family)
    {
        TrainingProgress[] Reports(DistributedOptions? distributed)
        {
            var reports = new Collect();
            Train(family, distributed, steps: 20, validation: 0.3, progress: reports);
            return [.. reports];
        }

        TrainingProgress[] alone = Reports(null);
        TrainingProgress one = alone[^1];
        TrainingProgress[][] several = ThreadRing.Run(3, (distributed, _) => Reports(distributed));
        Assert.IsEmpty(several[1]);
        Assert.IsEmpty(several[2]);
        TrainingProgress last = several[0][^1];
        CollectionAssert.AreEqual(one.Losses.Keys.ToArray(), last.Losses.Keys.ToArray());
        foreach ((TrainingProgress expected, TrainingProgress actual) in alone.Zip(several[0]))
        {
            Assert.AreEqual(expected.Step, actual.Step);
            foreach ((string name, double loss) in expected.Losses)
                Assert.AreEqual(loss, actual.Losses[name], 1e-4 * Math.Max(1, Math.Abs(loss)), $"{name} until step {expected.Step}");
        }
        foreach (string name in one.Validation.Keys)
            Assert.AreEqual(one.Validation[name], last.Validation[name], 1e-4 * Math.Abs(one.Validation[name]), name);
        Assert.AreEqual(one.Step, last.Step);
    }

    [TestMethod]
    [DataRow(1, false)]
    [DataRow(2, false)]
    [DataRow(3, false)]
    [DataRow(2, true)]
    public void A_run_that_one_process_ends_is_resumed_by_any_number_of_them(int processes, bool shards)
    {
        HostWeights whole = Train("denoising", null, steps: 60, validation: 0.2);
        CheckpointOptions checkpoint = new(_folder) { Every = 7 };
        (HostWeights?, Exception? Error)[] cancelled = ThreadRing.Try(2, (distributed, rank) =>
        {
            using var stop = new CancellationTokenSource();
            // The second process reports nothing: it is cancelled by the clock of the first.
            var steps = new Listen(p => { if (p.Step >= 25) stop.Cancel(); });
            return Train(
                "denoising", distributed with { ShardOptimizer = shards }, checkpoint, steps: 60, validation: 0.2, progress: steps, cancellation: stop.Token);
        });
        Assert.IsTrue(cancelled.All(end => end.Error is OperationCanceledException));
        Assert.IsTrue(Directory.GetFiles(_folder).Length > 0);
        HostWeights[] resumed = ThreadRing.Run(
            processes, (distributed, _) => Train("denoising", distributed, checkpoint, steps: 60, validation: 0.2));
        Assert.IsLessThan(1e-5, Distance(whole, resumed[0]).Distance);
    }

    [TestMethod]
    public void What_readers_of_a_text_remember_is_in_the_checkpoint_whoever_reads()
    {
        HostWeights whole = Train("recurrent", null, steps: 30);
        CheckpointOptions checkpoint = new(_folder) { Every = 10 };
        ThreadRing.Run(2, (distributed, _) => Train("recurrent", distributed, checkpoint, steps: 30));
        string[] files = [.. Directory.GetFiles(_folder).Order()];
        File.Delete(files[^1]);
        HostWeights[] resumed = ThreadRing.Run(4, (distributed, _) => Train("recurrent", distributed, checkpoint, steps: 30));
        Assert.IsLessThan(1e-4, Distance(whole, resumed[0]).Distance);
    }

    [TestMethod]
    public void What_differs_between_processes_is_named_before_training()
    {
        Exception?[] options = [.. ThreadRing.Try(3, (distributed, rank) =>
            Train("vae", distributed, batch: rank == 2 ? 12 : 24)).Select(end => end.Error)];
        foreach (Exception? error in options)
        {
            Assert.IsInstanceOfType<InvalidOperationException>(error);
            Assert.Contains("BatchSize is 24 in process 0 and 12 in process 2", error.Message);
        }
        Exception?[] data = [.. ThreadRing.Try(2, (distributed, rank) => Train(
            "vae", distributed, rows: new ArrayRows(50, 2, (i, j) => i == 49 && rank == 1 ? 5 : i % (j + 3)))).Select(end => end.Error)];
        Assert.Contains("fingerprint of the rows of x is", data[0]!.Message);
        Exception?[] seeds = [.. ThreadRing.Try(2, (distributed, rank) => Train("vae", distributed, seed: rank)).Select(end => end.Error)];
        Assert.Contains("seed is 0 in process 0 and 1 in process 1", seeds[1]!.Message);
    }

    [TestMethod]
    public void Optimizers_of_one_process_have_no_limit_of_weights()
    {
        // On a device that holds nothing.
        using var weights = new TorchSharp.Modules.Parameter(torch.zeros([1L << 31, 1], device: torch.device("meta")));
        using var optimizer = new FlatOptimizer([weights], 0, clipNorm: 0);
        Assert.AreEqual(1L << 31, optimizer.State[0].Value.numel());
    }

    [TestMethod]
    public void A_divisor_is_one_at_least_of_all_processes()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        StepContext Of(double total) => new(0, 1, null!, Share: 0.25, Total: _ => [total]);
        Assert.AreEqual(0.75f, Of(3).Divisor(torch.ones(2)).item<float>());
        Assert.AreEqual(0.25f, Of(0).Divisor(torch.zeros(2)).item<float>());
    }

    [TestMethod]
    public void A_report_of_gradients_is_that_of_all_where_processes_have_parts_of_them()
    {
        GanFigures[] Figures(DistributedOptions distributed)
        {
            VectorFitResult fit = VectorFit.Fit(s_rows, GanTrainer.Family, new GanOptions
            {
                GeneratorLayers = [8], DiscriminatorLayers = [8], Epochs = 3, BatchSize = Batch, Stages = 2, Distributed = distributed,
                GradientClipNorm = 0.5,
            }, new() { Seed = 3, Device = ComputeDevice.Cpu, FallbackToCpu = false });
            fit.Model.Dispose();
            return [.. GanReport.Read(fit.Extra).Stages];
        }

        GanFigures[] whole = ThreadRing.Run(2, (distributed, _) => Figures(distributed))[0];
        GanFigures[][] parts = ThreadRing.Run(2, (distributed, _) => Figures(distributed with { ShardOptimizer = true }));
        foreach (GanFigures[] some in parts)
        {
            foreach ((GanFigures expected, GanFigures actual) in whole.Zip(some))
            {
                Assert.AreEqual(expected.DiscriminatorGradientNorm, actual.DiscriminatorGradientNorm, 1e-4 * expected.DiscriminatorGradientNorm);
                Assert.AreEqual(expected.GeneratorGradientNorm, actual.GeneratorGradientNorm, 1e-4 * expected.GeneratorGradientNorm);
            }
        }
    }

    [TestMethod]
    public void All_processes_end_where_a_part_of_the_state_of_one_is_no_number()
    {
        foreach ((float _, Exception? error) in Linear(2, _ => new LinearFamily { HugeAt = 7 }, new TestOptions { GradientClipNorm = 0 }, shards: true))
            Assert.Contains("Training diverged: 'square' became NaN or infinite", error!.Message);
    }

    [TestMethod]
    public void Losses_by_totals_are_not_computed_in_parts()
    {
        foreach (int processes in new[] { 1, 2 })
        {
            foreach ((float _, Exception? error) in Linear(processes, _ => new LinearFamily { TakesTotals = true }, new TestOptions { GradientAccumulation = 2 }))
                Assert.Contains("GradientAccumulation is 2, and a step of this model cannot be computed in parts", error!.Message);
        }
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Where_a_process_has_no_loss_it_is_the_mean_over_the_others(bool shards)
    {
        // The first has none after step 0: what is reported is the second's alone, as large as if nothing were missing.
        double Last(Func<int, long, bool> hasLoss)
        {
            var reports = new Collect();
            Linear(2, rank => new LinearFamily { HasLoss = step => hasLoss(rank, step) }, new TestOptions(), shards, progress: reports, rate: 0);
            return reports.Last(report => report.Losses.Count > 0).Losses["error"];
        }

        double all = Last((_, _) => true), second = Last((rank, step) => rank == 1 || step == 0), first = Last((rank, _) => rank == 0);
        Assert.AreEqual(all, (first + second) / 2, 1e-4);
        Assert.IsGreaterThan(1e-3, Math.Abs(first - second));
    }

    [TestMethod]
    public void Losses_by_totals_need_rows_in_each_process_also_of_the_least_batch()
    {
        // 33 rows are steps of 17 and 16.
        foreach ((_, Exception? error) in ThreadRing.Try(20, (distributed, _) =>
            Train("free bits", distributed, batch: 32, rows: new ArrayRows(33, 2, (i, j) => i % (j + 3)))))
            Assert.Contains("20 processes cannot share steps of 16 rows", error!.Message);
    }

    private static (float Weight, Exception? Error)[] Linear(
        int processes, Func<int, LinearFamily> make, TestOptions options, bool shards = false,
        IProgress<TrainingProgress>? progress = null, double rate = 0.01) => ThreadRing.Try(processes, (distributed, rank) =>
        {
            using LinearFamily family = make(rank);
            TestOptions own = options with { Distributed = distributed with { ShardOptimizer = shards } };
            using TrainingData data = TrainingData.Prepare(s_rows, own, 1, torch.CPU, []);
            TrainingLoop.Run(family, data, new()
            {
                Options = own,
                Context = new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false, Progress = progress, ReportInterval = TimeSpan.Zero },
                BatchSize = 24, Epochs = 3, LearningRate = rate, WeightDecay = 0, Identity = "{}",
            }, torch.CPU);
            return family.Weight;
        });

    [TestMethod]
    public void More_processes_than_rows_of_a_step_are_refused()
    {
        Exception?[] errors = [.. ThreadRing.Try(4, (distributed, _) => Train("vae", distributed, batch: 3)).Select(end => end.Error)];
        foreach (Exception? error in errors)
            Assert.Contains("4 processes cannot share steps of 3 rows", error!.Message);
    }

    [TestMethod]
    public void What_options_of_one_process_alone_would_change_is_named()
    {
        Exception?[] errors = [.. ThreadRing.Try(2, (distributed, rank) => Train(
            "vae", rank == 1 ? distributed with { LearningRateScaling = LearningRateScaling.Linear } : distributed)).Select(end => end.Error)];
        foreach (Exception? error in errors)
            Assert.Contains("LearningRateScaling is \"None\" in process 0 and \"Linear\" in process 1", error!.Message);
    }

    [TestMethod]
    public void Other_versions_and_devices_that_are_not_there_are_named_before_training()
    {
        string? told = null;
        // The second process is one that says what the first does, but for its version.
        (bool, Exception? Error)[] ends = [];
        for (int i = 0; i < 2; i++)
        {
            ends = ThreadRing.Try(2, (distributed, rank) =>
            {
                if (rank == 0)
                    return Train("vae", distributed).Specs.Any();
                string said = told is null ? "{}" : Regex.Replace(told, "(version of GenerativeML\":\")[^\"]*", "${1}0.0.1");
                told = Encoding.UTF8.GetString(distributed.Connect()!.Gather(Encoding.UTF8.GetBytes(said))[0]);
                return true;
            });
        }
        Assert.Contains("version of GenerativeML is ", ends[0].Error!.Message);
        Assert.Contains(" and \"0.0.1\" in process 1.", ends[0].Error!.Message);
        Assert.DoesNotContain(";", ends[0].Error!.Message);

        Exception?[] devices = [.. ThreadRing.Try(2, (distributed, rank) =>
        {
            var ml = new MLContext(seed: 1);
            IDataView rows = ml.Data.LoadFromEnumerable(Enumerable.Range(0, 30).Select(i => new Pair { Features = [i, i % 7] }));
            using VectorGenerator model = ml.Generative.Vae(new VaeOptions
            {
                Epochs = 1, Distributed = distributed, Device = rank == 1 ? ComputeDevice.Cuda(99) : ComputeDevice.Cpu, FallbackToCpu = false,
            }).Fit(rows);
            return true;
        }).Select(end => end.Error)];
        Assert.Contains("Device cuda:99 was asked for", devices[1]!.Message);
        Assert.AreEqual($"Process 1 has failed: {devices[1]!.Message}", devices[0]!.Message);
    }

    [TestMethod]
    [DataRow(0, 0, 4, 0)]
    [DataRow(1, 2, 4, 3)]
    [DataRow(3, 2, 4, 1)]
    [DataRow(7, 1, 4, 7)] // not there: left to be refused by its name
    [DataRow(0, 1, 1, 0)]
    [DataRow(5, 1, 0, 5)]
    public void Processes_of_a_machine_have_a_device_each(int device, int here, int devices, int expected) =>
        Assert.AreEqual(ComputeDevice.Cuda(expected), HostDefaults.OfProcess(ComputeDevice.Cuda(device), new DataPart(here, 4), devices));

    [TestMethod]
    public void Shared_rows_of_a_batch_that_are_too_many_to_exchange_are_refused()
    {
        CachedTrainingData.CheckExchanged(1 << 20, 2000);
        Assert.Contains("Lower option BatchSize", Assert.ThrowsExactly<InvalidOperationException>(() => CachedTrainingData.CheckExchanged(1 << 20, 2048)).Message);
    }

    [TestMethod]
    public void A_process_that_fails_ends_the_others_with_its_reason()
    {
        (float, Exception? Error)[] ends = ThreadRing.Try(3, (distributed, rank) =>
        {
            using var family = new LinearFamily { OnStep = step => { if (step == 7 && rank == 1) throw new IOException("the disk is gone"); } };
            var options = new TestOptions { Distributed = distributed };
            using TrainingData data = TrainingData.Prepare(s_rows, options, 1, torch.CPU, []);
            TrainingLoop.Run(family, data, new()
            {
                Options = options,
                Context = new() { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false },
                BatchSize = 24, Epochs = 5, LearningRate = 0.1, WeightDecay = 0, Identity = "{}",
            }, torch.CPU);
            return family.Weight;
        });
        Assert.IsInstanceOfType<IOException>(ends[1].Error);
        Assert.Contains("Process 1 has failed: the disk is gone", ends[0].Error!.Message);
        Assert.Contains("Process 1 has failed: the disk is gone", ends[2].Error!.Message);
    }

    [TestMethod]
    public void A_process_that_cannot_begin_ends_the_others_too()
    {
        (bool, Exception? Error)[] ends = ThreadRing.Try(2, (distributed, rank) =>
        {
            var ml = new MLContext(seed: 1);
            using VectorGenerator model = ml.Generative.Vae(new VaeOptions { Epochs = 1, Distributed = distributed }).Fit(
                ml.Data.LoadFromEnumerable(Enumerable.Range(0, 30).Select(i => new Pair
                {
                    Features = [i, i == 20 && rank == 1 ? float.NaN : i % 7],
                })));
            return true;
        });
        Assert.IsInstanceOfType<InvalidOperationException>(ends[1].Error);
        Assert.AreEqual($"Process 1 has failed: {ends[1].Error!.Message}", ends[0].Error!.Message);
    }

    [TestMethod]
    public void A_process_that_hangs_is_named_when_the_time_is_over()
    {
        using var over = new ManualResetEventSlim();
        (HostWeights?, Exception? Error)[] ends = ThreadRing.Try(
            3, (distributed, rank) =>
            {
                try
                {
                    return Train("vae", distributed, rows: rank == 1
                        ? new ArrayRows(Rows, 6, (i, j) => over.Wait(30_000) ? i % (j + 3) : 0)
                        : new ArrayRows(Rows, 6, (i, j) => i % (j + 3)));
                }
                finally
                {
                    over.Set();
                }
            }, TimeSpan.FromSeconds(1));
        Assert.IsTrue(ends.All(end => end.Error is InvalidOperationException));
        // Who gives up first names the one that it waits for: that which hangs, or the next, which waits for it.
        Assert.IsTrue(ends.Any(end => end.Error!.Message.Contains("has waited for process 1", StringComparison.Ordinal)
            || end.Error.Message.Contains("has waited for process 2", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void The_rate_grows_with_the_processes_if_that_is_asked_for()
    {
        double Rate(LearningRateScaling scaling) => ThreadRing.Run(4, (distributed, _) =>
        {
            var reports = new Collect();
            Train("vae", distributed with { LearningRateScaling = scaling }, steps: 10, progress: reports);
            return reports.LastOrDefault()?.LearningRate ?? 0;
        })[0];
        double plain = Rate(LearningRateScaling.None);
        Assert.AreEqual(4, Rate(LearningRateScaling.Linear) / plain, 1e-9);
        Assert.AreEqual(2, Rate(LearningRateScaling.SquareRoot) / plain, 1e-9);
    }

    private sealed class Collect : List<TrainingProgress>, IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => Add(value);
    }

    private sealed class Listen(Action<TrainingProgress> report) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => report(value);
    }

    private sealed class Pair
    {
        [VectorType(2)]
        public float[] Features { get; set; } = [];
    }
}
