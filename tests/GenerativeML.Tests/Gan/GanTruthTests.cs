using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>What is each objective's own, against hand values, closed forms and finite differences.</summary>
[TestClass]
public class GanTruthTests
{
    private const double A = 0.5, B = -1.2, C = 0.3, D = 2; // what the discriminator says of two real and two made rows

    private static double Softplus(double x) => Math.Log(1 + Math.Exp(x));

    private static double Probability(double x) => 1 / (1 + Math.Exp(-x));

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
        var random = new SeededRandom(torch.CPU, 3);
        torch.Tensor weight = torch.tensor([3f, 4f], [2, 1]).requires_grad_();
        torch.Tensor real = torch.tensor([1f, 2f, 0f, 1f], [2, 2]), made = torch.tensor([0f, 0f, 5f, 1f], [2, 2]);
        torch.Tensor penalty = GanLoss.GradientPenalty(x => x.mm(weight), real, made, 1, random);
        Assert.AreEqual(16, penalty.item<float>(), 1e-4); // (|w| − 1)², |w| = 5
        penalty.backward();
        float[] gradient = weight.grad!.data<float>().ToArray();
        Assert.AreEqual(2 * 4 * 3 / 5.0, gradient[0], 1e-4); // 2·(|w| − 1)·w/|w|
        Assert.AreEqual(2 * 4 * 4 / 5.0, gradient[1], 1e-4);

