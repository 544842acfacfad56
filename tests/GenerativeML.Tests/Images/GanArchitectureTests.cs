using GenerativeML.Tests.Engines;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Images;

/// <summary>What GANs of images are made of: each part against a computation of its own, and what users can ask of them.</summary>
[TestClass]
public sealed class GanArchitectureTests
{
    private const ImageGanArchitecture Residual = ImageGanArchitecture.Residual, Progressive = ImageGanArchitecture.Progressive,
        StyleGan = ImageGanArchitecture.StyleGan;

    private static readonly Lazy<GanTransformer> s_styles = new(() => Trained(new() { Architecture = StyleGan, Channels = [4, 8] }));

    [TestMethod]
    public void A_modulated_convolution_is_one_with_scaled_weights()
    {
        const int Rows = 2, Inputs = 3, Outputs = 2, Side = 3;
        var random = new Random(1);
        double[] x = Numbers(Rows * Inputs * Side * Side), style = Numbers(Rows * Inputs), weight = Numbers(Outputs * Inputs * 9);
        var weights = new HostWeights([new("c.weight", TensorType.F32, [Outputs, Inputs, 3, 3])]);
        weight.Select(v => (float)v).ToArray().CopyTo(weights["c.weight"], 0);
        foreach (bool demodulate in new[] { false, true })
        {
            float[] found = Run(
                weights, Rows, Rows * Outputs * Side * Side, demodulate, x, style);
            for (int b = 0; b < Rows; b++)
            {
                for (int o = 0; o < Outputs; o++)
                {
                    // w'ᵢ = s·wᵢ, over the norm of all of an output's (Karras 2020, equations 1 and 3).
                    double[] scaled = [.. Enumerable.Range(0, Inputs * 9).Select(k =>
                        weight[o * Inputs * 9 + k] / Math.Sqrt(Inputs * 9) * style[b * Inputs + k / 9])];
                    double norm = demodulate ? Math.Sqrt(scaled.Sum(v => v * v) + 1e-8) : 1;
                    for (int place = 0; place < Side * Side; place++)
                    {
                        double sum = 0;
                        for (int k = 0; k < Inputs * 9; k++)
                        {
                            int row = place / Side + k % 9 / 3 - 1, column = place % Side + k % 3 - 1;
                            if (row is >= 0 and < Side && column is >= 0 and < Side)
                                sum += scaled[k] / norm * x[((b * Inputs + k / 9) * Side + row) * Side + column];
                        }
                        Assert.AreEqual(sum, found[(b * Outputs + o) * Side * Side + place], 1e-5, $"{demodulate} {b} {o} {place}");
                    }
                }
            }
        }

        double[] Numbers(int count) => [.. Enumerable.Range(0, count).Select(_ => (double)(float)(2 * random.NextDouble() - 1))];
    }

