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
        using GptNetwork network = Network(expected);
        network.eval();
        torch.Tensor tokens = Tokens();
        float[] logits = Values(network.Logits(tokens.narrow(1, 0, Expected.Context)));
        AssertClose(expected.Logits, logits, 1e-5, "logits");

        using IDisposable noGradient = torch.no_grad();
        LossTerm loss = new GptTraining(network, Options(), bfloat16: false).ValidationLoss(
            new Batch([tokens], 3), default)[0];
        Assert.AreEqual(expected.Loss, loss.Value.item<float>(), 1e-5);
    }

    [TestMethod]
    [DataRow(0, false, false, 1)]
    [DataRow(0, true, false, 1)]
    [DataRow(0, false, true, 1)]
    [DataRow(1, false, false, 1)]
    [DataRow(1, true, false, 3)]
    [DataRow(1, false, false, 2)]
    [DataRow(1, false, true, 1)]
    [DataRow(1, false, true, 2)]
    public void Every_gradient_is_that_of_the_peer_checkpointed_managed_and_accumulated_too(
        int number, bool checkpointing, bool managed, int parts)
    {
        GptExpected.Case expected = Expected.Cases[number];
        using DisposeScope scope = torch.NewDisposeScope();
        using GptNetwork network = Network(expected);
        double loss = Backward(network, new GptOptions { GradientCheckpointing = checkpointing }, parts, managed);
        Assert.AreEqual(expected.Loss, loss, 1e-5);
        Assert.HasCount(expected.Gradients.Count, network.NamedTensors());
        foreach ((string name, torch.Tensor value) in network.NamedTensors())
            AssertClose(expected.Gradients[name], Values(value.grad!), 1e-5, name);
    }

    [TestMethod]
    [DataRow(0, false)]
    [DataRow(1, false)]
    [DataRow(0, true)]
    [DataRow(1, true)]
    public void Ten_steps_of_AdamW_end_where_the_peer_ends(int number, bool managed)
    {
        GptExpected.Case expected = Expected.Cases[number];
        using DisposeScope scope = torch.NewDisposeScope();
        using GptNetwork network = Network(expected);
        using var optimizer = new FlatAdamW(
            network.TrainedTensors(), Expected.Decay, clipNorm: 0,
            new AdamSettings(Expected.Beta1, Expected.Beta2, Expected.Epsilon));
        for (int step = 0; step < Expected.Steps; step++)
        {
            optimizer.ClearGradients();
            Backward(network, Options(), parts: 1, managed);
            optimizer.Step(Expected.Rate);
        }
        foreach ((string name, torch.Tensor value) in network.NamedTensors())
            AssertClose(expected.After[name], Values(value), 1e-5, name);
    }

    private static GptOptions Options() => new();

    private static GptNetwork Network(GptExpected.Case expected)
    {
        GptShape shape = Expected.Shape(expected);
        using var random = new SeededRandom(torch.CPU);
        var network = new GptNetwork(shape, null, bfloat16: false, random);
        network.Take(GptExpected.Weights(shape));
        return network;
    }

    private static torch.Tensor Tokens()
    {
        torch.Tensor tokens = torch.empty(3, Expected.Context + 1, torch.ScalarType.Int64);
        MemoryMarshal.AsBytes<long>([.. Expected.Tokens.SelectMany(t => t)]).CopyTo(tokens.bytes);
        return tokens;
    }

    private static double Backward(GptNetwork network, GptOptions options, int parts, bool managed)
    {
        using var random = new SeededRandom(torch.CPU);
        using var training = new GptTraining(network, options, bfloat16: false);
        double loss = 0;
        foreach (Batch part in new Batch([Tokens()], 3).Split(parts))
        {
            StepContext context = new(0, 1, random) { Share = part.Rows / 3.0 };
            IReadOnlyList<LossTerm> terms = training.Loss(part, 0, context);
            training.Backward(terms, context);
            loss += terms[0].Value.item<float>() * context.Share;
        }
        return loss;
    }

    private static float[] Values(torch.Tensor tensor)
    {
        float[] values = new float[tensor.numel()];
        HostTensors.CopyTo(tensor, values);
        return values;
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
