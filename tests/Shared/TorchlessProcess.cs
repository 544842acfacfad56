using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.VisualStudio.TestTools.UnitTesting;

namespace GenerativeML.Tests;

/// <summary>Programs that must not load torch's native library, and folders where there is none.</summary>
internal static class TorchlessProcess
{
    private static readonly string[] NativeNames = ["libtorch", "torch-dispatch", "LibTorchSharp", "torch_cpu", "c10"];

    /// <summary>
    /// Copies the programs beside the tests with ONNX Runtime as the only native part, or none, and without the list
    /// that says where else something native may be.
    /// </summary>
    /// <param name="folder">Where they go.</param>
    /// <param name="onnxRuntime">Whether ONNX Runtime's native part goes with them.</param>
    public static string CopyManaged(string folder, bool onnxRuntime = true)
    {
        Directory.CreateDirectory(folder);
        foreach (string pattern in (string[])["*.dll", "*.runtimeconfig.json"])
        {
            foreach (string file in Directory.EnumerateFiles(AppContext.BaseDirectory, pattern))
                File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }
        string native = Path.Combine(
            AppContext.BaseDirectory, "runtimes", RuntimeInformation.RuntimeIdentifier, "native");
        foreach (string file in onnxRuntime ? Directory.EnumerateFiles(native, "*onnxruntime*") : [])
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        return folder;
    }

    /// <summary>Runs a program and gives its exit code and the lines that it wrote.</summary>
    public static (int Code, string[] Lines, string Errors) Run(
        string folder, string program, params string[] arguments)
    {
        string host = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        var start = new ProcessStartInfo(host, [Path.Combine(folder, program), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // TorchSharp from 0.107 on also looks among the packages that NuGet has on the machine.
        start.Environment["NUGET_PACKAGES"] = Path.Combine(folder, "none");
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output.Split('\n', StringSplitOptions.RemoveEmptyEntries), errors.Result);
    }

    /// <summary>Checks that a process's modules, as it listed them itself, are without torch's.</summary>
    public static void AssertTorchless(IReadOnlyCollection<string> modules)
    {
        Assert.Contains(m => m.Contains("coreclr", StringComparison.Ordinal), modules, "the list is of native ones");
        foreach (string name in NativeNames)
            Assert.DoesNotContain(
                m => Path.GetFileName(m).Contains(name, StringComparison.OrdinalIgnoreCase), modules, name);
    }
}