        // In packs of two the gradient of a pack is that of both its rows: its norm is √2·|w|.
        torch.Tensor packed = GanLoss.GradientPenalty(
            x => x.mm(weight).reshape(1, 2).sum(1L, keepdim: true), real, made, 2, random);
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
        GanNetwork network = TestGan.Network(
            new GanOptions
            {
                Objective = objective, PackSize = pack, InstanceNoise = 0.1, GradientPenaltyWeight = 2,
                SpectralNormalization = false,
            },
            conditional ? 2 : 0);
        // What is common to all outputs cancels in differences of means, and in the hinge within its margin.
        bool absorbed = objective
            is GanObjective.Wasserstein or GanObjective.WassersteinGradientPenalty or GanObjective.Hinge;
        LossGradients.Check(network, absorbed ? ["discriminator.1.bias"] : []);
    }

    [TestMethod]
    public void Gradients_pass_through_spectral_norms_whose_vectors_are_constants_of_a_step()
    {
        GanNetwork network = TestGan.Network(
            new GanOptions { Objective = GanObjective.NonSaturating, SpectralNormalization = true });
        LossGradients.Check(network, weights: host => network.Initialize(host, null!));
    }

    [TestMethod]
    public void Spectral_normalisation_divides_by_the_largest_singular_value()
    {
        // Columns (2, 1, 0) and (1, −1, 3): the larger root of λ² − 16λ + (5·11 − 1²) is the square of the value.
        float[] values = [2f, 1f, 1f, -1f, 0f, 3f];
        double largest = Math.Sqrt(8 + Math.Sqrt(64 - 54));
        var declared = new LayerSpecs();
        SpectralNorm.DeclareLinear(declared, "layer", inputs: 2, outputs: 3);
        var weights = new HostWeights(declared.Tensors);
        values.CopyTo(weights["layer.weight"], 0);
        SpectralNorm.Initialize(weights, "layer", seed: 3);

        using DisposeScope scope = torch.NewDisposeScope();
        Dictionary<string, torch.Tensor> tensors = weights.ToTensors(torch.CPU);
        float[] normal = Normalized();
        for (int i = 0; i < values.Length; i++)
            Assert.AreEqual(values[i] / largest, normal[i], 1e-5);

        // After a small step one iteration follows.
        using (torch.no_grad())
            tensors["layer.weight"].Add(0.01);
        SpectralNorm.Iterate(tensors, "layer");
        torch.Tensor moved = HostTensors.FromRows(Normalized(), 3, 2, torch.CPU);
        Assert.AreEqual(1, torch.linalg.svdvals(moved)[0].item<float>(), 1e-4);

        float[] Normalized()
        {
            torch.Tensor unit = torch.eye(2);
            torch.Tensor columns = SpectralNorm.Linear<TorchTensor>(new TorchOps(tensors).Root, "layer", unit);
            return columns.t().contiguous().data<float>().ToArray(); // (3, 2), for the bias is zero
        }
    }

    [TestMethod]
    public void A_discriminator_with_spectral_normalisation_is_never_steeper_than_one()
    {
        GanNetwork network = TestGan.Network(new GanOptions { Objective = GanObjective.Hinge });
        using DisposeScope scope = torch.NewDisposeScope();
        using var layers = new TorchLayers(network.Declare, torch.CPU, seed: 5);
        HostWeights weights = layers.ToHost(network.Tensors());
        network.Initialize(weights, null!);
        foreach (TensorSpec spec in weights.Specs.Where(s => s.Name.EndsWith(".weight", StringComparison.Ordinal)))
        {
            foreach (ref float value in weights[spec.Name].AsSpan())
                value *= 10;
        }
        layers.LoadStateDict(weights);
        for (int i = 0; i < 30; i++)
            network.AfterUpdate(layers, GanNetwork.DiscriminatorUpdate, default);
        torch.Tensor rows = torch.tensor([0f, 0f, 0f, 1f, 0f, 0f, 0f, 1f, 0f, -3f, 0f, 4f], [4, 3]);
        torch.Tensor outputs = network.JudgeAlone(new TorchOps(layers.Tensors).Root, new(rows, null));
        float[] judged = outputs.detach().data<float>().ToArray();
        double[] distance = [0, 1, 1, 5];
        for (int i = 1; i < 4; i++)
            Assert.IsLessThanOrEqualTo(distance[i] + 1e-3, Math.Abs(judged[i] - judged[0]));
    }

    [TestMethod]
    public void Clipped_weights_stay_within_the_clip_and_the_generators_are_not_clipped()
    {
        GanNetwork network = TestGan.Network(new GanOptions { Objective = GanObjective.Wasserstein, WeightClip = 0.05 });
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        using var layers = new TorchLayers(network.Declare, torch.CPU, seed: 5);
        network.AfterUpdate(layers, GanNetwork.DiscriminatorUpdate, default);
        Assert.AreEqual(0.05f, Largest("discriminator"));
        Assert.IsGreaterThan(0.1f, Largest("generator"));

        float Largest(string part) => layers.Parameters(part).Max(p => p.detach().abs().max().item<float>());
    }

    [TestMethod]
    public void Packs_are_rows_side_by_side_each_with_its_condition()
    {
        GanNetwork network = TestGan.Network(new GanOptions { PackSize = 2 }, conditions: 1, width: 2);
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor rows = torch.tensor([1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f], [4, 2]);
        torch.Tensor labels = torch.tensor([10f, 20f, 30f, 40f], [4, 1]);
        torch.Tensor packs = network.Packed<TorchTensor>(new(rows, new TorchTensor(labels)));
        CollectionAssert.AreEqual(new long[] { 2, 6 }, packs.shape);
        CollectionAssert.AreEqual(
            new float[] { 1, 2, 10, 3, 4, 20, 5, 6, 30, 7, 8, 40 }, packs.data<float>().ToArray());
    }

    [TestMethod]
    public void Averaged_weights_are_the_running_mean_worked_by_hand()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor mean = torch.tensor([4f]), value = torch.tensor([10f]);
        WeightAverage.Update([(mean, value)], decay: 0.5, count: 0); // the first keeps a tenth
        Assert.AreEqual(0.1 * 4 + 0.9 * 10, mean.item<float>(), 1e-5);
        WeightAverage.Update([(mean, value)], decay: 0.5, count: 1000);
        Assert.AreEqual(0.5 * 9.4 + 0.5 * 10, mean.item<float>(), 1e-5);
    }
}
