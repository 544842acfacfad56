using System.CommandLine;
using GenerativeML.Tests.Hostile;

namespace GenerativeML.Benchmarks;

/// <summary><c>hostile</c>: damaged files by the hundred thousand; each loads soundly or is refused.</summary>
internal static class HostileBenchmark
{
    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<int> weights = new("--weights") { Description = "Damaged safetensors files.", DefaultValueFactory = _ => 90_000 };
        Option<int> models = new("--models") { Description = "Damaged model zips: options, weights, and the zip itself.", DefaultValueFactory = _ => 10_000 };
        Command command = new("hostile", "Loads damaged files: no crash, no hang, no memory beyond the file's size and an allowance.")
        {
            weights, models,
        };
        command.SetAction(parsed =>
        {
            bool safetensors = Show("safetensors", HostileSafetensors.Run(parsed.GetValue(weights)));
            bool zips = Show("model zips", HostileModels.Run(parsed.GetValue(models)));
            return safetensors && zips ? 0 : 1;
        });
        return command;
    }

    private static bool Show(string kind, HostileReport report)
    {
        Console.WriteLine($"{kind}: {report}");
        return report.Failures.Count == 0;
    }
}
