using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>
/// The two engines that read sequences bit by bit: what the network gives to whole sequences at once, however tokens
/// are run.
/// </summary>
[TestClass]
public sealed class GptEngineTests
{
    [TestMethod]
    [DataRow(GeluForm.Tanh, true, 3, 24, true)]
    [DataRow(GeluForm.Erf, true, 4, 128, false)]
    [DataRow(GeluForm.Tanh, false, 2, 32, true)]
    [DataRow(GeluForm.Erf, false, 1, 7, false)]
    public void Logits_and_hidden_states_are_those_of_whole_sequences_however_tokens_are_run(
        GeluForm gelu, bool biases, int heads, int width, bool tied)
    {
        GptNetwork network = RandomGpt.Network(71, 40, 3, heads, width, biases, gelu, tied);
        HostWeights weights = RandomGpt.Weights(network);
        int[] a = RandomGpt.Tokens(30, 71), b = RandomGpt.Tokens(20, 71, seed: 2);
        (float[] hiddenA, float[] logitsA) = TinyGpt.Forward(network, weights, a);
        (float[] hiddenB, float[] logitsB) = TinyGpt.Forward(network, weights, b);
        foreach (bool torch in (bool[])[false, true])
        {
            using IDisposable? without = torch ? NativeParts.Pretend(new InvalidOperationException(), null) : null;
            using var model = new TrainedGpt(network, weights);
            using SequenceState decoder = model.NewDecoder(slots: 3, capacity: 30);
            // A prompt of one and its next tokens, then those of another beside it, then steps of both.
            decoder.Read(1, 0, a.AsSpan(0, 7), all: false);
            AssertResult(0, hiddenA, logitsA, 6);
            decoder.Read(1, 7, a.AsSpan(7, 5), all: true);
            for (int i = 0; i < 5; i++)
                AssertResult(i, hiddenA, logitsA, 7 + i);
            decoder.Read(0, 0, b.AsSpan(0, 4), all: true);
            AssertResult(3, hiddenB, logitsB, 3);
            for (int step = 0; step < 3; step++)
            {
                decoder.Read([b[4 + step], a[12 + step]], [4 + step, 12 + step]);
                AssertResult(0, hiddenB, logitsB, 4 + step);
                AssertResult(1, hiddenA, logitsA, 12 + step);
            }
            // The first goes on in the place of the second, which begins anew behind it.
            decoder.Copy(1, 0, 15);
            decoder.Read(1, 0, b.AsSpan(0, 9), all: false);
            AssertResult(0, hiddenB, logitsB, 8);
            decoder.Read([a[15], b[9]], [15, 9]);
            AssertResult(0, hiddenA, logitsA, 15);
            AssertResult(1, hiddenB, logitsB, 9);
            decoder.Read(0, 16, a.AsSpan(16, 14), all: true);
            AssertResult(13, hiddenA, logitsA, 29);

            void AssertResult(int result, float[] hidden, float[] logits, int token)
            {
                AssertClose(hidden.AsSpan(token * width, width), decoder.Hidden(result));
                AssertClose(logits.AsSpan(token * 71, 71), decoder.Logits(result));
            }
        }
    }

    [TestMethod]
    public void Torch_stands_in_for_ONNX_Runtime_with_the_same_texts_and_scores_and_frees_every_tensor()
    {
        GptNetwork network = RandomGpt.Network();
        HostWeights weights = RandomGpt.Weights(network);
        GenerationOptions greedy = new() { Temperature = 0, MaxNewTokens = 30 };
        int[][] prompts = [[1], [2, 3, 4], RandomGpt.Tokens(20)];
        float[] expected = new float[3], actual = new float[3];
        float[] hidden = new float[3 * network.Options.Width], theirHidden = new float[hidden.Length];
        var ours = new TrainedGpt(network, weights);
        string[] texts = Texts(ours, prompts, greedy);
        int[] stream = [.. ours.Stream([1, 2], greedy).Select(t => t.Id)];
        ours.Evaluate(prompts, expected, hidden);
        ours.Dispose();

        using IDisposable without = NativeParts.Pretend(new InvalidOperationException(), null);
        long before = torch.Tensor.TotalCount;
        using (var theirs = new TrainedGpt(network, weights))
        {
            CollectionAssert.AreEqual(texts, Texts(theirs, prompts, greedy));
            CollectionAssert.AreEqual(stream, theirs.Stream([1, 2], greedy).Select(t => t.Id).ToArray());
            Assert.AreEqual(3, theirs.Stream([1, 2], greedy).Take(3).Count()); // one that is left early
            theirs.Evaluate(prompts, actual, theirHidden);
            AssertClose(expected.AsSpan(1), actual.AsSpan(1));
            AssertClose(hidden, theirHidden);
        }
        Assert.AreEqual(before, torch.Tensor.TotalCount);
    }

    [TestMethod]
    public void Without_either_engine_the_error_names_both_packages()
    {
        using IDisposable without = NativeParts.Pretend(
            new DllNotFoundException("no onnxruntime"), new DllNotFoundException("no libtorch"));
        using TrainedGpt model = RandomGpt.Model();
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => model.Stream([1], new()).First());
        StringAssert.Contains(error.Message, "Microsoft.ML.OnnxRuntime");
        StringAssert.Contains(error.Message, "TorchSharp-cpu");
    }

    [TestMethod]
    public void A_device_that_is_not_there_is_an_error_unless_the_CPU_may_stand_in()
    {
        if (torch.cuda.is_available())
            Assert.Inconclusive("There is one.");
        GptNetwork network = RandomGpt.Network();
        HostWeights weights = RandomGpt.Weights(network);
        using var strict = new TrainedGpt(network, weights, ComputeDevice.Cuda());
        Assert.ThrowsExactly<InvalidOperationException>(() => strict.Stream([1], new()).First());
        using var fallen = new TrainedGpt(network, weights, ComputeDevice.Cuda(), fallbackToCpu: true);
        using var auto = new TrainedGpt(network, weights, ComputeDevice.Auto);
        foreach (TrainedGpt model in (TrainedGpt[])[fallen, auto])
            Assert.AreEqual(2, model.Stream([1], new() { MaxNewTokens = 2 }).Count());
    }

    private static string[] Texts(TrainedGpt model, int[][] prompts, GenerationOptions options)
    {
        var texts = new string[prompts.Length];
        model.Generate(
            prompts, options,
            (number, token) =>
            {
                texts[number] += $" {token.Id}";
                return true;
            });
        return texts;
    }

    // Relative to the largest element: a small one among large ones is a difference of large ones.
    private static void AssertClose(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.AreEqual(expected.Length, actual.Length);
        float size = 1e-3f;
        foreach (float value in expected)
            size = Math.Max(size, Math.Abs(value));
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 2e-5f * size, $"element {i}");
    }
}
