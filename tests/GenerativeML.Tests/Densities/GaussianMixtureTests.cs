using System.Globalization;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
[DoNotParallelize]
public class GaussianMixtureTests
{
    private static readonly GaussianMixtureOptions s_exact = new() { Regularization = 1e-9, Tolerance = 1e-8, Epochs = 2000 };

    private static TrainedVector Fit(GaussianMixtureOptions options, float[] rows, int width) =>
        Density.Fit(GaussianMixtureTrainer.Family, options, rows, width).Model;

    private static float[] Faithful() =>
    [
        .. File.ReadLines(TestData.Find("gmm/geyser_raw.csv")).Skip(1).SelectMany(line => line.Split(','))
            .Select(v => float.Parse(v, CultureInfo.InvariantCulture)),
    ];

    [TestMethod]
    public void Old_Faithful_is_as_mclust_finds_it()
    {
        float[] rows = Faithful();
        TrainedVector model = Fit(
            s_exact with { Components = 3, CovarianceType = CovarianceType.Tied, Starts = 10 }, rows, 2);
        double logLikelihood = -Trained.Scores(model, rows).Sum(s => (double)s);
        const int parameters = 11; // two shares, three means, one covariance matrix
        // mclust 6 stops when the likelihood rises by less than a share of 1e-5, which is a hundredth before its maximum.
        Assert.AreEqual(-1126.326, logLikelihood, 0.0113);
        Assert.AreEqual(2314.316, parameters * Math.Log(272) - 2 * logLikelihood, 0.0226);
        float[] latent = Density.Latent(model, rows);
        int[] sizes = new int[3];
        for (int i = 0; i < latent.Length; i += 3)
            sizes[Array.IndexOf(latent, latent[i..(i + 3)].Max(), i) - i]++;
        foreach ((int expected, int found) in new[] { 40, 97, 135 }.Zip(sizes.Order()))
            Assert.AreEqual(expected, found, 1, string.Join(' ', sizes));
    }

    [TestMethod]
    public void Old_Faithful_is_found_from_the_default_start_in_nine_of_ten_seeds()
    {
        float[] rows = Faithful();
        GaussianMixtureOptions options = new() { Components = 3, CovarianceType = CovarianceType.Tied, Regularization = 1e-9 };
        double[] found = [.. Enumerable.Range(0, 10).Select(seed => -Trained.Scores(
            Density.Fit(GaussianMixtureTrainer.Family, options, rows, 2, seed).Model, rows).Sum(s => (double)s))];
        Assert.IsGreaterThanOrEqualTo(9, found.Count(l => Math.Abs(l + 1126.326) < 0.02), string.Join(' ', found));
    }

    [TestMethod]
    public void Too_few_rows_collinear_and_constant_columns_and_too_many_components_are_regularised_and_said()
    {
        foreach (CovarianceType type in Enum.GetValues<CovarianceType>())
        {
            var random = new SplitMix64(3);
            float[] few = new float[400], collinear = new float[300];
            NormalNumbers.Fill(ref random, few);
            NormalNumbers.Fill(ref random, collinear);
            for (int i = 0; i < 100; i++)
                (collinear[3 * i + 1], collinear[3 * i + 2]) = (2 * collinear[3 * i], 4);
            string few20 = Warned(few, 20, 1), line = Warned(collinear, 3, 1), many = Warned([1, 2, 1.5f, 7, 3, 1, 4, 4], 2, 9);
            bool matrices = type is CovarianceType.Full or CovarianceType.Tied;
            Assert.AreEqual(matrices, few20.Contains("1 of 1 covariances have directions without variance"), few20);
            Assert.AreEqual(matrices, line.Contains("covariances have directions without variance"), line);
            StringAssert.Contains(line, "'Features' 1 features have but one value");
            StringAssert.Contains(many, "4 of 4 components hold at most one row");
            Assert.AreEqual("", Warned(Density.TwoMoons(100), 2, 2));

            string Warned(float[] rows, int width, int components)
            {
                var warnings = new List<string>();
                using TrainedVector model = VectorFit.Fit(
                    new ArrayRows(rows.Length / width, width, (i, j) => rows[i * width + j]), GaussianMixtureTrainer.Family,
                    new GaussianMixtureOptions { Components = components, CovarianceType = type },
                    Trained.OnCpu with { Warning = warnings.Add }).Model;
                Assert.IsTrue(Trained.Scores(model, rows).All(float.IsFinite));
                return string.Concat(warnings);
            }
        }
    }

