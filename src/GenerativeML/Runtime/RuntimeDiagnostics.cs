using System.Globalization;
using System.Reflection;
using System.Text;
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
    /// <c>mimalloc</c>, <c>musl</c>, or a library's name; null where the system does not tell, as outside Linux.
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
            TorchSharpVersion = VersionOf(typeof(torch).Assembly),
            LibTorchVersion = libraries.LibTorchVersion,
            LibTorchError = error is null ? null : TorchRuntime.Describe(error),
            TorchSharpWarning = TorchRuntime.VersionWarning,
            Blas = error is null ? libraries.Blas : null,
            Allocator = NativeAllocator.Name(),
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
