using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>What is each objective's own, against hand values, closed forms and finite differences.</summary>
[TestClass]
public class GanTruthTests
{
    private const double A = 0.5, B = -1.2, C = 0.3, D = 2; // what the discriminator says of two real and two made rows

    private static double Softplus(double x) => Math.Log(1 + Math.Exp(x));

    private static double Probability(double x) => 1 / (1 + Math.Exp(-x));

    internal static GanShape Shape(int pack = 1, bool spectral = false, int conditions = 0) => new()
    {
        InputWidth = 2,
        ConditionWidths = conditions > 0 ? [conditions] : [],
        ConditionRows = conditions > 0 ? 10 : 0,
        NoiseDimension = 3,
        GeneratorLayers = [4],
        DiscriminatorLayers = [5],
        Activation = Activation.Tanh,
        SpectralNormalization = spectral,
        PackSize = pack,
        Score = GanScore.Discriminator,
        SearchSteps = 10,
        Seed = 2,
    };

    internal static GanModel Model(GanShape shape)
    {
        using var random = new SeededRandom(torch.CPU, 5);
        GanModel model = new GanModel(shape, bfloat16: false, random).OutliveScope();
        ColumnMoments[] moments =
            [new(0, shape.InputWidth), .. shape.ConditionWidths.Select((w, c) => new ColumnMoments(c + 1, w))];
        RowSample[] samples = [.. shape.ConditionWidths.Select((w, c) => new RowSample(c + 1, w, shape.ConditionRows, 0))];
        var rows = new FieldRows(50, [shape.InputWidth, .. shape.ConditionWidths], (i, j) => i * (7 + j) % 11 / 3f);
        TrainingData.Prepare(rows, new TestOptions(), 0, torch.CPU, [.. moments, .. samples]).Dispose();
        model.SetScale(moments[0]);
        model.Conditions.Set(moments[1..], samples);
        return model;
    }

    private static Batch Rows(bool conditions = false)
    {
        torch.Tensor rows = torch.tensor([0.1f, 2f, 0.8f, 0.2f, 3f, 0.9f, 1.7f, 0.5f], [4, 2]);
        return new Batch(
            conditions ? [rows, torch.tensor([1f, 0f, 0f, 1f, 0f, 1f, 1f, 0f], [4, 2])] : [rows], 4);
    }

    public static IEnumerable<object[]> Losses =>
    [
        // −log σ(real) − log(1 − σ(made)); the generator lowers log(1 − σ(made))
        [
            GanObjective.Minimax, (Softplus(-A) + Softplus(-B) + Softplus(C) + Softplus(D)) / 2,
            (Math.Log(1 - Probability(C)) + Math.Log(1 - Probability(D))) / 2,
        ],
        [
            GanObjective.NonSaturating, (Softplus(-A) + Softplus(-B) + Softplus(C) + Softplus(D)) / 2,
            -(Math.Log(Probability(C)) + Math.Log(Probability(D))) / 2,
        ],
        [
            GanObjective.LeastSquares, ((A - 1) * (A - 1) + (B - 1) * (B - 1) + C * C + D * D) / 4,
            ((C - 1) * (C - 1) + (D - 1) * (D - 1)) / 4,
        ],
        [GanObjective.Wasserstein, (C + D - A - B) / 2, -(C + D) / 2],
        [GanObjective.WassersteinGradientPenalty, (C + D - A - B) / 2, -(C + D) / 2],
        [GanObjective.Hinge, (1 - A + 1 - B + 1 + C + 1 + D) / 2, -(C + D) / 2],
    ];

