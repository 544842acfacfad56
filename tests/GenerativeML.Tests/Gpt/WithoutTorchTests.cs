using System.Text.Json;
using GenerativeML.Tests;

namespace GenerativeML.Tests;

/// <summary>A saved GPT generates in a process that has not loaded torch, and where there is none to load.</summary>
[TestClass]
public sealed class WithoutTorchTests
{
    private const string Worker = "GenerativeML.TestWorker.dll";

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

        string copy = Path.Combine(_folder, "program");
        string program = isThere ? AppContext.BaseDirectory : TorchlessProcess.CopyManaged(copy);
        (int code, string[] lines, string errors) =
            TorchlessProcess.Run(program, Worker, "generate", weights, JsonSerializer.Serialize(model.Shape));

        Assert.AreEqual(0, code, errors);
        Assert.AreEqual(string.Join(' ', expected), lines[0]);
        Assert.AreEqual($"{BitConverter.SingleToInt32Bits(loss[0])}", lines[1]);
        TorchlessProcess.AssertTorchless(lines[2..]);
        if (isThere)
            return;
        (int training, _, _) = TorchlessProcess.Run(program, Worker, "", Path.Combine(_folder, "trained"), "1000");
        Assert.AreNotEqual(0, training, "torch is there after all");
    }
}
