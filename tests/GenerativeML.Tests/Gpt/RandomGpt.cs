namespace GenerativeML.Tests;

/// <summary>GPTs with random weights.</summary>
internal static class RandomGpt
{
    public static GptNetwork Network(
        int vocabulary = 23, int context = 12, int layers = 2, int heads = 3, int width = 24, bool biases = true,
        GeluForm gelu = GeluForm.Tanh, bool tied = true) => new(new GptOptions
        {
            VocabularySize = vocabulary,
            ContextLength = context,
            Layers = layers,
            Heads = heads,
            Width = width,
            Biases = biases,
            Gelu = gelu,
            TieEmbeddings = tied,
        });

    /// <summary>Large enough that what tokens were before matters.</summary>
    public static HostWeights Weights(GptNetwork network, ulong seed = 1)
    {
        var weights = new HostWeights(network.Tensors);
        var random = new SplitMix64(seed);
        foreach (TensorSpec spec in network.Tensors)
        {
            bool isGain = spec.Name.Contains("ln_", StringComparison.Ordinal)
                && spec.Name.EndsWith("weight", StringComparison.Ordinal);
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = (float)(random.NextDouble() - 0.5) + (isGain ? 1 : 0);
        }
        return weights;
    }

    public static TrainedGpt Model(GptNetwork? network = null, int threads = 2)
    {
        network ??= Network();
        return new(network, Weights(network), threads: threads);
    }

    public static int[] Tokens(int count, int vocabulary = 23, ulong seed = 7)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
    }
}
