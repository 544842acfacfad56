using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TorchSharp;

namespace GenerativeML;

/// <summary>The one place that decides whether torch can be used, on which device, and in which precision.</summary>
internal static partial class TorchRuntime
{
    private static readonly Version Tested = new(0, 107, 0);

    private static readonly Lazy<Exception?> LoadError = new(Load);

    /// <summary>Why torch's native library, which this loads, cannot be used; null where it can.</summary>
    public static Exception? LoadFailure => LoadError.Value;

    /// <summary>What to know of the version of TorchSharp that is in use; null where it is the one tested.</summary>
    public static string? VersionWarning => WarningOf(typeof(torch).Assembly.GetName().Version);

    /// <summary>Loads torch's native library if that has not happened yet.</summary>
    /// <exception cref="InvalidOperationException">It is missing, does not fit, or the system is too old.</exception>
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

    /// <summary>The torch device for a choice; the CPU may stand in for a CUDA device that is not there.</summary>
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

/// <summary>
/// How many threads torch computes with. The usual variables win: with <c>OMP_NUM_THREADS</c>,
/// <c>MKL_NUM_THREADS</c> or <c>OPENBLAS_NUM_THREADS</c> set, torch keeps the number that it starts with, and
/// <c>OMP_WAIT_POLICY</c> stays what it is.
/// </summary>
internal static partial class TorchThreads
{
    // Below some 8 million multiply-adds a product takes less than 0.1 ms: waking a second thread, some 10 µs, then
    // costs more than it brings, all the more for the smaller operations between the products.
    private const double LeastProduct = 1 << 23;

    private static readonly string[] Variables = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"];

    /// <summary>
    /// Before torch's native library is loaded: threads that wait are to sleep. By default they spin, and take the
    /// processor from the threads that read rows and from every other process on a shared machine.
    /// </summary>
    public static void Prepare()
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            // OpenMP reads the C library's environment, which Environment.SetEnvironmentVariable does not reach.
            _ = SetVariable("OMP_WAIT_POLICY", "passive", overwrite: 0);
        }
        catch (Exception e) when (e is DllNotFoundException or EntryPointNotFoundException)
        {
            // A C library by another name: torch works as well, it only spins.
        }
    }

    /// <summary>
    /// One thread where the work's typical products are small, all where they are large, until disposed.
    /// </summary>
    public static IDisposable For(double multiplyAdds)
    {
        int before = torch.get_num_threads();
        bool given = Variables.Any(v => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(v)));
        int threads = given ? before : Choose(multiplyAdds, before, Environment.ProcessorCount);
        if (threads != before)
            torch.set_num_threads(threads);
        return new Restoring(threads == before ? null : before);
    }

    /// <summary>
    /// Torch starts with the machine's cores, hyperthreads left out, which is right unless the process may use fewer.
    /// Some builds start with one thread on every machine, and say nothing by that.
    /// </summary>
    internal static int Choose(double multiplyAdds, int started, int processors) =>
        multiplyAdds < LeastProduct ? 1 : started <= 1 ? processors : Math.Min(started, processors);

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);

    private sealed class Restoring(int? threads) : IDisposable
    {
        public void Dispose()
        {
            if (threads is int before)
                torch.set_num_threads(before);
        }
    }
}
