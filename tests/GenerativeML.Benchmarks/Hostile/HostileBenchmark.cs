using System.CommandLine;
using GenerativeML.Tests.Hostile;

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
            Description = "Damaged model zips: options, weights, and the zip itself.",
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
        bool zips = Holds(HostileModels.Loading(), models);
        return reader && loading && zips ? 0 : 1;
    }

    private static bool Holds(HostileRun run, int files)
    {
        HostileReport report = run.Run(files);
        bool holds = report.Failures.Count == 0;
        Console.WriteLine($"{(holds ? "kept  " : "BROKEN")}  {report}");
        return holds;
    }
}
