using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class GptNetworkTests
{
    [TestMethod]
    public void The_cpu_configuration_has_the_published_number_of_weights()
    {
        Assert.AreEqual(804_096, new GptNetwork(new() { VocabularySize = 65 }).ParameterCount);
        GptNetwork gpt2 = new(new()
        {
            VocabularySize = 50257, ContextLength = 1024, Layers = 12, Heads = 12, Width = 768, Biases = true,
            Gelu = GeluForm.Tanh,
        });
        Assert.AreEqual(124_439_808, gpt2.ParameterCount);
    }

    [TestMethod]
    public void New_weights_are_those_that_the_network_names_and_of_GPT2s_sizes()
    {
        foreach (bool biases in new[] { true, false })
        {
            GptNetwork network = RandomGpt.Network(layers: 2, width: 48, biases: biases, tied: biases);
            using var layers = new TorchLayers(network.Declare, torch.CPU, 3);
            CollectionAssert.AreEqual(
                network.Tensors.Select(t => $"{t.Name} {TensorSpec.Describe(t.Shape)}").ToArray(),
                layers.Tensors.Select(t => $"{t.Key} {TensorSpec.Describe(t.Value.shape)}").ToArray());
            HostWeights weights = layers.ToHost(network.Tensors);
            network.Initialize(weights, 3);
            Assert.AreEqual(0.02, Deviation("h.0.attn.c_attn.weight"), 0.002);
            Assert.AreEqual(0.01, Deviation("h.1.mlp.c_proj.weight"), 0.001); // 0.02 / √(2·2)
            Assert.AreEqual(0, Deviation("ln_f.weight"));
            Assert.AreEqual(1, weights["ln_f.weight"].Average());

            double Deviation(string name)
            {
                double mean = weights[name].Average(v => (double)v);
                return Math.Sqrt(weights[name].Average(v => (v - mean) * (v - mean)));
            }
        }
    }

    [TestMethod]
    public void A_token_changes_nothing_before_it_and_everything_from_it_on()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        GptNetwork network = TinyGpt.Network();
        using TorchLayers module = TinyGpt.Module(network);
        torch.Tensor tokens = TinyGpt.Tokens(1, 8), other = tokens.clone();
        const int changed = 5;
        other.narrow(1, changed, 1).copy_(tokens.narrow(1, changed, 1).add(1).mul(-1).add(11));
        Assert.AreNotEqual(tokens[0, changed].item<long>(), other[0, changed].item<long>());
        torch.Tensor before = TinyGpt.Forward(network, module.Tensors, tokens).Logits;
        torch.Tensor after = TinyGpt.Forward(network, module.Tensors, other).Logits;
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
        var network = new GptNetwork(TinyGpt.Options() with { Dropout = dropout });
        using TorchLayers module = TinyGpt.Module(network);
        Backward(network, module);
        foreach ((string name, torch.Tensor value) in module.Tensors)
        {
            float[] gradient = TinyGpt.Values(value.grad!);
            // Biases of keys shift all scores of a query alike, which softmax does not see.
            int blind = name.EndsWith("c_attn.bias", StringComparison.Ordinal) ? 8 : 0;
            int moved = gradient.Count(g => Math.Abs(g) > 1e-7);
            Assert.IsGreaterThanOrEqualTo(dropout > 0 ? gradient.Length / 2 : gradient.Length - blind, moved, name);
        }
    }

    [TestMethod]
    [DataRow(GeluForm.Erf, true)]
    [DataRow(GeluForm.Tanh, false)]
    public void Gradients_are_those_of_finite_differences(GeluForm gelu, bool tied)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        var network = new GptNetwork(TinyGpt.Options(gelu: gelu) with { TieEmbeddings = tied });
        using TorchLayers module = TinyGpt.Module(network);
        Backward(network, module);
        foreach ((string name, torch.Tensor value) in module.Tensors)
        {
            // Along the gradient, where the difference is largest in relation to rounding.
            float[] gradient = TinyGpt.Values(value.grad!);
            double size = Math.Sqrt(gradient.Sum(g => (double)g * g));
            const double step = 5e-3;
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor direction = value.grad!.mul(step / size);
            value.add_(direction);
            double above = Loss(network, module);
            value.sub_(direction).sub_(direction);
            double below = Loss(network, module);
            value.add_(direction);
            Assert.AreEqual(size, (above - below) / (2 * step), (0.01 * size) + 1e-4, name);
        }
    }

    [TestMethod]
    public void Checkpointed_blocks_leave_out_the_same_and_give_the_same_gradients()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        GptOptions options = TinyGpt.Options() with { Dropout = 0.3 };
        GptNetwork plain = new(options), checkpointed = new(options with { GradientCheckpointing = true });
        using TorchLayers one = TinyGpt.Module(plain), other = TinyGpt.Module(checkpointed);
        Backward(plain, one);
        Backward(checkpointed, other);
        foreach (((string name, torch.Tensor a), (_, torch.Tensor b)) in one.Tensors.Zip(other.Tensors))
            CollectionAssert.AreEqual(TinyGpt.Values(a.grad!), TinyGpt.Values(b.grad!), name);
    }

    [TestMethod]
    public void Merged_adapters_give_what_they_gave_beside_the_weights()
    {
        var lora = new LoraOptions { Rank = 3, Alpha = 5 };
        using DisposeScope scope = torch.NewDisposeScope();
        GptNetwork network = TinyGpt.Network(), adapted = new(TinyGpt.Options() with { Lora = lora });
        using TorchLayers module = TinyGpt.Module(adapted);
        torch.Tensor tokens = TinyGpt.Tokens(3, 8);
        float[] without = Logits(adapted, module);
        CollectionAssert.AreEqual(Logits(network, module), without);
        using (torch.no_grad())
        {
            foreach ((string name, torch.Tensor value) in module.Tensors.Where(t => t.Key.Contains("lora_")))
                value.copy_(new SeededRandom(torch.CPU, (ulong)name.Length).Normal(value.shape, 0.3));
        }
        float[] with = Logits(adapted, module);
        Assert.IsGreaterThan(0.01, without.Zip(with, (a, b) => Math.Abs(a - b)).Max());

        GptAdapters adapters = GptAdapters.Of(lora, module.ToHost(adapted.Declared().Tensors));
        Assert.HasCount(8, adapters.Layers);
        using var file = new MemoryStream();
        adapters.Save(file);
        file.Position = 0;
        HostWeights merged = TinyGpt.Weights(network);
        GptAdapters.Load(file, network).MergeInto(merged);
        using TorchLayers plain = TinyGpt.Module(network, merged);
        float[] together = Logits(network, plain);
        for (int i = 0; i < with.Length; i++)
            Assert.AreEqual(with[i], together[i], 1e-5);

        float[] Logits(GptNetwork of, TorchLayers tensors) => TinyGpt.Values(
            TinyGpt.Forward(of, tensors.Tensors.Where(t => of == adapted || !t.Key.Contains("lora_")).ToDictionary(), tokens)
                .Logits);
    }

    private static void Backward(GptNetwork network, TorchLayers module)
    {
        var random = new SeededRandom(torch.CPU, 11);
        TinyGpt.Backward(network, module, new Batch([TinyGpt.Tokens(3, 9)], 3), new(0, 1, random, Seed: 11));
    }

    private static double Loss(GptNetwork network, TorchLayers module) =>
        TinyGpt.Loss(network, module, new Batch([TinyGpt.Tokens(3, 9)], 3)).Value.item<float>();
}
