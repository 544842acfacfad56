using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>What VAEs compute, against closed forms and finite differences.</summary>
[TestClass]
public class VaeTruthTests
{
    public static IEnumerable<object[]> Losses
    {
        get
        {
            VaeOptions dense = RandomVae.Options(hidden: 4).WithBernoulli(3, 1) with
            {
                LatentDimension = 2, Activation = Activation.Tanh,
            };
            ImageVaeOptions images = RandomVae.Convolutional().WithBernoulli(6, 3) with
            {
                ImageShape = new(1, 3, 2), Channels = [2], HiddenWidth = 3, LatentDimension = 2,
            };
            return
            [
                [dense, 3, false],
                [dense with { KlWeight = 3 }, 3, false],
                [dense with { FreeBits = 0.01 }, 3, false],
                [dense, 3, true],
                [images, 6, false],
                [images, 6, true],
            ];
        }
    }

    [TestMethod]
    [DynamicData(nameof(Losses))]
    public void The_loss_moves_every_parameter_as_finite_differences_say(object options, int width, bool conditional)
    {
        VariationalNetwork network = RandomVae.Network((VariationalOptions)options, width, conditional ? [2] : []);
        LossGradients.Check(
            network,
            weights: own => Marks((VariationalOptions)options, network, own),
            rows: [.. Enumerable.Range(0, 4 * width).Select(i => i * 37 % 11 / 10f)]);
    }

    [TestMethod]
    public void The_kl_term_is_its_closed_form_and_moves_the_encoder()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor found = VariationalNetwork.KlDivergence<TorchTensor>(
            torch.tensor([1f, -2f], [1, 2]), torch.tensor([0.5f, -1f], [1, 2]));
        Assert.AreEqual(0.5 * (1 + Math.Exp(0.5) - 0.5 - 1), found[0, 0].item<float>(), 1e-6);
        Assert.AreEqual(0.5 * (4 + Math.Exp(-1) + 1 - 1), found[0, 1].item<float>(), 1e-6);

