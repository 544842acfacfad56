using System.Reflection;
using Microsoft.ML;

namespace GenerativeML.Tests;

/// <summary><c>mlContext.Generative.Diagnostics()</c>.</summary>
[TestClass]
public sealed class DiagnosticsTests
{
    [TestMethod]
    public void The_call_names_the_packages_and_what_they_compute_with()
    {
        RuntimeDiagnostics described = new MLContext().Generative.Diagnostics();
        string mlnet = typeof(MLContext).Assembly
            .GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
        Assert.AreEqual(mlnet, described.MLNetVersion);
        Assert.AreEqual(ComputeDevice.Cpu, described.Devices[0].Device);
        StringAssert.Contains(described.ToString(), "ML.NET");
        StringAssert.Contains(described.ToString(), $"ONNX Runtime  {described.OnnxRuntimeVersion}\n");
        Assert.IsTrue(Version.TryParse(described.OnnxRuntimeVersion, out _), described.OnnxRuntimeVersion);
        Assert.IsNull(described.OnnxRuntimeError);
    }

    [TestMethod]
    public void Without_ONNX_Runtime_it_says_why()
    {
        using (NativeParts.Pretend(new DllNotFoundException("onnxruntime is gone"), null))
        {
            RuntimeDiagnostics described = new MLContext().Generative.Diagnostics();
            Assert.IsNull(described.OnnxRuntimeVersion);
            StringAssert.Contains(described.ToString(), "cannot be used. DllNotFoundException: onnxruntime is gone");
        }
    }
}
