using System.Collections.Concurrent;
using System.Diagnostics;
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
    public static void EnsureLoaded()
    {
        // Without inner errors: what is innermost is what people look at, and it should be what to do.
        if (LoadError.Value is PlatformNotSupportedException old)
            throw new InvalidOperationException(old.Message);
        if (LoadError.Value is Exception error)
            throw new InvalidOperationException(
                "The native torch library is missing or of a version that does not fit TorchSharp " +
                $"{typeof(torch).Assembly.GetName().Version?.ToString(3)}. Reference the package TorchSharp-cpu or " +
                "TorchSharp-cuda-linux, of the version of TorchSharp, from the program that you run. " +
                $"({Describe(error)})");
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
    public static torch.Device Resolve(ComputeDevice device, bool fallbackToCpu)
    {
        EnsureLoaded();
        if (device == ComputeDevice.Cpu)
            return torch.CPU;
        int devices = CudaDevices;
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

    /// <summary>The number of CUDA devices that this process sees.</summary>
    public static int CudaDevices
    {
        get
        {
            EnsureLoaded();
            return torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        }
    }

    /// <summary>The CUDA device for a choice; null for the CPU, where trained models compute without torch.</summary>
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
            using torch.Tensor two = one.Plus(one);
            return two.item<float>() == 2 ? null : new InvalidOperationException("One and one did not make two.");
        }
        catch (Exception e)
        {
            // A missing library shows as one of many types, often inside a type initialisation.
            return e is TypeInitializationException { InnerException: Exception inner } ? inner : e;
        }
    }

    /// <summary>
    /// Before TorchSharp loads the library, since it would not tell, and copies half a gigabyte to try again.
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
    private const double MinProduct = 1 << 23;

    private static readonly Lock s_gate = new();
    private static int s_running, s_started; // runs, and the number that was found before the first

    [ThreadStatic]
    private static int t_threads; // of the run that this thread is in; zero for none

    private static readonly string[] Variables = ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"];

    /// <summary>
    /// Before the native library is loaded: waiting threads are to sleep, since spinning takes the processor from those
    /// that read rows and from other processes.
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
    /// One thread where typical products are small, all where they are large, until disposed; where several processes share
    /// the machine, a part of them.
    /// </summary>
    /// <remarks>
    /// Torch keeps the number for the thread that sets it and for those that are new to torch, so that each of several
    /// runs at once sets its own, and each puts back what was found before the first of them.
    /// </remarks>
    public static IDisposable For(double multiplyAdds, int processes = 1)
    {
        if (Variables.Any(v => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(v))))
            return new OnDispose(() => { });
        int outer = t_threads;
        lock (s_gate)
        {
            if (s_running++ == 0)
                s_started = torch.get_num_threads();
            Set(t_threads = Choose(multiplyAdds, s_started, Math.Max(1, Environment.ProcessorCount / processes)));
        }
        return new OnDispose(() =>
        {
            lock (s_gate)
            {
                t_threads = outer;
                Set(outer > 0 ? outer : s_started);
                s_running--;
            }
        });

        static void Set(int threads)
        {
            if (s_running > 1 || torch.get_num_threads() != threads)
                torch.set_num_threads(threads);
        }
    }

    /// <summary>
    /// Torch starts with the machine's cores, hyperthreads left out, which is right unless the process may use fewer.
    /// Some builds start with one thread on every machine, and say nothing by that.
    /// </summary>
    internal static int Choose(double multiplyAdds, int started, int processors) =>
        multiplyAdds < MinProduct ? 1 : started <= 1 ? processors : Math.Min(started, processors);

    /// <summary>Sets a variable where native libraries read it; not on Windows.</summary>
    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int SetVariable(string name, string value, int overwrite);
}

/// <summary>Decides whether matrix products are made in bfloat16.</summary>
internal static class PrecisionChoice
{
    // Of a linear layer forward and back, casts included, on a CPU with AMX: with 128 columns, bfloat16 gains a sixth
    // at 768 rows and a third at 2048; with 256 columns, a fifth at 128 rows and a factor of 2 at 768; below both limits
    // it loses. Limits rather than a measurement of the very size, for that would now and then answer otherwise: the
    // same seed would give another model, and a checkpoint would be refused.
    private const int MinWidth = 128;
    private const long MinProduct = 1 << 23;

    // GPUs gain a factor of 2 to 6 in large products, CPUs without AMX lose one or gain little; in between lies next to
    // nothing, so that the answer does not change from run to run.
    private const double MinGain = 1.5;
    private const int Rounds = 12;

    private static readonly ConcurrentDictionary<string, bool> Probed = new();

    /// <summary>Decides for a network's widest layer and the rows, of a text its tokens, of a step.</summary>
    public static bool UseBFloat16(Precision precision, torch.Device device, int width, long rows = 256) =>
        precision switch
        {
            Precision.Float32 => false,
            Precision.BFloat16 => true,
            _ => IsLarge(width, rows) && IsBFloat16Faster(device),
        };

    /// <summary>Whether a layer's products are large enough to gain where large ones do.</summary>
    internal static bool IsLarge(int width, long rows) =>
        width >= MinWidth && rows >= MinProduct / ((long)width * width);

    /// <summary>Whether a device's products are clearly faster in bfloat16, as known or measured once.</summary>
    public static bool IsBFloat16Faster(torch.Device device) =>
        Probed.GetOrAdd(device.ToString(), _ => IsFaster(device));

    private static bool IsFaster(torch.Device device)
    {
        if (device.type == DeviceType.CPU && Processor.InstructionSets().Contains(Processor.AmxBFloat16))
            return true;
        using IDisposable threads = TorchThreads.For(0); // several would measure who else uses the machine
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor a = torch.ones(512, 512, torch.ScalarType.Float32, device);
        torch.Tensor b = a.to(torch.ScalarType.BFloat16);
        try
        {
            double full = double.PositiveInfinity, half = double.PositiveInfinity;
            for (int i = 0; i < Rounds; i++)
            {
                full = Math.Min(full, Seconds(a, device));
                half = Math.Min(half, Seconds(b, device));
            }
            return full > MinGain * half;
        }
        catch (ExternalException)
        {
            return false; // this device has no such product
        }
    }

    private static double Seconds(torch.Tensor x, torch.Device device)
    {
        long start = Stopwatch.GetTimestamp();
        x.matmul(x).Dispose();
        if (device.type == DeviceType.CUDA)
            torch.cuda.synchronize(device);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }
}
