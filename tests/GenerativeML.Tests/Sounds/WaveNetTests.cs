using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Sounds;

[TestClass]
[DoNotParallelize]
public sealed class WaveNetTests
{
    private static readonly MLContext s_ml = new(1);

    private static readonly WaveNetOptions s_small = new()
    {
        Layers = 3, Cycles = 2, ResidualChannels = 4, SkipChannels = 6, QuantizationLevels = 16, WindowLength = 64, Seed = 3,
    };

    [TestMethod]
    public void No_sample_sees_itself_or_a_later_one_and_each_sees_its_receptive_field()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new WaveNetNetwork(s_small, 2);
        Assert.AreEqual(1 + 2 * (1 + 2 + 4), network.ReceptiveField);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 5);
        // By gradients of the embeddings of each sample, as if each were its own.
        const int steps = 24;
        var weights = layers.Tensors.ToDictionary(t => t.Key, t => t.Value);
        torch.Tensor rows = weights["samples.weight"].detach()[torch.arange(steps) % 16].clone().requires_grad_(true);
        weights["samples.weight"] = rows;
        torch.Tensor logits = network.Logits<TorchTensor>(
            new TorchOps(weights).Root, torch.arange(steps).view(1, -1), torch.zeros(1, 1, torch.ScalarType.Int64), steps);
        foreach (int t in (int[])[0, 7, 20])
        {
            torch.Tensor seen = torch.autograd.grad([logits[0, t].sum()], [rows], retain_graph: true)[0].abs().sum(-1L);
            for (int i = 0; i < steps; i++)
                Assert.AreEqual(i <= t && i > t - network.ReceptiveField, seen[i].item<float>() > 0, $"logits {t} of the sample before {i}");
        }
    }

    [TestMethod]
    public void Embeddings_begin_on_a_line_in_the_order_of_the_levels()
    {
        var network = new WaveNetNetwork(new WaveNetOptions { QuantizationLevels = 5, ResidualChannels = 2 }.Resolve(1), 0);
        var weights = new HostWeights([.. network.Tensors]);
        float[] drawn = [2, -1, 10, 20, 0, 0, -10, 30, 4, 4]; // of which the first level's say where the line leads
        drawn.CopyTo(weights["samples.weight"], 0);
        network.Initialize(weights);
        for (int i = 0; i < drawn.Length; i++)
            Assert.AreEqual((i / 2 / 2.0 - 1) * drawn[i % 2] + 0.03 * drawn[i], weights["samples.weight"][i], 1e-6);
    }

    [TestMethod]
    public void A_layer_is_the_papers_gate_by_hand()
    {
        // One layer of one channel: z = tanh(a·before + b·now)·σ(c·before + d·now), whose share that is handed past is z.
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new WaveNetNetwork(s_small with { Layers = 1, Cycles = 1, ResidualChannels = 1, SkipChannels = 1, QuantizationLevels = 2 }, 0);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 5);
        using (torch.no_grad())
        {
            void Set(string name, params float[] values) => layers.Tensors[name].copy_(torch.tensor(values).view(layers.Tensors[name].shape));
            Set("samples.weight", -1, 2);
            Set("layers.0.gates.weight", 0.5f, 0.25f, -1, 0.75f);
            Set("layers.0.gates.bias", 0.1f, 0.2f);
            Set("layers.0.skip.weight", 1);
            Set("layers.0.skip.bias", 0.5f);
            Set("hidden.weight", 1);
            Set("hidden.bias", 0);
            Set("logits.weight", 1, -1);
            Set("logits.bias", 0, 0);
        }
        torch.Tensor logits = network.Logits<TorchTensor>(
            new TorchOps(layers.Tensors).Root, torch.tensor(new long[] { 1, 0 }).view(1, 2), torch.zeros(1, 1, torch.ScalarType.Int64), 2);
        double Skip(double before, double now) => Math.Max(0, 0.5 + Math.Tanh(0.5 * before + 0.25 * now + 0.1) / (1 + Math.Exp(before - 0.75 * now - 0.2)));
        Assert.AreEqual(Skip(0, 2), logits[0, 0, 0].item<float>(), 1e-6);
        Assert.AreEqual(Skip(2, -1), logits[0, 1, 0].item<float>(), 1e-6);
        Assert.AreEqual(-Skip(2, -1), logits[0, 1, 1].item<float>(), 1e-6);
    }

    [TestMethod]
    public void Steps_with_what_came_before_give_what_all_samples_at_once_give()
    {
        using WaveNetTransformer model = Trained(steps: 10);
        WaveNetModel inner = model.Model;
        float[] made = inner.Generate([1], [new SplitMix64(9)], [], 200, 1)[0];
        // The same random numbers, from logits of all samples at once, by torch.
        using DisposeScope scope = torch.NewDisposeScope();
        Dictionary<string, torch.Tensor> weights = inner.Weights.ToTensors(torch.CPU);
        int[] codes = SoundClip.ToMuLaw(made, 16);
        long[] before = [8, .. codes[..^1].Select(c => (long)c)];
        torch.Tensor logits = inner.Network.Logits<TorchTensor>(
            new TorchOps(weights).Root, torch.tensor(before).view(1, -1), torch.ones(1, 1, torch.ScalarType.Int64), 200);
        var random = new SplitMix64(9);
        float[] all = logits.data<float>().ToArray();
        double[] shares = new double[16];
        double nats = 0;
        for (int t = 0; t < 200; t++)
        {
            MixtureDensity.Weights(all.AsSpan(t * 16, 16), 1, shares);
            Assert.AreEqual(codes[t], SplitMix64.Choose(shares, random.NextDouble()), $"sample {t}");
            nats -= Math.Log(shares[codes[t]]);
        }
        Assert.AreEqual(nats / 200, model.Score(new SoundClip(made, 8000), "low"), 1e-4);
        foreach (torch.Tensor weight in weights.Values)
            weight.Dispose();
    }

    [TestMethod]
    public void Training_learns_two_tones_and_tells_them_apart()
    {
        using WaveNetTransformer model = Trained(steps: 160);
        Assert.AreSequenceEqual(new[] { "high", "low" }, model.Conditions);
        // A tone within those of training goes through all phases, as they do.
        SoundClip high = Tone(1017, 0.3), low = Tone(254, 0.3);
        Assert.IsLessThan(Math.Log(16) / 2, model.Score(high, "high")); // half of what is known without any learning
        Assert.IsGreaterThan(model.Score(high, "high") + 0.2, model.Score(high, "low"));
        Assert.IsGreaterThan(model.Score(low, "low") + 0.2, model.Score(low, "high"));
        model.Temperature = 0.3;
        Assert.AreEqual(1000, Pitch(model.Generate(800, "high", beginning: Tone(1017, 0.05)).Samples), 150);
        Assert.AreEqual(250, Pitch(model.Generate(800, "low", beginning: Tone(254, 0.05)).Samples), 60);

        IDataView rows = model.Generate(3, seed: 4, new RowCondition().Equal("Word", "low"));
        Assert.AreSequenceEqual(new[] { "low", "low", "low" }, [.. rows.GetColumn<string>("Word")]);
        Assert.HasCount(100, rows.GetColumn<float[]>("Sound").First());
        Assert.AreSequenceEqual(rows.GetColumn<float[]>("Sound").First(), model.Generate(1, seed: 4, new RowCondition().Equal("Word", "low")).GetColumn<float[]>("Sound").First());
        Assert.Throws<ArgumentException>(() => model.Generate(1, 0, new RowCondition().Equal("Word", "middle")));
        Assert.Throws<ArgumentException>(() => model.Generate(1, "middle"));
        Assert.Throws<ArgumentException>(() => model.Score(high));

        using var file = new MemoryStream();
        s_ml.Model.Save(model, null, file);
        using var loaded = (WaveNetTransformer)s_ml.Model.Load(file, out _);
        Assert.AreEqual(0.3, loaded.Temperature);
        Assert.IsNull(loaded.Folder);
        Assert.AreSequenceEqual(model.Conditions, loaded.Conditions);
        Assert.AreSequenceEqual(model.Generate(50, "high", seed: 2).Samples.ToArray(), loaded.Generate(50, "high", seed: 2).Samples.ToArray());
    }

    [TestMethod]
    public void Files_that_cannot_be_read_are_named()
    {
        string folder = Directory.CreateTempSubdirectory("genml").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "bad.wav"), "no sound");
            Tone(300, 0.1).SaveWav(Path.Combine(folder, "good.wav"));
            string Fails(params string[] paths) => Assert.Throws<InvalidOperationException>(
                () => s_ml.Generative.WaveNet(s_small with { Folder = folder, Steps = 1 }).Fit(Rows(paths.Select(p => (p, "x"))))).Message;
            StringAssert.Contains(Fails("good.wav", "bad.wav"), "Row 1 of column 'Path'");
            StringAssert.Contains(Fails("absent.wav"), "'absent.wav'");
            StringAssert.Contains(Fails("", ""), "no sound to train on");
            using WaveNetTransformer model = s_ml.Generative.WaveNet(s_small with { Folder = folder, Steps = 1 }).Fit(Rows([("good.wav", "x"), ("", "")]));
            float[] scores = [.. model.Transform(Rows([("good.wav", ""), ("", "")])).GetColumn<float>("Score")];
            Assert.IsTrue(scores[0] > 0 && float.IsNaN(scores[1]));
            Exception bad = Assert.Throws<InvalidOperationException>(() => model.Transform(Rows([("good.wav", ""), ("bad.wav", "")])).GetColumn<float>("Score").ToArray());
            StringAssert.Contains(bad.Message, "Row 1");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static WaveNetTransformer Trained(int steps)
    {
        string folder = Directory.CreateTempSubdirectory("genml").FullName;
        try
        {
            (string, string)[] rows = [.. Enumerable.Range(0, 8).Select(i => ($"{i}.wav", i % 2 == 0 ? "high" : "low"))];
            for (int i = 0; i < rows.Length; i++)
                Tone((i % 2 == 0 ? 1000 : 250) * (1 + 0.007 * i), 0.1 + 0.01 * i, i).SaveWav(Path.Combine(folder, rows[i].Item1));
            return s_ml.Generative.WaveNet(s_small with
            {
                Folder = folder, ConditionColumnName = "Word", Steps = steps, ResidualChannels = 12, SkipChannels = 16, LearningRate = 1e-2,
                GeneratedSamples = 100, BatchSize = 16,
            }).Fit(Rows(rows));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static SoundClip Tone(double pitch, double seconds, double phase = 0) => new(
        [.. Enumerable.Range(0, (int)(8000 * seconds)).Select(i => (float)(0.6 * Math.Sin(phase + 2 * Math.PI * pitch * i / 8000)))], 8000);

    private static double Pitch(ReadOnlySpan<float> samples)
    {
        int rises = 0;
        for (int i = 1; i < samples.Length; i++)
            rises += samples[i - 1] < 0 && samples[i] >= 0 ? 1 : 0;
        return rises * 8000.0 / samples.Length;
    }

    private static IDataView Rows(IEnumerable<(string Path, string Word)> rows) =>
        s_ml.Data.LoadFromEnumerable(rows.Select(row => new Row { Path = row.Path, Word = row.Word }));

    private sealed class Row
    {
        public string Path { get; set; } = "";

        public string Word { get; set; } = "";
    }
}
