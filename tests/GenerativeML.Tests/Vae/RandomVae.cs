namespace GenerativeML.Tests;

/// <summary>Variational autoencoders with random weights, every number of which matters to the result.</summary>
internal static class RandomVae
{
    private const int Seed = 4;

    /// <summary>Options as training leaves them: nothing is open.</summary>
    public static VaeOptions Options(VaeScore score = VaeScore.NegativeLogLikelihood, params int[] hidden) => new()
    {
        ScoreColumnName = "Score",
        FeatureScoreColumnName = "FeatureScore",
        Score = score,
        HiddenLayers = hidden,
        LatentDimension = 3,
        Activation = Activation.Silu,
        ReferenceRows = 0,
    };

    /// <summary>The same of convolutions, of pictures of two channels whose sides cannot be halved evenly.</summary>
    public static ImageVaeOptions Convolutional(VaeScore score = VaeScore.NegativeLogLikelihood) => new()
    {
        ScoreColumnName = "Score",
        FeatureScoreColumnName = "FeatureScore",
        Score = score,
        ImageShape = new(2, 5, 3),
        Channels = [3, 4],
        HiddenWidth = 7,
        LatentDimension = 3,
        LearningRate = 1e-3,
        ReferenceRows = 0,
    };

    /// <summary>The first features Bernoulli, the others Gaussian.</summary>
    public static T WithBernoulli<T>(this T options, int width, int bernoulli)
        where T : VariationalOptions => options with
        {
            FeatureLikelihoods = [.. Enumerable.Range(0, width).Select(
                j => j < bernoulli ? VaeLikelihood.Bernoulli : VaeLikelihood.Gaussian)],
        };

    /// <summary>The network of options for so many features and conditions.</summary>
    public static VariationalNetwork Network(VariationalOptions options, int width, params int[] conditions)
    {
        var input = new VectorInput
        {
            Width = width, ConditionWidths = conditions, ConditionRows = conditions.Length > 0 ? 20 : 0, Seed = Seed,
            Image = options is ImageVaeOptions { ImageShape: { } shape } ? new(shape) : null,
        };
        return options is ImageVaeOptions convolutional
            ? new ImageVaeNetwork(convolutional, input)
            : new VaeNetwork((VaeOptions)options, input);
    }

    /// <summary>
    /// Weights and buffers. Of the Bernoulli features the second is binary; the last feature is constant where it is not
    /// the only one that is Gaussian.
    /// </summary>
    public static HostWeights Weights(VariationalOptions options, VariationalNetwork network, ulong seed = 1)
    {
        var weights = new HostWeights(network.Tensors());
        var random = new SplitMix64(seed);
        foreach (TensorSpec spec in network.Tensors())
        {
            float[] values = weights[spec.Name];
            bool positive = spec.Name.EndsWith("_scale", StringComparison.Ordinal)
                || spec.Name.EndsWith("_weight", StringComparison.Ordinal) || spec.Name == "input_mean";
            double spread = spec.Name is "memory" or "score_noise" ? 4 : spec.Shape.Length < 2
                ? 1 : 3 / Math.Sqrt(spec.Length / sizeof(float) / spec.Shape[0] + 1);
            for (int i = 0; i < values.Length; i++)
                values[i] = (float)(positive ? 0.3 + random.NextDouble() / 2 : spread * (random.NextDouble() - 0.5));
        }
        int width = network.Input.Width, bernoulli = options.FeatureLikelihoods?.Count(l => l == VaeLikelihood.Bernoulli) ?? 0;
        for (int j = 0; j < width; j++)
        {
            bool isBernoulli = j < bernoulli, isConstant = j == width - 1 && j > bernoulli;
            weights["bernoulli"][j] = isBernoulli ? 1 : 0;
            weights["bernoulli_mean"][j] = isBernoulli ? weights["input_mean"][j] : 0;
            weights["binary"][j] = isBernoulli && j == 1 ? 1 : 0;
            weights["feature_mask"][j] = isConstant ? 0 : 1;
            weights["input_limit"][j] = isBernoulli ? 1e30f : 5;
            if (isBernoulli || isConstant)
                weights["input_scale"][j] = isConstant ? 0 : 1;
        }
        return weights;
    }

    /// <summary>A trained model of them.</summary>
    public static TrainedVector Model(
        VariationalOptions options, int width, int[]? conditions = null, Action<HostWeights>? change = null)
    {
        VariationalNetwork network = Network(options, width, conditions ?? []);
        HostWeights weights = Weights(options, network);
        change?.Invoke(weights);
        return new(network, weights, ComputeDevice.Cpu, fallbackToCpu: false);
    }

    /// <summary>Rows with shares, and some values outside, in Bernoulli features; every seventh with a value far out.</summary>
    public static RowBlock Rows(TrainedVector model, int count, ulong seed = 2)
    {
        var random = new SplitMix64(seed);
        int[] widths = [model.Network.Input.Width, .. model.Network.Input.ConditionWidths];
        var block = new RowBlock([.. widths.Select((w, f) => new RowField($"{f}", FieldKind.Single, w))], count);
        for (int f = 0; f < widths.Length; f++)
        {
            Span<float> values = block.Singles(f);
            for (int i = 0; i < values.Length; i++)
            {
                int feature = i % widths[f];
                bool share = f == 0 && model.Weights["bernoulli"][feature] > 0;
                double drawn = random.NextDouble();
                values[i] = (float)(share ? Math.Round(5 * drawn - 0.5) / 4 : 4 * drawn - 2);
                if (i / widths[f] % 7 == 0 && feature == widths[f] / 2)
                    values[i] *= 30;
                if (f == 0 && model.Features.IsConstant(feature))
                    values[i] = model.Features.Mean(feature);
            }
        }
        return block;
    }

    /// <summary>A block of one field.</summary>
    public static RowBlock Block(float[] rows, int width)
    {
        var block = new RowBlock([new RowField("x", FieldKind.Single, width)], rows.Length / width);
        rows.CopyTo(block.Singles(0));
        return block;
    }

    /// <summary>Room for all that a model can say of rows.</summary>
    public static VectorResults Results(TrainedVector model, int rows)
    {
        int width = model.Network.Input.Width, latent = ((IEncoder)model.Network).LatentDimension;
        return new(
            new float[rows], new float[rows * width], new float[rows * width], new float[rows * latent],
            new float[rows * latent]);
    }

    /// <summary>Scores and the features' shares of them.</summary>
    public static (float[] Score, float[] ByFeature) Scores(TrainedVector model, RowBlock rows, int count)
    {
        float[] score = new float[count], byFeature = new float[count * model.Network.Input.Width];
        model.Compute(rows, count, new VectorResults { Score = score, FeatureScore = byFeature });
        return (score, byFeature);
    }
}
