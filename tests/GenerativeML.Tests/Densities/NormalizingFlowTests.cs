using GenerativeML.Tests.Conformance;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
[DoNotParallelize]
public class NormalizingFlowTests
{
    private static readonly NormalizingFlowOptions s_affine = new() { Coupling = FlowCoupling.Affine, ScoreColumnName = "Score" };

    private static readonly Lazy<TrainedVector> s_moons = new(() => Fit(
        new() { Steps = 4, LinearLayers = true, Epochs = 25 }, Density.TwoMoons(2000), 2));

    public static IEnumerable<object[]> Kinds =>
        from coupling in Enum.GetValues<FlowCoupling>()
        from autoregressive in new[] { false, true }
        select new object[] { coupling, autoregressive };

    private static TrainedVector Fit(NormalizingFlowOptions options, float[] rows, int width) => Density.Fit(
        NormalizingFlowTrainer.Family, options with { ScoreColumnName = "Score" }, rows, width).Model;

    // A flow whose every step does much, with conditions, if there are any, in all of its networks; its second of the
    // features is constant.
    private static (NormalizingFlowNetwork Network, HostWeights Weights) Random(
        NormalizingFlowOptions options, int width, int conditions = 0)
    {
        var moments = new ColumnMoments(0, width);
        var sample = new RowSample(0, width, 100, 1);
        var block = new RowBlock([new RowField("x", FieldKind.Single, width)], 1);
        for (int i = 0; i < 20; i++)
        {
            for (int j = 0; j < width; j++)
                block.Singles(0)[j] = j == 1 ? 7 : MathF.Sin(i + 3 * j);
            moments.Observe(block, 0);
            sample.Observe(block, 0);
        }
        var input = new VectorInput { Width = width, ConditionWidths = conditions > 0 ? [conditions] : [], ConditionRows = conditions > 0 ? 4 : 0 };
        var rows = new RowStatistics(input, [moments], [sample], 20);
        var network = new NormalizingFlowNetwork((NormalizingFlowOptions)options.Resolve(rows), input);
        using var layers = new TorchLayers(network.Declare, torch.CPU, seed: 5);
        HostWeights weights = layers.ToHost(network.Tensors());
        rows.Scaler.CopyTo(weights["input_mean"], weights["input_scale"], weights["input_limit"]);
        network.Initialize(weights, rows);
        var random = new SplitMix64(9);
        foreach (string part in new[] { "log_scale", "shift", "lower", "upper", "range", $"net.{options.HiddenLayers.Count}.weight", $"net.{options.HiddenLayers.Count}.bias" })
        {
            for (int k = 0; k < options.Steps && weights.Find($"step.{k}.{part}") is not null; k++)
            {
                foreach (ref float value in weights[$"step.{k}.{part}"].AsSpan())
                    value = 0.4f * (float)random.NextDouble() - 0.2f;
            }
        }
        for (int k = 0; options.LinearLayers && k < options.Steps; k++)
        {
            NormalizingFlowNetwork.Invert(
                weights["feature_mask"], weights[$"step.{k}.lower"], weights[$"step.{k}.upper"], weights[$"step.{k}.inverse"]);
        }
        return (network, weights);
    }

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void The_loss_moves_every_parameter_as_finite_differences_say(FlowCoupling coupling, bool autoregressive)
    {
        var options = new NormalizingFlowOptions
        {
            Coupling = coupling, Autoregressive = autoregressive, LinearLayers = true, Steps = 2, HiddenLayers = [4], Bins = 3,
            Activation = Activation.Tanh, InputNoise = 0.1,
        };
        (NormalizingFlowNetwork network, HostWeights weights) = Random(options, 3, conditions: 2);
        LossGradients.Check(network, step: 3e-3f, weights: w =>
        {
            foreach (TensorSpec spec in w.Specs)
                weights[spec.Name].CopyTo(w[spec.Name], 0);
        });
    }

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void The_inverse_is_exact_and_the_log_determinant_that_of_the_Jacobian(FlowCoupling coupling, bool autoregressive)
    {
        const int Width = 5;
        const double Step = 1e-5;
        var options = new NormalizingFlowOptions
        {
            Coupling = coupling, Autoregressive = autoregressive, LinearLayers = true, Steps = 3, HiddenLayers = [16], Bins = 5,
        };
        (NormalizingFlowNetwork network, HostWeights weights) = Random(options, Width);
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        Dictionary<string, torch.Tensor> tensors = weights.Specs.ToDictionary(s => s.Name, s => torch.tensor(
            [.. weights[s.Name].Select(v => (double)v)], s.Shape.ToArray()));
        torch.Tensor vary = tensors["feature_mask"], both = vary.unsqueeze(1).mul(vary), one = torch.eye(Width, dtype: torch.ScalarType.Float64);
        for (int k = 0; k < options.Steps; k++)
        {
            torch.Tensor lower = one.Plus(tensors[$"step.{k}.lower"].mul(both).tril(-1));
            torch.Tensor upper = one.Plus(tensors[$"step.{k}.upper"].mul(both).triu(1));
            torch.Tensor exact = torch.linalg.inv(lower.mm(upper));
            Assert.IsLessThan(1e-6, exact.Minus(tensors[$"step.{k}.inverse"]).abs().max().item<double>());
            tensors[$"step.{k}.inverse"] = exact; // that of the weights has single precision
        }
        Scope<TorchTensor> w = new TorchOps(tensors).Root;
        int[] varying = [0, 2, 3, 4];
        for (int r = 0; r < 8; r++)
        {
            // The last ones lie beyond where splines reach.
            double[] row = [.. Enumerable.Range(0, Width).Select(j => j == 1 ? 0 : 0.7 * (r + 1) * Math.Sin(3 * r + j))];
            double[] Encode(double[] x) => [.. network.Encode<TorchTensor>(
                w, new(torch.tensor(x, [1, Width]), null)).Mean.Value.data<double>()];
            double[] z = Encode(row);
            double[] again = [.. network.Sample<TorchTensor>(w, torch.tensor(z, [1, Width]), null, null).Value.data<double>()];
            for (int j = 0; j < Width; j++)
                Assert.AreEqual(row[j], again[j], 1e-4, $"row {r}, feature {j}");
            torch.Tensor jacobian = torch.tensor([.. varying.SelectMany(j =>
            {
                double[] up = [.. row], down = [.. row];
                (up[j], down[j]) = (row[j] + Step, row[j] - Step);
                return Encode(up).Zip(Encode(down), (a, b) => (a - b) / (2 * Step)).Where((_, i) => varying.Contains(i));
            })], [varying.Length, varying.Length]);
            double expected = Math.Log(Math.Abs(torch.linalg.det(jacobian).item<double>()));
            double score = network.Score<TorchTensor>(w, new(torch.tensor(row, [1, Width]), null), false).Score.Value.item<double>();
            double normal = varying.Sum(j => 0.5 * z[j] * z[j] + 0.5 * Math.Log(2 * Math.PI));
            Assert.AreEqual(expected, normal - score, 1e-4, $"row {r}"); // central differences across knots
            Assert.AreEqual(0, z[1]);
        }
    }

