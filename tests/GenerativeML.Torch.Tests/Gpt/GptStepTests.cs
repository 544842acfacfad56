using TorchSharp;

namespace GenerativeML.Torch.Tests;

/// <summary>Training steps in managed code, against the same network in torch.</summary>
[TestClass]
public class GptStepTests
{
    // Several blocks of tokens in attention, a vocabulary and widths that fill no vector, heads that do not divide
    // evenly among the threads.
    private static GptShape Shape(bool biases, GeluForm gelu) => new()
    {
        VocabularySize = 37, ContextLength = 101, Layers = 3, Heads = 3, Width = 42, Biases = biases, Gelu = gelu,
    };

    [TestMethod]
    [DataRow(false, GeluForm.Erf, 1)]
    [DataRow(true, GeluForm.Tanh, 2)]
    [DataRow(true, GeluForm.Erf, 5)]
    public void Loss_and_gradients_are_those_of_torch_on_any_number_of_threads(bool biases, GeluForm gelu, int threads)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        GptShape shape = Shape(biases, gelu);
        using GptNetwork expected = TinyGpt.Network(shape), actual = TinyGpt.Network(shape);
        torch.Tensor tokens = Tokens(shape, 4);
        double expectedLoss = InTorch(expected, tokens), loss;
        using (var step = new GptStep(shape, 4, threads))
            loss = step.Run(Tensors(actual), Numbers(tokens), share: 1);
        Assert.AreEqual(expectedLoss, loss, 1e-5);
        AssertSameGradients(expected, actual);
    }

    [TestMethod]
    public void A_step_of_fewer_sequences_uses_the_same_memory_and_gradients_add_up()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        GptShape shape = Shape(biases: true, GeluForm.Erf);
        using GptNetwork whole = TinyGpt.Network(shape), parts = TinyGpt.Network(shape);
        torch.Tensor tokens = Tokens(shape, 5);
        InTorch(whole, tokens);
        using var step = new GptStep(shape, 3, threads: 2);
        step.Run(Tensors(parts), Numbers(tokens.narrow(0, 0, 3)), share: 3 / 5.0);
        step.Run(Tensors(parts), Numbers(tokens.narrow(0, 3, 2)), share: 2 / 5.0);
        AssertSameGradients(whole, parts);
    }

    [TestMethod]
    public void The_same_step_on_as_many_threads_gives_the_same_bits()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        GptShape shape = Shape(biases: true, GeluForm.Tanh);
        torch.Tensor tokens = Tokens(shape, 4);
        using GptNetwork first = TinyGpt.Network(shape), second = TinyGpt.Network(shape);
        foreach (GptNetwork network in new[] { first, second })
        {
            using var step = new GptStep(shape, 4, threads: 3);
            step.Run(Tensors(network), Numbers(tokens), share: 1);
        }
        foreach (((string name, torch.Tensor a), (_, torch.Tensor b)) in first.NamedTensors().Zip(second.NamedTensors()))
            CollectionAssert.AreEqual(TinyGpt.Values(a.grad!), TinyGpt.Values(b.grad!), name);
    }

    private static double InTorch(GptNetwork network, torch.Tensor tokens)
    {
        using var random = new SeededRandom(torch.CPU);
        using var training = new GptTraining(network, new GptOptions(), bfloat16: false, managed: false);
        StepContext context = new(0, 1, random);
        IReadOnlyList<LossTerm> terms = training.Loss(new Batch([tokens], (int)tokens.shape[0]), 0, context);
        training.Backward(terms, context);
        return terms[0].Value.item<float>();
    }

    private static void AssertSameGradients(GptNetwork expected, GptNetwork actual)
    {
        foreach (((string name, torch.Tensor a), (_, torch.Tensor b)) in
            expected.NamedTensors().Zip(actual.NamedTensors()))
        {
            float[] wanted = TinyGpt.Values(a.grad!), got = TinyGpt.Values(b.grad!);
            // Both are sums of some hundred terms in Single: they differ by their roundings.
            double size = wanted.Max(Math.Abs);
            Assert.IsGreaterThan(1e-6, size, name);
            for (int i = 0; i < wanted.Length; i++)
                Assert.AreEqual(wanted[i], got[i], 1e-5 * size + 1e-8, $"{name}, element {i}");
        }
    }

    private static Dictionary<string, torch.Tensor> Tensors(GptNetwork network) =>
        network.NamedTensors().ToDictionary(t => t.Name, t => t.Value);

    private static long[] Numbers(torch.Tensor tokens)
    {
        var numbers = new long[tokens.numel()];
        System.Runtime.InteropServices.MemoryMarshal.Cast<byte, long>(tokens.contiguous().bytes).CopyTo(numbers);
        return numbers;
    }

    private static torch.Tensor Tokens(GptShape shape, int sequences)
    {
        torch.Tensor tokens = torch.empty(sequences, shape.ContextLength + 1, torch.ScalarType.Int64);
        long[] numbers = [.. Enumerable.Range(0, (int)tokens.numel()).Select(i => i * i % 1009L % shape.VocabularySize)];
        System.Runtime.InteropServices.MemoryMarshal.AsBytes<long>(numbers).CopyTo(tokens.bytes);
        return tokens;
    }
}
