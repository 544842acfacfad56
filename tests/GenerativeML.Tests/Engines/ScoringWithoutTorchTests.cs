namespace GenerativeML.Tests.Engines;

/// <summary>Networks are run in a process where there is no libtorch, which is not looked for either.</summary>
[TestClass]
public sealed class ScoringWithoutTorchTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory("generativeml-").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void ONNX_Runtime_needs_no_libtorch()
    {
        string program = TorchlessProcess.CopyManaged(Path.Combine(_folder, "program"));
        (int code, string[] lines, string errors) = Run(program);

        Assert.AreEqual(0, code, errors);
        Assert.AreEqual("32 31", lines[0]);
        TorchlessProcess.AssertTorchless(lines[1..]);
        Assert.Contains(m => m.Contains("onnxruntime", StringComparison.Ordinal), lines);
    }

    [TestMethod]
    public void Without_either_library_the_error_names_both_packages()
    {
        (int code, _, string errors) = Run(
            TorchlessProcess.CopyManaged(Path.Combine(_folder, "program"), onnxRuntime: false));

        Assert.AreNotEqual(0, code);
        Assert.Contains("Microsoft.ML.OnnxRuntime", errors);
        Assert.Contains("TorchSharp-cpu", errors);
    }

    private static (int Code, string[] Lines, string Errors) Run(string program) =>
        TorchlessProcess.Run(program, "GenerativeML.TestWorker.dll", "score");
}
