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
    }
}