    [TestMethod]
    public void A_spline_goes_through_its_knots_with_their_slopes_and_is_the_identity_beyond()
    {
        const int Bins = 3;
        const double Bound = 2, Slope = 1.7;
        var spline = new RationalQuadraticSpline(Bins, Bound);
        using DisposeScope scope = torch.NewDisposeScope();
        // Shares of 0.5, 0.25 and 0.25 of the width, 0.2, 0.2 and 0.6 of the height; softplus gives the slopes.
        double least = 1e-3, slack = 1 - Bins * least, one = Math.Log(Math.Exp(1 - least) - 1);
        double Logit(double share) => Math.Log((share - least) / slack);
        double inner = Math.Log(Math.Exp(Slope - least) - 1) - one;
        double[] parameters = [Logit(0.5), Logit(0.25), Logit(0.25), Logit(0.2), Logit(0.2), Logit(0.6), inner, inner];
        double[] x = [-2, 0, 1, 2, -1.5, 1.2, -5, 9];
        double[] knots = [-2, -1.2, -0.4, 2];
        TorchTensor all = torch.tensor([.. x.SelectMany(_ => parameters)], [x.Length, 1, spline.Parameters]);
        (TorchTensor y, TorchTensor logSlope) = spline.Forward<TorchTensor>(torch.tensor(x, [x.Length, 1]), all);
        double[] found = [.. y.Value.data<double>()], slopes = [.. logSlope.Value.data<double>().Select(Math.Exp)];
        for (int i = 0; i < 4; i++)
        {
            Assert.AreEqual(knots[i], found[i], 1e-6);
            Assert.AreEqual(i is 0 or 3 ? 1 : Slope, slopes[i], 1e-6);
        }
        // In the first bin at a quarter of it: the formula of Gregory and Delbourgo by hand.
        double s = 0.8 / 2, at = 0.25, both = at * (1 - at);
        Assert.AreEqual(-2 + 0.8 * (s * at * at + 1 * both) / (s + (Slope + 1 - 2 * s) * both), found[4], 1e-6);
        Assert.AreEqual(-5, found[6], 1e-6);
        Assert.AreEqual(9, found[7], 1e-6);
        Assert.AreEqual(1, slopes[6], 1e-6);
        double[] again = [.. spline.Inverse<TorchTensor>(y, all).Value.data<double>()];
        for (int i = 0; i < x.Length; i++)
            Assert.AreEqual(x[i], again[i], 1e-6);
    }

