using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>What VAEs compute, against closed forms and finite differences.</summary>
[TestClass]
public class VaeTruthTests
{
    internal static VaeShape Shape(int width, int bernoulli, int latent, params int[] hidden) => new()
    {
        InputWidth = width,
        ConditionWidths = [],
        ConditionRows = 0,
        HiddenLayers = hidden,
        LatentDimension = latent,
        Activation = Activation.Tanh,
        BernoulliSlots = bernoulli,
        Score = VaeScore.NegativeLogLikelihood,
        ScoreSamples = 1,
        Seed = 4,
    };

    internal static VaeModel Model(VaeShape shape, bool[] bernoulli, Func<long, int, float>? value = null)
    {
        using var random = new SeededRandom(torch.CPU, 5);
        VaeModel model = new VaeModel(shape, bfloat16: false, random).OutliveScope();
        ColumnMoments[] moments =
        [
            new(0, shape.InputWidth), .. shape.ConditionWidths.Select((w, c) => new ColumnMoments(c + 1, w)),
        ];
        RowSample[] samples = [.. shape.ConditionWidths.Select((w, c) => new RowSample(c + 1, w, shape.ConditionRows, 0))];
        var rows = new FieldRows(50, [shape.InputWidth, .. shape.ConditionWidths], value ?? ((i, j) => i * (7 + j) % 11 / 10f));
        TrainingData.Prepare(rows, new TestOptions(), 0, torch.CPU, [.. moments, .. samples]).Dispose();
        model.SetInput(moments[0], bernoulli, bernoulli);
        model.Conditions.Set(moments[1..], samples);
        return model;
    }

    internal static void Set(VaeModel model, string name, params float[] values)
    {
        using IDisposable noGradient = torch.no_grad();
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor target = model.Network.NamedTensors().Single(t => t.Name == name).Value;
        target.copy_(torch.tensor(values).view(target.shape));
    }

    public static IEnumerable<object[]> Cases =>
    [
        [new VaeOptions(), false],
        [new VaeOptions { KlWeight = 3, KlWarmupFraction = 0.5 }, false],
        [new VaeOptions { FreeBits = 0.01 }, false],
        [new VaeOptions(), true],
    ];

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void The_loss_moves_every_parameter_as_finite_differences_say(object options, bool conditional)
    {
        VaeShape shape = Shape(3, bernoulli: 1, latent: 2, 4);
        if (conditional)
            shape = shape with { ConditionWidths = [2], ConditionRows = 10 };
        using VaeModel model = Model(shape, [false, true, false]);
        using DisposeScope scope = torch.NewDisposeScope();
        using var training = new VaeTraining(model, (VaeOptions)options, average: null);
        torch.Tensor rows = torch.tensor([0.1f, 1f, 0.8f, 0.2f, 0f, 0.9f, 0.7f, 0.5f, 0.2f, 0.9f, 1f, 0.6f], [4, 3]);
        torch.Tensor labels = torch.tensor([1f, 0f, 0f, 1f, 0f, 1f, 1f, 0f], [4, 2]);
        var batch = new Batch(conditional ? [rows, labels] : [rows], 4);
        Gradients.Check(model.Network.NamedTensors(), () =>
        {
            // The random state of a step follows from its number: the same loss, again and again.
            using var random = new SeededRandom(torch.CPU, 9);
            IReadOnlyList<LossTerm> terms = training.Loss(batch, 0, new StepContext(3, 10, random));
            return terms[0].Value.add(terms[1].Value);
        });
    }

    [TestMethod]
    public void The_kl_term_is_its_closed_form_and_moves_the_encoder()
    {
        using VaeModel model = Model(Shape(2, 0, latent: 2, 3), [false, false]);
        using DisposeScope scope = torch.NewDisposeScope();
        float[] kl = new float[2];
        HostTensors.CopyTo(
            VaeModel.KlDivergence(torch.tensor([1f, -2f], [1, 2]), torch.tensor([0.5f, -1f], [1, 2])), kl);
        Assert.AreEqual(0.5 * (1 + Math.Exp(0.5) - 0.5 - 1), kl[0], 1e-6);
        Assert.AreEqual(0.5 * (4 + Math.Exp(-1) + 1 - 1), kl[1], 1e-6);

        using var training = new VaeTraining(model, new VaeOptions(), average: null);
        using var random = new SeededRandom(torch.CPU, 9);
        var batch = new Batch([torch.tensor([0.1f, 0.9f, 0.4f, 0.2f], [2, 2])], 2);
        LossTerm term = training.Loss(batch, 0, new StepContext(0, 1, random)).Single(t => t.Name == "kl");
        term.Value.backward();
        foreach ((string name, torch.Tensor parameter) in model.Network.NamedTensors())
        {
            bool encoder = name.StartsWith("encoder", StringComparison.Ordinal)
                || name.StartsWith("latent", StringComparison.Ordinal);
            Assert.AreEqual(
                encoder, parameter.grad is torch.Tensor g && g.abs().sum().item<float>() > 1e-4, $"{name} and the KL term");
        }
    }

    [TestMethod]
    public void A_heavy_kl_term_leaves_nothing_in_the_codes_and_none_presses_nothing()
    {
        (double free, double pressed) = (CodeSpread(0), CodeSpread(100));
        Assert.IsGreaterThan(1.0, free);
        Assert.IsLessThan(0.1, pressed);

        static double CodeSpread(double weight)
        {
            using TrainedVae model = VaeFit.Fit(
                Trained.SumRows(), new VaeOptions { KlWeight = weight, LatentDimension = 2, HiddenLayers = [16], Epochs = 60, LearningRate = 5e-3 },
                Trained.OnCpu);
            float[] codes = new float[600];
            model.Compute(Block(Trained.AllRows(), 4), 300, new VaeOutputs { Latent = codes });
            return Math.Sqrt(codes.Average(c => (double)c * c));
        }
    }

