using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>
/// The decoder in managed code: the training network's logits, and the same bits however tokens are run.
/// </summary>
[TestClass]
public sealed class GptDecoderTests
{
    [TestMethod]
    [DataRow(GeluForm.Tanh, true, 3, 24)]
    [DataRow(GeluForm.Erf, true, 4, 128)]
    [DataRow(GeluForm.Tanh, false, 2, 32)]
    [DataRow(GeluForm.Erf, false, 1, 7)]
    public void Logits_and_hidden_states_are_those_of_the_training_network(
        GeluForm gelu, bool biases, int heads, int width)
    {
        GptShape shape = RandomGpt.Shape(71, 40, 3, heads, width, biases, gelu);
        GptWeights weights = RandomGpt.Weights(shape);
        int[] tokens = RandomGpt.Tokens(shape.ContextLength, shape.VocabularySize);
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(torch.CPU);
        using var network = new GptNetwork(shape, null, bfloat16: false, random);
        network.Take(weights);
        network.eval();
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor input = HostTensors.Index([.. tokens.Select(t => (long)t)], torch.CPU).unsqueeze(0);
        var logits = new float[tokens.Length * shape.VocabularySize];
        var hidden = new float[tokens.Length * shape.Width];
        HostTensors.CopyTo(network.Logits(input), logits);
        HostTensors.CopyTo(network.Hidden(input), hidden);

        (float[] ourLogits, float[] ourHidden) = Run(weights, tokens, GptDecoder.Rows, threads: 2);

        AssertClose(logits, ourLogits);
        AssertClose(hidden, ourHidden);
    }

    [TestMethod]
    public void With_the_cache_token_by_token_or_in_blocks_of_any_size_the_bits_are_the_same()
    {
        GptShape shape = RandomGpt.Shape(context: 200);
        GptWeights weights = RandomGpt.Weights(shape);
        int[] tokens = RandomGpt.Tokens(200);
        (float[] logits, float[] hidden) = Run(weights, tokens, GptDecoder.Rows, threads: 1);
        foreach (int block in (int[])[1, 2, 5, 31])
        {
            (float[] ourLogits, float[] ourHidden) = Run(weights, tokens, block, threads: 1 + block % 3);
            CollectionAssert.AreEqual(logits, ourLogits, $"blocks of {block}");
            CollectionAssert.AreEqual(hidden, ourHidden, $"blocks of {block}");
        }
    }

    [TestMethod]
    public void Without_a_cache_the_logits_after_each_beginning_are_the_same_bits()
    {
        GptWeights weights = RandomGpt.Weights(RandomGpt.Shape(context: 20));
        int vocabulary = weights.Shape.VocabularySize;
        int[] tokens = RandomGpt.Tokens(20);
        (float[] logits, _) = Run(weights, tokens, 1, threads: 1);
        for (int length = 1; length <= tokens.Length; length++)
        {
            (float[] fresh, _) = Run(weights, tokens[..length], GptDecoder.Rows, threads: 1);
            float[] cached = logits[((length - 1) * vocabulary)..(length * vocabulary)];
            CollectionAssert.AreEqual(cached, fresh[^vocabulary..], $"after {length} tokens");
        }
    }

    [TestMethod]
    public void With_bfloat16_weights_the_logits_are_those_of_the_rounded_weights()
    {
        GptShape shape = RandomGpt.Shape();
        GptWeights weights = RandomGpt.Weights(shape), rounded = RandomGpt.Weights(shape);
        foreach ((string name, long[] size) in shape.Tensors())
        {
            if (size.Length == 1 || name == "wpe.weight")
                continue;
            float[] values = rounded[name];
            for (int i = 0; i < values.Length; i++)
                values[i] = BFloat16Bits.Widen(BFloat16Bits.Round(values[i]));
        }
        int[] tokens = RandomGpt.Tokens(shape.ContextLength);
        (float[] expected, _) = Run(rounded, tokens, 4, threads: 1);
        (float[] actual, _) = Run(DecoderWeights.Pack(weights).ToBFloat16(), tokens, 4, threads: 1);
        CollectionAssert.AreEqual(expected, actual);
    }

    private static (float[] Logits, float[] Hidden) Run(GptWeights weights, int[] tokens, int block, int threads) =>
        Run(DecoderWeights.Pack(weights), tokens, block, threads);

    private static (float[] Logits, float[] Hidden) Run(DecoderWeights weights, int[] tokens, int block, int threads)
    {
        var decoder = new GptDecoder(weights, threads);
        var cache = new KeyValueCache(weights.Shape);
        DecoderRow[] rows = [.. tokens.Select((t, i) => new DecoderRow(cache, t, i))];
        List<float> logits = [], hidden = [];
        for (int start = 0; start < rows.Length; start += block)
        {
            int count = Math.Min(block, rows.Length - start);
            decoder.Run(rows.AsSpan(start, count));
            var padded = new float[count * decoder.LogitStride];
            decoder.Logits(0, count, padded);
            for (int i = 0; i < count; i++)
                logits.AddRange(padded.AsSpan(i * decoder.LogitStride, weights.Shape.VocabularySize));
            hidden.AddRange(decoder.Hidden[..(count * weights.Shape.Width)]);
        }
        return ([.. logits], [.. hidden]);
    }

    private static void AssertClose(float[] expected, float[] actual)
    {
        Assert.HasCount(expected.Length, actual);
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-4f, $"element {i}");
    }
}
