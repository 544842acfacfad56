using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class GptNetworkTests
{
    [TestMethod]
    public void The_cpu_configuration_has_the_published_number_of_weights()
    {
        var options = new GptOptions();
        Assert.AreEqual(804_096, GptFit.ShapeOf(options, 65).ParameterCount());
        GptShape gpt2 = new()
        {
            VocabularySize = 50257, ContextLength = 1024, Layers = 12, Heads = 12, Width = 768, Biases = true,
            Gelu = GeluForm.Tanh,
        };
        Assert.AreEqual(124_439_808, gpt2.ParameterCount());
    }

    [TestMethod]
    public void The_networks_tensors_are_those_of_the_shape()
    {
        foreach (bool biases in new[] { true, false })
        {
            GptShape shape = TinyGpt.Shape(biases);
            using DisposeScope scope = torch.NewDisposeScope();
            using GptNetwork network = TinyGpt.Network(shape);
            CollectionAssert.AreEquivalent(
                shape.Tensors().Select(t => $"{t.Name} {string.Join('x', t.Shape)}").ToArray(),
                network.NamedTensors().Select(t => $"{t.Name} {string.Join('x', t.Value.shape)}").ToArray());
            TinyGpt.AssertSame(TinyGpt.Weights(shape), network.ToWeights());
        }
    }

    [TestMethod]
    public void A_token_changes_nothing_before_it_and_everything_from_it_on()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using GptNetwork network = TinyGpt.Network(TinyGpt.Shape());
        torch.Tensor tokens = TinyGpt.Tokens(1, 8), other = tokens.clone();
        const int changed = 5;
        other.narrow(1, changed, 1).copy_(tokens.narrow(1, changed, 1).add(1).mul(-1).add(11));
        Assert.AreNotEqual(tokens[0, changed].item<long>(), other[0, changed].item<long>());
        torch.Tensor before = network.Logits(tokens), after = network.Logits(other);
        for (int t = 0; t < 8; t++)
        {
            float[] a = TinyGpt.Values(before[0, t]), b = TinyGpt.Values(after[0, t]);
            if (t < changed)
                CollectionAssert.AreEqual(a, b, $"position {t}");
            else
                CollectionAssert.AreNotEqual(a, b, $"position {t}");
        }
    }

    [TestMethod]
    [DataRow(0.0)]
    [DataRow(0.3)]
    public void Every_weight_gets_a_gradient(double dropout)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using GptNetwork network = TinyGpt.Network(TinyGpt.Shape());
        Backward(network, new GptOptions { Dropout = dropout });
        foreach ((string name, torch.Tensor value) in network.NamedTensors())
        {
            float[] gradient = TinyGpt.Values(value.grad!);
            // Biases of keys shift all scores of a query alike, which softmax does not see.
            int blind = name.EndsWith("c_attn.bias", StringComparison.Ordinal) ? 8 : 0;
            int moved = gradient.Count(g => Math.Abs(g) > 1e-7);
            Assert.IsGreaterThanOrEqualTo(dropout > 0 ? gradient.Length / 2 : gradient.Length - blind, moved, name);
        }
    }

    [TestMethod]
    [DataRow(GeluForm.Erf)]
    [DataRow(GeluForm.Tanh)]
    public void Gradients_are_those_of_finite_differences(GeluForm gelu)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using GptNetwork network = TinyGpt.Network(TinyGpt.Shape(biases: true, gelu));
        Backward(network, new GptOptions());
        foreach ((string name, torch.Tensor value) in network.NamedTensors())
        {
            // Along the gradient, where the difference is largest in relation to rounding.
            float[] gradient = TinyGpt.Values(value.grad!);
            double size = Math.Sqrt(gradient.Sum(g => (double)g * g));
            const double step = 5e-3;
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor direction = value.grad!.mul(step / size);
            value.add_(direction);
            double above = Loss(network);
            value.sub_(direction).sub_(direction);
            double below = Loss(network);
            value.add_(direction);
            Assert.AreEqual(size, (above - below) / (2 * step), (0.01 * size) + 1e-4, name);
        }
    }

    [TestMethod]
    public void Checkpointed_blocks_leave_out_the_same_and_give_the_same_gradients()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using GptNetwork plain = TinyGpt.Network(TinyGpt.Shape()), checkpointed = TinyGpt.Network(TinyGpt.Shape());
        Backward(plain, new GptOptions { Dropout = 0.3 });
        Backward(checkpointed, new GptOptions { Dropout = 0.3, GradientCheckpointing = true });
        foreach (((string name, torch.Tensor a), (_, torch.Tensor b)) in
            plain.NamedTensors().Zip(checkpointed.NamedTensors()))
            CollectionAssert.AreEqual(TinyGpt.Values(a.grad!), TinyGpt.Values(b.grad!), name);
    }

    [TestMethod]
    public void Merged_adapters_give_what_they_gave_beside_the_weights()
    {
        var lora = new LoraOptions { Rank = 3, Alpha = 5 };
        using DisposeScope scope = torch.NewDisposeScope();
        using GptNetwork adapted = TinyGpt.Network(TinyGpt.Shape(), lora);
        adapted.eval();
        torch.Tensor tokens = TinyGpt.Tokens(3, 8);
        float[] without = TinyGpt.Values(adapted.Logits(tokens));
        using (torch.no_grad())
        {
            foreach ((string name, torch.Tensor value) in
                adapted.NamedTensors().Where(t => GptAdapters.IsAdapter(t.Name)))
                value.copy_(new SeededRandom(torch.CPU, (ulong)name.Length).Normal(value.shape, 0.3));
        }
        float[] with = TinyGpt.Values(adapted.Logits(tokens));
        Assert.IsGreaterThan(0.01, without.Zip(with, (a, b) => Math.Abs(a - b)).Max());

        GptAdapters adapters = GptAdapters.Of(adapted);
        Assert.HasCount(8, adapters.Layers);
        using var file = new MemoryStream();
        adapters.Save(file);
        file.Position = 0;
        GptWeights merged = adapted.ToWeights();
        GptAdapters.Load(file, merged.Shape).MergeInto(merged);
        using GptNetwork plain = TinyGpt.Network(merged.Shape);
        plain.Take(merged);
        float[] together = TinyGpt.Values(plain.Logits(tokens));
        for (int i = 0; i < with.Length; i++)
            Assert.AreEqual(with[i], together[i], 1e-5);
    }

    private static void Backward(GptNetwork network, GptOptions options)
    {
        using var random = new SeededRandom(torch.CPU, 11);
        var training = new GptTraining(network, options, bfloat16: false);
        StepContext context = new(0, 1, random, Seed: 11);
        training.Backward(training.Loss(new Batch([TinyGpt.Tokens(3, 9)], 3), 0, context), context);
    }

    private static double Loss(GptNetwork network) => new GptTraining(network, new GptOptions(), bfloat16: false)
        .ValidationLoss(new Batch([TinyGpt.Tokens(3, 9)], 3), default)[0].Value.item<float>();
}