    // Both engines agree on it, and give it.
    private static float[] Run(
        HostWeights weights, int rows, int length, bool demodulate, double[] x, double[] style)
    {
        var pass = new ModulationPass(demodulate);
        float[] onnx = new float[length], byTorch = new float[length];
        ReadOnlyMemory<float>[] inputs = [x.Select(v => (float)v).ToArray(), style.Select(v => (float)v).ToArray()];
        new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false).RunOnce(pass, rows, inputs, [onnx]);
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
            new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false).RunOnce(pass, rows, inputs, [byTorch]);
        AssertClose(byTorch, onnx, 1e-6, "engines");
        return onnx;
    }

    private sealed class ModulationPass(bool demodulate) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
            [EqualizedLayers.Modulated(w, "c", inputs[0].Reshape(0, 3, 3, 3), inputs[1], 3, 2, 3, demodulate).Reshape(0, 18)];
    }

    [TestMethod]
    public void Pixels_rates_and_deviations_are_those_of_their_definitions()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        // Channels 3 and 4 of one place: over √((9 + 16) / 2).
        TorchTensor pixel = torch.tensor([3f, 4f], [1, 2, 1, 1]);
        AssertClose([3 / Math.Sqrt(12.5), 4 / Math.Sqrt(12.5)], Of(pixel.NormalizedPixels()), 1e-6, "pixels");

        var tensors = new Dictionary<string, torch.Tensor>
        {
            ["l.weight"] = torch.tensor([1f, 2f, 3f, 4f], [1, 4]), ["l.bias"] = torch.tensor([10f]), ["d"] = torch.tensor([0.5f]),
        };
        var ops = new TorchOps(tensors) { Random = new SeededRandom(torch.CPU) };
        TorchTensor ones = torch.ones([1, 4]);
        // 10 · 1 / √4; with a gain of 2, and at a rate of a tenth, bias and weights count a tenth.
        AssertClose([15], Of(EqualizedLayers.Linear(ops.Root, "l", ones, 4)), 1e-5, "equalised");
        AssertClose([2], Of(EqualizedLayers.Linear(ops.Root, "l", ones, 4, gain: 2, rate: 0.1f)), 1e-5, "at a rate");

        // Of two images of one channel and two places: deviations of 1 and 3, 0 and 4: 1 and 2, in the mean 1.5.
        TorchTensor images = torch.tensor([1f, 0f, 3f, 4f], [2, 1, 1, 2]);
        float[] marked = Of(EqualizedLayers.WithBatchDeviation(ops.Root, "d", images));
        AssertClose([1, 0, 1.5, 1.5, 3, 4, 1.5, 1.5], marked, 1e-5, "deviation");
        AssertClose([0.9 * 0.5 + 0.1 * 1.5], tensors["d"].data<float>().ToArray(), 1e-5, "its running mean");
        float[] alone = Of(EqualizedLayers.WithBatchDeviation(new TorchOps(tensors).Root, "d", images));
        AssertClose([1, 0, 0.6, 0.6, 3, 4, 0.6, 0.6], alone, 1e-5, "after training");
    }

    [TestMethod]
    public void Conditional_normalisation_and_attention_are_those_of_their_definitions()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var tensors = new Dictionary<string, torch.Tensor>
        {
            ["n.weight"] = torch.tensor([2f]), ["n.bias"] = torch.tensor([1f]), ["n.running_mean"] = torch.zeros(1),
            ["n.running_var"] = torch.ones(1), ["n.told.weight"] = torch.tensor([0.5f, -3f], [2, 1]),
            ["a.query.weight"] = torch.tensor([1f, 2f], [1, 2]), ["a.key.weight"] = torch.tensor([-1f, 1f], [1, 2]),
            ["a.value.weight"] = torch.tensor([2f, 1f], [1, 2]), ["a.projection.weight"] = torch.tensor([1f, 3f], [2, 1]),
            ["a.gain"] = torch.tensor([0.5f]),
        };
        var ops = new TorchOps(tensors) { Random = new SeededRandom(torch.CPU) };
        // 1 and 5: mean 3, deviation 2. What is told is 1 and −2: gains of 1.5 and 0, shifts of −3 and 6.
        TorchTensor told = torch.tensor([1f, -2f], [2, 1]), pictures = torch.tensor([1f, 5f], [2, 1, 1, 1]);
        float[] normal = Of(ConditionalLayers.BatchNorm(ops.Root, "n", pictures, told, 1));
        AssertClose([(2 * -1 + 1) * 1.5 - 3, (2 * 1 + 1) * 0 + 6], normal, 1e-4, "normalisation");

        // Two places of two channels.
        double[] first = [1, 0.5], second = [-1, 2];
        float[] seen = Of(ConditionalLayers.Attend(
            ops.Root, "a", torch.tensor([1f, -1f, 0.5f, 2f], [1, 2, 1, 2]), (2, 1, 2), ops.Root.Linear));
        double Query(double[] p) => p[0] + 2 * p[1];
        double Key(double[] p) => p[1] - p[0];
        double Value(double[] p) => 2 * p[0] + p[1];
        double Seen(double[] p)
        {
            double one = Math.Exp(Query(p) * Key(first)), two = Math.Exp(Query(p) * Key(second));
            return (one * Value(first) + two * Value(second)) / (one + two);
        }
        AssertClose(
            [
                first[0] + 0.5 * Seen(first), second[0] + 0.5 * Seen(second),
                first[1] + 0.5 * 3 * Seen(first), second[1] + 0.5 * 3 * Seen(second),
            ],
            seen, 1e-5, "attention");
    }

    [TestMethod]
    public void Orthogonal_rows_cost_nothing_and_others_the_square_of_their_product_twice()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        Assert.AreEqual(0, ResidualGanNetwork.NonOrthogonality(torch.tensor([3f, 0f, 0f, 4f], [2, 2])).item<float>(), 1e-6);
        torch.Tensor weight = torch.tensor([1f, 2f, 3f, -1f], [2, 2, 1, 1]).requires_grad_();
        torch.Tensor cost = ResidualGanNetwork.NonOrthogonality(weight); // product 1
        Assert.AreEqual(2, cost.item<float>(), 1e-5);
        cost.backward();
        AssertClose([4 * 3, 4 * -1, 4 * 1, 4 * 2], weight.grad!.data<float>().ToArray(), 1e-4, "gradient"); // 4·(a·b)·the other row
    }

    public static IEnumerable<object[]> Networks =>
    [
        ["residual", new ImageGanOptions { Architecture = Residual, AttentionResolutions = [3], OrthogonalRegularization = 0.1 }, 2, 1f],
        ["residual, hinge", new ImageGanOptions { Architecture = Residual, Objective = GanObjective.Hinge }, 0, 1f],
        ["residual, penalty", new ImageGanOptions { Architecture = Residual, Objective = GanObjective.WassersteinGradientPenalty }, 2, 1f],
        ["progressive", new ImageGanOptions { Architecture = Progressive }, 2, 0.4f],
        ["progressive, hinge", new ImageGanOptions { Architecture = Progressive, Objective = GanObjective.Hinge }, 0, 0.4f],
        ["style", new ImageGanOptions { Architecture = StyleGan, MappingLayers = 2, StyleDimension = 3, StyleMixing = 0.5 }, 2, 1f],
        ["style, unconditional", new ImageGanOptions { Architecture = StyleGan, MappingLayers = 1, StyleDimension = 3 }, 0, 1f],
    ];

    // Of two style networks, the one with conditions, which has all that the other has.
    public static IEnumerable<object[]> Differentiated => Networks.Where(row => (string)row[0] != "style, unconditional");

    [TestMethod]
    [DynamicData(nameof(Differentiated))]
    public void Both_losses_move_every_parameter_as_finite_differences_say(string name, object options, int conditions, float growth)
    {
        // R1 of leaky rectifiers jumps where one of them turns; it has tests of its own.
        ImageGanNetwork network = Network((ImageGanOptions)options with { R1Weight = 0 }, conditions, new(1, 3, 4), [2, 2]);
        bool penalty = name.EndsWith("penalty", StringComparison.Ordinal);
        string[] absorbed =
        [
            // Normalisation takes these away, but for what attention has seen.
            .. network is ResidualGanNetwork ? (string[])["generator.0.0.convolution.bias"] : [],
            .. network is ResidualGanNetwork && name != "residual"
                ? (string[])["generator.0.1.convolution.bias", "generator.0.shortcut.bias"] : [],
            // What is common to all outputs cancels in differences of means, and in the hinge within its margin.
            .. penalty || name == "progressive, hinge" ? (string[])["discriminator.judgement.bias"] : [],
        ];
        // Equalised layers divide by the root of what they see.
        LossGradients.Check(
            network, absorbed, weights => Rich(network, weights, growth, network is EqualizedGanNetwork ? 2 : 0.6f), step: 5e-4f);
    }

    [TestMethod]
    [DynamicData(nameof(Networks))]
    public void Both_engines_draw_and_judge_as_the_definitions_of_their_operations_say(
        string name, object options, int conditions, float growth)
    {
        const int Rows = 3, Pixels = 2 * 5 * 7;
        ImageGanNetwork network = Network((ImageGanOptions)options, conditions, new(2, 5, 7), [3, 4, 2]);
        var weights = new HostWeights(network.Tensors());
        Rich(network, weights, growth);
        var random = new Random(3);
        float[][] inputs =
        [
            Values(Rows * network.NormalWidth), Values(Rows * Pixels), .. conditions > 0 ? (float[][])[Values(Rows * conditions)] : [],
        ];
        var pass = new BothPass(network);
        ReferenceTensor[] expected = pass.Run(
            new ReferenceOps(weights).Root,
            [.. inputs.Select(x => new ReferenceTensor([Rows, x.Length / Rows], [.. x.Select(v => (double)v)]))]);
        Check(Run(), "ONNX Runtime");
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
            Check(Run(), "torch");

        void Check(float[][] found, string engine)
        {
            for (int output = 0; output < 2; output++)
            {
                double largest = expected[output].Values.Max(Math.Abs);
                AssertClose(expected[output].Values, found[output], 1e-5 * Math.Max(1, largest), $"{name}, {engine}, {output}");
            }
        }

        float[][] Run()
        {
            float[][] results = [new float[Rows * Pixels], new float[Rows]];
            new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false).RunOnce(
                pass, Rows, [.. inputs.Select(x => (ReadOnlyMemory<float>)x)], [.. results.Select(r => r.AsMemory())]);
            return results;
        }

        float[] Values(int count) => [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1)];
    }

    [TestMethod]
    public void A_picture_is_the_same_before_and_after_a_level_is_faded_in()
    {
        var shape = new ImageShape(1, 7, 6);
        var network = (ProgressiveGanNetwork)Network(new() { Architecture = Progressive }, 0, shape, [2, 3, 4]);
        foreach (int level in (int[])[0, 1])
        {
            (float[] Image, float[] Judged, float[] Real) before = At(level), begun = At(level + 1e-6f), half = At(level + 0.5f),
                almost = At(level + 1 - 1e-6f), after = At(level + 1);
            AssertClose(before.Image, begun.Image, 2e-5, "begun");
            AssertClose(before.Judged, begun.Judged, 2e-5, "begun");
            AssertClose(before.Real, begun.Real, 2e-5, "begun");
            AssertClose(almost.Image, after.Image, 2e-5, "ended");
            AssertClose(almost.Judged, after.Judged, 2e-5, "ended");
            AssertClose(almost.Real, after.Real, 2e-5, "ended");
            // Tanh is the last: what it is of lies in the middle.
            AssertClose(
                [.. before.Image.Zip(after.Image, (a, b) => (Math.Atanh(a) + Math.Atanh(b)) / 2)],
                [.. half.Image.Select(MathF.Atanh)], 1e-4, "half");
            AssertClose([.. before.Real.Zip(after.Real, (a, b) => (a + b) / 2.0)], half.Real, 1e-5, "half");
            Assert.IsGreaterThan(0.02, before.Image.Zip(after.Image, (a, b) => Math.Abs(a - b)).Max());
            // What has no more detail than the level is drawn in blocks, and is left as it is.
            if (level == 0)
                Assert.HasCount(4, before.Image.Take(42).Distinct().ToArray());
        }
        AssertClose(At(2).Real, Rows(2 * 42), 0, "grown");

        (float[] Image, float[] Judged, float[] Real) At(float growth)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            var weights = new HostWeights(network.Tensors());
            Rich(network, weights, growth);
            var w = new TorchOps(weights.ToTensors(torch.CPU)).Root;
            torch.Tensor latent = torch.tensor(Rows(2 * network.NormalWidth), [2, network.NormalWidth]);
            torch.Tensor image = torch.tensor(Rows(2 * 42), [2, 42]);
            float[] made = Of(network.Sample<TorchTensor>(w, latent, null, null));
            float[] faded = Of(network.Faded<TorchTensor>(w, image));
            return (made, Of(network.JudgeAlone(w, new VectorRows<TorchTensor>(torch.tensor(faded, [2, 42]), null))), faded);
        }

        static float[] Rows(int count) => [.. Enumerable.Range(0, count).Select(i => MathF.Sin(2.3f * i))];
    }

    [TestMethod]
    public void Networks_grow_by_the_schedule_and_end_grown()
    {
        var network = (ProgressiveGanNetwork)Network(new() { Architecture = Progressive, GrowthFraction = 0.5 }, 0, new(1, 4, 4), [2, 2, 2]);
        // 80 steps: 10 at 1 × 1, 10 for 2 × 2 to fade in, 10 as they are, 10 for 4 × 4.
        float[] growth = [.. Enumerable.Range(0, 81).Select(step => network.GrowthAt(step, 80))];
        AssertClose((double[])[0, 0, 0.5, 1, 1, 1.5, 2, 2], [.. ((int[])[0, 10, 15, 20, 30, 35, 40, 80]).Select(step => growth[step])], 1e-6, "growth");
        CollectionAssert.AreEqual(growth.Order().ToArray(), growth);
    }

    [TestMethod]
    public void A_growing_gan_draws_small_images_first_and_large_ones_in_the_end()
    {
        var blocks = new List<bool>();
        using GanTransformer model = Trained(new()
        {
            Architecture = Progressive, Channels = [4, 8], GrowthFraction = 1, Stages = 4,
            StageEnded = stage => blocks.Add(AreBlocks(stage.Generate(3))),
        });
        CollectionAssert.AreEqual(new[] { true, true, false, false }, blocks);
        float[][] made = [.. model.Generate(3, 1).GetColumn<MLImage>("Image").Select(i => TestImages.Read(i, new(1, 8, 8)))];
        Assert.IsFalse(AreBlocks([.. made.SelectMany(v => v)]));

        // Whether each two by two pixels are the same.
        static bool AreBlocks(float[] images) => Enumerable.Range(0, images.Length).All(i =>
            images[i] == images[i - i % 2] && images[i] == images[i - (i / 8 % 2 * 8)]);
    }

    [TestMethod]
    public void Truncation_lowers_diversity_step_by_step()
    {
        double[] styles = [.. ((double[])[0, 0.25, 0.5, 0.75, 1]).Select(share => Diversity(s_styles.Value, new() { StyleTruncation = share }))];
        CollectionAssert.AreEqual(styles.Order().ToArray(), styles);
        Assert.HasCount(5, styles.Distinct().ToArray());
        Assert.IsLessThan(styles[4] / 2, styles[0]);

        using GanTransformer residual = Trained(new() { Architecture = Residual, Channels = [4, 8] });
        double[] noise = [.. ((double?[])[0.05, 0.25, 0.5, 1, 2, null]).Select(most => Diversity(residual, new() { NoiseTruncation = most }))];
        CollectionAssert.AreEqual(noise.Order().ToArray(), noise);
        Assert.IsLessThan(noise[5] / 4, noise[0]);
        Assert.AreEqual(noise[5], Diversity(residual, new() { NoiseTruncation = 10 }), 0, "no number is beyond ten deviations");
    }

    [TestMethod]
    public void Sampling_is_saved_with_the_model_and_can_be_taken_back()
    {
        var ml = new MLContext(1);
        GanTransformer model = s_styles.Value;
        GanSampling before = model.Sampling;
        try
        {
            model.Sampling = new();
            float[] whole = Drawn(model.Generate(5, 3));
            model.Sampling = new() { StyleTruncation = 0.5 };
            using var file = new MemoryStream();
            ml.Model.Save(model, null, file);
            using var loaded = (GanTransformer)ml.Model.Load(file, out _);
            Assert.AreEqual(model.Sampling, loaded.Sampling);
            AssertClose(Drawn(model.Generate(5, 3)), Drawn(loaded.Generate(5, 3)), 0, "loaded");
            loaded.Sampling = new();
            AssertClose(whole, Drawn(loaded.Generate(5, 3)), 0, "all of the styles again");
        }
        finally
        {
            model.Sampling = before;
        }
    }

    [TestMethod]
    public void Mixed_images_have_the_coarse_style_of_one_and_the_fine_style_of_the_other()
    {
        GanTransformer model = s_styles.Value;
        Assert.AreEqual(3, model.StyleLayers);
        float[] one = Drawn(model.Generate(20, 1)), other = Drawn(model.Generate(20, 2));
        AssertClose(one, Drawn(model.Mix(20, 1, 2, 0, share: 0)), 1e-5, "nothing of the other");
        AssertClose(one, Drawn(model.Mix(20, 1, 1, 0)), 1e-5, "with itself");
        // The more layers are the other's, the nearer it is; what is left is the noise.
        double[] distances = [.. ((int[])[2, 1, 0]).Select(layer => Distance(Drawn(model.Mix(20, 1, 2, layer)), other))];
        Assert.IsTrue(distances[2] < distances[1] && distances[1] < Distance(one, other), string.Join(' ', distances));
        Assert.IsGreaterThan(0.01, Distance(one, Drawn(model.Mix(20, 1, 2, 2))));
        double[] path = [.. ((double[])[0, 0.25, 0.5, 0.75, 1]).Select(share => Distance(one, Drawn(model.Mix(20, 1, 2, 0, share))))];
        CollectionAssert.AreEqual(path.Order().ToArray(), path);
    }

    [TestMethod]
    public void Each_layer_is_modulated_by_its_own_style_alone()
    {
        var network = (StyleGanNetwork)Network(new() { Architecture = StyleGan, StyleDimension = 4 }, 0, new(1, 4, 4), [3, 3, 3]);
        var weights = new HostWeights(network.Tensors());
        Rich(network, weights, 0);
        foreach (ref float weight in weights["generator.mapping.0.weight"].AsSpan())
            weight *= 10;
        for (int layer = 0; layer < 5; layer++)
            Array.Clear(weights[$"generator.{layer}.noise"]);
        float[] fine = [.. weights["generator.4.image.weight"]];

        // Only the smallest size adds to the image: styles from layer 1 on say nothing of it.
        Array.Clear(weights["generator.2.image.weight"]);
        Array.Clear(weights["generator.4.image.weight"]);
        AssertClose(Made([0, 1, 1, 1, 1]), Made([0, 0, 0, 0, 0]), 1e-6, "coarse");
        Assert.IsGreaterThan(1e-3, Distance(Made([1, 1, 1, 1, 1]), Made([0, 0, 0, 0, 0])));
        // All of the other's styles make the other image, where noise is the same.
        fine.CopyTo(weights["generator.4.image.weight"], 0);
        AssertClose(Made([1, 1, 1, 1, 1]), Made([0, 0, 0, 0, 0], swapped: true), 1e-5, "all");
        Assert.IsGreaterThan(1e-3, Distance(Made([0, 0, 0, 0, 1]), Made([0, 0, 0, 0, 0])));
        // Without anything left of the styles, all images are the same.
        float[] mean = Made([0, 0, 0, 0, 0], left: 0);
        AssertClose(mean.AsSpan(0, 16).ToArray(), mean.AsSpan(16).ToArray(), 1e-6, "mean");

        float[] Made(float[] share, bool swapped = false, float left = 1)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            var w = new TorchOps(weights.ToTensors(torch.CPU)).Root;
            torch.Tensor Normal(int seed) => new SeededRandom(torch.CPU, (ulong)seed).Normal([2, network.NormalWidth]);
            (torch.Tensor own, torch.Tensor other) = swapped ? (Normal(2), Normal(1)) : (Normal(1), Normal(2));
            return Of(network.Sample<TorchTensor>(
                w, own, other, torch.tensor([.. share, .. share], [2, 5]), torch.tensor([left, left], [2, 1]), null));
        }
    }

    [TestMethod]
    public void The_mean_style_is_followed_and_some_rows_are_mixed_in_training()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        var network = (StyleGanNetwork)Network(new() { Architecture = StyleGan, StyleMixing = 1 }, 0, new(1, 4, 4), [3, 3]);
        var weights = new HostWeights(network.Tensors());
        Rich(network, weights, 0);
        Dictionary<string, torch.Tensor> tensors = weights.ToTensors(torch.CPU);
        float[] before = tensors["generator.style.mean"].data<float>().ToArray();
        var training = new TorchOps(tensors) { Random = new SeededRandom(torch.CPU, 4) };
        torch.Tensor latent = new SeededRandom(torch.CPU, 1).Normal([6, network.NormalWidth]);
        network.Sample<TorchTensor>(new TorchOps(tensors).Root, latent, null, null);
        AssertClose(before, tensors["generator.style.mean"].data<float>().ToArray(), 0, "not in use");
        var step = new VectorStep(training.Root, torch.zeros([6, 16]), null, 1, new StepContext(0, 1, training.Random!));
        double mixed = network.Loss(step).Single().Value.item<float>();
        torch.Tensor z = new SeededRandom(torch.CPU, 4).Normal([6, network.NormalWidth]);
        float[] style = Of(network.Style<TorchTensor>(new TorchOps(tensors).Root, z.narrow(1, 0, network.LatentWidth), null));
        int width = before.Length;
        AssertClose(
            [.. before.Select((mean, j) => 0.995 * mean + 0.005 * Enumerable.Range(0, 6).Average(row => style[row * width + j]))],
            tensors["generator.style.mean"].data<float>().ToArray(), 1e-6, "followed");

        // From its layer on each row has the style of the row before, and one layer at least has its own.
        var draws = new SeededRandom(torch.CPU, 4);
        z = draws.Normal([6, network.NormalWidth]);
        float[] from = Of(draws.Uniform([6, 1], 1, network.StyleLayers));
        torch.Tensor share = torch.tensor(
            [.. from.SelectMany(first => Enumerable.Range(0, network.StyleLayers).Select(layer => layer >= (int)first ? 1f : 0))],
            [6, network.StyleLayers]);
        Scope<TorchTensor> w = new TorchOps(tensors) { Random = draws }.Root;
        TorchTensor image = network.Sample<TorchTensor>(w, z, z.roll(1, 0), share, torch.ones([6, 1]), null);
        double expected = Of(network.JudgeAlone(w, new VectorRows<TorchTensor>(image, null))).Average(judged => Math.Log(1 + Math.Exp(-judged)));
        Assert.AreEqual(expected, mixed, 1e-5, "mixed");
    }

    [TestMethod]
    public void Orthogonality_is_asked_of_the_generators_layers_but_for_those_that_tell_normalisation()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        ImageGanNetwork network = Network(new() { Architecture = Residual, OrthogonalRegularization = 0.1 }, 2, new(1, 4, 4), [2, 3]);
        var weights = new HostWeights(network.Tensors());
        Rich(network, weights, 0);
        var ops = new TorchOps(weights.ToTensors(torch.CPU)) { Random = new SeededRandom(torch.CPU, 4) };
        double penalty = network.Loss(new VectorStep(ops.Root, torch.zeros([6, 16]), torch.zeros([6, 2]), 1, new StepContext(0, 1, ops.Random!)))
            .Single(term => term.Name == "orthogonal").Value.item<float>();
        double expected = 0;
        foreach (TensorSpec spec in weights.Specs.Where(s => s.Name.StartsWith("generator.", StringComparison.Ordinal)
            && s.Name.EndsWith(".weight", StringComparison.Ordinal) && s.Shape.Length > 1 && !s.Name.Contains("told", StringComparison.Ordinal)))
        {
            float[][] rows = [.. weights[spec.Name].Chunk(weights[spec.Name].Length / (int)spec.Shape[0])];
            for (int i = 0; i < rows.Length; i++)
            {
                for (int j = 0; j < i; j++)
                    expected += 2 * Math.Pow(rows[i].Zip(rows[j], (a, b) => (double)a * b).Sum(), 2);
            }
        }
        Assert.AreEqual(0.1 * expected, penalty, 1e-4 * expected);
    }

    [TestMethod]
    public void Norms_of_all_layers_of_the_discriminator_are_followed()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        ImageGanNetwork network = Network(new() { Architecture = Residual }, 2, new(1, 4, 4), [2, 3]);
        var weights = new HostWeights(network.Tensors());
        Rich(network, weights, 0);
        using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        foreach ((string name, torch.Tensor value) in layers.Tensors)
        {
            // Weights other than those by which they were initialised.
            torch.Tensor given = torch.tensor(weights[name]).view(value.shape);
            value.copy_(name.EndsWith(".weight", StringComparison.Ordinal) ? given.flip(0) : given);
        }
        string[] followed = [.. layers.Tensors.Keys.Where(name => name.EndsWith("weight_u", StringComparison.Ordinal) && layers.Tensors[name].NumberOfElements > 1)];
        Assert.IsGreaterThan(3, followed.Length);
        float[][] before = [.. followed.Select(name => Of(layers.Tensors[name]))];
        foreach (int update in (int[])[1, AdversarialNetwork.DiscriminatorUpdate])
        {
            network.AfterUpdate(layers, update, new StepContext(0, 1, new SeededRandom(torch.CPU, 1)));
            for (int i = 0; i < followed.Length; i++)
                Assert.AreEqual(update == 1, before[i].AsSpan().SequenceEqual(Of(layers.Tensors[followed[i]])), followed[i]);
        }
    }

    [TestMethod]
    public void R1_of_some_steps_counts_for_those_between()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        AdversarialNetwork every = Of(1), lazy = Of(4);
        var weights = new HostWeights(every.Tensors());
        Rich((ImageGanNetwork)every, weights, 0);
        Dictionary<string, torch.Tensor> tensors = weights.ToTensors(torch.CPU);
        torch.Tensor rows = new SeededRandom(torch.CPU, 2).Normal([6, 16]);
        double one = R1(every, 0);
        Assert.IsGreaterThan(0, one);
        Assert.AreEqual(one, R1(every, 3), 0);
        double[] expected = [4 * one, 0, 0, 0, 4 * one];
        for (int step = 0; step < expected.Length; step++)
            Assert.AreEqual(expected[step], R1(lazy, step), 1e-5 * one, $"step {step}");

        AdversarialNetwork Of(int interval) => Network(new() { R1Weight = 0.5, R1Interval = interval }, 0, new(1, 4, 4), [3]);

        double R1(AdversarialNetwork network, long step)
        {
            var ops = new TorchOps(tensors) { Random = new SeededRandom(torch.CPU, 4) };
            var context = new StepContext(step, 100, ops.Random!);
            return network.Loss(new VectorStep(ops.Root, rows, null, AdversarialNetwork.DiscriminatorUpdate, context))
                .Single(term => term.Name == "r1").Value.item<float>();
        }
    }

    public static IEnumerable<object[]> BadOptions =>
    [
        [new ImageGanOptions { AttentionResolutions = [8] }, "AttentionResolutions", "Residual"],
        [new ImageGanOptions { Architecture = StyleGan, OrthogonalRegularization = 1 }, "OrthogonalRegularization", "Residual"],
        [new ImageGanOptions { Architecture = Residual, GrowthFraction = 0.4 }, "GrowthFraction", "Progressive"],
        [new ImageGanOptions { Architecture = Progressive, StyleMixing = 0.4 }, "StyleMixing", "StyleGan"],
        [new ImageGanOptions { MappingLayers = 4 }, "MappingLayers", "StyleGan"],
        [new ImageGanOptions { StyleDimension = 4 }, "StyleDimension", "StyleGan"],
        [new ImageGanOptions { Architecture = StyleGan, StyleMixing = 1.5 }, "StyleMixing", "between 0 and 1"],
        [new ImageGanOptions { Architecture = Progressive, GrowthFraction = 0 }, "GrowthFraction", "above 0"],
        [new ImageGanOptions { Architecture = StyleGan, SpectralNormalization = true }, "SpectralNormalization", "StyleGan"],
        [new ImageGanOptions { Architecture = Progressive, Objective = GanObjective.Wasserstein }, "Wasserstein", "GradientPenalty"],
        [new ImageGanOptions { Architecture = (ImageGanArchitecture)9 }, "Architecture", "StyleGan"],
        [new ImageGanOptions { Sampling = new() { StyleTruncation = 0.5 } }, "StyleTruncation", "NoiseTruncation"],
        [new ImageGanOptions { Architecture = StyleGan, Sampling = new() { StyleTruncation = 1.5 } }, "StyleTruncation", "between 0 and 1"],
        [new ImageGanOptions { Sampling = new() { NoiseTruncation = 0 } }, "NoiseTruncation", "above 0"],
        [new ImageGanOptions { Architecture = Progressive, Sampling = new() { NoiseTruncation = 1 } }, "NoiseTruncation", "length"],
        [new ImageGanOptions { R1Weight = 0, R1Interval = 4 }, "R1Interval", "R1Weight"],
    ];

    [TestMethod]
    [DynamicData(nameof(BadOptions))]
    public void What_an_architecture_has_not_is_refused(object options, string option, string said)
    {
        var error = Assert.Throws<ArgumentException>(() => new MLContext(1).Generative.ImageGan((ImageGanOptions)options), option);
        StringAssert.Contains(error.Message, option);
        StringAssert.Contains(error.Message, said);
    }

    [TestMethod]
    public void Sizes_and_layers_that_there_are_not_are_refused()
    {
        IDataView bars = new MLContext(1).Data.LoadFromEnumerable(TestImages.Bars(20));
        var levels = Assert.Throws<InvalidOperationException>(() => Estimator(
            new() { Architecture = Progressive, Channels = [2, 2, 2, 2, 2] }).Fit(bars));
        StringAssert.Contains(levels.Message, "8 × 8 has 4 at most");
        var halvings = Assert.Throws<InvalidOperationException>(() => Estimator(new() { Channels = [2, 2, 2, 2] }).Fit(bars));
        StringAssert.Contains(halvings.Message, "8 × 8 pixels are too small for the 4 elements of option Channels: they can have 3 at most");
        var attention = Assert.Throws<InvalidOperationException>(() => Estimator(
            new() { Architecture = Residual, Channels = [2, 2], AttentionResolutions = [16] }).Fit(bars));
        StringAssert.Contains(attention.Message, "8, 4");
        GanTransformer model = s_styles.Value;
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Mix(1, 1, 2, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Mix(1, 1, 2, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Mix(1, 1, 2, 0, share: 1.1));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Mix(-1, 1, 2, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Sampling = new() { StyleTruncation = double.NaN });
        using GanTransformer plain = Trained(new() { Channels = [2] });
        Assert.AreEqual(0, plain.StyleLayers);
        StringAssert.Contains(Assert.Throws<NotSupportedException>(() => plain.Mix(1, 1, 2, 0)).Message, "StyleGan");
        Assert.Throws<ArgumentException>(() => plain.Sampling = new() { StyleTruncation = 0.5 });
    }

    private static ImageGanTrainer Estimator(ImageGanOptions options) => new MLContext(2).Generative.ImageGan(options with
    {
        FeatureColumnName = "Image", ImageShape = new(1, 8, 8), NoiseDimension = 8, BatchSize = 16, Epochs = 8,
        MappingLayers = options.Architecture == StyleGan ? 2 : null, StyleDimension = options.Architecture == StyleGan ? 8 : null,
        WeightAverageDecay = 0.9,
    });

    private static GanTransformer Trained(ImageGanOptions options) =>
        Estimator(options).Fit(new MLContext(1).Data.LoadFromEnumerable(TestImages.Bars(60)));

    private static ImageGanNetwork Network(ImageGanOptions options, int conditions, ImageShape shape, int[] channels)
    {
        var input = new VectorInput
        {
            Width = (int)shape.Length, Image = new(shape), ConditionWidths = conditions > 0 ? [conditions] : [],
            ConditionRows = conditions > 0 ? 9 : 0, Seed = 3,
        };
        options = options with
        {
            Channels = channels, NoiseDimension = 2, ConditionColumnNames = conditions > 0 ? ["Kind"] : [],
            AttentionResolutions = options.AttentionResolutions is null ? null : [Math.Min(shape.Height, shape.Width)],
        };
        return ImageGanNetwork.Of((ImageGanOptions)options.Resolve(new RowStatistics(input, [], [], 100)), input);
    }

    // Weights that are no beginner's: everything counts.
    private static void Rich(ImageGanNetwork network, HostWeights weights, float growth, float scale = 0.6f)
    {
        var random = new SplitMix64(9);
        foreach (TensorSpec spec in weights.Specs)
        {
            float[] values = weights[spec.Name];
            NormalNumbers.Fill(ref random, values);
            bool isBias = spec.Name.EndsWith("bias", StringComparison.Ordinal);
            for (int i = 0; i < values.Length; i++)
                values[i] = spec.Name.EndsWith("running_var", StringComparison.Ordinal) ? 1 : values[i] * (isBias ? 0.2f : scale);
        }
        network.Initialize(weights, null!);
        foreach (TensorSpec told in weights.Specs.Where(s => s.Name.EndsWith("told.weight", StringComparison.Ordinal)))
        {
            foreach (ref float value in weights[told.Name].AsSpan())
                value *= 20; // of the small ones that it begins with
        }
        if (weights.Find("growth") is not null)
            weights["growth"][0] = growth;
        if (weights.Find("discriminator.deviation") is not null)
            weights["discriminator.deviation"][0] = 0.7f;
    }

    private sealed class BothPass(ImageGanNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T? condition = inputs.Length > 2 ? inputs[2] : null;
            return [network.Sample(w, inputs[0], null, condition), network.JudgeAlone(w, new VectorRows<T>(inputs[1], condition))];
        }
    }

    private static double Diversity(GanTransformer model, GanSampling sampling)
    {
        GanSampling before = model.Sampling;
        model.Sampling = sampling;
        float[][] rows = [.. Drawn(model.Generate(60, 7)).Chunk(64)];
        model.Sampling = before;
        return rows.SelectMany((a, i) => rows.Skip(i + 1).Select(b => Distance(a, b))).Average();
    }

    private static double Distance(float[] a, float[] b) => Math.Sqrt(a.Zip(b, (x, y) => (double)(x - y) * (x - y)).Sum());

    private static float[] Drawn(IDataView view) =>
        [.. view.GetColumn<MLImage>("Image").SelectMany(image => TestImages.Read(image, new(1, 8, 8)))];

    private static float[] Of(TorchTensor tensor) => tensor.Value.contiguous().data<float>().ToArray();

    private static void AssertClose(float[] expected, float[] found, double tolerance, string what) =>
        AssertClose([.. expected.Select(v => (double)v)], found, tolerance, what);

    private static void AssertClose(double[] expected, float[] found, double tolerance, string what)
    {
        Assert.HasCount(expected.Length, found, what);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], tolerance, $"{what}, {i}");
    }
}
