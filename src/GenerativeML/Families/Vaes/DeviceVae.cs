using TorchSharp;

namespace GenerativeML;

/// <summary>A VAE's networks on a device, to compute with.</summary>
internal sealed class DeviceVae : DeviceModel<VaeModel>
{
    private readonly VaeScoring _scoring;

    public DeviceVae(VaeShape shape, HostWeights weights, torch.Device device)
        : base(Build(shape, weights, device), device) => _scoring = new VaeScoring(Model);

    /// <summary>On a CUDA device; null where the device turns out to be the CPU.</summary>
    /// <exception cref="InvalidOperationException">The device, or torch itself, is not there.</exception>
    public static DeviceVae? On(ComputeDevice device, bool fallbackToCpu, VaeShape shape, HostWeights weights) =>
        TorchRuntime.FindCuda(device, fallbackToCpu) is torch.Device found ? new(shape, weights, found) : null;

    /// <summary>Takes other weights.</summary>
    public void Take(HostWeights weights)
    {
        using IDisposable computation = Enter();
        Model.Take(weights);
    }

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
            HostTensors.CopyTo(_scoring.Score(rows, conditions), wanted.Score.Span);
        if (!wanted.FeatureScore.IsEmpty)
            HostTensors.CopyTo(_scoring.SlotScore(rows, conditions), wanted.FeatureScore.Span);
        if (wanted.Latent.IsEmpty && wanted.Deviation.IsEmpty && wanted.Reconstruction.IsEmpty)
            return;
        torch.Tensor? condition = Model.Conditions.Scaled(conditions);
        (torch.Tensor mean, torch.Tensor logVariance) = Model.Encode(Model.Standardize(rows), condition);
        if (!wanted.Latent.IsEmpty)
            HostTensors.CopyTo(mean, wanted.Latent.Span);
        if (!wanted.Deviation.IsEmpty)
            HostTensors.CopyTo(logVariance.mul(0.5).exp(), wanted.Deviation.Span);
        if (!wanted.Reconstruction.IsEmpty)
            HostTensors.CopyTo(Model.Expected(Model.Decode(mean, condition)), wanted.Reconstruction.Span);
    }

    private static VaeModel Build(VaeShape shape, HostWeights weights, torch.Device device)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(device);
        VaeModel model = new VaeModel(shape, bfloat16: false, random).OutliveScope();
        model.Take(weights);
        return model;
    }
}
