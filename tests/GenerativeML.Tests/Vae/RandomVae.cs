namespace GenerativeML.Tests;

/// <summary>VAEs with random weights, every number of which matters to the result.</summary>
internal static class RandomVae
{
    public static VaeShape Shape(
        int width = 6, int bernoulli = 2, VaeScore score = VaeScore.NegativeLogLikelihood, int samples = 8,
        int memoryRows = 0, Activation activation = Activation.Silu, int latent = 3, int[]? conditions = null,
        params int[] hidden) => new()
        {
            InputWidth = width,
            ConditionWidths = conditions ?? [],
            ConditionRows = conditions is null ? 0 : 20,
            HiddenLayers = hidden,
            LatentDimension = latent,
            Activation = activation,
            BernoulliSlots = bernoulli,
            Score = score,
            MemoryRows = memoryRows,
            ScoreSamples = samples,
            Seed = 4,
        };

    /// <summary>
    /// The first slots are Bernoulli, of which the second is binary; the last one is constant where it is not the only one
    /// that is Gaussian.
    /// </summary>
    public static HostWeights Weights(VaeShape shape, ulong seed = 1)
    {
        var weights = new HostWeights(shape.Tensors());
        var random = new SplitMix64(seed);
        foreach (TensorSpec spec in shape.Tensors())
        {
            float[] values = weights[spec.Name];
            bool positive = spec.Name is "input_scale" or "conditions.scale" or "input_mean"
                || spec.Name.EndsWith("_weight", StringComparison.Ordinal);
            double spread = spec.Name == "novelty.memory" ? 4
                : spec.Shape.Length == 2 ? 3 / Math.Sqrt(spec.Shape[1] + 1) : 1;
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)(positive ? 0.3 + random.NextDouble() / 2 : spread * (random.NextDouble() - 0.5));
        }
        for (int j = 0; j < shape.InputWidth; j++)
        {
            bool isBernoulli = j < shape.BernoulliSlots;
            weights["bernoulli"][j] = isBernoulli ? 1 : 0;
            weights["binary"][j] = isBernoulli && j == 1 ? 1 : 0;
            if (isBernoulli)
                weights["input_scale"][j] = 1;
            else if (j == shape.InputWidth - 1 && j > shape.BernoulliSlots)
                weights["input_scale"][j] = 0;
        }
        return weights;
    }

    /// <summary>Rows with shares, and some values outside, in Bernoulli slots; every seventh with a value far out.</summary>
    public static RowBlock Rows(VaeShape shape, int count, ulong seed = 2)
    {
        var random = new SplitMix64(seed);
        int[] widths = [shape.InputWidth, .. shape.ConditionWidths];
        var block = new RowBlock([.. widths.Select((w, f) => new RowField($"{f}", FieldKind.Single, w))], count);
        for (int f = 0; f < widths.Length; f++)
        {
            Span<float> values = block.Singles(f);
            for (int i = 0; i < values.Length; i++)
            {
                int slot = i % widths[f];
                double drawn = random.NextDouble();
                values[i] = (float)(f > 0 || slot >= shape.BernoulliSlots ? 4 * drawn - 2 : Math.Round(5 * drawn - 0.5) / 4);
                if (i / widths[f] % 7 == 0 && slot == widths[f] / 2)
                    values[i] *= 30;
            }
        }
        return block;
    }

    public static VaeOutputs Outputs(VaeShape shape, int rows) => new()
    {
        Score = new float[rows],
        FeatureScore = new float[rows * shape.InputWidth],
        Reconstruction = new float[rows * shape.InputWidth],
        Latent = new float[rows * shape.LatentDimension],
        Deviation = new float[rows * shape.LatentDimension],
    };
}