    [TestMethod]
    [DynamicData(nameof(Losses))]
    public void Each_objectives_losses_are_its_papers(GanObjective objective, double discriminator, double generator)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor real = torch.tensor([(float)A, (float)B], [2, 1]), made = torch.tensor([(float)C, (float)D], [2, 1]);
        Assert.AreEqual(discriminator, GanLoss.Discriminator(objective, real, made, 0).item<float>(), 1e-5);
        Assert.AreEqual(generator, GanLoss.Generator(objective, made).item<float>(), 1e-5);
    }

    [TestMethod]
    public void Hinge_leaves_rows_beyond_the_margin_alone()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor real = torch.tensor([1.5f, 3f], [2, 1]), made = torch.tensor([-1.5f, -3f], [2, 1]);
        Assert.AreEqual(0, GanLoss.Discriminator(GanObjective.Hinge, real, made, 0).item<float>());
    }

    [TestMethod]
    public void Smoothed_labels_are_below_one()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor real = torch.tensor([(float)A], [1, 1]), made = torch.tensor([(float)C], [1, 1]);
        double expected = -0.9 * Math.Log(Probability(A)) - 0.1 * Math.Log(1 - Probability(A)) + Softplus(C);
        Assert.AreEqual(
            expected, GanLoss.Discriminator(GanObjective.NonSaturating, real, made, 0.1).item<float>(), 1e-5);
        Assert.AreEqual(
            ((A - 0.9) * (A - 0.9) + C * C) / 2,
            GanLoss.Discriminator(GanObjective.LeastSquares, real, made, 0.1).item<float>(), 1e-5);
        Assert.Throws<ArgumentOutOfRangeException>(
            () => new GanOptions { Objective = GanObjective.Hinge, LabelSmoothing = 0.1 }.Validate());
    }

    [TestMethod]
    public void The_gradient_penalty_of_a_linear_discriminator_is_its_closed_form()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(torch.CPU, 3);
        torch.Tensor weight = torch.tensor([3f, 4f], [2, 1]).requires_grad_();
        torch.Tensor real = torch.tensor([1f, 2f, 0f, 1f], [2, 2]), made = torch.tensor([0f, 0f, 5f, 1f], [2, 2]);
        torch.Tensor penalty = GanLoss.GradientPenalty(x => x.matmul(weight), real, made, 1, random);
        Assert.AreEqual(16, penalty.item<float>(), 1e-4); // (|w| − 1)², |w| = 5
        penalty.backward();
        float[] gradient = new float[2];
        HostTensors.CopyTo(weight.grad!, gradient);
        Assert.AreEqual(2 * 4 * 3 / 5.0, gradient[0], 1e-4); // 2·(|w| − 1)·w/|w|
        Assert.AreEqual(2 * 4 * 4 / 5.0, gradient[1], 1e-4);

        // In packs of two the gradient of a pack is that of both its rows: its norm is √2·|w|.
        torch.Tensor packed = GanLoss.GradientPenalty(
            x => x.matmul(weight).reshape(1, 2).sum(1L, keepdim: true), real, made, 2, random);
        Assert.AreEqual(Math.Pow(5 * Math.Sqrt(2) - 1, 2), packed.item<float>(), 1e-3);
    }

    public static IEnumerable<object[]> Games =>
        from objective in Enum.GetValues<GanObjective>()
        from pack in new[] { 1, 2 }
        from conditional in new[] { false, true }
        where pack == 1 || !conditional
        select new object[] { objective, pack, conditional };

    [TestMethod]
    [DynamicData(nameof(Games))]
    public void Both_losses_move_every_parameter_as_finite_differences_say(
        GanObjective objective, int pack, bool conditional)
    {
        // The hinge has kinks, where differences say nothing; spectral norms are constants of a step, and have a test.
        using GanModel model = Model(Shape(pack, conditions: conditional ? 2 : 0));
        using DisposeScope scope = torch.NewDisposeScope();
        var options = new GanOptions { Objective = objective, InstanceNoise = 0.1, PackSize = pack };
        using var training = new GanTraining(model, options, average: null, torch.CPU);
        Batch batch = Rows(conditional);
        // What is common to all outputs cancels in differences of means.
        bool critic = objective is GanObjective.Wasserstein or GanObjective.WassersteinGradientPenalty;
        string[] still = critic ? ["layers.1.bias"] : [];
        if (objective == GanObjective.Hinge)
            still = ["layers.1.bias"];
        Gradients.Check(model.Discriminator.NamedTensors(), () => Loss(0), 5e-3, still);
        Gradients.Check(model.Generator.NamedTensors(), () => Loss(1), 5e-3);

        torch.Tensor Loss(int update)
        {
            using var random = new SeededRandom(torch.CPU, 9);
            IReadOnlyList<LossTerm> terms = training.Loss(batch, update, new StepContext(3, 10, random));
            return terms.Count == 1 ? terms[0].Value : terms[0].Value.add(terms[1].Value);
        }
    }

    [TestMethod]
    public void The_gradient_penalty_alone_reaches_all_the_discriminators_weights()
    {
        using GanModel model = Model(Shape(pack: 2, conditions: 2));
        using DisposeScope scope = torch.NewDisposeScope();
        var options = new GanOptions { PackSize = 2 };
        using var training = new GanTraining(model, options, average: null, torch.CPU);
        // A constant added to all outputs, and so the last bias, has no slope.
        Gradients.Check(model.Discriminator.NamedTensors(), () =>
        {
            using var random = new SeededRandom(torch.CPU, 9);
            return training.Loss(Rows(conditions: true), 0, new StepContext(3, 10, random))
                .Single(t => t.Name == "gradient penalty").Value;
        }, 5e-3, "layers.1.bias");
    }

    [TestMethod]
    public void Spectral_normalisation_divides_by_the_largest_singular_value()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(torch.CPU, 3);
        // Columns (2, 1, 0) and (1, −1, 3): the larger root of λ² − 16λ + (5·11 − 1²) is the square of the value.
        torch.Tensor weight = torch.tensor([2f, 1f, 1f, -1f, 0f, 3f], [3, 2]).requires_grad_();
        double largest = Math.Sqrt(8 + Math.Sqrt(64 - 54));
        using SpectralNorm norm = new SpectralNorm(weight, random).OutliveScope();
        Assert.AreEqual(largest, norm.Sigma(weight).item<float>(), 1e-4);
        Gradients.Check([("weight", weight)], () => norm.Normalize(weight).square().sum(), 5e-3);

        // After a small step one iteration follows.
        using (torch.no_grad())
            weight.add_(0.01);
        norm.Iterate(weight);
        double trace = 2.01 * 2.01 + 1.01 * 1.01 + 0.01 * 0.01 + 1.01 * 1.01 + 0.99 * 0.99 + 3.01 * 3.01;
        double cross = 2.01 * 1.01 + 1.01 * -0.99 + 0.01 * 3.01;
        double first = 2.01 * 2.01 + 1.01 * 1.01 + 0.01 * 0.01, second = trace - first;
        double root = trace / 2 + Math.Sqrt(trace * trace / 4 - (first * second - cross * cross));
        Assert.AreEqual(Math.Sqrt(root), norm.Sigma(weight).item<float>(), 1e-3);
    }

    [TestMethod]
    public void A_discriminator_with_spectral_normalisation_is_never_steeper_than_one()
    {
        using GanModel model = Model(Shape(spectral: true));
        using DisposeScope scope = torch.NewDisposeScope();
        using (torch.no_grad())
        {
            foreach (torch.Tensor weight in model.Discriminator.TrainedTensors())
                weight.mul_(10);
        }
        for (int i = 0; i < 30; i++)
            model.Discriminator.FollowWeights();
        torch.Tensor rows = torch.tensor([0f, 0f, 1f, 0f, 0f, 1f, -3f, 4f], [4, 2]);
        float[] judged = new float[4];
        HostTensors.CopyTo(model.Judge(rows, null), judged);
        double[] distance = [0, 1, 1, 5];
        for (int i = 1; i < 4; i++)
            Assert.IsLessThanOrEqualTo(distance[i] + 1e-3, Math.Abs(judged[i] - judged[0]));
    }

    [TestMethod]
    public void Clipped_weights_stay_within_the_clip()
    {
        using GanModel model = Model(Shape());
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(torch.CPU, 9);
        var options = new GanOptions { Objective = GanObjective.Wasserstein, WeightClip = 0.05 };
        using var training = new GanTraining(model, options, average: null, torch.CPU);
        var step = new StepContext(0, 10, random);
        training.Loss(Rows(), GanTraining.Discriminator, step)[0].Value.backward();
        using (torch.no_grad())
            training.AfterUpdate(GanTraining.Discriminator, step);
        foreach ((string name, torch.Tensor weight) in model.Discriminator.NamedTensors())
            Assert.IsLessThanOrEqualTo(0.05 + 1e-7, weight.detach().abs().norm(float.PositiveInfinity).item<float>(), name);
    }

    [TestMethod]
    public void Packs_are_rows_side_by_side_each_with_its_condition()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor rows = torch.tensor([1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f], [4, 2]);
        torch.Tensor labels = torch.tensor([10f, 20f, 30f, 40f], [4, 1]);
        torch.Tensor packs = GanModel.Packed(rows, labels, 2);
        CollectionAssert.AreEqual(new long[] { 2, 6 }, packs.shape);
        float[] values = new float[12];
        HostTensors.CopyTo(packs, values);
        CollectionAssert.AreEqual(new float[] { 1, 2, 10, 3, 4, 20, 5, 6, 30, 7, 8, 40 }, values);
    }

    [TestMethod]
    public void Averaged_weights_are_the_running_mean_worked_by_hand()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(torch.CPU, 9);
        using Dense network = new Dense(1, 1, random).OutliveScope(), average = new Dense(1, 1, random).OutliveScope();
        using IDisposable noGradient = torch.no_grad();
        average.Weight.fill_(4);
        network.Weight.fill_(10);
        WeightAverage.Update(average, network, decay: 0.5, count: 0); // the first keeps a tenth
        Assert.AreEqual(0.1 * 4 + 0.9 * 10, average.Weight.item<float>(), 1e-5);
        WeightAverage.Update(average, network, decay: 0.5, count: 1000);
        Assert.AreEqual(0.5 * 9.4 + 0.5 * 10, average.Weight.item<float>(), 1e-5);
        WeightAverage.Exchange(average, network);
        Assert.AreEqual(10, average.Weight.item<float>(), 1e-5);
        Assert.AreEqual(9.7, network.Weight.item<float>(), 1e-5);
    }
}
