using TorchSharp;

namespace GenerativeML;

/// <summary>An autoencoder's networks on a device, to compute with.</summary>
internal sealed class DeviceAutoencoder : DeviceModel<AutoencoderModel>
{
    public DeviceAutoencoder(AutoencoderShape shape, HostWeights weights, torch.Device device)
        : base(Build(shape, weights, device), device)
    {
    }

    /// <summary>On a CUDA device; null where the device turns out to be the CPU.</summary>
    /// <exception cref="InvalidOperationException">The device, or torch itself, is not there.</exception>
    public static DeviceAutoencoder? On(
        ComputeDevice device, bool fallbackToCpu, AutoencoderShape shape, HostWeights weights) =>
        TorchRuntime.FindCuda(device, fallbackToCpu) is torch.Device found ? new(shape, weights, found) : null;

    /// <summary>Takes other weights.</summary>
    public void Take(HostWeights weights)
    {
        using IDisposable computation = Enter();
        Model.Take(weights);
    }

    /// <summary>Computes what is asked for of rows in the units of the data.</summary>
    /// <param name="rows">(count × D), finite.</param>
    /// <param name="count">The number of rows.</param>
    /// <param name="wanted">Where the results go.</param>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    public void Compute(ReadOnlySpan<float> rows, int count, AutoencoderOutputs wanted)
    {
        using IDisposable computation = Enter();
        int width = Model.Shape.InputWidth;
        torch.Tensor input = HostTensors.FromRows(rows[..(count * width)], count, width, Device);
        torch.Tensor standardized = Model.Standardize(input);
        if (!wanted.Score.IsEmpty || !wanted.FeatureScore.IsEmpty)
        {
            torch.Tensor contributions = Model.Contributions(standardized);
            if (!wanted.FeatureScore.IsEmpty)
                HostTensors.CopyTo(contributions, wanted.FeatureScore.Span);
            if (!wanted.Score.IsEmpty)
                HostTensors.CopyTo(contributions.sum(1L), wanted.Score.Span);
        }
        if (!wanted.Reconstruction.IsEmpty)
            HostTensors.CopyTo(Model.Reconstruct(standardized), wanted.Reconstruction.Span);
        if (!wanted.Latent.IsEmpty)
            HostTensors.CopyTo(Model.Encode(standardized), wanted.Latent.Span);
    }

    private static AutoencoderModel Build(AutoencoderShape shape, HostWeights weights, torch.Device device)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(device);
        AutoencoderModel model = new AutoencoderModel(shape, bfloat16: false, random).OutliveScope();
        model.Take(weights);
        return model;
    }
}