    [TestMethod]
    public void What_is_encoded_comes_back()
    {
        float[] rows = Density.TwoMoons(500, seed: 8);
        TrainedVector model = s_moons.Value;
        model.Features.Apply(rows, rows);
        float[] again = model.Run(new ThereAndBack((NormalizingFlowNetwork)model.Network), rows, default, 500, [2])[0];
        for (int i = 0; i < rows.Length; i++)
            Assert.AreEqual(rows[i], again[i], 1e-4f);
    }

    [TestMethod]
    public void Scores_are_those_of_a_density_that_integrates_to_one() =>
        Assert.AreEqual(1, Density.Integral(s_moons.Value, Density.TwoMoons(2000)), 0.01);

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void The_density_of_a_single_feature_integrates_to_one_and_has_its_two_modes(FlowCoupling coupling, bool autoregressive)
    {
        // Half of the rows around −2, half around 3, with a deviation of 0.3.
        float[] rows = [.. Density.Normal(500).Chunk(3).Select((r, i) => (i % 2 == 0 ? -2 : 3) + 0.3f * (r[0] - 100) / 5)];
        TrainedVector model = Fit(new() { Coupling = coupling, Autoregressive = autoregressive, Steps = 2, Epochs = 60 }, rows, 1);
        float[] grid = [.. Enumerable.Range(0, 6000).Select(i => -15 + i * 0.005f)];
        double[] density = [.. Trained.Scores(model, grid).Select(s => Math.Exp(-s))];
        Assert.AreEqual(1, density.Sum() * 0.005, 0.01);
        Assert.IsTrue(Density.Generate(model, 100).All(float.IsFinite));
        if (coupling == FlowCoupling.Affine)
            return; // one feature alone stays normal: there is none that could bend it
        double Between(double from, double to) => density.Where((_, i) => grid[i] >= from && grid[i] < to).Sum() * 0.005;
        Assert.AreEqual(0.5, Between(-3.5, -0.5), 0.05);
        Assert.AreEqual(0.5, Between(1.5, 4.5), 0.05);
    }

