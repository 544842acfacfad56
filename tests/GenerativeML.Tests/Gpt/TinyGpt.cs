using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>Small networks and texts for tests.</summary>
internal static class TinyGpt
{
    /// <summary>Options of a small network and a short training.</summary>
    public static GptOptions Options(int steps = 6, bool biases = true, GeluForm gelu = GeluForm.Erf) => new()
    {
        VocabularySize = 11,
        Layers = 2,
        Heads = 2,
        Width = 8,
        ContextLength = 8,
        BatchSize = 4,
        Biases = biases,
        Gelu = gelu,
        Steps = steps,
    };

    public static GptNetwork Network(bool biases = true, GeluForm gelu = GeluForm.Erf) =>
        new(Options(biases: biases, gelu: gelu));

    /// <summary>
    /// A network's tensors, with larger weights than training starts from, so that everything has an influence.
    /// </summary>
    public static TorchLayers Module(GptNetwork network, HostWeights? weights = null)
    {
        weights ??= Weights(network);
        var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        HostWeights all = layers.ToHost(network.Declared().Tensors);
        network.Initialize(all, 3);
        layers.LoadStateDict(all.With(weights, spec => weights.Find(spec.Name)));
        return layers;
    }

    /// <summary>Adds the gradients of a loss on tokens, (B, T + 1).</summary>
    public static LossTerm Backward(GptNetwork network, TorchLayers module, Batch batch, StepContext step) =>
        new NetworkObjective(network, module).Loss(batch, 0, step)[0];

    /// <summary>The loss on tokens, (B, T + 1).</summary>
    public static LossTerm Loss(GptNetwork network, TorchLayers module, Batch batch) =>
        new NetworkObjective(network, module).ValidationLoss(batch, default)[0];

    public static HostWeights Weights(GptNetwork network, ulong seed = 5)
    {
        var weights = new HostWeights(network.Tensors);
        var random = new SplitMix64(seed);
        foreach (TensorSpec spec in network.Tensors)
        {
            bool scale = spec.Name.Contains("ln_", StringComparison.Ordinal)
                && spec.Name.EndsWith("weight", StringComparison.Ordinal);
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = (float)((scale ? 1 : 0) + (0.6 * (random.NextDouble() - 0.5)));
        }
        return weights;
    }

    /// <summary>Tokens (B, T) → hidden states and logits of each, by torch, all at once and without a cache.</summary>
    public static (torch.Tensor Hidden, torch.Tensor Logits) Forward(
        GptNetwork network, IReadOnlyDictionary<string, torch.Tensor> tensors, torch.Tensor tokens)
    {
        using IDisposable noGradient = torch.no_grad();
        Scope<TorchTensor> w = new TorchOps(tensors).Root;
        TorchTensor hidden = network.Hidden<TorchTensor>(w, tokens, torch.arange(tokens.size(1)));
        return (hidden, network.Logits(w, hidden));
    }

    /// <summary>The same of one sequence, as numbers.</summary>
    public static (float[] Hidden, float[] Logits) Forward(
        GptNetwork network, HostWeights weights, IReadOnlyList<int> tokens)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using TorchLayers module = Module(network, weights);
        torch.Tensor input = HostTensors.Index([.. tokens.Select(t => (long)t)], torch.CPU).unsqueeze(0);
        (torch.Tensor hidden, torch.Tensor logits) = Forward(network, module.Tensors, input);
        return (Values(hidden), Values(logits));
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

    public static TokenCorpus Corpus(int length, ulong seed = 7) => Corpus(Text(length, seed));

    public static TokenCorpus Corpus(int[] tokens)
    {
        var corpus = new TokenCorpus(11);
        corpus.Add(tokens);
        return corpus;
    }

    /// <summary>Trains on tokens from 0 to 10.</summary>
    public static TrainedGpt Fit(TokenCorpus corpus, GptOptions options, TrainingContext? context = null) => GptTrainer.Train(
        corpus, options.Resolve(new TokenCodec(new ByteTokenizer(), 11, null), 0), context ?? Context());

    public static TrainingContext Context(int seed = 0) =>
        new() { Seed = seed, Device = ComputeDevice.Cpu, FallbackToCpu = false };

    public static float[] Values(torch.Tensor tensor)
    {
        float[] values = new float[tensor.numel()];
        HostTensors.CopyTo(tensor, values);
        return values;
    }

    public static void AssertSame(HostWeights expected, HostWeights actual)
    {
        foreach (TensorSpec spec in expected.Specs)
            CollectionAssert.AreEqual(expected[spec.Name], actual[spec.Name], spec.Name);
    }
}
