using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>A GPT's network on a device, to generate with.</summary>
internal sealed class DeviceGpt : IDisposable
{
    private readonly GptNetwork _network;
    private readonly torch.Device _device;
    private readonly Lock _gate = new();

    public DeviceGpt(GptWeights weights, torch.Device device)
    {
        _device = device;
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(device);
        _network = new GptNetwork(weights.Shape, null, bfloat16: false, random).OutliveScope();
        _network.Take(weights);
        _network.eval();
    }

    /// <summary>
    /// A network on a CUDA device; null where the device turns out to be the CPU, which needs no torch.
    /// </summary>
    /// <param name="device">The choice.</param>
    /// <param name="fallbackToCpu">
    /// Whether the CPU may stand in for a CUDA device, or for torch, that is not there.
    /// </param>
    /// <param name="weights">The weights.</param>
    /// <exception cref="InvalidOperationException">The device, or torch itself, is not there.</exception>
    public static DeviceGpt? On(ComputeDevice device, bool fallbackToCpu, DecoderWeights weights)
    {
        if (device == ComputeDevice.Cpu)
            return null;
        torch.Device found;
        try
        {
            found = TorchRuntime.Resolve(device, fallbackToCpu);
        }
        catch (InvalidOperationException) when (fallbackToCpu || device == ComputeDevice.Auto)
        {
            return null;
        }
        return found.type == DeviceType.CPU ? null : new DeviceGpt(weights.Unpack(), found);
    }

    /// <summary>A decoder; one for each thread.</summary>
    public IGptDecoder NewDecoder() => new DeviceGptDecoder(_network, _device, _gate);

    public void Dispose() => _network.Dispose();
}
