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
        var corpus = new TokenCorpus(11);
        corpus.Add(text);
        TrainedGpt fit = TinyGpt.Fit(corpus, Small(300), TinyGpt.Context());
        using var model = new TrainedGpt(fit.Network, fit.Weights);
        float[] losses = new float[2];
        model.Evaluate([text, shuffled], losses, default);
        // Without any knowledge it is ln 11 = 2.4; one token in eight is random, which leaves 0.66.
        Assert.IsLessThan(1.5f, losses[0]);
        Assert.IsGreaterThan(2.4f, losses[1]);
    }

    [TestMethod]
    [DataRow(LanguageModelOptimizer.Muon)]
    [DataRow(LanguageModelOptimizer.AdamW)]
    public void The_same_seed_gives_the_same_bits_and_another_seed_others(LanguageModelOptimizer optimizer)
    {
        HostWeights Train(int seed) =>
            TinyGpt.Fit(TinyGpt.Corpus(500), Dropping(optimizer), TinyGpt.Context(seed)).Weights;
        HostWeights first = Train(1);
        TinyGpt.AssertSame(first, Train(1));
        CollectionAssert.AreNotEqual(first["wte.weight"], Train(2)["wte.weight"]);
    }

    [TestMethod]
    [DataRow(LanguageModelOptimizer.Muon)]
    [DataRow(LanguageModelOptimizer.AdamW)]
    public void A_run_killed_after_a_checkpoint_goes_on_to_the_same_bits(LanguageModelOptimizer optimizer)
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            HostWeights Train() =>
                TinyGpt.Fit(TinyGpt.Corpus(300), Dropping(optimizer, folder), TinyGpt.Context()).Weights;
            HostWeights whole = Train();
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
        Assert.ThrowsExactly<OperationCanceledException>(() => TinyGpt.Fit(
            TinyGpt.Corpus(300), Dropping(LanguageModelOptimizer.Muon, cancellation: stop.Token), TinyGpt.Context()));
    }

    [TestMethod]
    public void Accumulated_gradients_and_checkpointed_blocks_train_the_same_network()
    {
        HostWeights Train(int parts, bool checkpointing) => TinyGpt.Fit(
            TinyGpt.Corpus(300),
            new()
            {
                Layers = 2, Heads = 2, Width = 8, ContextLength = 8, BatchSize = 4, Steps = 5, LearningRate = 1e-3,
                Optimizer = LanguageModelOptimizer.AdamW, GradientAccumulation = parts, GradientCheckpointing = checkpointing,
            },
            TinyGpt.Context()).Weights;
        HostWeights plain = Train(1, false), parts = Train(3, false), both = Train(4, true);
        foreach (string name in plain.Specs.Select(t => t.Name))
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
        TrainedGpt given = TinyGpt.Fit(TinyGpt.Corpus(2000), Small(150), TinyGpt.Context());
        // The same rule, but every token is one higher.
        int[] other = [.. TinyGpt.Text(2000).Select(t => (t + 1) % 11)];
        TrainedGpt fit = WithFile(given, path => TinyGpt.Fit(
            TinyGpt.Corpus(other),
            Small(100) with { LearningRate = 1e-2, InitialWeights = path, Lora = new() { Rank = 4 } }));
        foreach (string embedding in new[] { "wte.weight", "wpe.weight", "ln_f.weight" })
            CollectionAssert.AreEqual(given.Weights[embedding], fit.Weights[embedding]);
        float[] before = new float[1], after = new float[1];
        using TrainedGpt old = new(given.Network, given.Weights), tuned = new(fit.Network, fit.Weights);
        old.Evaluate([other], before, default);
        tuned.Evaluate([other], after, default);
        Assert.IsLessThan(before[0] - 0.5f, after[0]);
        Assert.HasCount(8, fit.Adapters!.Layers);
    }

    [TestMethod]
    public void Validation_is_measured_and_the_best_weights_are_kept()
    {
        var heard = new List<TrainingProgress>();
        TinyGpt.Fit(
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
    public void Mean_weights_are_kept_where_options_say_so()
    {
        const float kept = 0.05f;
        TrainedGpt last = TinyGpt.Fit(TinyGpt.Corpus(500), Small(1));
        TrainedGpt mean = TinyGpt.Fit(TinyGpt.Corpus(500), Small(1) with { WeightAverageDecay = kept });
        var first = new HostWeights(last.Network.Tensors);
        last.Network.Initialize(first, NetworkFit.InitialSeed(TinyGpt.Context()));
        float[] begin = first["wte.weight"], end = last.Weights["wte.weight"], found = mean.Weights["wte.weight"];
        CollectionAssert.AreNotEqual(begin, end);
        for (int i = 0; i < found.Length; i++)
            Assert.AreEqual(kept * begin[i] + (1 - kept) * end[i], found[i], 1e-6);
    }

    [TestMethod]
    public void Fitting_leaves_no_tensor_behind()
    {
        TinyGpt.Fit(TinyGpt.Corpus(300), TinyGpt.Options(), TinyGpt.Context());
        long before = torch.Tensor.TotalCount;
        TinyGpt.Fit(TinyGpt.Corpus(300), TinyGpt.Options(), TinyGpt.Context());
        Assert.AreEqual(before, torch.Tensor.TotalCount);
    }

    [TestMethod]
    public void Texts_that_are_too_short_are_refused()
    {
        Refused("is empty", () => TinyGpt.Fit(new TokenCorpus(11), TinyGpt.Options(), TinyGpt.Context()));
        Refused("8 tokens", () => TinyGpt.Fit(TinyGpt.Corpus(8), TinyGpt.Options(), TinyGpt.Context()));
        TinyGpt.Fit(TinyGpt.Corpus(9), TinyGpt.Options(), TinyGpt.Context());
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Training_starts_from_the_weights_of_a_file_and_those_of_another_network_are_refused(bool tied)
    {
        var network = new GptNetwork(TinyGpt.Options() with { TieEmbeddings = tied });
        TrainedGpt given = new(network, TinyGpt.Weights(network));
        GptOptions options = TinyGpt.Options(steps: 1) with { LearningRate = 1e-6 };
        WithFile(given, path =>
        {
            options = options with { InitialWeights = path };
            options.Resolve(new TokenCodec(new ByteTokenizer(), 11, null), 0).Validate();
            TrainedGpt fit = TinyGpt.Fit(TinyGpt.Corpus(300), options);
            Assert.AreEqual(tied, fit.Network.Options.TieEmbeddings);
            foreach (string name in given.Weights.Specs.Select(t => t.Name))
            {
                for (int i = 0; i < given.Weights[name].Length; i++)
                    Assert.AreEqual(given.Weights[name][i], fit.Weights[name][i], 2e-6, name);
            }
            return Assert.ThrowsExactly<FormatException>(
                () => TinyGpt.Fit(TinyGpt.Corpus(300), options with { Biases = false }));
        });
    }

    [TestMethod]
    public void Products_in_bfloat16_train_about_the_same_network()
    {
        double Loss(Precision precision)
        {
            var heard = new List<TrainingProgress>();
            TinyGpt.Fit(
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
        Option("GradientAccumulation", new() { GradientAccumulation = 0 });
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
        LanguageModelOptimizer optimizer, string? folder = null, CancellationToken cancellation = default) =>
        TinyGpt.Options(steps: 10) with
        {
            Dropout = 0.2, ValidationFraction = 0.1, GradientAccumulation = 2, GradientCheckpointing = true,
            Optimizer = optimizer, CancellationToken = cancellation,
            Checkpoint = folder is null ? null : new(folder) { Every = 3, Keep = 10 },
        };

    private static T WithFile<T>(TrainedGpt fit, Func<string, T> use)
    {
        string path = Path.GetTempFileName();
        try
        {
            AtomicFile.Write(
                path, file => GptWeightFile.Write(file, fit.Network, fit.Weights, GptWeightLayout.Conv1D));
            return use(path);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private sealed class Listener(List<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard.Add(value);
    }
}