        VaeOptions options = RandomVae.Options(hidden: 3);
        VariationalNetwork network = RandomVae.Network(options, 2);
        using TorchLayers layers = Layers(network, options);
        torch.Tensor rows = torch.tensor([0.1f, 0.9f, 0.4f, 0.2f], [2, 2]);
        network.Loss(Step(layers, rows)).Single(t => t.Name == "kl").Value.backward();
        foreach ((string name, torch.Tensor parameter) in Trainable(layers))
        {
            bool encoder = name.StartsWith("encoder", StringComparison.Ordinal)
                || name.StartsWith("latent", StringComparison.Ordinal);
            Assert.AreEqual(
                encoder, parameter.grad is torch.Tensor g && g.abs().sum().item<float>() > 1e-4, $"{name} and the KL term");
        }
    }

    [TestMethod]
    public void Warm_up_and_free_bits_weigh_the_kl_term_in_training_alone()
    {
        VaeOptions options = RandomVae.Options(hidden: 3) with { KlWeight = 4, KlWarmupFraction = 0.5, FreeBits = 0.3 };
        VariationalNetwork network = RandomVae.Network(options, 2);
        using TorchLayers layers = Layers(network, options);
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor rows = torch.tensor([0.1f, 0.9f, 0.4f, -2f], [2, 2]);
        (_, TorchTensor kl) = network.NegativeElbo<TorchTensor>(
            new TorchOps(layers.Tensors).Root, new(rows, null), torch.zeros(2, 3));
        float[] perFeature = [.. kl.Value.mean([0L]).data<float>()];
        double free = perFeature.Sum(k => Math.Max(k, 0.3f));
        Assert.AreNotEqual(free, perFeature.Sum(), 1e-2, "of nothing");

        Assert.AreEqual(0, Kl(network.Loss(Step(layers, rows, step: 0, steps: 20))), 1e-6);
        Assert.AreEqual(4 * 0.3 * free, Kl(network.Loss(Step(layers, rows, step: 3, steps: 20))), 1e-4);
        Assert.AreEqual(4 * free, Kl(network.Loss(Step(layers, rows, step: 10, steps: 20))), 1e-4);
        Assert.AreEqual(4 * perFeature.Sum(), Kl(network.ValidationLoss(Step(layers, rows, step: 3, steps: 20))), 1e-4);

        static float Kl(IReadOnlyList<LossTerm> terms) => terms.Single(t => t.Name == "kl").Value.item<float>();
    }

    [TestMethod]
    public void A_heavy_kl_term_leaves_nothing_in_the_latent_vectors_and_none_presses_nothing()
    {
        (double free, double pressed) = (Spread(0), Spread(100));
        Assert.IsGreaterThan(1.0, free); // the deviation of the prior
        Assert.IsLessThan(0.1, pressed); // a latent vector of no bits is 0

        static double Spread(double weight)
        {
            using TrainedVector model = VectorFit.Fit(
                Trained.SumRows(), VaeTrainer.Family,
                new VaeOptions { KlWeight = weight, LatentDimension = 2, HiddenLayers = [16], Epochs = 60, LearningRate = 5e-3 },
                Trained.OnCpu).Model;
            float[] latent = new float[600];
            model.Compute(RandomVae.Block(Trained.AllRows(), 4), 300, new VectorResults { Latent = latent });
            return Math.Sqrt(latent.Average(c => (double)c * c));
        }
    }

    /// <summary>
    /// A linear decoder and Gaussian features are probabilistic PCA: x ~ N(mean + A·b, A·(w·wᵀ + diag(v))·A) with A the
    /// features' deviations.
    /// </summary>
    [TestMethod]
    public void Elbo_and_importance_sampling_come_to_the_exact_density_of_a_linear_model()
    {
        const int Rows = 5;
        double[] mean = [1, 10], deviation = [2, 10], w = [0.8, -0.5], b = [0.1, 0.2], v = [0.3, 0.2];
        float[] x = [1, 10, 2, 3, -1.5f, 16, 3, 12, 0, -4];
        double[] exact = [.. Enumerable.Range(0, Rows).Select(i => -LogDensity(x[2 * i], x[2 * i + 1]))];

        // The posterior given standardised (s, t): precision 1 + Σ w²/v, mean Σ w·(s − b)/v over it.
        double precision = 1 + w[0] * w[0] / v[0] + w[1] * w[1] / v[1];
        double[] slope = [w[0] / v[0] / precision, w[1] / v[1] / precision];
        double[] posterior = [.. slope, -(slope[0] * b[0] + slope[1] * b[1]), -Math.Log(precision)];
        double[] other = [0.2, 0.1, 0, 0.3];
        double[] withPosterior = Scores(1, posterior), one = Scores(1, other), some = Scores(50, other);
        double[] many = Scores(10_000, other), elbo = NegativeElbo(posterior), looser = NegativeElbo(other);
        Assert.IsLessThan(one.Average(), some.Average(), "more latent vectors come closer from above");
        for (int i = 0; i < Rows; i++)
        {
            Assert.AreEqual(exact[i], withPosterior[i], 1e-3, "with the true posterior one latent vector is exact");
            Assert.AreEqual(exact[i], many[i], 0.05, $"row {i}");
            Assert.AreEqual(exact[i], elbo[i], 1e-3, "and so is the ELBO");
            Assert.IsGreaterThan(exact[i] + 1e-3, looser[i], "with another it is a bound");
        }

        TrainedVector Model(int samples, double[] encoder)
        {
            VaeOptions options = RandomVae.Options() with { LatentDimension = 1, ScoreSamples = samples };
            return RandomVae.Model(options, 2, change: weights =>
            {
                Set("output.weight", w);
                Set("output.bias", b);
                Set("output_log_variance", [.. v.Select(x => Math.Log(x))]);
                Set("latent_mean.weight", encoder[..2]);
                Set("latent_mean.bias", encoder[2..3]);
                Set("latent_log_variance.weight", [0, 0]);
                Set("latent_log_variance.bias", encoder[3..]);
                Set("input_mean", mean);
                Set("input_scale", [.. deviation.Select(d => 1 / d)]);
                weights["feature_mask"].AsSpan().Fill(1);
                var random = new SplitMix64(11);
                NormalNumbers.Fill(ref random, weights["score_noise"]);

                void Set(string name, double[] values) => values.Select(value => (float)value).ToArray().CopyTo(weights[name], 0);
            });
        }

        double[] Scores(int samples, double[] encoder)
        {
            using TrainedVector model = Model(samples, encoder);
            float[] scores = new float[Rows];
            model.Compute(RandomVae.Block(x, 2), Rows, new VectorResults { Score = scores });
            return [.. scores.Select(s => (double)s)];
        }

        // A quadratic loss has the mean over normal noise that it has over −1 and 1.
        double[] NegativeElbo(double[] encoder)
        {
            using TrainedVector model = Model(1, encoder);
            using DisposeScope scope = torch.NewDisposeScope();
            float[] z = new float[2 * Rows];
            model.Features.Apply(x, z);
            Dictionary<string, torch.Tensor> weights = model.Weights.ToTensors(torch.CPU);
            var found = new double[Rows];
            foreach (float noise in (float[])[-1, 1])
            {
                (TorchTensor reconstruction, TorchTensor kl) = ((VariationalNetwork)model.Network).NegativeElbo<TorchTensor>(
                    new TorchOps(weights).Root, new(torch.tensor(z, [Rows, 2]), null), torch.full([Rows, 1], noise));
                for (int i = 0; i < Rows; i++)
                    found[i] += 0.5 * (reconstruction.Value[i, 0].item<float>() + kl.Value[i, 0].item<float>());
            }
            foreach (torch.Tensor weight in weights.Values)
                weight.Dispose();
            return [.. found.Select(f => f + Math.Log(deviation[0] * deviation[1]))];
        }

        double LogDensity(double first, double second)
        {
            double p = (first - mean[0]) / deviation[0] - b[0], q = (second - mean[1]) / deviation[1] - b[1];
            double a = w[0] * w[0] + v[0], d = w[1] * w[1] + v[1], c = w[0] * w[1], det = a * d - c * c;
            double form = (d * p * p - 2 * c * p * q + a * q * q) / det;
            return -Math.Log(2 * Math.PI) - 0.5 * Math.Log(det) - 0.5 * form - Math.Log(deviation[0] * deviation[1]);
        }
    }

    [TestMethod]
    public void Importance_sampling_comes_to_the_integral_of_a_curved_model_of_one_bit()
    {
        // p(x = 1 | z) = σ(2·tanh(1.5·z + 0.3) − 0.5), z ~ N(0, 1): integrated by the trapezoidal rule.
        VaeOptions options = RandomVae.Options(hidden: 1).WithBernoulli(1, 1) with
        {
            LatentDimension = 1, ScoreSamples = 10_000, Activation = Activation.Tanh,
        };
        using TrainedVector model = RandomVae.Model(options, 1, change: weights =>
        {
            (weights["decoder.0.weight"][0], weights["decoder.0.bias"][0]) = (1.5f, 0.3f);
            (weights["output.weight"][0], weights["output.bias"][0]) = (2, -0.5f);
            var random = new SplitMix64(11);
            NormalNumbers.Fill(ref random, weights["score_noise"]);
        });
        double one = 0;
        for (double z = -9; z <= 9; z += 0.001)
        {
            double logit = 2 * Math.Tanh(1.5 * z + 0.3) - 0.5;
            one += 0.001 * Math.Exp(-0.5 * z * z) / Math.Sqrt(2 * Math.PI) / (1 + Math.Exp(-logit));
        }
        float[] scores = RandomVae.Scores(model, RandomVae.Block([1, 0], 1), 2).Score;
        Assert.AreEqual(-Math.Log(one), scores[0], 0.02);
        Assert.AreEqual(-Math.Log(1 - one), scores[1], 0.02);
    }

    [TestMethod]
    public void A_trained_linear_model_reaches_the_likelihood_of_the_process_behind_the_rows()
    {
        var random = new SplitMix64(3);
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        double[] w = [2, 1, -1];
        const double Noise = 0.5;
        float[][] table = [.. Enumerable.Range(0, 2000).Select(_ =>
        {
            double u = Normal();
            return w.Select(x => (float)(5 + x * u + Noise * Normal())).ToArray();
        })];
        using TrainedVector model = VectorFit.Fit(
            new ArrayRows(2000, 3, (i, j) => table[i][j]),
            VaeTrainer.Family,
            new VaeOptions
            {
                HiddenLayers = [], LatentDimension = 1, Epochs = 150, LearningRate = 0.01, WeightDecay = 0, ScoreSamples = 50,
                ScoreColumnName = "Score",
            },
            Trained.OnCpu).Model;
        float[] scores = RandomVae.Scores(model, RandomVae.Block([.. table.SelectMany(r => r)], 3), 2000).Score;

        // Covariance w·wᵀ + n²·I: by Sherman and Morrison the quadratic form and the determinant.
        double square = w.Sum(x => x * x), variance = Noise * Noise;
        double exact = table.Average(row =>
        {
            double[] y = [.. row.Select(x => x - 5.0)];
            double along = y.Zip(w, (p, q) => p * q).Sum();
            double form = (y.Sum(p => p * p) - along * along / (variance + square)) / variance;
            double logDet = 2 * Math.Log(variance) + Math.Log(variance + square);
            return 0.5 * (3 * Math.Log(2 * Math.PI) + logDet + form);
        });
        Assert.AreEqual(exact, scores.Average(s => (double)s), 0.05);
    }

    [TestMethod]
    public void Features_of_the_reconstructions_score_count_as_by_hand()
    {
        VaeOptions options = RandomVae.Options(VaeScore.Reconstruction).WithBernoulli(5, 3);
        using TrainedVector model = RandomVae.Model(options, 5, change: weights =>
        {
            Array.Clear(weights["output.weight"]);
            // Probabilities 0.5, 0.75, 0.2; a Gaussian of mean 3 + 4·0.5 and deviation 4·2; a constant.
            float[] bias = [0, MathF.Log(3), MathF.Log(0.25f), 0.5f, 9];
            bias.CopyTo(weights["output.bias"], 0);
            (weights["input_mean"][3], weights["input_scale"][3]) = (3, 0.25f);
            weights["output_log_variance"][3] = 2 * MathF.Log(2);
            weights["input_mean"][4] = 7;
        });
        float[] found = RandomVae.Scores(model, RandomVae.Block([1f, 0f, 0.2f, 1, 7, 0.5f, 0.3f, 1.5f, 100, 7], 5), 2).ByFeature;
        double deviation = Math.Log(8) + 0.5 * Math.Log(2 * Math.PI);
        // 100 lies 24.25 deviations out: seen as 5 + log(1 + 19.25), where the logarithm's derivative is 1/20.25.
        double seen = 5 + Math.Log(20.25);
        double[] expected =
        [
            -Math.Log(0.5), -Math.Log(0.25), 0, deviation + 0.5 * Math.Pow(4 / 8.0, 2), 0,
            0, 0.3 * Math.Log(0.3 / 0.75) + 0.7 * Math.Log(0.7 / 0.25), -Math.Log(0.2) + 10 * 0.5,
            deviation + 0.5 * Math.Pow((seen - 0.5) / 2, 2) + Math.Log(20.25), 0,
        ];
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], 1e-4, $"feature {i % 5} of row {i / 5}");
    }

    private static TorchLayers Layers(VariationalNetwork network, VariationalOptions options)
    {
        var layers = new TorchLayers(network.Declare, torch.CPU, seed: 5);
        HostWeights weights = layers.ToHost(network.Tensors());
        Marks(options, network, weights);
        layers.LoadStateDict(weights);
        return layers;
    }

    // The buffers that say what a feature is; the layers stay as torch makes them.
    private static void Marks(VariationalOptions options, VariationalNetwork network, HostWeights weights)
    {
        HostWeights random = RandomVae.Weights(options, network);
        foreach (string buffer in (string[])["bernoulli", "bernoulli_mean", "binary", "feature_mask"])
            random[buffer].CopyTo(weights[buffer], 0);
        weights["feature_mask"].AsSpan().Fill(1);
    }

    private static IEnumerable<(string Name, torch.Tensor Value)> Trainable(TorchLayers layers) =>
        layers.Tensors.Where(t => t.Value.requires_grad).Select(t => (t.Key, t.Value));

    // The random state of a step follows from its number: the same loss, again and again.
    private static VectorStep Step(
        TorchLayers layers, torch.Tensor rows, torch.Tensor? condition = null, long step = 0, long steps = 1)
    {
        var random = new SeededRandom(torch.CPU, 9);
        return new(new TorchOps(layers.Tensors) { Random = random }.Root, rows, condition, 0, new StepContext(step, steps, random));
    }
}
