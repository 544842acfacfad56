using GenerativeML.Tests;
using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>What a process computes with, where there is a libtorch and where there is none.</summary>
[TestClass]
public sealed class RuntimeDiagnosticsTests
{
    private const string Worker = "GenerativeML.TestWorker.dll";

    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void With_the_native_library_threads_and_devices_are_those_that_torch_has()
    {
        var described = RuntimeDiagnostics.Describe();
        Assert.IsNull(described.LibTorchError);
        Assert.AreEqual(torch.get_num_threads(), described.TorchThreads);
        Assert.AreEqual(Environment.ProcessorCount, described.Processors);
        Assert.AreEqual(ComputeDevice.Cpu, described.Devices[0].Device);
        Assert.HasCount(1 + (torch.cuda.is_available() ? torch.cuda.device_count() : 0), described.Devices);
        Assert.AreEqual(
            PrecisionChoice.UseBFloat16(Precision.Auto, torch.CPU, 4096), described.Devices[0].IsBFloat16Faster);
        string text = described.ToString();
        foreach (string part in new[] { described.Version, described.TorchSharpVersion, described.Processor, "cpu" })
            StringAssert.Contains(text, part);
    }

    [TestMethod]
    public void Without_it_the_call_says_why_and_does_not_fail()
    {
        string program = TorchlessProcess.CopyManaged(Path.Combine(_folder, "program"));
        (int code, string[] lines, string errors) = TorchlessProcess.Run(program, Worker, "describe");
        Assert.AreEqual(0, code, errors);
        string text = string.Join('\n', lines);
        StringAssert.Contains(text, "cannot be used");
        StringAssert.Contains(text, "processor");
        Assert.IsFalse(text.Contains("device", StringComparison.Ordinal), text);
        Assert.IsFalse(text.Contains("BLAS", StringComparison.Ordinal), text);
    }

    [TestMethod]
    [DataRow("/usr/lib/x86_64-linux-gnu/openblas-openmp/libopenblasp-r0.3.21.so", "OpenBLAS")]
    [DataRow("/opt/intel/lib/libmkl_core.so.2", "MKL")]
    [DataRow("/usr/lib/libopenblas.so.0", "OpenBLAS")]
    [DataRow("/usr/lib/x86_64-linux-gnu/blas/libblas.so.3.11.0", "BLAS")]
    [DataRow("/usr/lib/x86_64-linux-gnu/libtorch_cpu.so.1.13.0", null)]
    public void The_library_of_products_is_known_by_its_file(string path, string? blas) =>
        Assert.AreEqual(blas, new NativeLibraries(["/lib/libc.so.6", path]).Blas);

    [TestMethod]
    [DataRow("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "jemalloc")]
    [DataRow("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4.5.10", "tcmalloc")]
    [DataRow("/usr/lib/libtorch_cpu.so", "glibc")]
    public void The_allocator_is_known_by_its_file(string path, string allocator)
    {
        Assert.AreEqual(allocator, new NativeLibraries(["/usr/lib/libc.so.6", path]).Allocator);
        Assert.IsNull(new NativeLibraries([]).Allocator);
        Assert.AreEqual(OperatingSystem.IsLinux(), RuntimeDiagnostics.Describe().Allocator is not null);
    }

    [TestMethod]
    [DataRow("/usr/lib/x86_64-linux-gnu/libtorch_cpu.so.1.13.0", "1.13.0")]
    [DataRow("/usr/lib/x86_64-linux-gnu/libtorch_cpu.so.2.6", "2.6")]
    [DataRow("/app/runtimes/linux-x64/native/libtorch_cpu.so", null)]
    public void The_native_librarys_version_is_in_its_files_name(string path, string? version) =>
        Assert.AreEqual(version, new NativeLibraries([path]).LibTorchVersion);

    [TestMethod]
    public void The_instruction_sets_that_NET_knows_of_are_named()
    {
        IReadOnlyList<string> sets = Processor.InstructionSets();
        Assert.AreEqual(System.Runtime.Intrinsics.X86.Avx512F.IsSupported, sets.Contains("AVX-512F"));
        Assert.AreEqual(System.Runtime.Intrinsics.X86.Avx2.IsSupported, sets.Contains("AVX2"));
        Assert.IsFalse(string.IsNullOrWhiteSpace(Processor.Name()));
    }
}
