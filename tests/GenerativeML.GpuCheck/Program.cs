using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using GenerativeML.GpuCheck;
using Microsoft.ML;
using TorchSharp;

// GpuCheck [--cpu] [--json results.json] [--peer gpu_peer.py]    every family, then the times of training steps
// GpuCheck [--cpu] --families <words>                            the families whose names have one of the words, parted by commas
// GpuCheck step <ours|stock> <cpu|cuda> <work as JSON>           one measurement, as JSON; the first starts these
//
// PYTHON names the Python that runs the peer, python3 by default; TORCH_LIB the folder of a libtorch that is to be used
// although no package brought it.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
bool onCpu = args is ["step", _, "cpu", _] || args.Contains("--cpu");
LoadTorch(Environment.GetEnvironmentVariable("TORCH_LIB"));
if (!onCpu)
    torch.InitializeDeviceType(DeviceType.CUDA);

if (args is ["step", string engine, _, string json])
{
    Work work = JsonSerializer.Deserialize<Work>(json)!;
    Timing timing = engine == "ours" ? Steps.Ours(work, onCpu) : Stock.Time(work, onCpu);
    Console.WriteLine(JsonSerializer.Serialize(timing));
    return 0;
}

Console.WriteLine(new MLContext().Generative.Diagnostics());
string[]? wanted = Value("--families")?.Split(',');
List<FamilyResult> families = Families.Check(onCpu, name => wanted?.Any(word => name.Contains(word, StringComparison.OrdinalIgnoreCase)) ?? true);
List<Timing> timings = wanted is null ? await Measurements.Run(onCpu, Value("--peer")) : [];
Report.Write(families, timings);
if (Value("--json") is string path)
{
    File.WriteAllText(path, JsonSerializer.Serialize(
        new { Device = onCpu ? "cpu" : "cuda", Families = families, Steps = timings },
        new JsonSerializerOptions
        {
            WriteIndented = true,
            NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, // NaN: not measured
        }));
}
return families.All(f => f.Error is null) && timings.All(t => t.Engine != "ours" || t.Error is null) ? 0 : 1;

string? Value(string option) =>
    Array.IndexOf(args, option) is var i and >= 0 && i + 1 < args.Length ? args[i + 1] : null;

// Before TorchSharp looks for one itself. The CUDA part is loaded by hand as TorchSharp's library does not name it.
static void LoadTorch(string? folder)
{
    foreach (string name in (string[])["libtorch.so", "libtorch_cuda.so"])
    {
        if (folder is not null && File.Exists(Path.Combine(folder, name)))
            NativeLibrary.Load(Path.Combine(folder, name));
    }
}
