using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>The network against an independent program: tests/peers/gpt_peer.py.</summary>
[TestClass]
public class GptParityTests
{
    private static readonly GptExpected Expected = GptExpected.Read();

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void Logits_and_loss_are_those_of_the_peer(int number)
    {
        GptExpected.Case expected = Expected.Cases[number];
        using DisposeScope scope = torch.NewDisposeScope();
        GptNetwork network = Expected.Network(expected);
        using TorchLayers module = TinyGpt.Module(network, GptExpected.Weights(network));
        torch.Tensor tokens = Tokens();
        (_, torch.Tensor logits) =
            TinyGpt.Forward(network, module.Tensors, tokens.narrow(1, 0, Expected.Context));
        AssertClose(expected.Logits, TinyGpt.Values(logits), 1e-5, "logits");

        using IDisposable noGradient = torch.no_grad();
        LossTerm loss = TinyGpt.Loss(network, module, new Batch([tokens], 3));
        Assert.AreEqual(expected.Loss, loss.Value.item<float>(), 1e-5);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void Logits_read_bit_by_bit_are_those_of_the_peer(int number)
    {
        GptExpected.Case expected = Expected.Cases[number];
        GptNetwork network = Expected.Network(expected);
        using var model = new TrainedGpt(network, GptExpected.Weights(network));
        using SequenceState decoder = model.NewDecoder(3, Expected.Context);
        List<float> logits = [];
        for (int row = 0; row < 3; row++)
        {
            int[] tokens = [.. Expected.Tokens[row].Select(t => (int)t)];
            decoder.Read(row, 0, tokens.AsSpan(0, 2), all: true);
            logits.AddRange([.. decoder.Logits(0), .. decoder.Logits(1)]);
            for (int i = 2; i < Expected.Context; i++)
            {
                decoder.Read(row, i, tokens.AsSpan(i, 1), all: false);
                logits.AddRange(decoder.Logits(0));
            }
        }
        AssertClose(expected.Logits, [.. logits], 1e-5, "logits");
    }

    [TestMethod]
    [DataRow(0, false, 1)]
    [DataRow(0, true, 1)]
    [DataRow(1, false, 1)]
    [DataRow(1, true, 3)]
    [DataRow(1, false, 2)]
    public void Every_gradient_is_that_of_the_peer_checkpointed_and_accumulated_too(
        int number, bool checkpointing, int parts)
    {
        GptExpected.Case expected = Expected.Cases[number];
        using DisposeScope scope = torch.NewDisposeScope();
        GptNetwork network = Expected.Network(expected, checkpointing);
        using TorchLayers module = TinyGpt.Module(network, GptExpected.Weights(network));
        double loss = Backward(network, module, parts);
        Assert.AreEqual(expected.Loss, loss, 1e-5);
        Assert.HasCount(expected.Gradients.Count, module.Tensors);
        foreach ((string name, torch.Tensor value) in module.Tensors)
            AssertClose(expected.Gradients[name], TinyGpt.Values(value.grad!), 1e-5, name);
    }

    [TestMethod]
    [DataRow(0)]
    [DataRow(1)]
    public void Ten_steps_of_AdamW_end_where_the_peer_ends(int number)
    {
        GptExpected.Case expected = Expected.Cases[number];
        using DisposeScope scope = torch.NewDisposeScope();
        GptNetwork network = Expected.Network(expected);
        using TorchLayers module = TinyGpt.Module(network, GptExpected.Weights(network));
        using var optimizer = new FlatOptimizer(
            [.. module.Tensors.Values], Expected.Decay, clipNorm: 0,
            new AdamSettings(Expected.Beta1, Expected.Beta2, Expected.Epsilon));
        for (int step = 0; step < Expected.Steps; step++)
        {
            optimizer.ClearGradients();
            Backward(network, module, parts: 1);
            optimizer.Step(Expected.Rate);
        }
        foreach ((string name, torch.Tensor value) in module.Tensors)
            AssertClose(expected.After[name], TinyGpt.Values(value), 1e-5, name);
    }

    private static torch.Tensor Tokens()
    {
        torch.Tensor tokens = torch.empty(3, Expected.Context + 1, torch.ScalarType.Int64);
        MemoryMarshal.AsBytes<long>([.. Expected.Tokens.SelectMany(t => t)]).CopyTo(tokens.bytes);
        return tokens;
    }

    private static double Backward(GptNetwork network, TorchLayers module, int parts)
    {
        var random = new SeededRandom(torch.CPU);
        double loss = 0;
        var whole = new Batch([Tokens()], 3);
        for (int i = 0; i < parts; i++)
        {
            Batch part = whole.Part(new RowRange(0, 3, 3).Part(i, parts));
            StepContext context = new(0, 1, random) { Share = part.Rows / 3.0 };
            loss += TinyGpt.Backward(network, module, part, context).Value.item<float>() * context.Share;
        }
        return loss;
    }

    // Relative to the largest element: a small one among large ones is a difference of large ones.
    private static void AssertClose(float[] expected, float[] actual, double tolerance, string what)
    {
        Assert.HasCount(expected.Length, actual, what);
        double size = expected.Max(Math.Abs);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], (tolerance * size) + 1e-7, $"{what}, element {i}");
    }
}