    [TestMethod]
    public void Of_a_normal_distribution_the_mean_score_is_the_entropy_and_samples_have_its_moments()
    {
        TrainedVector model = Fit(s_affine, Density.Normal(4000), 3);
        Assert.AreEqual(Density.NormalEntropy, Trained.Scores(model, Density.Normal(20_000, seed: 2)).Average(), 0.05);
        Density.AssertMoments(Density.Normal(20_000, seed: 2), Density.Generate(model, 20_000), 3, 0.05);
    }

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void Engines_agree_and_a_row_gets_the_same_bits_alone(FlowCoupling coupling, bool autoregressive)
    {
        TrainedVector model = Fit(
            new() { Coupling = coupling, Autoregressive = autoregressive, Steps = 2, LinearLayers = true, Epochs = 2 },
            Density.Normal(500), 3);
        Density.AssertEnginesAgree(model, Density.Normal(300, seed: 4));
    }

    [TestMethod]
    public void Samples_cover_both_moons_and_little_beside()
    {
        float[] made = Density.Generate(s_moons.Value, 4000);
        int[] arcs = new int[16];
        int near = 0;
        for (int i = 0; i < made.Length; i += 2)
        {
            (double x, double y) = (made[i], made[i + 1]);
            double upper = Math.Abs(Math.Sqrt(x * x + y * y) - 1) + Math.Max(0, -y);
            double lower = Math.Abs(Math.Sqrt((x - 1) * (x - 1) + (y - 0.5) * (y - 0.5)) - 1) + Math.Max(0, y - 0.5);
            near += Math.Min(upper, lower) < 0.35 ? 1 : 0;
            double angle = upper < lower ? Math.Atan2(y, x) : Math.Atan2(0.5 - y, 1 - x);
            arcs[(upper < lower ? 0 : 8) + (int)Math.Clamp(angle / Math.PI * 8, 0, 7)]++;
        }
        Assert.IsGreaterThan(0.95 * 4000, near);
        Assert.IsTrue(arcs.All(n => n > 4000 / 16 / 2), string.Join(' ', arcs));
    }

    [TestMethod]
    public void Whole_numbers_have_their_probabilities_and_are_generated()
    {
        // Of 0, 1 and 2 with shares of 0.5, 0.3 and 0.2, beside a sum with another such number, and a constant.
        var random = new SplitMix64(3);
        int Draw() => random.NextDouble() is var u && u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
        float[] rows = [.. Enumerable.Range(0, 4000).SelectMany(_ => Draw() is int a ? (float[])[a, a + Draw(), 5] : [])];
        TrainedVector model = Fit(new() { Steps = 2, Autoregressive = true, Epochs = 15, InputNoise = 0 }, rows, 3);
        float[] made = Density.Generate(model, 4000);
        Assert.IsTrue(made.All(v => v == MathF.Round(v)));
        Assert.IsTrue(made.Chunk(3).All(r => r[0] is >= 0 and <= 2 && r[1] is >= 0 and <= 4 && r[2] == 5));
        double[] shares = [0.5, 0.3, 0.2];
        for (int a = 0; a < 3; a++)
        {
            Assert.AreEqual(shares[a], made.Chunk(3).Count(r => r[0] == a) / 4000.0, 0.05);
            for (int b = 0; b < 3; b++)
            {
                // The density at a whole number is about that of all within half a unit.
                double probability = Math.Exp(-Trained.Scores(model, [a, a + b, 5])[0]);
                Assert.AreEqual(shares[a] * shares[b], probability, 0.35 * shares[a] * shares[b] + 0.01, $"{a} and {a + b}");
            }
        }
        Assert.IsFalse(Density.Generate(Fit(new() { Steps = 2, Epochs = 1, Dequantize = false }, rows, 3), 100)
            .Where((_, i) => i % 3 < 2).All(v => v == MathF.Round(v)));
    }

