using TorchSharp;

namespace GenerativeML.Torch.Tests;

/// <summary>A critic's training step in managed code, against the same step in torch with its double backward.</summary>
[TestClass]
public class CriticStepTests
{
    [TestMethod]
    [DataRow(Activation.Relu, 1, 1)]
    [DataRow(Activation.LeakyRelu, 2, 2)]
    [DataRow(Activation.Identity, 1, 3)]
    public void Losses_and_gradients_are_those_of_torch(Activation activation, int pack, int threads)
    {
        GanShape shape = GanTruthTests.Shape(pack) with
        {
            InputWidth = 5, DiscriminatorLayers = [33, 18, 7], Activation = activation,
        };
        var options = new GanOptions
        {
            Objective = GanObjective.WassersteinGradientPenalty, GradientPenaltyWeight = 3, Activation = activation,
        };
        using GanModel expected = GanTruthTests.Model(shape), actual = GanTruthTests.Model(shape);
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(torch.CPU, 3);
        var batch = new Batch([random.Normal([62, 5])], 62);
        using var slow = new GanTraining(expected, options, average: null, torch.CPU, managed: false);
        using var fast = new GanTraining(actual, options, average: null, torch.CPU);

        int before = torch.get_num_threads();
        torch.set_num_threads(threads);
        try
        {
            (double[] wanted, double[] got) = (Step(slow, batch), Step(fast, batch));
            Assert.AreEqual(wanted[0], got[0], 1e-5, "discriminator");
            Assert.AreEqual(wanted[1], got[1], 1e-5 * wanted[1], "gradient penalty");
        }
        finally
        {
            torch.set_num_threads(before);
        }
        foreach (((string name, torch.Tensor a), (_, torch.Tensor b)) in
            expected.Discriminator.NamedTensors().Zip(actual.Discriminator.NamedTensors()))
        {
            float[] wanted = a.grad!.data<float>().ToArray(), got = b.grad!.data<float>().ToArray();
            double size = wanted.Max(Math.Abs);
            // Biases that move all packs alike gain from the generated ones what they lose to the real ones.
            Assert.IsTrue(size > 1e-4 || name.EndsWith(".bias", StringComparison.Ordinal), name);
            for (int i = 0; i < wanted.Length; i++)
                Assert.AreEqual(wanted[i], got[i], 1e-5 * Math.Max(size, 0.01), $"{name}[{i}]");
        }
    }

    private static double[] Step(GanTraining training, Batch batch)
    {
        using var random = new SeededRandom(torch.CPU, 9);
        var context = new StepContext(3, 10, random) { Share = 0.7 };
        IReadOnlyList<LossTerm> terms = training.Loss(batch, GanTraining.Discriminator, context);
        training.Backward(terms, context);
        return [.. terms.Select(t => (double)t.Value.item<float>())];
    }
}
