using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>A trained VAE: scores, encodes, reconstructs and generates rows. Safe to use from several threads.</summary>
internal sealed class TrainedVae : TrainedModel<VaeModel>, IVectorGenerator
{
    private readonly VaeScoring _scoring;

    public TrainedVae(VaeModel model, torch.Device device, float threshold)
        : base(model, device)
    {
        _scoring = new VaeScoring(model);
        Threshold = threshold;
    }

    /// <summary>Everything needed to build the networks again.</summary>
    public VaeShape Shape => Model.Shape;

    /// <summary>Rows with a higher score than this are predicted to be anomalies.</summary>
    public float Threshold { get; }

    /// <summary>Computes what is asked for of rows in the units of the data.</summary>
    /// <param name="block">Its fields are those of training; all values are finite.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="wanted">Where the results go.</param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Compute(RowBlock block, int count, VaeOutputs wanted)
    {
        using IDisposable computation = Enter();
        Batch batch = HostTensors.ToBatch(block, count, Device);
        torch.Tensor rows = batch[0];
        torch.Tensor? conditions = ConditionStore.Of(batch);
        if (!wanted.Score.IsEmpty)
            HostTensors.CopyTo(_scoring.Score(rows, conditions), wanted.Score);
        if (!wanted.FeatureScore.IsEmpty)
            HostTensors.CopyTo(_scoring.SlotScore(rows, conditions), wanted.FeatureScore);
        if (wanted.Latent.IsEmpty && wanted.Deviation.IsEmpty && wanted.Reconstruction.IsEmpty)
            return;
        torch.Tensor? condition = Model.Conditions.Scaled(conditions);
        (torch.Tensor mean, torch.Tensor logVariance) = Model.Encode(Model.Standardize(rows), condition);
        if (!wanted.Latent.IsEmpty)
            HostTensors.CopyTo(mean, wanted.Latent);
        if (!wanted.Deviation.IsEmpty)
            HostTensors.CopyTo(logVariance.mul(0.5).exp(), wanted.Deviation);
        if (!wanted.Reconstruction.IsEmpty)
            HostTensors.CopyTo(Model.Expected(Model.Decode(mean, condition)), wanted.Reconstruction);
    }

    /// <inheritdoc/>
    public int InputWidth => Shape.InputWidth;

    /// <inheritdoc/>
    public IReadOnlyList<int> ConditionWidths => Shape.ConditionWidths;

    /// <inheritdoc/>
    public float[] ConditionMeans()
    {
        using IDisposable computation = Enter();
        float[] means = new float[Shape.ConditionWidth];
        HostTensors.CopyTo(Model.Conditions.Mean, means);
        return means;
    }

    /// <inheritdoc/>
    /// <remarks>Codes are drawn from the prior, rows from what the decoder gives for code and condition.</remarks>
    public void Generate(
        Span<float> rows, Span<float> conditions, int count, ulong seed, ReadOnlySpan<float> where)
    {
        using IDisposable computation = Enter();
        using var random = new SeededRandom(Device, seed);
        torch.Tensor? condition = Model.Conditions.Draw(conditions, count, seed, where);
        torch.Tensor code = random.Normal([count, Shape.LatentDimension]);
        HostTensors.CopyTo(Model.Sample(Model.Decode(code, condition), random), rows);
    }

    /// <summary>Builds a model of a shape and reads its tensors.</summary>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    public static TrainedVae Load(VaeShape shape, float threshold, Stream weights, torch.Device device)
    {
        shape.Check();
        VaeModel model = Read(
            "VAE", shape.Elements(), weights, device, random => new VaeModel(shape, bfloat16: false, random));
        return new TrainedVae(model, device, threshold);
    }

    protected override IReadOnlyList<(string Name, torch.Tensor Value)> Exported() => Model.Network.NamedTensors();
}
