namespace GenerativeML.Tests;

/// <summary>Autoencoders with random weights, every number of which matters to the result.</summary>
internal static class RandomAutoencoder
{
    public static AutoencoderShape Shape(
        int width = 5, int members = 2, int memoryRows = 300, Activation activation = Activation.Silu,
        bool norm = false, int latent = 4, params int[] hidden) => new()
        {
            InputWidth = width,
            HiddenLayers = hidden,
            LatentDimension = latent,
            Members = members,
            Activation = activation,
            Dropout = 0,
            BatchNormalization = norm,
            Noise = new NoiseLevels(0.1, 1.5, 0.2, 0.8),
            MemoryRows = memoryRows,
        };

    /// <summary>
    /// The second slot is constant where <paramref name="constant"/>, and the others have different scales.
    /// </summary>
    public static HostWeights Weights(AutoencoderShape shape, bool constant = true, ulong seed = 1)
    {
        var weights = new HostWeights(shape.Tensors());
        var random = new SplitMix64(seed);
        foreach (TensorSpec spec in shape.Tensors())
        {
            float[] values = weights[spec.Name];
            bool positive = spec.Name == "part_weight" || spec.Name == "input_scale"
                || spec.Name.EndsWith("running_var", StringComparison.Ordinal);
            bool isMatrix = !positive && spec.Shape.Length == 3;
            double spread = spec.Name == "memory" ? 4 : isMatrix ? 3 / Math.Sqrt(spec.Shape[2]) : 1;
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)(positive ? 0.5 + random.NextDouble() : spread * (random.NextDouble() - 0.5));
        }
        if (constant && shape.InputWidth > 1)
        {
            weights["input_scale"][1] = 0;
            for (int m = 0; m < shape.MemoryRows; m++)
                weights["memory"][m * shape.InputWidth + 1] = 0;
        }
        return weights;
    }

    /// <summary>Ordinary rows, every seventh with a value far out.</summary>
    public static float[] Rows(int count, int width, ulong seed = 2)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, count * width).Select(
            i => (float)(4 * random.NextDouble() - 2) * (i % (7 * width) == 0 ? 30 : 1))];
    }
}
