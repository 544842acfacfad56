using TorchSharp;

namespace GenerativeML.Torch.Tests;

/// <summary>A VAE's training step in managed code, against the same step in torch.</summary>
[TestClass]
public class VaeStepTests
{
    private const int Rows = 130;

    public static IEnumerable<object[]> Cases =>
    [
        [new VaeOptions(), new[] { 17, 9 }, 0, 11, 1],
        [new VaeOptions { KlWeight = 3, KlWarmupFraction = 0.5 }, new[] { 8 }, 3, 21, 2],
        // About half of the codes' slots lie below.
        [new VaeOptions { FreeBits = 0.02 }, new[] { 30 }, 0, 0, 3],
        [new VaeOptions(), Array.Empty<int>(), 2, 5, 2],
    ];

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void Losses_and_gradients_are_those_of_torch(
        object options, int[] hidden, int conditions, int bernoulli, int threads)
    {
        const int width = 21;
        VaeShape shape = VaeTruthTests.Shape(width, bernoulli, latent: 6, hidden);
        if (conditions > 0)
            shape = shape with { ConditionWidths = [conditions], ConditionRows = 10 };
        bool[] marks = [.. Enumerable.Range(0, width).Select(i => i < bernoulli)];
        using VaeModel expected = VaeTruthTests.Model(shape, marks), actual = VaeTruthTests.Model(shape, marks);
        using DisposeScope scope = torch.NewDisposeScope();
        foreach (VaeModel model in new[] { expected, actual })
        {
            using IDisposable noGradient = torch.no_grad();
            // Two variances at the limit, and a code's as well.
            model.Network.OutputLogVarianceParameter.narrow(0, width - 2, 2).fill_(-12);
            model.Network.CodeLayers()[1].Bias.narrow(0, 0, 1).fill_(20);
        }
        using var random = new SeededRandom(torch.CPU, 3);
        torch.Tensor rows = random.Uniform([Rows, width], 0, 1), labels = random.Normal([Rows, Math.Max(1, conditions)]);
        var batch = new Batch(conditions > 0 ? [rows, labels] : [rows], Rows);

        using var slow = new VaeTraining(expected, (VaeOptions)options, average: null, managed: false);
        using var fast = new VaeTraining(actual, (VaeOptions)options, average: null, managed: true);
        int before = torch.get_num_threads();
        torch.set_num_threads(threads);
        try
        {
            (double[] wanted, double[] got) = (Step(slow, batch), Step(fast, batch));
            Assert.AreEqual(wanted[0], got[0], 1e-5 * Math.Abs(wanted[0]), "reconstruction");
            Assert.AreEqual(wanted[1], got[1], 1e-5 * Math.Abs(wanted[1]), "kl");
        }
        finally
        {
            torch.set_num_threads(before);
        }
        foreach (((string name, torch.Tensor a), (_, torch.Tensor b)) in
            expected.Network.NamedTensors().Zip(actual.Network.NamedTensors()))
        {
            float[] got = b.grad!.data<float>().ToArray();
            if (a.grad is null)
            {
                // Where all slots are Bernoulli nothing depends on it.
                Assert.AreEqual("output_log_variance", name);
                Assert.IsTrue(bernoulli == width && got.All(g => g == 0));
                continue;
            }
            float[] wanted = a.grad.data<float>().ToArray();
            // Sums of some hundred terms in Single: they differ by their roundings.
            double size = wanted.Max(Math.Abs);
            Assert.IsGreaterThan(1e-6, size, name);
            for (int i = 0; i < wanted.Length; i++)
                Assert.AreEqual(wanted[i], got[i], 2e-5 * size, $"{name}[{i}]");
        }
    }

    private static double[] Step(VaeTraining training, Batch batch)
    {
        using var random = new SeededRandom(torch.CPU, 9);
        var context = new StepContext(3, 10, random) { Share = 0.7 };
        IReadOnlyList<LossTerm> terms = training.Loss(batch, 0, context);
        training.Backward(terms, context);
        return [.. terms.Select(t => (double)t.Value.item<float>())];
    }
}
