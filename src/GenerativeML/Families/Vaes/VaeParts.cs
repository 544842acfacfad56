namespace GenerativeML;

/// <summary>A VAE, laid out for computing rows in managed memory.</summary>
internal sealed class VaeParts
{
    private readonly Lazy<float[]> _draws;

    public VaeParts(VaeShape shape, HostWeights weights)
    {
        Shape = shape;
        Scale = new RowScale(weights["input_mean"], weights["input_scale"]);
        ConditionScale = shape.ConditionWidth == 0
            ? null
            : new RowScale(weights["conditions.mean"], weights["conditions.scale"]);
        InputStride = Math.Max(
            Scale.Stride, VectorMatrix.PadToLanes(shape.InputWidth + (ConditionScale?.Stride ?? 0)));
        Slots = new VaeSlots(weights, Scale);
        if (shape.HiddenLayers.Count > 0)
            Encoder = new DenseStack(Hidden("encoder"));
        AffineLayer mean = Layer("latent_mean"), logVariance = Layer("latent_log_variance");
        Code = new DenseStack(
            [(new([.. mean.Weights, .. logVariance.Weights], [.. mean.Bias, .. logVariance.Bias]), Activation.Identity)]);
        Decoder = new DenseStack([.. Hidden("decoder"), (Layer("output"), Activation.Identity)]);
        _draws = new(() => VaeDraws.Of(shape, shape.ScoreSamples));
        if (shape.Score != VaeScore.Novelty)
            return;
        UnitWeight = weights["novelty.unit_weight"];
        PartWeight = weights["novelty.part_weight"];
        Stored = new StoredRows(
            weights["novelty.memory"], shape.InputWidth, StoredRows.Near(shape.MemoryRows),
            StoredRows.Far(shape.MemoryRows));

        IEnumerable<(AffineLayer, Activation)> Hidden(string stack) => Enumerable.Range(0, shape.HiddenLayers.Count)
            .Select(i => (Layer($"{stack}.{i}"), shape.Activation));

        AffineLayer Layer(string name) => new(weights[$"network.{name}.weight"], weights[$"network.{name}.bias"]);
    }

    public VaeShape Shape { get; }

    /// <summary>Of the modelled vector.</summary>
    public RowScale Scale { get; }

    /// <summary>Of the conditions, all side by side; null without.</summary>
    public RowScale? ConditionScale { get; }

    /// <summary>From one row of the encoder's input to the next: the row, then the conditions.</summary>
    public int InputStride { get; }

    public VaeSlots Slots { get; }

    /// <summary>(D + C) → the last hidden layer; null where there is none, and it is the input itself.</summary>
    public DenseStack? Encoder { get; }

    /// <summary>The last hidden layer → mean and logarithm of the variance of the code, side by side.</summary>
    public DenseStack Code { get; }

    /// <summary>(Z + C) → what the decoder gives.</summary>
    public DenseStack Decoder { get; }

    /// <summary>From one row of the decoder's input to the next.</summary>
    public int CodeStride => Shape.LatentDimension + Shape.ConditionWidth;

    /// <summary>(samples × Z): what codes are drawn by for a score.</summary>
    public float[] Draws => _draws.Value;

    /// <summary>(H): what the squared differences of hidden units count; empty where the score is another.</summary>
    public float[] UnitWeight { get; } = [];

    /// <summary>What each part of novelty counts.</summary>
    public float[] PartWeight { get; } = [];

    /// <summary>Stored training rows; null where the score is another.</summary>
    public StoredRows? Stored { get; }
}
