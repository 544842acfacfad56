using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>A trained VAE: scores, encodes, reconstructs and generates rows. Safe to use from several threads.</summary>
internal sealed class TrainedVae : TrainedModel<VaeModel>
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
        torch.Tensor? conditions = VaeConditions.Join(batch);
        if (!wanted.Score.IsEmpty)
            HostTensors.CopyTo(_scoring.Score(rows, conditions), wanted.Score);
        if (!wanted.FeatureScore.IsEmpty)
            HostTensors.CopyTo(_scoring.SlotScore(rows, conditions), wanted.FeatureScore);
        if (wanted.Latent.IsEmpty && wanted.Deviation.IsEmpty && wanted.Reconstruction.IsEmpty)
            return;
        torch.Tensor? condition = Model.Condition(conditions);
        (torch.Tensor mean, torch.Tensor logVariance) = Model.Encode(Model.Standardize(rows), condition);
        if (!wanted.Latent.IsEmpty)
            HostTensors.CopyTo(mean, wanted.Latent);
        if (!wanted.Deviation.IsEmpty)
            HostTensors.CopyTo(logVariance.mul(0.5).exp(), wanted.Deviation);
        if (!wanted.Reconstruction.IsEmpty)
            HostTensors.CopyTo(Model.Expected(Model.Decode(mean, condition)), wanted.Reconstruction);
    }

    /// <summary>The share of training rows, or the mean, of each slot of the conditions, (C).</summary>
    public float[] ConditionMeans()
    {
        using IDisposable computation = Enter();
        float[] means = new float[Shape.ConditionWidth];
        HostTensors.CopyTo(Model.ConditionMean, means);
        return means;
    }

    /// <summary>
    /// Makes rows, the same for the same seed, number and condition: conditions from training rows, codes from the
    /// prior, rows from what the decoder gives for both.
    /// </summary>
    /// <param name="rows">(count × D), for the rows.</param>
    /// <param name="conditions">(count × C), for their conditions.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="seed">The seed of everything random.</param>
    /// <param name="where">
    /// The conditions that all rows have, (C): NaN in slots that are free. Empty: all are. Free ones come from training
    /// rows that share the others, or from any where none does.
    /// </param>
    public void Generate(
        Span<float> rows, Span<float> conditions, int count, ulong seed, ReadOnlySpan<float> where)
    {
        using IDisposable computation = Enter();
        using var random = new SeededRandom(Device, seed);
        torch.Tensor? given = null;
        if (Shape.ConditionRows > 0)
        {
            StoredConditions stored = new(Model.ConditionRows, Shape.ConditionWidth);
            stored.Draw(conditions, count, seed, where);
            given = HostTensors.FromRows(conditions[..(count * Shape.ConditionWidth)], count, Shape.ConditionWidth, Device);
        }
        torch.Tensor code = random.Normal([count, Shape.LatentDimension]);
        torch.Tensor? condition = Model.Condition(given);
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
