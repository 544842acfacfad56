using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using System.Text;
using System.Text.RegularExpressions;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// What this process computes with: versions, native libraries, threads, processor and devices. For reports of errors,
/// and for finding out why something is slow.
/// </summary>
public sealed record RuntimeDiagnostics
{
    private static readonly string[] ThreadVariables =
    [
        "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND",
        "GOMP_SPINCOUNT", "KMP_BLOCKTIME", "DOTNET_PROCESSOR_COUNT",
    ];

    /// <summary>The version of this package.</summary>
    public required string Version { get; init; }

    /// <summary>The version of ML.NET; null where it is not in use.</summary>
    public string? MLNetVersion { get; init; }

    /// <summary>The version of ONNX Runtime, which computes what models score on the CPU; null where it cannot be used.</summary>
    public string? OnnxRuntimeVersion { get; init; }

    /// <summary>Why ONNX Runtime cannot be used; null where it can. Without it models compute by libtorch.</summary>
    public string? OnnxRuntimeError { get; init; }

    /// <summary>The version of TorchSharp.</summary>
    public required string TorchSharpVersion { get; init; }

    /// <summary>What to know of that version; null where it is the one that this package is tested with.</summary>
    public string? TorchSharpWarning { get; init; }

    /// <summary>The version of the native library, libtorch; null where it is not loaded or does not tell.</summary>
    public string? LibTorchVersion { get; init; }

    /// <summary>
    /// Why libtorch cannot be used; null where it can. Without it nothing can be trained, and models that need it do
    /// not compute.
    /// </summary>
    public string? LibTorchError { get; init; }

    /// <summary>
    /// The library of linear algebra that matrix products are taken from, as far as can be told: null where it is
    /// inside libtorch. One with threads of its own gets in the way of libtorch's.
    /// </summary>
    public string? Blas { get; init; }

    /// <summary>
    /// The allocator that tensors get their memory from: <c>glibc</c>, <c>tcmalloc</c>, <c>jemalloc</c>,
    /// <c>mimalloc</c> or <c>musl</c>; null where the system does not tell, as outside Linux.
    /// </summary>
    /// <remarks>
    /// An allocator made for many large blocks makes training steps that are bound by allocation faster, by 10 to 25 %
    /// for a small network. To preload tcmalloc on Debian or Ubuntu:
    /// <c>apt-get install libtcmalloc-minimal4</c>, and
    /// <c>LD_PRELOAD=/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4 dotnet app.dll</c>. jemalloc
    /// (<c>libjemalloc2</c>) and mimalloc (<c>libmimalloc2.0</c>) work in the same way. musl's, as in Alpine, is slow.
    /// </remarks>
    public string? Allocator { get; init; }

    /// <summary>
    /// The threads that libtorch starts with; null without it. A training run takes one for small products and all for
    /// large ones, unless one of <see cref="Variables"/> says how many.
    /// </summary>
    public int? TorchThreads { get; init; }

    /// <summary>The processors that this process may use.</summary>
    public required int Processors { get; init; }

    /// <summary>The variables of the environment that decide about threads, those that are set.</summary>
    public required IReadOnlyDictionary<string, string> Variables { get; init; }

    /// <summary>The name of the processor.</summary>
    public required string Processor { get; init; }

    /// <summary>The instruction sets of the processor that matter for speed, such as <c>AVX-512F</c>.</summary>
    public required IReadOnlyList<string> InstructionSets { get; init; }

    /// <summary>Where this process can compute by libtorch; empty without it.</summary>
    public required IReadOnlyList<DeviceDiagnostics> Devices { get; init; }

