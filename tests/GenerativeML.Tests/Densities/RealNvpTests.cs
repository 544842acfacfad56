using GenerativeML.Tests.Conformance;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
[DoNotParallelize]
public class RealNvpTests
{
    private static readonly Lazy<TrainedVector> s_moons = new(() => Fit(new(), Density.TwoMoons(2000), 2));

    private static TrainedVector Fit(RealNvpOptions options, float[] rows, int width) =>
        Density.Fit(RealNvpTrainer.Family, options, rows, width).Model;

    [TestMethod]
    public void The_loss_moves_every_parameter_as_finite_differences_say()
    {
        var options = new RealNvpOptions { Couplings = 3, HiddenLayers = [4], Activation = Activation.Tanh, InputNoise = 0.1 };
        var network = new RealNvpNetwork(options, new VectorInput { Width = 3, ConditionWidths = [2], ConditionRows = 4 });
        LossGradients.Check(network, weights: w =>
        {
            Array.Fill(w["input_scale"], 1);
            network.Initialize(w, null!);
            for (int k = 0; k < 3; k++)
            {
                foreach (string part in new[] { "weight", "bias" })
                {
                    float[] last = w[$"coupling.{k}.net.1.{part}"];
                    for (int i = 0; i < last.Length; i++)
                        last[i] = 0.5f * MathF.Sin(i + k);
                }
                Array.Fill(w[$"coupling.{k}.scale"], 0.7f);
            }
        });
    }

    [TestMethod]
    public void What_is_encoded_comes_back()
    {
        float[] rows = Density.TwoMoons(500, seed: 8);
        TrainedVector model = s_moons.Value;
        model.Features.Apply(rows, rows);
        float[] again = model.Run(new ThereAndBack((RealNvpNetwork)model.Network), rows, default, 500, [2])[0];
        for (int i = 0; i < rows.Length; i++)
            Assert.AreEqual(rows[i], again[i], 1e-4f);
    }

    [TestMethod]
    public void The_log_determinant_is_that_of_the_Jacobian()
    {
        const int Width = 3;
        const double Step = 1e-5;
        TrainedVector model = Fit(new() { Epochs = 20 }, Density.Normal(500), Width);
        var network = (RealNvpNetwork)model.Network;
        using DisposeScope scope = torch.NewDisposeScope();
        Scope<TorchTensor> w = new TorchOps(model.Weights.Specs.ToDictionary(s => s.Name, s => torch.tensor(
            [.. model.Weights[s.Name].Select(v => (double)v)], s.Shape.ToArray()))).Root;
        for (int r = 0; r < 5; r++)
        {
            double[] row = [.. Enumerable.Range(0, Width).Select(j => Math.Sin(3 * r + j))];
            double[] Encode(double[] x) => [.. network.Encode<TorchTensor>(
                w, new(torch.tensor(x, [1, Width]), null)).Mean.Value.data<double>()];
            torch.Tensor jacobian = torch.tensor([.. Enumerable.Range(0, Width).SelectMany(j =>
            {
                double[] up = [.. row], down = [.. row];
                (up[j], down[j]) = (row[j] + Step, row[j] - Step);
                return Encode(up).Zip(Encode(down), (a, b) => (a - b) / (2 * Step));
            })], [Width, Width]);
            double expected = Math.Log(Math.Abs(torch.linalg.det(jacobian).item<double>()));
            double score = network.Score<TorchTensor>(w, new(torch.tensor(row, [1, Width]), null), false).Score.Value.item<double>();
            double normal = Encode(row).Sum(z => 0.5 * z * z + 0.5 * Math.Log(2 * Math.PI));
            Assert.AreEqual(expected, normal - score, 1e-5);
            Assert.IsGreaterThan(0.01, Math.Abs(expected));
        }
    }

    [TestMethod]
    public void Scores_are_those_of_a_density_that_integrates_to_one() =>
        Assert.AreEqual(1, Density.Integral(s_moons.Value, Density.TwoMoons(2000)), 0.01);

    [TestMethod]
    public void Of_a_normal_distribution_the_mean_score_is_the_entropy_and_samples_have_its_moments()
    {
        TrainedVector model = Fit(new(), Density.Normal(4000), 3);
        Assert.AreEqual(Density.NormalEntropy, Trained.Scores(model, Density.Normal(20_000, seed: 2)).Average(), 0.05);
        Density.AssertMoments(Density.Normal(20_000, seed: 2), Density.Generate(model, 20_000), 3, 0.05);
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
        Assert.IsGreaterThan(0.97 * 4000, near);
        Assert.IsTrue(arcs.All(n => n > 4000 / 16 / 2), string.Join(' ', arcs));
    }

    [TestMethod]
    public void Features_shares_sum_to_the_score_and_a_constant_one_has_none()
    {
        float[] normal = Density.Normal(400);
        float[] rows = [.. Enumerable.Range(0, 400).SelectMany(i => (float[])[.. normal[(3 * i)..(3 * i + 3)], 7])];
        TrainedVector model = Fit(new() { Epochs = 10 }, rows, 4);
        float[] score = Trained.Scores(model, rows), shares = Trained.FeatureScores(model, rows);
        for (int i = 0; i < score.Length; i++)
        {
            Assert.AreEqual(score[i], shares[(4 * i)..(4 * i + 4)].Sum(), 1e-4);
            Assert.AreEqual(0, shares[4 * i + 3]);
        }
        Assert.IsTrue(Density.Generate(model, 50).Where((_, i) => i % 4 == 3).All(v => v == 7));
        // Against the same model without it: the density is of the features that vary.
        float[] changed = [.. rows.Select((v, i) => i % 4 == 3 ? 1000 : v)];
        CollectionAssert.AreEqual(score, Trained.Scores(model, changed));
        float[] far = [1e30f, 0, 0, 7, -1e38f, 1e38f, 1e38f, 7];
        Assert.IsTrue(Trained.Scores(model, far).All(s => float.IsFinite(s) && s > score.Max()));
    }

    [TestMethod]
    public void A_column_of_two_values_has_a_bounded_density()
    {
        var random = new SplitMix64(3);
        float[] rows = [.. Enumerable.Range(0, 3000).Select(i => i % 3 == 0 ? random.Next(2) : (float)random.NextDouble())];
        TrainedVector model = Fit(new(), rows, 3);
        float[] scores = Trained.Scores(model, rows);
        // No smaller than with all the mass in two normal peaks as wide as the noise, half a deviation being one here.
        double least = Math.Log(2 * 0.5 * 0.05 * Math.Sqrt(2 * Math.PI)) - 0.5;
        Assert.IsGreaterThan(least, scores.Average());
        Assert.IsGreaterThan(scores.Max(), Trained.Scores(model, [0.5f, 0.5f, 5])[0]);
    }

    [TestMethod]
    public void Labels_decide_density_and_samples()
    {
        var ml = new MLContext(1);
        using VectorGenerator model = ml.Generative.RealNvp(new()
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

    private sealed class ThereAndBack(RealNvpNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> =>
            [network.Sample(w, network.Encode<T>(w, new(inputs[0], null)).Mean, null, null)];
    }
}
