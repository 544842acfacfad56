using System.CommandLine;
using GenerativeML.Tests.Hostile;
using TorchSharp;

namespace GenerativeML.Benchmarks;

/// <summary><c>hostile</c>: damaged files by the hundred thousand; each loads soundly or is refused.</summary>
internal static class HostileBenchmark
{
    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<int> files = new("--files")
        {
            Description = "Damaged safetensors files for the reader, and as many for loading into tensors.",
            DefaultValueFactory = _ => 100_000,
        };
        Option<int> models = new("--models")
        {
            Description = "Damaged models: of each of options, weights, and the zip itself.",
            DefaultValueFactory = _ => 10_000,
        };
        Command command = new(
            "hostile", "Loads damaged files: no crash, no hang, no memory beyond the file's size and an allowance.")
        {
            files, models,
        };
        command.SetAction(parsed => Run(parsed.GetValue(files), parsed.GetValue(models)));
        return command;
    }

    private static int Run(int files, int models)
    {
        using var tensors = new HostileTensorFile();
        bool reader = Holds(HostileSafetensors.Reader(), files);
        bool loading = Holds(tensors.Loading(), files);
        var saved = new HostileModels();
        bool options = Holds(saved.Own(".json"), models);
        bool weights = Holds(saved.Own(".safetensors"), models);
        bool zips = Holds(saved.Whole(), models);
        return reader && loading && options && weights && zips ? 0 : 1;
    }

    private static bool Holds(HostileRun run, int files)
    {
        long before = torch.Tensor.TotalCount;
        HostileReport report = run.Run(files);
        long left = torch.Tensor.TotalCount - before;
        bool holds = report.Failures.Count == 0 && left == 0;
        Console.WriteLine($"{(holds ? "kept  " : "BROKEN")}  {report}; {left} tensors left behind");
        return holds;
    }
}
