using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Random tensors on a device, drawn from a seed and from nothing else: torch's own random state is neither read nor
/// moved.
/// </summary>
/// <remarks>
/// They are drawn on the CPU, whatever the device: TorchSharp (0.102 to 0.106) has no generators for other devices. So
/// a run draws the same numbers on every device.
/// </remarks>
internal sealed class SeededRandom(torch.Device device, ulong seed = 0) : IDisposable
{
    private readonly torch.Generator _generator = new(seed, torch.CPU);

    /// <summary>Where the tensors are.</summary>
    public torch.Device Device => device;

    /// <summary>Starts anew.</summary>
    public void Seed(ulong newSeed) => _generator.manual_seed(unchecked((long)newSeed));

    /// <summary>Uniform in [from, to).</summary>
    public torch.Tensor Uniform(long[] shape, double from, double to) =>
        HostTensors.OnDevice(Empty(shape).uniform_(from, to, _generator), device);

    /// <summary>Normal with mean 0.</summary>
    public torch.Tensor Normal(long[] shape, double deviation = 1) =>
        HostTensors.OnDevice(Empty(shape).normal_(0, deviation, _generator), device);

    /// <summary>One with this probability, otherwise zero.</summary>
    public torch.Tensor Bernoulli(long[] shape, double probability) =>
        HostTensors.OnDevice(Empty(shape).bernoulli_(probability, _generator), device);

    public void Dispose() => _generator.Dispose();

    private static torch.Tensor Empty(long[] shape) => torch.empty(shape, torch.ScalarType.Float32, torch.CPU);
}
