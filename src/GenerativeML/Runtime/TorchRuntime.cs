using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TorchSharp;

namespace GenerativeML;

/// <summary>The one place that decides whether torch can be used, on which device, and in which precision.</summary>
internal static partial class TorchRuntime
{
    private static readonly Version Tested = new(0, 107, 0);

    private static readonly Lazy<Exception?> LoadError = new(Load);

    /// <summary>
    /// Why torch's native library cannot be used, or null where it can; loads it if that has not happened yet.
    /// </summary>
    public static Exception? LoadFailure => LoadError.Value;

    /// <summary>What to know of the version of TorchSharp that is in use; null where it is the one tested.</summary>
    public static string? VersionWarning => WarningOf(typeof(torch).Assembly.GetName().Version);

    /// <summary>Loads torch's native library if that has not happened yet.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is missing, or of a version that cannot work, or the system is too old for it.
    /// </exception>
    public static void EnsureLoaded()
    {
        if (LoadError.Value is PlatformNotSupportedException old)
            throw new InvalidOperationException(old.Message, old);
        if (LoadError.Value is Exception error)
            throw new InvalidOperationException(
                "The native torch library is missing or of a version that does not fit TorchSharp " +
                $"{typeof(torch).Assembly.GetName().Version?.ToString(3)}. Reference the package TorchSharp-cpu or " +
                "TorchSharp-cuda-linux, of the version of TorchSharp, from the program that you run. " +
                $"({Describe(error)})", error);
    }

    /// <summary>An error of loading without the trace that TorchSharp adds to it.</summary>
    public static string Describe(Exception error) => error is PlatformNotSupportedException
        ? error.Message
        : $"{error.GetType().Name}: {error.Message.Split('\n')[0].TrimEnd()}";

    /// <inheritdoc cref="VersionWarning"/>
    internal static string? WarningOf(Version? found) =>
        found is not null && (found.Major, found.Minor, found.Build) == (Tested.Major, Tested.Minor, Tested.Build)
            ? null
            : $"This package is tested with TorchSharp {Tested}, and the version in use is {found?.ToString(3)}: "
                + "what it trains may differ, or fail.";

    /// <summary>What an error of the dynamic linker says of a system that is too old; null where it does not.</summary>
    internal static string? OldSystem(string linkerError) =>
        VersionNotFound().Match(linkerError) is { Success: true } missing
            ? $"libtorch needs a newer C++ library than this system has: {missing.Groups["file"].Value} lacks "
                + $"{missing.Groups["version"].Value}. Use Ubuntu 24.04, Debian 13, Fedora 38 or later, or name a folder "
                + "with a newer libstdc++.so.6, of GCC 13.2 on, in LD_LIBRARY_PATH before the program starts. On Debian "
                + "12, build/setup.sh of this package's repository installs what is needed."
            : null;

    [GeneratedRegex(@"(?<file>[^\s:]+): version `?'?(?<version>(GLIBCXX|CXXABI|GLIBC)_[0-9.]+)'? not found")]
    private static partial Regex VersionNotFound();

    /// <summary>The torch device for a choice.</summary>
    /// <param name="device">The choice.</param>
    /// <param name="fallbackToCpu">Whether the CPU may stand in for a CUDA device that is not there.</param>
    /// <exception cref="InvalidOperationException">The CUDA device is not there.</exception>
    public static torch.Device Resolve(ComputeDevice device, bool fallbackToCpu)
    {
        EnsureLoaded();
        if (device == ComputeDevice.Cpu)
            return torch.CPU;
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
            if (TooOld() is Exception old)
                return old;
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

    /// <summary>
    /// Before TorchSharp loads the library: it does not tell why that fails, copies half a gigabyte of files to try
    /// again, and writes its trace to the console.
    /// </summary>
    private static PlatformNotSupportedException? TooOld()
    {
        if (!OperatingSystem.IsLinux())
            return null;
        try
        {
            NativeLibrary.Load("LibTorchSharp", typeof(torch).Assembly, null);
        }
        catch (DllNotFoundException e) when (OldSystem(e.Message) is string message)
        {
            return new PlatformNotSupportedException(message, e);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            // TorchSharp looks in more places, and says where.
        }
        return null;
    }
}