    /// <summary>
    /// Looks, and loads libtorch for that, if it is there. Whether matrix products are faster in bfloat16 is measured
    /// the first time, in some milliseconds.
    /// </summary>
    internal static RuntimeDiagnostics Describe()
    {
        Exception? error = TorchRuntime.LoadFailure;
        NativeLibraries libraries = NativeLibraries.Loaded();
        return new RuntimeDiagnostics
        {
            Version = VersionOf(typeof(RuntimeDiagnostics).Assembly),
            OnnxRuntimeVersion = NativeParts.OnnxFailure is null ? NativeParts.OnnxVersion : null,
            OnnxRuntimeError = NativeParts.OnnxFailure is { } missing ? TorchRuntime.Describe(missing) : null,
            TorchSharpVersion = VersionOf(typeof(torch).Assembly),
            LibTorchVersion = libraries.LibTorchVersion,
            LibTorchError = error is null ? null : TorchRuntime.Describe(error),
            TorchSharpWarning = TorchRuntime.VersionWarning,
            Blas = error is null ? libraries.Blas : null,
            Allocator = libraries.Allocator,
            TorchThreads = error is null ? torch.get_num_threads() : null,
            Processors = Environment.ProcessorCount,
            Variables = ThreadVariables
                .Select(name => (Name: name, Value: Environment.GetEnvironmentVariable(name)))
                .Where(v => !string.IsNullOrEmpty(v.Value)).ToDictionary(v => v.Name, v => v.Value!),
            Processor = GenerativeML.Processor.Name(),
            InstructionSets = GenerativeML.Processor.InstructionSets(),
            Devices = error is null ? [.. DevicesOf()] : [],
        };
    }

    /// <summary>The version that an assembly says it has, without what a build adds to it.</summary>
    internal static string VersionOf(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
        ?? assembly.GetName().Version?.ToString() ?? "unknown";

    /// <summary>All of it, for people, in some lines.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        Line("GenerativeML", Version);
        Line("ML.NET", MLNetVersion);
        Line("ONNX Runtime", OnnxRuntimeVersion ?? $"cannot be used. {OnnxRuntimeError}");
        Line("TorchSharp", TorchSharpVersion);
        Line("", TorchSharpWarning);
        Line("libtorch", LibTorchError is null ? LibTorchVersion ?? "loaded" : $"cannot be used. {LibTorchError}");
        Line("BLAS", LibTorchError is null ? Blas ?? "inside libtorch" : null);
        Line("allocator", Allocator);
        Line("processors", $"{Processors}");
        Line("threads", TorchThreads is int threads ? $"{threads}, libtorch's at its start" : null);
        foreach ((string name, string value) in Variables)
            Line("", $"{name}={value}");
        Line("processor", Processor);
        Line("instructions", string.Join(", ", InstructionSets));
        foreach (DeviceDiagnostics device in Devices)
            Line("device", device.ToString());
        return text.ToString().TrimEnd();

        void Line(string name, string? value)
        {
            if (value is not null)
                text.Append(CultureInfo.InvariantCulture, $"{name,-13} {value}\n");
        }
    }

    private static IEnumerable<DeviceDiagnostics> DevicesOf()
    {
        int cuda = torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        return Enumerable.Range(0, cuda).Select(i => ComputeDevice.Cuda(i)).Prepend(ComputeDevice.Cpu).Select(d =>
            new DeviceDiagnostics(d, PrecisionChoice.IsBFloat16Faster(TorchRuntime.Resolve(d, fallbackToCpu: false))));
    }
}

/// <summary>A device that this process can compute on.</summary>
/// <param name="Device">Which one.</param>
/// <param name="IsBFloat16Faster">
/// Whether its matrix products are clearly faster in bfloat16 than in float32, as measured:
/// <see cref="Precision.Auto"/> goes by it.
/// </param>
public sealed record DeviceDiagnostics(ComputeDevice Device, bool IsBFloat16Faster)
{
    /// <summary>In words.</summary>
    public override string ToString() =>
        $"{Device}, bfloat16 {(IsBFloat16Faster ? "faster than" : "no faster than")} float32";
}