    [TestMethod]
    [DataRow(CovarianceType.Full)]
    [DataRow(CovarianceType.Tied)]
    [DataRow(CovarianceType.Diagonal)]
    [DataRow(CovarianceType.Spherical)]
    public void With_priors_components_that_are_not_needed_empty_and_the_bound_never_falls(CovarianceType type)
    {
        float[] rows = new float[240];
        var random = new SplitMix64(2);
        NormalNumbers.Fill(ref random, rows);
        for (int i = 0; i < rows.Length; i++)
            rows[i] += 30 * (i % 2 == 0 ? i / 2 % 3 : i / 2 % 3 % 2); // three clusters, in two dimensions
        var bounds = new List<double>();
        GaussianMixtureOptions options = new()
        {
            MaxComponents = 7, WeightConcentration = 1e-3, CovarianceType = type, Epochs = 300, Starts = 1, Tolerance = 0,
        };
        TrainedVector model = Fit(options, rows, 2);
        float[] weights = [.. model.Weights["weights"].OrderDescending()];
        Assert.HasCount(7, weights);
        Assert.AreEqual(1, weights.Sum(), 1e-5);
        Assert.IsTrue(weights[..3].All(w => Math.Abs(w - 1 / 3.0) < 0.01), string.Join(' ', weights));
        Assert.IsTrue(weights[3..].All(w => w < 1e-4), string.Join(' ', weights));
        // Without priors all seven share the rows.
        TrainedVector plain = Fit(options with { Components = 7, WeightConcentration = null, Epochs = 50 }, rows, 2);
        Assert.IsGreaterThan(4, plain.Weights["weights"].Count(w => w > 0.01));

        // The bound, pass by pass.
        float[] moons = Density.TwoMoons(300);
        var statistics = Statistics(moons, 2);
        var resolved = (GaussianMixtureOptions)(options with { BatchSize = 100, Starts = 1 }).Resolve(statistics);
        using GaussianMixtureFit fit = GaussianMixtureFit.Start(resolved, statistics, torch.CPU);
        float[] scaled = [.. moons];
        statistics.Scaler.Apply(scaled, scaled);
        using torch.Tensor all = torch.tensor(scaled).reshape(-1, 2);
        for (int pass = 0; pass < 60; pass++)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            fit.Observe(all);
            fit.EndPass();
            bounds.Add(fit.State.Single(t => t.Name == "losses").Value.data<double>()[2]);
        }
        for (int pass = 1; pass < bounds.Count; pass++)
            Assert.IsTrue(bounds[pass] <= bounds[pass - 1] + 1e-9, $"{bounds[pass - 1]} → {bounds[pass]} in pass {pass}");
        Assert.IsLessThan(bounds[0] - 1e-3, bounds[^1]);
        Assert.AreEqual(1, Density.Integral(Fit(options with { WeightConcentration = 0.1, Epochs = 30 }, moons, 2), moons), 1e-3);
    }

    private static RowStatistics Statistics(float[] rows, int width)
    {
        var source = new ArrayRows(rows.Length / width, width, (i, j) => rows[i * width + j]);
        var moments = new ColumnMoments(0, width);
        var sample = new RowSample(0, width, 10_000, 1);
        _ = new ObservedRows(source, new GaussianMixtureOptions(), 1, [moments, sample]);
        return new(new VectorInput { Width = width }, [moments], [sample], rows.Length / width);
    }

    [TestMethod]
    public void One_component_with_priors_is_the_posterior_worked_out_by_hand()
    {
        float[] rows = [1, 2, 4, 5, 8, 10]; // one feature; six rows
        double mean = rows.Average(v => (double)v), deviation = Math.Sqrt(rows.Average(v => (v - mean) * (v - mean)));
        TrainedVector model = Fit(new() { Components = 1, WeightConcentration = 2, CovarianceType = CovarianceType.Diagonal }, rows, 1);
        // Standardised, six rows of mean 0 and variance 1 on a prior of one row: precision rows 7, their squares 6 + 1.
        double variance = (6.0 + 1) / 7;
        Assert.AreEqual(
            0.5 * Math.Log(2 * Math.PI * variance) + Math.Log(deviation) + 0.5 * Math.Pow((3 - mean) / deviation, 2) / variance,
            Trained.Scores(model, [3])[0], 1e-5);
        Assert.Throws<ArgumentException>(() => new GaussianMixtureOptions { WeightConcentration = 1, Regularization = 0.1 }.Validate());
    }

    [TestMethod]
    [DataRow(CovarianceType.Full)]
    [DataRow(CovarianceType.Tied)]
    [DataRow(CovarianceType.Diagonal)]
    [DataRow(CovarianceType.Spherical)]
    public void Generated_rows_have_features_as_asked_for_and_the_others_as_they_are_distributed_then(CovarianceType type)
    {
        var ml = new MLContext(1);
        float[] rows = Density.Normal(3000);
        for (int i = 0; i < rows.Length; i += 6)
            (rows[i], rows[i + 1]) = (2 * rows[i] - 70, rows[i + 1] + 0.2f); // every other row, more widely spread
        TableView data = new TableView(3000).AddVector("Features", 3, row => rows[(3 * row)..(3 * row + 3)]);
        using VectorGenerator model = ml.Generative.GaussianMixture(
            new() { Components = 2, CovarianceType = type, Regularization = 1e-6 }).Fit(data);
        const int count = 20_000;
        float[][] made = [.. model.Generate(count, 5, new RowCondition().Equal("Features.0", 112)).GetColumn<float[]>("Features")];
        Assert.IsTrue(made.All(row => row[0] == 112));
        // By the density along the line x₀ = 112, summed over a grid of the others.
        double mass = 0, first = 0, second = 0, square = 0;
        TableView grid = new TableView(120 * 60).AddVector("Features", 3, row => [112, -3.3f + 0.006f * (row / 60), -9 + 0.3f * (row % 60)]);
        foreach ((float score, float[] row) in model.Transform(grid).GetColumn<float>("Score").Zip(grid.GetColumn<float[]>("Features")))
        {
            double p = Math.Exp(-score);
            (mass, first, second, square) = (mass + p, first + p * row[1], second + p * row[2], square + p * row[1] * row[1]);
        }
        double mean = first / mass, deviation = Math.Sqrt(square / mass - mean * mean);
        Assert.AreEqual(mean, made.Average(row => (double)row[1]), 0.03 * deviation);
        Assert.AreEqual(deviation, Math.Sqrt(made.Average(row => Math.Pow(row[1] - mean, 2))), 0.03 * deviation);
        Assert.AreEqual(second / mass, made.Average(row => (double)row[2]), 0.08);

        float[][] both = [.. model.Generate(10, 1, new RowCondition().Equal("Features.0", 100).Equal("Features.2", 1)).GetColumn<float[]>("Features")];
        Assert.IsTrue(both.All(row => row[0] == 100 && row[2] == 1));
        CollectionAssert.AreEqual(made[7], model.Generate(10, 5, new RowCondition().Equal("Features.0", 112)).GetColumn<float[]>("Features").ElementAt(7));
        foreach (RowCondition impossible in (RowCondition[])[new RowCondition().Equal("Features.3", 1), new RowCondition().AtLeast("Features.0", 1), new RowCondition().Equal("Other", 1)])
            StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.Generate(1, 0, impossible)).Message, "The condition '");
    }

    [TestMethod]
    [DataRow(CovarianceType.Full)]
    [DataRow(CovarianceType.Diagonal)]
    public void Scores_and_responsibilities_are_those_worked_out_by_hand(CovarianceType type)
    {
        var network = new GaussianMixtureNetwork(
            new() { Components = 2, CovarianceType = type }, new VectorInput { Width = 1 });
        var weights = new HostWeights(network.Tensors());
        (weights["input_scale"][0], weights["input_limit"][0]) = (1, 1e30f);
        (double Share, double Mean, double Deviation)[] parts = [(0.25, -1, 1), (0.75, 2, 0.5)];
        for (int k = 0; k < 2; k++)
        {
            weights["weights"][k] = (float)parts[k].Share;
            weights["means"][k] = (float)parts[k].Mean;
            weights["factors"][k] = (float)parts[k].Deviation;
            weights["inverse_factors"][k] = (float)(1 / parts[k].Deviation);
            weights["white_means"][k] = (float)(parts[k].Mean / parts[k].Deviation);
            weights["log_factors"][k] = (float)Math.Log(parts[k].Share / (parts[k].Deviation * Math.Sqrt(2 * Math.PI)));
        }
        using var model = new TrainedVector(network, weights, ComputeDevice.Cpu, fallbackToCpu: false);
        float[] rows = [-3, -1, 0, 0.5f, 2, 4], scores = Trained.Scores(model, rows), shares = Density.Latent(model, rows);
        for (int i = 0; i < rows.Length; i++)
        {
            double[] each = [.. parts.Select(p => p.Share * Math.Exp(-0.5 * Math.Pow((rows[i] - p.Mean) / p.Deviation, 2))
                / (p.Deviation * Math.Sqrt(2 * Math.PI)))];
            Assert.AreEqual(-Math.Log(each.Sum()), scores[i], 1e-5);
            for (int k = 0; k < 2; k++)
                Assert.AreEqual(each[k] / each.Sum(), shares[2 * i + k], 1e-6);
        }
        float[] made = Density.Generate(model, 40_000);
        Assert.AreEqual(0.75 * 2 - 0.25, made.Average(v => (double)v), 0.03);
        Assert.AreEqual(0.25 * (1 + 1) + 0.75 * (4 + 0.25), made.Average(v => (double)v * v), 0.05);
        Assert.AreEqual(0.25 * 0.5, made.Count(v => v < -1) / 40_000.0, 0.01);
    }

    [TestMethod]
    [DataRow(CovarianceType.Full)]
    [DataRow(CovarianceType.Tied)]
    [DataRow(CovarianceType.Diagonal)]
    [DataRow(CovarianceType.Spherical)]
    public void The_likelihood_never_falls(CovarianceType type)
    {
        var last = double.PositiveInfinity;
        float[] rows = Density.TwoMoons(400);
        for (int passes = 1; passes < 60; passes += 1 + passes / 3)
        {
            TrainedVector model = Fit(
                s_exact with { Components = 5, CovarianceType = type, Starts = 1, Epochs = passes, BatchSize = 150 }, rows, 2);
            double loss = Trained.Scores(model, rows).Average(s => (double)s);
            Assert.IsTrue(loss <= last + 1e-6, $"{last} → {loss} at pass {passes}");
            last = loss;
        }
        TrainedVector one = Fit(s_exact with { Components = 1, CovarianceType = type, Starts = 1, Epochs = 1 }, rows, 2);
        Assert.IsLessThan(Trained.Scores(one, rows).Average(s => (double)s), last); // moons are no ellipses
    }

    [TestMethod]
    [DataRow(CovarianceType.Full)]
    [DataRow(CovarianceType.Tied)]
    public void One_component_is_the_closed_form_of_a_normal_distribution(CovarianceType type)
    {
        float[] rows = Density.Normal(500);
        TrainedVector model = Fit(s_exact with { Components = 1, CovarianceType = type }, rows, 3);
        (double[] mean, double[,] covariance) = Density.Moments(rows, 3);
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor matrix = torch.tensor(covariance), inverse = torch.linalg.inv(matrix);
        double constant = 1.5 * Math.Log(2 * Math.PI) + 0.5 * Math.Log(torch.linalg.det(matrix).item<double>());
        float[] scores = Trained.Scores(model, rows);
        for (int i = 0; i < scores.Length; i++)
        {
            torch.Tensor away = torch.tensor([.. Enumerable.Range(0, 3).Select(j => rows[3 * i + j] - mean[j])]);
            Assert.AreEqual(constant + 0.5 * away.dot(inverse.mv(away)).item<double>(), scores[i], 1e-4 * Math.Max(1, scores[i]));
        }
        Assert.AreEqual(Density.NormalEntropy, Trained.Scores(model, Density.Normal(20_000, seed: 2)).Average(), 0.05);
        Density.AssertMoments(rows, Density.Generate(model, 20_000), 3, 0.04);
    }

    [TestMethod]
    public void One_component_of_variances_alone_takes_features_for_independent()
    {
        float[] rows = Density.Normal(500);
        (_, double[,] covariance) = Density.Moments(rows, 3);
        double Entropy(Func<int, double> deviation) =>
            Enumerable.Range(0, 3).Sum(j => 0.5 * Math.Log(2 * Math.PI * Math.E) + Math.Log(deviation(j)));
        // Standardised features all have a variance of one, so that spherical components are no worse.
        foreach (CovarianceType type in new[] { CovarianceType.Diagonal, CovarianceType.Spherical })
        {
            TrainedVector model = Fit(s_exact with { Components = 1, CovarianceType = type }, rows, 3);
            Assert.AreEqual(Entropy(j => Math.Sqrt(covariance[j, j])), Trained.Scores(model, rows).Average(), 1e-3);
        }
    }

    [TestMethod]
    [DataRow(CovarianceType.Full)]
    [DataRow(CovarianceType.Spherical)]
    public void Units_do_not_matter_and_a_constant_feature_does_not(CovarianceType type)
    {
        float[] rows = Density.TwoMoons(600);
        GaussianMixtureOptions options = new() { Components = 4, CovarianceType = type };
        TrainedVector plain = Fit(options, rows, 2);
        float[] scaled = [.. rows.Select((v, i) => i % 2 == 0 ? 1024 * v : v / 64)];
        float[] wide = [.. Enumerable.Range(0, 600).SelectMany(i => (float[])[7, rows[2 * i], rows[2 * i + 1]])];
        foreach ((float[] others, int width, double shift) in new[] { (scaled, 2, Math.Log(1024.0 / 64)), (wide, 3, 0) })
        {
            TrainedVector model = Fit(options, others, width);
            float[] a = Density.Latent(plain, rows), b = Density.Latent(model, others);
            float[] s = Trained.Scores(plain, rows), t = Trained.Scores(model, others);
            for (int i = 0; i < a.Length; i++)
                Assert.AreEqual(a[i], b[i], 1e-3);
            for (int i = 0; i < s.Length; i++)
                Assert.AreEqual(s[i] + shift, t[i], 1e-3);
        }
        float[] made = Density.Generate(Fit(options, wide, 3), 100);
        Assert.IsTrue(made.Where((_, i) => i % 3 == 0).All(v => v == 7));
    }

    [TestMethod]
    public void The_criterion_finds_the_number_of_clusters()
    {
        foreach (int clusters in new[] { 1, 4 })
        {
            float[] rows = Density.Normal(800);
            for (int i = 0; i < rows.Length; i++)
                rows[i] += i % 3 == 0 ? 60 * (i / 3 % clusters % 2) : i % 3 == 1 ? 0.3f * (i / 3 % clusters / 2) : 0;
            VectorFitResult fit = Density.Fit(GaussianMixtureTrainer.Family, new GaussianMixtureOptions(), rows, 3);
            Assert.AreEqual(clusters, ((GaussianMixtureOptions)fit.Options).Components);
        }
    }

    [TestMethod]
    [DataRow(CovarianceType.Full)]
    [DataRow(CovarianceType.Tied)]
    [DataRow(CovarianceType.Diagonal)]
    [DataRow(CovarianceType.Spherical)]
    public void The_density_integrates_to_one_engines_agree_and_samples_have_the_datas_moments(CovarianceType type)
    {
        float[] rows = Density.TwoMoons(2000);
        TrainedVector model = Fit(new() { Components = 6, CovarianceType = type }, rows, 2);
        Assert.AreEqual(1, Density.Integral(model, rows), 1e-3);
        Density.AssertMoments(rows, Density.Generate(model, 40_000), 2, 0.03);
        Density.AssertEnginesAgree(model, Density.TwoMoons(300, seed: 5));
    }

    [TestMethod]
    public void Equal_rows_and_more_components_than_rows_are_survived()
    {
        foreach (CovarianceType type in Enum.GetValues<CovarianceType>())
        {
            float[] rows = [1, 2, 1, 2, 1, 2, 3, 5];
            TrainedVector model = Fit(new() { Components = 9, CovarianceType = type }, rows, 2);
            Assert.AreEqual(4, ((IEncoder)model.Network).LatentDimension);
            Assert.IsTrue(Trained.Scores(model, [.. rows, 1e30f, -1e38f]).All(float.IsFinite));
            Assert.IsTrue(Density.Generate(model, 50).All(float.IsFinite));
        }
    }

    [TestMethod]
    public void Held_back_rows_end_the_iterations()
    {
        var losses = new List<TrainingProgress>();
        float[] rows = Density.TwoMoons(60);
        VectorFit.Fit(
            new ArrayRows(60, 2, (i, j) => rows[2 * i + j]), GaussianMixtureTrainer.Family,
            new GaussianMixtureOptions
            {
                Components = 12, Epochs = 500, Tolerance = 0, Regularization = 1e-9, ValidationFraction = 0.3, EarlyStoppingPatience = 5,
            },
            Trained.OnCpu with { Progress = new Listener(losses.Add) });
        Assert.IsLessThan(500, losses[^1].Epoch);
        Assert.IsTrue(double.IsFinite(losses[^1].Validation["loss"]));
    }

    private sealed class Listener(Action<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard(value);
    }
}