    [TestMethod]
    [DynamicData(nameof(Kinds))]
    public void Constants_and_features_far_out_give_numbers(FlowCoupling coupling, bool autoregressive)
    {
        float[] normal = Density.Normal(400);
        float[] rows = [.. Enumerable.Range(0, 400).SelectMany(i => (float[])[.. normal[(3 * i)..(3 * i + 3)], 7])];
        TrainedVector model = Fit(
            new() { Coupling = coupling, Autoregressive = autoregressive, Steps = 3, Epochs = 5 }, rows, 4);
        float[] score = Trained.Scores(model, rows), shares = Trained.FeatureScores(model, rows);
        for (int i = 0; i < score.Length; i++)
        {
            Assert.AreEqual(score[i], shares[(4 * i)..(4 * i + 4)].Sum(), 1e-4 * Math.Max(1, Math.Abs(score[i])));
            Assert.AreEqual(0, shares[4 * i + 3]);
        }
        Assert.IsTrue(Density.Generate(model, 50).Where((_, i) => i % 4 == 3).All(v => v == 7));
        float[] changed = [.. rows.Select((v, i) => i % 4 == 3 ? 1000 : v)];
        Assert.IsGreaterThan(1e6f, Trained.Scores(model, changed).Min());
        float[] far = [1e30f, 0, 0, 7, -1e38f, 1e38f, 1e38f, 7];
        Assert.IsTrue(Trained.Scores(model, far).All(s => float.IsFinite(s) && s > score.Max()));
    }

    [TestMethod]
    public void A_table_of_constants_alone_is_a_working_model()
    {
        TrainedVector model = Fit(new() { Steps = 2, Epochs = 1 }, [.. Enumerable.Repeat(3f, 40)], 2);
        Assert.IsTrue(Density.Generate(model, 20).All(v => v == 3));
        Assert.AreEqual(0, Trained.Scores(model, [3, 3])[0]);
    }

    [TestMethod]
    public void A_column_of_two_values_has_a_bounded_density()
    {
        var random = new SplitMix64(3);
        float[] rows = [.. Enumerable.Range(0, 3000).Select(i => i % 3 == 0 ? 0.5f * random.Next(2) : (float)random.NextDouble())];
        TrainedVector model = Fit(s_affine with { Epochs = 40 }, rows, 3);
        float[] scores = Trained.Scores(model, rows);
        // No smaller than with all the mass in two normal peaks as wide as the noise, a quarter being a deviation here.
        double least = Math.Log(2 * 0.25 * 0.05 * Math.Sqrt(2 * Math.PI)) - 0.5;
        Assert.IsGreaterThan(least, scores.Average());
        Assert.IsGreaterThan(scores.Max(), Trained.Scores(model, [0.5f, 0.5f, 5])[0]);
    }

    [TestMethod]
    public void Labels_decide_density_and_samples()
    {
        var ml = new MLContext(1);
        using VectorGenerator model = ml.Generative.NormalizingFlow(s_affine with
        {
            ConditionColumnNames = ["Kind", "Large"], Epochs = 150,
        }).Fit(LabelledVectors.Rows(600));
        VBuffer<float>[] made = [.. ml.Data.CreateEnumerable<Row>(
            model.Generate(2000, where: new RowCondition().Equal("Kind", 2).Equal("Large", true)), false).Select(r => r.Features)];
        // In training rows of this kind and size the slots are 0, 20 and 0 on average.
        double[] means = [.. Enumerable.Range(0, 3).Select(j => made.Average(v => (double)v.GetItemOrDefault(j)))];
        Assert.AreEqual(20, means[1], 1.5);
        Assert.IsLessThan(1.5, Math.Max(Math.Abs(means[0]), Math.Abs(means[2])));
    }

    private sealed class Row
    {
        public VBuffer<float> Features { get; set; }
    }

    private sealed class ThereAndBack(NormalizingFlowNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
            [network.Sample(w, network.Encode<T>(w, new(inputs[0], null)).Mean, null, null)];
    }
}
