using System.Diagnostics;
using System.Text.Json;

namespace GenerativeML.Torch.Tests;

/// <summary>A saved GPT generates in a process that has not loaded torch, and where there is none to load.</summary>
[TestClass]
public sealed class WithoutTorchTests
{
    private static readonly string[] NativeNames = ["libtorch", "torch-dispatch", "LibTorchSharp", "torch_cpu", "c10"];

    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow(true, DisplayName = "torch is there and is not loaded")]
    [DataRow(false, DisplayName = "torch is not there")]
    public void A_saved_model_generates_without_the_native_library(bool isThere)
    {
        string weights = Path.Combine(_folder, "weights");
        using TrainedGpt model = RandomGpt.Model();
        AtomicFile.Write(weights, model.Save);
        GenerationOptions options = new() { MaxNewTokens = 50, Seed = 3, TopP = 0.9f };
        int[] expected = [.. model.Stream([1, 2], options).Select(t => t.Id)];
        var loss = new float[1];
        model.Evaluate([[1, 2, 3, 4]], loss, new float[model.Shape.Width]);

        string program = isThere ? AppContext.BaseDirectory : ManagedOnly();
        (int code, string[] lines) = Run(program, "generate", weights, JsonSerializer.Serialize(model.Shape));

        Assert.AreEqual(0, code);
        Assert.AreEqual(string.Join(' ', expected), lines[0]);
        Assert.AreEqual(BitConverter.SingleToInt32Bits(loss[0]), int.Parse(lines[1]));
        string[] modules = lines[2..];
        Assert.Contains(m => m.Contains("coreclr", StringComparison.Ordinal), modules, "the list is of native ones");
        foreach (string name in NativeNames)
            Assert.IsEmpty(modules.Where(m => Path.GetFileName(m).Contains(name, StringComparison.OrdinalIgnoreCase)));
        if (!isThere)
            Assert.AreNotEqual(0, Run(program, "", Path.Combine(_folder, "trained"), "1000").Code, "training needs it");
    }

    // The program without anything native, and without the list that says where else something native may be.
    private string ManagedOnly()
    {
        string folder = Path.Combine(_folder, "program");
        Directory.CreateDirectory(folder);
        string[] files =
        [
            .. Directory.EnumerateFiles(AppContext.BaseDirectory, "*.dll"),
            .. Directory.EnumerateFiles(AppContext.BaseDirectory, "GenerativeML.TestWorker.runtimeconfig.json"),
        ];
        foreach (string file in files)
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        return folder;
    }

    private static (int Code, string[] Lines) Run(string folder, params string[] arguments)
    {
        string worker = Path.Combine(folder, "GenerativeML.TestWorker.dll");
        string host = Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";
        var start = new ProcessStartInfo(host, [worker, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries), errors.Result]);
    }
}
