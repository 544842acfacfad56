using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>Small networks and texts for tests.</summary>
internal static class TinyGpt
{
    public static GptShape Shape(bool biases = true, GeluForm gelu = GeluForm.Erf) => new()
    {
        VocabularySize = 11,
        ContextLength = 8,
        Layers = 2,
        Heads = 2,
        Width = 8,
        Biases = biases,
        Gelu = gelu,
    };

    /// <summary>The options that ask for <see cref="Shape"/> and a short training.</summary>
    public static GptOptions Options(int steps = 6) => new()
    {
        Layers = 2,
        Heads = 2,
        Width = 8,
        ContextLength = 8,
        BatchSize = 4,
        Biases = true,
        Steps = steps,
    };

    /// <summary>A network with larger weights than training starts from, so that everything has an influence.</summary>
    public static GptNetwork Network(GptShape shape, LoraOptions? adapters = null)
    {
        using var random = new SeededRandom(torch.CPU, 3);
        var network = new GptNetwork(shape, adapters, bfloat16: false, random);
        network.Take(Weights(shape));
        return network;
    }

    public static GptWeights Weights(GptShape shape, ulong seed = 5)
    {
        var weights = new GptWeights(shape);
        var random = new SplitMix64(seed);
        foreach ((string name, _) in shape.Tensors())
        {
            bool scale = name.Contains("ln_", StringComparison.Ordinal)
                && name.EndsWith("weight", StringComparison.Ordinal);
            float[] values = weights[name];
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)((scale ? 1 : 0) + (0.6 * (random.NextDouble() - 0.5)));
        }
        return weights;
    }

    /// <summary>Random tokens, (rows, length).</summary>
    public static torch.Tensor Tokens(int rows, int length, ulong seed = 1)
    {
        torch.Tensor tokens = torch.empty(rows, length, torch.ScalarType.Int64);
        var random = new SplitMix64(seed);
        foreach (ref long token in MemoryMarshal.Cast<byte, long>(tokens.bytes))
            token = random.Next(11);
        return tokens;
    }

    /// <summary>A text with something to learn: most tokens follow from the two before them.</summary>
    public static int[] Text(int length, ulong seed = 7)
    {
        var random = new SplitMix64(seed);
        int[] text = new int[length];
        for (int i = 2; i < length; i++)
            text[i] = random.Next(8) == 0 ? random.Next(11) : ((3 * text[i - 1]) + text[i - 2] + 1) % 11;
        return text;
    }

    public static GptCorpus Corpus(int length, ulong seed = 7)
    {
        var corpus = new GptCorpus(11);
        corpus.Add(Text(length, seed));
        return corpus;
    }

    public static TrainingContext Context(int seed = 0) =>
        new() { Seed = seed, Device = ComputeDevice.Cpu, FallbackToCpu = false };

    public static float[] Values(torch.Tensor tensor)
    {
        float[] values = new float[tensor.numel()];
        HostTensors.CopyTo(tensor, values);
        return values;
    }

    public static void AssertSame(GptWeights expected, GptWeights actual)
    {
        foreach ((string name, _) in expected.Shape.Tensors())
            CollectionAssert.AreEqual(expected[name], actual[name], name);
    }
}
