using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>What the <c>MLContext</c> says where options say nothing.</summary>
internal static class HostDefaults
{
    /// <summary>The CUDA device that <c>MLContext.GpuDeviceId</c> names, or the CPU where it names none.</summary>
    public static ComputeDevice Device(IHostEnvironment environment) =>
        MLNetInternals.GpuDeviceIdOf(environment) is int id ? ComputeDevice.Cuda(id) : ComputeDevice.Cpu;

    /// <summary>The same for a model that is loaded, which computes later: whether the device is there is said now.</summary>
    /// <exception cref="InvalidOperationException">Torch, or the device, is not there.</exception>
    public static ComputeDevice LoadingDevice(IHostEnvironment environment)
    {
        ComputeDevice device = Device(environment);
        if (device != ComputeDevice.Cpu)
            TorchRuntime.FindCuda(device, MLNetInternals.FallbackToCpuOf(environment));
        return device;
    }

    /// <summary>The seed of the <c>MLContext</c>, or 0: the same call gives the same model.</summary>
    public static int Seed(IHostEnvironment environment) => MLNetInternals.SeedOf(environment) ?? 0;
}
