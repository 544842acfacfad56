using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class GptFitTests
{
    [TestMethod]
    public void A_trained_network_finds_its_text_far_likelier_than_the_text_shuffled()
    {
        int[] text = TinyGpt.Text(4000), shuffled = [.. text];
        new SplitMix64(1).Shuffle(shuffled.AsSpan());
        var corpus = new GptCorpus(11);
        corpus.Add(text);
        GptFitResult fit = GptFit.Fit(corpus, Small(300), TinyGpt.Context());
        using var model = new TrainedGpt(fit.Weights);
        float[] losses = new float[2];
        model.Evaluate([text, shuffled], losses, default);
        // Without any knowledge it is ln 11 = 2.4; one token in eight is random, which leaves 0.66.
        Assert.IsLessThan(1.5f, losses[0]);
        Assert.IsGreaterThan(2.4f, losses[1]);
    }

    [TestMethod]
    [DataRow(GptOptimizer.Muon)]
    [DataRow(GptOptimizer.AdamW)]
    public void The_same_seed_gives_the_same_bits_and_another_seed_others(GptOptimizer optimizer)
    {
        GptWeights Train(int seed) =>
            GptFit.Fit(TinyGpt.Corpus(500), Dropping(optimizer), TinyGpt.Context(seed)).Weights;
        GptWeights first = Train(1);
        TinyGpt.AssertSame(first, Train(1));
        CollectionAssert.AreNotEqual(first["wte.weight"], Train(2)["wte.weight"]);
    }

    [TestMethod]
    [DataRow(GptOptimizer.Muon)]
    [DataRow(GptOptimizer.AdamW)]
    public void A_run_killed_after_a_checkpoint_goes_on_to_the_same_bits(GptOptimizer optimizer)
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            GptWeights Train() =>
                GptFit.Fit(TinyGpt.Corpus(300), Dropping(optimizer, folder), TinyGpt.Context()).Weights;
            GptWeights whole = Train();
            string[] files = [.. Directory.GetFiles(folder).Order()];
            Assert.HasCount(3, files); // after steps 3, 6 and 9
            foreach (string later in files[1..])
                File.Delete(later);
            TinyGpt.AssertSame(whole, Train());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void A_cancelled_run_ends_at_once()
    {
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.ThrowsExactly<OperationCanceledException>(() => GptFit.Fit(
            TinyGpt.Corpus(300), Dropping(GptOptimizer.Muon, cancellation: stop.Token), TinyGpt.Context()));
    }

    [TestMethod]
    public void Accumulated_gradients_and_checkpointed_blocks_train_the_same_network()
    {
        GptWeights Train(int parts, bool checkpointing) => GptFit.Fit(
            TinyGpt.Corpus(300),
            new()
            {
                Layers = 2, Heads = 2, Width = 8, ContextLength = 8, BatchSize = 4, Steps = 5, LearningRate = 1e-3,
                Optimizer = GptOptimizer.AdamW, GradientAccumulation = parts, GradientCheckpointing = checkpointing,
            },
            TinyGpt.Context()).Weights;
        GptWeights plain = Train(1, false), parts = Train(3, false), both = Train(4, true);
        foreach ((string name, _) in plain.Shape.Tensors())
        {
            for (int i = 0; i < plain[name].Length; i++)
            {
                Assert.AreEqual(plain[name][i], parts[name][i], 1e-4, name);
                Assert.AreEqual(plain[name][i], both[name][i], 1e-4, name);
            }
        }
    }

    [TestMethod]
    public void Adapters_learn_a_text_and_leave_the_weights_as_they_were()
    {
        GptWeights given = GptFit.Fit(TinyGpt.Corpus(2000), Small(150), TinyGpt.Context()).Weights;
        GptWeights kept = Copy(given);
        // The same rule, but every token is one higher.
        int[] other = [.. TinyGpt.Text(2000).Select(t => (t + 1) % 11)];
        var corpus = new GptCorpus(11);
        corpus.Add(other);
        GptFitResult fit = GptFit.Fit(
            corpus,
            new()
            {
                Layers = 2, Heads = 2, Width = 32, ContextLength = 16, Steps = 100, LearningRate = 1e-2,
                Lora = new() { Rank = 4 },
            },
            TinyGpt.Context(), given);
        TinyGpt.AssertSame(kept, given);
        foreach (string embedding in new[] { "wte.weight", "wpe.weight", "ln_f.weight" })
            CollectionAssert.AreEqual(given[embedding], fit.Weights[embedding]);
        float[] before = new float[1], after = new float[1];
        using TrainedGpt old = new(given), tuned = new(fit.Weights);
        old.Evaluate([other], before, default);
        tuned.Evaluate([other], after, default);
        Assert.IsLessThan(before[0] - 0.5f, after[0]);
        Assert.HasCount(8, fit.Adapters!.Layers);
    }

    [TestMethod]
    public void Validation_is_measured_and_the_best_weights_are_kept()
    {
        var heard = new List<TrainingProgress>();
        GptFit.Fit(
            TinyGpt.Corpus(1000),
            new()
            {
                Layers = 1, Heads = 1, Width = 8, ContextLength = 8, BatchSize = 4, Epochs = 3,
                ValidationFraction = 0.1,
            },
            TinyGpt.Context() with { Progress = new Listener(heard) });
        TrainingProgress last = heard[^1];
        Assert.AreEqual(3, last.Epochs);
        // 900 tokens are 113 windows of 8, and 29 batches of 4.
        Assert.AreEqual(3 * 29, last.Steps);
        Assert.IsLessThan(Math.Log(11) + 0.1, last.Validation["loss"]);
    }

    [TestMethod]
    public void Fitting_leaves_no_tensor_behind()
    {
        GptFit.Fit(TinyGpt.Corpus(300), TinyGpt.Options(), TinyGpt.Context());
        long before = torch.Tensor.TotalCount;
        GptFit.Fit(TinyGpt.Corpus(300), TinyGpt.Options(), TinyGpt.Context());
        Assert.AreEqual(before, torch.Tensor.TotalCount);
    }

    [TestMethod]
    public void Texts_that_are_too_short_are_refused()
    {
        Refused("is empty", () => GptFit.Fit(new GptCorpus(11), TinyGpt.Options(), TinyGpt.Context()));
        Refused("8 tokens", () => GptFit.Fit(TinyGpt.Corpus(8), TinyGpt.Options(), TinyGpt.Context()));
        GptFit.Fit(TinyGpt.Corpus(9), TinyGpt.Options(), TinyGpt.Context());
    }

    [TestMethod]
    public void Weights_of_another_network_and_adapters_without_weights_are_refused()
    {
        Refused("another network", () => GptFit.Fit(
            TinyGpt.Corpus(300), TinyGpt.Options(), TinyGpt.Context(), TinyGpt.Weights(TinyGpt.Shape(biases: false))));
        Refused("Lora", () => GptFit.Fit(
            TinyGpt.Corpus(300), new() { Lora = new() }, TinyGpt.Context()));
    }

    [TestMethod]
    public void Training_starts_from_the_weights_of_a_file()
    {
        string path = Path.GetTempFileName();
        try
        {
            GptWeights given = TinyGpt.Weights(TinyGpt.Shape());
            AtomicFile.Write(path, file => GptWeightFile.Write(file, given, GptWeightLayout.Conv1D));
            GptOptions options = new()
            {
                Layers = 2, Heads = 2, Width = 8, ContextLength = 8, BatchSize = 4, Biases = true, Steps = 1,
                LearningRate = 1e-6, InitialWeights = path,
            };
            options.Validate();
            GptWeights trained = GptFit.Fit(TinyGpt.Corpus(300), options, TinyGpt.Context()).Weights;
            foreach ((string name, _) in given.Shape.Tensors())
            {
                for (int i = 0; i < given[name].Length; i++)
                    Assert.AreEqual(given[name][i], trained[name][i], 2e-6, name);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void Products_in_bfloat16_train_about_the_same_network()
    {
        double Loss(Precision precision)
        {
            var heard = new List<TrainingProgress>();
            GptFit.Fit(
                TinyGpt.Corpus(1000),
                new()
                {
                    Layers = 1, Heads = 2, Width = 16, ContextLength = 8, Steps = 40, ValidationFraction = 0.2,
                    Precision = precision,
                },
                TinyGpt.Context() with { Progress = new Listener(heard) });
            return heard[^1].Validation["loss"];
        }
        Assert.AreEqual(Loss(Precision.Float32), Loss(Precision.BFloat16), 0.03);
    }

    [TestMethod]
    public void Contradictory_options_are_refused_by_name()
    {
        void Option(string word, GptOptions options)
        {
            Exception error = Assert.Throws<Exception>(options.Validate);
            StringAssert.Contains(error.Message, word);
        }
        Option("Heads", new() { Width = 10, Heads = 4 });
        Option("Steps", new() { Steps = 10, Epochs = 2 });
        Option("InitialWeights", new() { InitialWeights = "/there/is/no/such/file" });
        Option("Lora", new() { Lora = new() });
        Option("Lora.Rank", new() { Lora = new() { Rank = 0 } });
        Option("Lora.Targets", new() { Lora = new() { Targets = LoraTargets.None } });
        Option("GradientAccumulation", new() { BatchSize = 4, GradientAccumulation = 5 });
        Option("Dropout", new() { Dropout = 1 });
        Option("FinalRateShare", new() { FinalRateShare = 1.5 });
        Option("MatrixLearningRate", new() { MatrixLearningRate = 0 });
    }

    private static void Refused(string word, Action fit)
    {
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(fit);
        StringAssert.Contains(error.Message, word);
    }

    private static GptOptions Small(int steps) =>
        new() { Layers = 2, Heads = 2, Width = 32, ContextLength = 16, Steps = steps };

    private static GptOptions Dropping(
        GptOptimizer optimizer, string? folder = null, CancellationToken cancellation = default) => new()
    {
        Layers = 2, Heads = 2, Width = 8, ContextLength = 8, BatchSize = 4, Biases = true, Steps = 10, Dropout = 0.2,
        ValidationFraction = 0.1, GradientAccumulation = 2, GradientCheckpointing = true, Optimizer = optimizer,
        CancellationToken = cancellation, Checkpoint = folder is null ? null : new(folder) { Every = 3, Keep = 10 },
    };

    private static GptWeights Copy(GptWeights weights)
    {
        var copy = new GptWeights(weights.Shape);
        foreach ((string name, _) in weights.Shape.Tensors())
            weights[name].CopyTo(copy[name], 0);
        return copy;
    }

    private sealed class Listener(List<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard.Add(value);
    }
}
