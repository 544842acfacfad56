namespace GenerativeML.Tests;

/// <summary>GPTs with random weights.</summary>
internal static class RandomGpt
{
    public static GptShape Shape(
        int vocabulary = 23, int context = 12, int layers = 2, int heads = 3, int width = 24, bool biases = true,
        GeluForm gelu = GeluForm.Tanh) => new()
        {
            VocabularySize = vocabulary,
            ContextLength = context,
            Layers = layers,
            Heads = heads,
            Width = width,
            Biases = biases,
            Gelu = gelu,
        };

    /// <summary>Large enough that what tokens were before matters.</summary>
    public static GptWeights Weights(GptShape shape, ulong seed = 1)
    {
        var weights = new GptWeights(shape);
        var random = new SplitMix64(seed);
        foreach ((string name, _) in shape.Tensors())
        {
            float[] values = weights[name];
            bool isNorm = name.Contains("ln_", StringComparison.Ordinal);
            bool isGain = isNorm && name.EndsWith("weight", StringComparison.Ordinal);
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)(random.NextDouble() - 0.5) + (isGain ? 1 : 0);
        }
        return weights;
    }

    public static TrainedGpt Model(GptShape? shape = null, int threads = 2) =>
        new(Weights(shape ?? Shape())) { Threads = threads };

    public static int[] Tokens(int count, int vocabulary = 23, ulong seed = 7)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(vocabulary))];
    }
}
