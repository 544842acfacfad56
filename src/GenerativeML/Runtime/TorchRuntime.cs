using TorchSharp;

namespace GenerativeML;

/// <summary>The one place that decides whether torch can be used, on which device, and in which precision.</summary>
internal static class TorchRuntime
{
    private static readonly Lazy<Exception?> LoadError = new(Load);

    /// <summary>
    /// Why torch's native library cannot be used, or null where it can; loads it if that has not happened yet.
    /// </summary>
    public static Exception? LoadFailure => LoadError.Value;

    /// <summary>Loads torch's native library if that has not happened yet.</summary>
    /// <exception cref="InvalidOperationException">It is missing, or of a version that cannot work.</exception>
    public static void EnsureLoaded()
    {
        if (LoadError.Value is Exception error)
            throw new InvalidOperationException(
                "The native torch library is missing or of a version that does not fit TorchSharp " +
                $"{typeof(torch).Assembly.GetName().Version?.ToString(3)}. Reference the package TorchSharp-cpu or " +
                "TorchSharp-cuda-linux, of the version of TorchSharp, from the program that you run. " +
                $"({error.GetType().Name}: {error.Message})", error);
    }

    /// <summary>The torch device for a choice.</summary>
    /// <param name="device">The choice.</param>
    /// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
    /// <exception cref="InvalidOperationException">The CUDA device is not there.</exception>
    public static torch.Device Resolve(ComputeDevice device, bool fallbackToCpu)
    {
        EnsureLoaded();
        if (device == ComputeDevice.Cpu)
            return torch.CPU;
        if (device == ComputeDevice.OfType(device.Index))
            return new torch.Device((DeviceType)device.Index, 0);
        int devices = torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        int index = Math.Max(0, device.Index);
        if (index < devices)
        {
            torch.InitializeDeviceType(DeviceType.CUDA);
            return new torch.Device(DeviceType.CUDA, index);
        }
        if (fallbackToCpu || device == ComputeDevice.Auto)
            return torch.CPU;
        throw new InvalidOperationException(
            $"Device {device} was asked for, but this process has {devices} CUDA devices. " +
            "Set FallbackToCpu to compute on the CPU instead.");
    }

    /// <summary>The CUDA device for a choice; null for the CPU, where trained models compute without torch.</summary>
    /// <param name="device">The choice.</param>
    /// <param name="fallbackToCpu">
    /// Whether the CPU may stand in for a CUDA device, or for torch, that is not there.
    /// </param>
    /// <exception cref="InvalidOperationException">The device, or torch itself, is not there.</exception>
    public static torch.Device? FindCuda(ComputeDevice device, bool fallbackToCpu)
    {
        try
        {
            torch.Device found = Resolve(device, fallbackToCpu);
            return found.type == DeviceType.CPU ? null : found;
        }
        catch (InvalidOperationException) when (fallbackToCpu || device == ComputeDevice.Auto)
        {
            return null;
        }
    }

    private static Exception? Load()
    {
        try
        {
            TorchThreads.Prepare();
            using torch.Tensor one = torch.ones(1, torch.ScalarType.Float32);
            using torch.Tensor two = one.add(one);
            return two.item<float>() == 2 ? null : new InvalidOperationException("One and one did not make two.");
        }
        catch (Exception e)
        {
            // A missing library shows as one of many types, often inside a type initialisation.
            return e is TypeInitializationException { InnerException: Exception inner } ? inner : e;
        }
    }
}
