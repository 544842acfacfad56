using TorchSharp;

namespace GenerativeML;

/// <summary>A GPT's network on a device, to generate with.</summary>
internal sealed class DeviceGpt : IDisposable
{
    private readonly GptNetwork _network;
    private bool _disposed;

    public DeviceGpt(GptWeights weights, torch.Device device)
    {
        Device = device;
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

    /// <summary>Where it is.</summary>
    public torch.Device Device { get; }

    /// <summary>The network's shape.</summary>
    public GptShape Shape => _network.Shape;

    /// <summary>Held while the device works.</summary>
    public Lock Gate { get; } = new();

    /// <summary>The network, for who holds the gate.</summary>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    public GptNetwork Network
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed, typeof(TrainedGpt));
            return _network;
        }
    }

    /// <summary>A decoder; one for each thread.</summary>
    public IGptDecoder NewDecoder() => new DeviceGptDecoder(this);

    /// <summary>Frees the network, as soon as nobody computes with it.</summary>
    public void Dispose()
    {
        lock (Gate)
        {
            if (!_disposed)
                _network.Dispose();
            _disposed = true;
        }
    }
}