    /// <summary>
    /// A linear decoder and Gaussian slots are probabilistic PCA: x ~ N(mean + A·b, A·(w·wᵀ + diag(v))·A) with A the
    /// slots' deviations.
    /// </summary>
    [TestMethod]
    public void Importance_sampling_comes_to_the_exact_density_of_a_linear_model()
    {
        const int Rows = 5;
        // Slot means and deviations of the training rows, by hand: −1 and 3 alternate, so do 0 and 20.
        using VaeModel model = Model(
            Shape(2, 0, latent: 1), [false, false], (i, j) => i % 2 == 0 ? (j == 0 ? -1 : 0) : (j == 0 ? 3 : 20));
        double[] mean = [1, 10], deviation = [2, 10], w = [0.8, -0.5], b = [0.1, 0.2], v = [0.3, 0.2];
        Set(model, "output.weight", [.. w.Select(x => (float)x)]);
        Set(model, "output.bias", [.. b.Select(x => (float)x)]);
        Set(model, "output_log_variance", [.. v.Select(x => (float)Math.Log(x))]);
        float[] x = [1, 10, 2, 3, -1.5f, 16, 3, 12, 0, -4];

        double[] exact = [.. Enumerable.Range(0, Rows).Select(i => -LogDensity(x[2 * i], x[2 * i + 1]))];

        // The posterior given standardised (s, t): precision 1 + Σ w²/v, mean Σ w·(s − b)/v over it.
        double precision = 1 + w[0] * w[0] / v[0] + w[1] * w[1] / v[1];
        Set(model, "latent_mean.weight", (float)(w[0] / v[0] / precision), (float)(w[1] / v[1] / precision));
        Set(model, "latent_mean.bias", (float)(-(w[0] * b[0] / v[0] + w[1] * b[1] / v[1]) / precision));
        Set(model, "latent_log_variance.weight", 0, 0);
        Set(model, "latent_log_variance.bias", (float)-Math.Log(precision));
        double[] withPosterior = Scores(1);
        for (int i = 0; i < Rows; i++)
            Assert.AreEqual(exact[i], withPosterior[i], 1e-3, "with the true posterior one code is exact");

        Set(model, "latent_mean.weight", 0.2f, 0.1f);
        Set(model, "latent_log_variance.bias", 0.3f);
        double[] one = Scores(1), some = Scores(50), many = Scores(10_000);
        Assert.IsLessThan(one.Average(), some.Average(), "more codes come closer from above");
        for (int i = 0; i < Rows; i++)
            Assert.AreEqual(exact[i], many[i], 0.05, $"row {i}");

        double[] Scores(int samples)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            float[] scores = new float[Rows];
            torch.Tensor rows = HostTensors.FromRows(x, Rows, 2, torch.CPU);
            HostTensors.CopyTo(new VaeScoring(model).NegativeLogLikelihood(rows, null, samples), scores);
            return [.. scores.Select(s => (double)s)];
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
        using TrainedVae model = VaeFit.Fit(
            new ArrayRows(2000, 3, (i, j) => table[i][j]),
            new VaeOptions
            {
                HiddenLayers = [], LatentDimension = 1, Epochs = 150, LearningRate = 0.01, WeightDecay = 0, ScoreSamples = 50,
            },
            Trained.OnCpu);
        float[] scores = new float[2000];
        model.Compute(Block([.. table.SelectMany(r => r)], 3), 2000, new VaeOutputs { Score = scores });

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
    public void Bernoulli_slots_count_their_cross_entropy_less_the_values_own_entropy()
    {
        using VaeModel model = Model(Shape(3, bernoulli: 3, latent: 1), [true, true, true]);
        Set(model, "output.weight", 0, 0, 0);
        Set(model, "output.bias", 0, (float)Math.Log(3), (float)Math.Log(0.25)); // probabilities 0.5, 0.75, 0.2
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        float[] found = new float[6];
        torch.Tensor rows = torch.tensor([1f, 0f, 0.2f, 0.5f, 0.3f, 1.5f], [2, 3]);
        HostTensors.CopyTo(new VaeScoring(model).SlotScore(rows, null), found);
        double[] expected =
        [
            -Math.Log(0.5), -Math.Log(0.25), 0, 0,
            0.3 * Math.Log(0.3 / 0.75) + 0.7 * Math.Log(0.7 / 0.25), -Math.Log(0.2) + 10 * 0.5,
        ];
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], found[i], 1e-5, $"slot {i}");
    }

    [TestMethod]
    public void The_scales_derivative_is_that_of_finite_differences()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor mean = torch.tensor([1f]), scale = torch.tensor([0.5f]);
        foreach (float x in new[] { 0f, 9f, 30f, -60f })
        {
            torch.Tensor at = torch.tensor([x], [1, 1]);
            double log = RobustScale.LogDerivative(RobustScale.Apply(at, mean, scale), scale).item<float>();
            double slope = (Value(x + 0.01f) - Value(x - 0.01f)) / 0.02;
            Assert.AreEqual(Math.Log(slope), log, 5e-3, $"at {x}");
            Assert.AreEqual(x, RobustScale.Undo(RobustScale.Apply(at, mean, scale), mean, scale).item<float>(), 1e-3);
        }

        double Value(float x) => RobustScale.Apply(torch.tensor([x], [1, 1]), mean, scale).item<float>();
    }

    internal static RowBlock Block(float[] rows, int width)
    {
        var block = new RowBlock([new RowField("x", FieldKind.Single, width)], rows.Length / width);
        rows.CopyTo(block.Singles(0));
        return block;
    }
}
