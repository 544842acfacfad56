using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// A trained autoencoder: scores, explains, encodes and reconstructs rows. Safe to use from several threads.
/// </summary>
internal sealed class TrainedAutoencoder : TrainedModel<AutoencoderModel>
{
    public TrainedAutoencoder(AutoencoderModel model, torch.Device device, float threshold)
        : base(model, device) => Threshold = threshold;

    /// <summary>Everything needed to build the networks again.</summary>
    public AutoencoderShape Shape => Model.Shape;

    /// <summary>Slots of a row, D.</summary>
    public int InputWidth => Model.Shape.InputWidth;

    /// <summary>Slots of a code.</summary>
    public int LatentDimension => Model.Shape.LatentDimension;

    /// <summary>Rows with a higher score than this are predicted to be anomalies.</summary>
    public float Threshold { get; }

    /// <summary>Computes what is asked for of rows in the units of the data. An empty span is not computed.</summary>
    /// <param name="rows">(count × D), finite.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="score">(count): how strange, zero or more.</param>
    /// <param name="featureScore">(count × D): each slot's contribution to the score.</param>
    /// <param name="reconstruction">(count × D): what the networks make of the row, in the units of the data.</param>
    /// <param name="latent">(count × latent): the first network's code.</param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Compute(
        ReadOnlySpan<float> rows, int count, Span<float> score, Span<float> featureScore, Span<float> reconstruction,
        Span<float> latent)
    {
        using IDisposable computation = Enter();
        torch.Tensor input = HostTensors.FromRows(rows[..(count * InputWidth)], count, InputWidth, Device);
        torch.Tensor standardized = Model.Standardize(input);
        if (!score.IsEmpty || !featureScore.IsEmpty)
        {
            torch.Tensor contributions = Model.Contributions(standardized);
            if (!featureScore.IsEmpty)
                HostTensors.CopyTo(contributions, featureScore);
            if (!score.IsEmpty)
                HostTensors.CopyTo(contributions.sum(1L), score);
        }
        if (!reconstruction.IsEmpty)
            HostTensors.CopyTo(Model.Reconstruct(standardized), reconstruction);
        if (!latent.IsEmpty)
            HostTensors.CopyTo(Model.Encode(standardized), latent);
    }

    /// <summary>Builds a model of a shape and reads its tensors.</summary>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    public static TrainedAutoencoder Load(AutoencoderShape shape, float threshold, Stream weights, torch.Device device)
    {
        shape.Check();
        AutoencoderModel model = Read(
            "autoencoder", shape.Elements(), weights, device,
            random => new AutoencoderModel(shape, bfloat16: false, random));
        return new TrainedAutoencoder(model, device, threshold);
    }

    /// <summary>
    /// Views of the networks' tensors in PyTorch's shapes: a weight is (outputs, inputs), anything else (width).
    /// Several members are stacked along a first dimension, as torch.func.stack_module_state does.
    /// </summary>
    protected override IReadOnlyList<(string Name, torch.Tensor Value)> Exported() =>
        [.. Model.Network.NamedTensors().Select(t =>
        {
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor stacked = t.Value.shape[1] == 1 && !t.Name.EndsWith(".weight", StringComparison.Ordinal)
                || t.Name.Contains("_norm.", StringComparison.Ordinal)
                ? t.Value.detach().squeeze(1)
                : t.Value.detach();
            return (t.Name, Shape.Members == 1 ? stacked.squeeze(0) : stacked);
        })];
}
