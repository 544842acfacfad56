using System.Globalization;
using System.Text.RegularExpressions;
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
            new TorchOps(weights).Root, torch.arange(steps).view(1, -1), torch.zeros(1, 1, torch.ScalarType.Int64), null, steps);
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
            new TorchOps(layers.Tensors).Root, torch.tensor(new long[] { 1, 0 }).view(1, 2), torch.zeros(1, 1, torch.ScalarType.Int64), null, 2);
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
            new TorchOps(weights).Root, torch.tensor(before).view(1, -1), torch.ones(1, 1, torch.ScalarType.Int64), null, 200);
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
    public void A_spectrogram_has_a_sines_amplitude_in_the_triangles_around_it()
    {
        // One triangle from 0 to 4000 Hz, whose peak is half way on the mel scale. A sine of 1000 Hz is on a bin of windows of
        // 512; a Hann window leaves half its amplitude in the bins to either side.
        double peak = 700 * (Math.Pow(10, Math.Log10(1 + 4000 / 700.0) / 2) - 1), bin = 8000 / 512.0, amplitude = 0.6;
        double power = amplitude * amplitude * (1000 + (1000 - bin) / 4 + (1000 + bin) / 4) / peak;
        float[] tone = [.. new float[2000], .. Tone(1000, 0.5).Samples], frames = new MelSpectrogram(1, 128, 8000).Frames(tone);
        Assert.HasCount((6000 + 127) / 128, frames);
        Assert.AreEqual(1 + Math.Log10(Math.Sqrt(power)) / 5, frames[30], 1e-3);
        // The window of frame 13 ends with 13 · 128 + 64 + 256, before the tone begins; that of the next does not.
        Assert.IsTrue(frames[..14].All(f => f == 0));
        Assert.IsGreaterThan(0, frames[14]);
        // Of several, those that hold the bins have it, and what else there is is the window's own, 60 dB less.
        float[] bands = new MelSpectrogram(8, 128, 8000).Frames(tone);
        double Corner(int i) => 700 * (Math.Pow(10, Math.Log10(1 + 4000 / 700.0) * i / 9) - 1);
        for (int band = 0; band < 8; band++)
        {
            double Weight(double f) => Math.Max(0, Math.Min((f - Corner(band)) / (Corner(band + 1) - Corner(band)), (Corner(band + 2) - f) / (Corner(band + 2) - Corner(band + 1))));
            double expected = amplitude * Math.Sqrt(Weight(1000) + (Weight(1000 - bin) + Weight(1000 + bin)) / 4);
            if (expected > 0)
                Assert.AreEqual(1 + Math.Log10(expected) / 5, bands[30 * 8 + band], 1e-3);
            else
                Assert.IsLessThan(1 + Math.Log10(amplitude / 1000) / 5, bands[30 * 8 + band]);
        }
    }

    [TestMethod]
    public void A_sample_is_told_of_its_frame_and_of_those_within_its_receptive_field()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new WaveNetNetwork(s_small with { SpectrogramBands = 2, SpectrogramHop = 8, Cycles = 1 }, 0);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 5);
        const int steps = 40;
        var weights = layers.Tensors.ToDictionary(t => t.Key, t => t.Value);
        torch.Tensor rows = weights["samples.weight"].detach()[torch.arange(steps) % 16].clone().requires_grad_(true);
        weights["samples.weight"] = rows;
        weights["spectrogram.bias"] = torch.ones(4); // so that no unit is closed
        weights["spectrogram.weight"] = weights["spectrogram.weight"] * 0.1f;
        torch.Tensor frames = torch.rand(1, 30, generator: new torch.Generator(1)).requires_grad_(true);
        torch.Tensor logits = network.Logits<TorchTensor>(
            new TorchOps(weights).Root, torch.arange(steps).view(1, -1), torch.zeros(1, 1, torch.ScalarType.Int64), (TorchTensor)frames, steps);
        foreach (int t in (int[])[0, 7, 8, 20, 39])
        {
            IList<torch.Tensor> seen = torch.autograd.grad([logits[0, t].sum()], [rows, frames], retain_graph: true);
            for (int i = 0; i < steps; i++)
                Assert.AreEqual(i <= t && i > t - network.ReceptiveField, seen[0][i].abs().sum().item<float>() > 0, $"logits {t} of the sample before {i}");
            for (int frame = 0; frame < 5; frame++)
                Assert.AreEqual(
                    frame <= t / 8 && frame >= (t - network.ReceptiveField + 1) / 8, seen[1].view(5, 6)[frame].abs().sum().item<float>() > 0, $"logits {t} of frame {frame}");
        }
    }

    [TestMethod]
    public void A_model_follows_a_spectrogram_and_computes_step_by_step_what_it_computes_at_once()
    {
        string folder = Directory.CreateTempSubdirectory("genml").FullName;
        WaveNetTransformer model;
        try
        {
            (string, string)[] rows = [.. Enumerable.Range(0, 16).Select(i => ($"{i}.wav", "x"))];
            for (int i = 0; i < rows.Length; i++)
                Tone(250 + 75 * i, 0.1 + 0.01 * i, i).SaveWav(Path.Combine(folder, rows[i].Item1));
            model = s_ml.Generative.WaveNet(s_small with
            {
                Folder = folder, Steps = 200, ResidualChannels = 12, SkipChannels = 16, LearningRate = 1e-2, BatchSize = 16,
                SpectrogramBands = 8, SpectrogramHop = 20, WindowLength = 75, Temperature = 0.3,
            }).Fit(Rows(rows));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        using WaveNetTransformer trained = model;
        Assert.AreEqual(60, model.Model.Network.Options.WindowLength); // whole frames
        // What is made is like the tone that it was made for, and less like others.
        int[] pitches = [310, 620, 1240];
        float[][] spectra = [.. pitches.Select(pitch => Spectrum(Tone(pitch, 0.2, 2)))];
        foreach (int pitch in pitches)
        {
            float[] heard = Spectrum(model.Resynthesize(Tone(pitch, 0.2, 2)));
            double[] far = [.. spectra.Select(spectrum => spectrum.Zip(heard, (x, y) => Math.Abs(x - y)).Average())];
            Assert.AreEqual(Array.IndexOf(pitches, pitch), Array.IndexOf(far, far.Min()), string.Join(' ', far));
        }

        // What torch says of all samples at once; sounds end within a frame, and are longer than what is scored at once.
        using DisposeScope scope = torch.NewDisposeScope();
        WaveNetModel inner = model.Model;
        Dictionary<string, torch.Tensor> weights = inner.Weights.ToTensors(torch.CPU);
        SoundClip given = Tone(450, 2503 / 8000.0), made = model.Resynthesize(given, seed: 5);
        int[] codes = SoundClip.ToMuLaw(made.Samples, 16);
        Assert.HasCount(2503, codes);
        SplitMix64 random = RowRandom.Of(5, 0);
        random.NextDouble(); // which condition, of none
        float[] all = Logits(codes, given);
        double[] shares = new double[16];
        for (int t = 0; t < codes.Length; t++)
        {
            MixtureDensity.Weights(all.AsSpan(t * 16, 16), 0.3, shares);
            Assert.AreEqual(SplitMix64.Choose(shares, random.NextDouble()), codes[t], $"sample {t}");
        }
        float[] own = Logits(codes, made);
        double nats = 0;
        for (int t = 0; t < codes.Length; t++)
        {
            MixtureDensity.Weights(own.AsSpan(t * 16, 16), 1, shares);
            nats -= Math.Log(shares[codes[t]]);
        }
        Assert.AreEqual(nats / codes.Length, model.Score(made), 1e-4);
        foreach (torch.Tensor weight in weights.Values)
            weight.Dispose();

        using var file = new MemoryStream();
        s_ml.Model.Save(model, null, file);
        using var loaded = (WaveNetTransformer)s_ml.Model.Load(file, out _);
        SoundClip few = Tone(450, 0.02);
        Assert.AreSequenceEqual(model.Resynthesize(few, seed: 2).Samples.ToArray(), loaded.Resynthesize(few, seed: 2).Samples.ToArray());
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => model.Generate(5L)).Message, "Resynthesize");
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => model.Generate(5, condition: null)).Message, "Resynthesize");

        float[] Spectrum(SoundClip sound) => model.Model.Network.Spectrogram(WaveNetTrainer.Encode(sound, model.Model.Network.Options));

        // Frames side by side with their neighbours, by hand.
        float[] Logits(int[] codes, SoundClip like)
        {
            ushort[] read = [.. SoundClip.ToMuLaw(like.Samples, 16).Select(c => (ushort)c)];
            float[] spectrogram = inner.Network.Spectrogram(read);
            int count = spectrogram.Length / 8, steps = count * 20;
            torch.Tensor frames = torch.zeros(1, count, 24);
            for (int frame = 0; frame < count; frame++)
            {
                for (int other = -1; other <= 1; other++)
                {
                    if (frame + other >= 0 && frame + other < count)
                        frames[0, frame].narrow(0, 8 * (other + 1), 8).copy_(torch.tensor(spectrogram.AsSpan((frame + other) * 8, 8).ToArray()));
                }
            }
            long[] before = [8, .. codes[..^1].Select(c => (long)c), .. new long[steps - codes.Length]];
            return inner.Network.Logits<TorchTensor>(
                new TorchOps(weights).Root, torch.tensor(before).view(1, -1), torch.zeros(1, 1, torch.ScalarType.Int64), (TorchTensor)frames.view(1, -1), steps)
                .Value.data<float>().ToArray();
        }
    }

    [TestMethod]
    public void Options_of_spectrograms_are_checked_and_models_without_follow_none()
    {
        string Fails(WaveNetOptions options) => Assert.Throws<ArgumentOutOfRangeException>(() => s_ml.Generative.WaveNet(options)).Message;
        StringAssert.Contains(Fails(s_small with { SpectrogramBands = -1 }), "SpectrogramBands");
        StringAssert.Contains(Fails(s_small with { SpectrogramBands = 513 }), "SpectrogramBands");
        StringAssert.Contains(Fails(s_small with { SpectrogramHop = 7 }), "SpectrogramHop");
        StringAssert.Contains(Fails(s_small with { SpectrogramHop = int.MaxValue }), "SpectrogramHop");
        string tooMany = Fails(s_small with { SpectrogramBands = 100, SpectrogramHop = 8 });
        StringAssert.Contains(tooMany, "SpectrogramBands is 100, but frames of 8 samples, option SpectrogramHop, tell");
        int possible = int.Parse(
            Regex.Match(tooMany, "tell ([0-9]+) bands apart").Groups[1].Value, CultureInfo.InvariantCulture);
        _ = s_ml.Generative.WaveNet(s_small with { SpectrogramBands = possible, SpectrogramHop = 8 });
        StringAssert.Contains(Fails(s_small with { SpectrogramBands = possible + 1, SpectrogramHop = 8 }), $"tell {possible} bands apart");
        using WaveNetTransformer model = Trained(steps: 1);
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => model.Resynthesize(Tone(300, 0.1), "low")).Message, "SpectrogramBands");
    }

    [TestMethod]
    public void A_sound_is_made_anew_alike_in_any_culture_and_company_and_can_be_stopped()
    {
        using WaveNetTransformer model = Follower();
        SoundClip given = Tone(450, 0.05, 1);
        float[][] alone = [.. Enumerable.Range(0, 6).Select(seed => model.Resynthesize(given, seed: seed).Samples.ToArray())];
        Assert.HasCount(6, alone.Select(samples => string.Join(' ', samples)).Distinct().ToArray());
        float[][] together = new float[6][];
        Parallel.For(0, 6, new() { MaxDegreeOfParallelism = 6 }, seed => together[seed] = model.Resynthesize(given, seed: seed).Samples.ToArray());
        for (int seed = 0; seed < 6; seed++)
            Assert.AreSequenceEqual(alone[seed], together[seed]);
        var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (comma.NumberFormat.NumberDecimalSeparator, comma.NumberFormat.NegativeSign) = (",", "~");
        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            CultureInfo.CurrentCulture = comma;
            using var file = new MemoryStream();
            s_ml.Model.Save(model, null, file);
            using var loaded = (WaveNetTransformer)s_ml.Model.Load(file, out _);
            Assert.AreSequenceEqual(alone[3], loaded.Resynthesize(given, seed: 3).Samples.ToArray());
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
        // Of another rate, shorter than a frame, and without any sample.
        Assert.AreEqual(80, model.Resynthesize(new SoundClip(new float[160], 16_000)).Samples.Length, 2);
        Assert.AreEqual(3, model.Resynthesize(new SoundClip(new float[3], 8000)).Samples.Length);
        Assert.AreEqual(0, model.Resynthesize(new SoundClip([], 8000)).Samples.Length);
        Assert.IsTrue(double.IsNaN(model.Score(new SoundClip([], 8000))));
        Assert.Throws<OperationCanceledException>(() => model.Resynthesize(given, cancellationToken: new(canceled: true)));
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.Resynthesize(given, "low")).Message, "no conditions");
    }

    [TestMethod]
    [DataRow(0, 45)]
    [DataRow(4, 45)]
    [DataRow(4, 48)]
    [DataRow(4, 5)]
    public void Each_sample_of_a_sound_is_learned_from_its_first_to_its_last(int bands, int length)
    {
        // Windows of two frames; a sound ends within a frame, or with one, or is shorter than any.
        WaveNetOptions options = (s_small with { SpectrogramBands = bands, SpectrogramHop = 8, WindowLength = 16, QuantizationLevels = 64 }).Resolve(1);
        var network = new WaveNetNetwork(options, 0);
        ushort[] samples = [.. Enumerable.Range(0, length).Select(i => (ushort)i)];
        using DisposeScope scope = torch.NewDisposeScope();
        using var data = new SoundWindows([new(samples, 0), new(samples, 0)], network, torch.CPU);
        var learned = new HashSet<long>();
        for (int epoch = 0; epoch < 60; epoch++)
        {
            foreach (Batch batch in data.Epoch(epoch, 4, 0, default))
            {
                using (batch)
                {
                    long[] seen = batch[0].data<long>().ToArray();
                    float[] counts = batch[2].data<float>().ToArray();
                    for (int i = 0; i < counts.Length; i++)
                    {
                        if (counts[i] == 0)
                            continue;
                        long sample = seen[i / 16 * 17 + i % 16 + 1];
                        learned.Add(sample);
                        Assert.AreEqual(sample == 0 ? network.Silence : sample - 1, seen[i / 16 * 17 + i % 16], "the one before it");
                    }
                }
            }
        }
        CollectionAssert.AreEquivalent(Enumerable.Range(0, length).Select(i => (long)i).ToArray(), learned.ToArray());
    }

    [TestMethod]
    public void Files_of_other_rates_are_brought_to_the_models_and_those_without_samples_are_left_out()
    {
        string folder = Directory.CreateTempSubdirectory("genml").FullName;
        try
        {
            void Save(string name, int rate, int count) => new SoundClip(
                [.. Enumerable.Range(0, count).Select(i => 0.6f * MathF.Sin(2 * MathF.PI * 440 * i / rate))], rate).SaveWav(Path.Combine(folder, name));
            Save("low.wav", 8000, 2000);
            Save("high.wav", 44_100, 11_025);
            Save("none.wav", 8000, 0);
            ushort[] low = WaveNetTrainer.ReadFile("low.wav", folder, s_small), high = WaveNetTrainer.ReadFile("high.wav", folder, s_small);
            Assert.HasCount(2000, low);
            Assert.AreEqual(2000, high.Length, 20);
            Assert.AreEqual(110, Rises(low), 2); // a quarter of a second of 440 Hz
            Assert.AreEqual(110, Rises(high), 2);
            WaveNetOptions options = s_small with { Folder = folder, Steps = 1, ConditionColumnName = "Word" };
            (string, string)[] rows = [("low.wav", "a"), ("none.wav", "b"), ("high.wav", "a")];
            using WaveNetTransformer model = s_ml.Generative.WaveNet(options).Fit(Rows(rows));
            Assert.AreSequenceEqual(new[] { "a" }, model.Conditions);
            float[] scores = [.. model.Transform(Rows(rows)).GetColumn<float>("Score")];
            Assert.IsTrue(float.IsFinite(scores[0]) && float.IsNaN(scores[1]) && float.IsFinite(scores[2]));
            StringAssert.Contains(
                Assert.Throws<InvalidOperationException>(() => s_ml.Generative.WaveNet(options).Fit(Rows([("none.wav", "b")]))).Message, "no sound to train on");
            // What is no whole number of frames, and no WAV, is told by its row.
            File.WriteAllBytes(Path.Combine(folder, "bad.wav"), [.. File.ReadAllBytes(Path.Combine(folder, "low.wav"))[..32], 0, 0, 0, 0, .. new byte[20]]);
            StringAssert.Contains(
                Assert.Throws<InvalidOperationException>(() => s_ml.Generative.WaveNet(options).Fit(Rows([("low.wav", "a"), ("bad.wav", "a")]))).Message, "Row 1");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static int Rises(ushort[] codes) => codes.Zip(codes.Skip(1), (a, b) => a < 8 && b >= 8 ? 1 : 0).Sum();
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

    // A model that follows spectrograms, hardly trained.
    private static WaveNetTransformer Follower()
    {
        string folder = Directory.CreateTempSubdirectory("genml").FullName;
        try
        {
            Tone(300, 0.1).SaveWav(Path.Combine(folder, "tone.wav"));
            return s_ml.Generative.WaveNet(s_small with { Folder = folder, Steps = 2, SpectrogramBands = 4, SpectrogramHop = 16 }).Fit(Rows([("tone.wav", "")]));
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