/// <summary>What can be told from the native libraries that a process has loaded.</summary>
/// <param name="Paths">Their files.</param>
internal sealed partial record NativeLibraries(IReadOnlyList<string> Paths)
{
    // Of each, the first that fits wins: OpenBLAS comes under the names of the reference library, too, and an allocator
    // that is loaded beside the system's own takes its place.
    private static readonly (string Part, string Name)[] s_blas =
    [
        ("openblas", "OpenBLAS"), ("mkl_core", "MKL"), ("mkl_rt", "MKL"), ("libblis", "BLIS"),
        ("vecLib", "Accelerate"), ("libblas", "BLAS"),
    ];

    private static readonly (string Part, string Name)[] s_allocators =
    [
        ("tcmalloc", "tcmalloc"), ("jemalloc", "jemalloc"), ("mimalloc", "mimalloc"), ("ld-musl", "musl"),
        ("libc.so.6", "glibc"), ("libc-2.", "glibc"),
    ];

    /// <summary>Of this process; none where the system does not tell.</summary>
    public static NativeLibraries Loaded()
    {
        try
        {
            using Process self = Process.GetCurrentProcess();
            return new([.. self.Modules.Cast<ProcessModule>().Select(m => m.FileName).Where(f => f.Length > 0)]);
        }
        catch (Exception e) when (e is Win32Exception or InvalidOperationException or NotSupportedException)
        {
            return new([]);
        }
    }

    /// <summary>See <see cref="RuntimeDiagnostics.Blas"/>; builds of libtorch often have their own inside.</summary>
    public string? Blas => Find(s_blas);

    /// <summary>See <see cref="RuntimeDiagnostics.Allocator"/>.</summary>
    public string? Allocator => Find(s_allocators);

    /// <summary>The version of libtorch, where its file's name has it, or null.</summary>
    public string? LibTorchVersion =>
        Paths.Select(p => Versioned().Match(p)).FirstOrDefault(m => m.Success)?.Groups[1].Value;

    private string? Find((string Part, string Name)[] known) => known.FirstOrDefault(
        k => Paths.Any(p => p.Contains(k.Part, StringComparison.OrdinalIgnoreCase))).Name;

    [GeneratedRegex(@"libtorch_cpu\.so\.(\d+\.\d+(\.\d+)?)")]
    private static partial Regex Versioned();
}

/// <summary>What the processor is and can do.</summary>
internal static class Processor
{
    /// <summary>Tiles of bfloat16, as <see cref="InstructionSets"/> names it.</summary>
    public const string AmxBFloat16 = "AMX BF16";

    private const string Description = "/proc/cpuinfo";

    // .NET has no classes for these, and libtorch uses them all the same: Linux tells of them.
    private static readonly (string Flag, string Name)[] OnlyInFlags =
    [
        ("avx512_bf16", "AVX-512 BF16"), ("amx_tile", "AMX"), ("amx_bf16", AmxBFloat16), ("amx_int8", "AMX INT8"),
        ("bf16", "Arm BF16"),
    ];

    /// <summary>Its name, or its architecture where the system does not tell more.</summary>
    public static string Name() =>
        Value("model name") ?? RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>The instruction sets that matter for speed, widest first within each kind.</summary>
    public static IReadOnlyList<string> InstructionSets()
    {
        (bool Is, string Name)[] known =
        [
            (Avx2.IsSupported, "AVX2"), (Fma.IsSupported, "FMA"), (Avx512F.IsSupported, "AVX-512F"),
            (Avx512BW.IsSupported, "AVX-512BW"), (AvxVnni.IsSupported, "AVX-VNNI"), (Avx10v1.IsSupported, "AVX10.1"),
            (Avx10v2.IsSupported, "AVX10.2"), (AdvSimd.IsSupported, "AdvSIMD"), (Dp.IsSupported, "Arm DP"),
        ];
        string[] flags = (Value("flags") ?? Value("Features") ?? "").Split(' ');
        return
        [
            .. known.Where(k => k.Is).Select(k => k.Name),
            .. OnlyInFlags.Where(f => flags.Contains(f.Flag)).Select(f => f.Name),
        ];
    }

    private static string? Value(string name)
    {
        try
        {
            string? line = File.ReadLines(Description)
                .FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal) && l.Contains(':'));
            return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null; // another system than Linux
        }
    }
}
