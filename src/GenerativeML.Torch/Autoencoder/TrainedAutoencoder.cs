using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>
/// A trained autoencoder: scores, explains, encodes and reconstructs rows. Safe to use from several threads.
/// </summary>
internal sealed class TrainedAutoencoder : IDisposable
{
    private readonly AutoencoderModel _model;
    private readonly torch.Device _device;
    private readonly Lock? _deviceGate;
    private volatile bool _disposed;

    public TrainedAutoencoder(AutoencoderModel model, torch.Device device, float threshold)
    {
        _model = model;
        _model.eval();
        _device = device;
        _deviceGate = device.type == DeviceType.CPU ? null : new Lock();
        Threshold = threshold;
    }

    /// <summary>Everything needed to build the networks again.</summary>
    public AutoencoderShape Shape => _model.Shape;

    /// <summary>Slots of a row, D.</summary>
    public int InputWidth => _model.Shape.InputWidth;

    /// <summary>Slots of a code.</summary>
    public int LatentDimension => _model.Shape.LatentDimension;

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
        ObjectDisposedException.ThrowIf(_disposed, this);
        _deviceGate?.Enter();
        try
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor input = HostTensors.FromRows(rows[..(count * InputWidth)], count, InputWidth, _device);
            torch.Tensor standardized = _model.Standardize(input);
            if (!score.IsEmpty || !featureScore.IsEmpty)
            {
                torch.Tensor contributions = _model.Contributions(standardized);
                if (!featureScore.IsEmpty)
                    HostTensors.CopyTo(contributions, featureScore);
                if (!score.IsEmpty)
                    HostTensors.CopyTo(contributions.sum(1L), score);
            }
            if (!reconstruction.IsEmpty)
                HostTensors.CopyTo(_model.Reconstruct(standardized), reconstruction);
            if (!latent.IsEmpty)
                HostTensors.CopyTo(_model.Encode(standardized), latent);
        }
        finally
        {
            _deviceGate?.Exit();
        }
    }

    /// <summary>
    /// Writes the networks' weights as safetensors, named and shaped as PyTorch's own layers have them.
    /// </summary>
    public void ExportWeights(Stream stream)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        using DisposeScope scope = torch.NewDisposeScope();
        TensorFile.Save(stream, Exported());
    }

    /// <summary>
    /// Takes the networks' weights from such a file. The scale of the inputs, the stored rows, the weights of the
    /// score's parts and the threshold stay.
    /// </summary>
    /// <exception cref="FormatException">
    /// The file does not hold exactly the weights of networks of this shape.
    /// </exception>
    public void ImportWeights(Stream stream)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        using DisposeScope scope = torch.NewDisposeScope();
        TensorFile.Load(stream, Exported());
    }

    /// <summary>Writes all tensors of the model as safetensors.</summary>
    public void Save(Stream stream)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        TensorFile.Save(stream, _model.NamedTensors());
    }

    /// <summary>Builds a model of a shape and reads its tensors.</summary>
    /// <exception cref="FormatException">
    /// The shape is out of range, or the file does not hold exactly its tensors.
    /// </exception>
    public static TrainedAutoencoder Load(AutoencoderShape shape, float threshold, Stream weights, torch.Device device)
    {
        shape.Check();
        // Before anything is allocated: the file must be long enough to hold such a model.
        if (shape.Elements() > (weights.Length - weights.Position) / sizeof(float))
        {
            throw new FormatException(
                "The saved autoencoder's weights are fewer than its shape needs: the file is truncated or altered.");
        }
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(device);
        AutoencoderModel model = new AutoencoderModel(shape, bfloat16: false, random).OutliveScope();
        try
        {
            TensorFile.Load(weights, model.NamedTensors());
            return new TrainedAutoencoder(model, device, threshold);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Views of the networks' tensors in PyTorch's shapes: a weight is (outputs, inputs), anything else (width).
    /// Several members are stacked along a first dimension, as torch.func.stack_module_state does.
    /// </summary>
    private IReadOnlyList<(string Name, torch.Tensor Value)> Exported() =>
        [.. _model.Network.NamedTensors().Select(t =>
        {
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor stacked = t.Value.shape[1] == 1 && !t.Name.EndsWith(".weight", StringComparison.Ordinal)
                || t.Name.Contains("_norm.", StringComparison.Ordinal)
                ? t.Value.detach().squeeze(1)
                : t.Value.detach();
            return (t.Name, Shape.Members == 1 ? stacked.squeeze(0) : stacked);
        })];

    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        _model.Dispose();
    }
}
