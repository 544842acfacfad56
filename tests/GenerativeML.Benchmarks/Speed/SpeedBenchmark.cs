using System.CommandLine;
using System.Diagnostics;
using System.Globalization;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>speed</c>: the works that cost time, ours in turns with plain TorchSharp's and, where there is a Python that has
/// it, PyTorch's, with the same data, sizes and threads. Times are compared only where losses, or scores, agree.
/// </summary>
internal static class SpeedBenchmark
{
    private const string Name = "speed", ThreadVariable = "OMP_NUM_THREADS";
    private const int LeastRounds = 5;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<string?> only = new("--only")
        {
            Description = "Works to measure, separated by commas. Default: all. "
                + "gpt-cpu, gpt-base, autoencoder, detector, vae, wgan-gp, image-gan, score-one, score-one-detector, score-bulk, "
                + "score-bulk-detector, sampling.",
        };
        Option<int> rounds = new("--rounds")
        {
            Description = $"Rounds after the warm-up, at least {LeastRounds}: fewer do not tell how rounds differ.",
            DefaultValueFactory = _ => LeastRounds,
        };
        Option<int?> threads = new("--threads")
        {
            Description = $"Threads for all. Default: {ThreadVariable}, or the machine's processors.",
        };
        Option<bool> bfloat16 = new("--bf16")
        {
            Description = "Measure PyTorch's mixed precision, too, even on a processor without AMX.",
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new(Name, "Ours, plain TorchSharp and PyTorch in turns: training, scoring, sampling.")
        {
            only, rounds, threads, bfloat16, json,
        };
        command.SetAction(parsed =>
        {
            string? given = Environment.GetEnvironmentVariable(ThreadVariable);
            int free = int.TryParse(given, CultureInfo.InvariantCulture, out int set)
                ? set
                : Environment.ProcessorCount;
            int asked = Math.Max(1, parsed.GetValue(threads) ?? free);
            return asked == free
                ? Run(
                    parsed.GetValue(only)?.Split(','), Math.Max(LeastRounds, parsed.GetValue(rounds)), asked,
                    parsed.GetValue(bfloat16), parsed.GetValue(json))
                : Again(asked, [.. parsed.Tokens.Select(t => t.Value)]);
        });
        return command;
    }

    private static int Run(string[]? only, int rounds, int threads, bool bfloat16, FileInfo? json)
    {
        using var data = new SpeedData();
        SpeedWork[] works =
        [
            .. GptWorks.All(data), .. VectorWorks.All(data), .. ScoringWork.All(data), SamplingWork.Of(data, threads),
        ];
        if (only?.FirstOrDefault(name => works.All(w => w.Name != name)) is string unknown)
        {
            Console.Error.WriteLine(
                $"There is no work '{unknown}'; there are {string.Join(", ", works.Select(w => w.Name))}.");
            return 2;
        }
        using var stock = new StockPeer(threads);
        bool hasPyTorch = PeerProcess.IsThere;
        using PyTorchPeer? single = hasPyTorch ? new(threads, bfloat16: false) : null;
        SpeedMachine machine = SpeedMachine.Look(single, threads);
        Console.WriteLine(machine);
        using PyTorchPeer? half = hasPyTorch && (bfloat16 || machine.HasAmx) ? new(threads, bfloat16: true) : null;
        if (hasPyTorch && half is null)
            Console.WriteLine("No bf16 autocast: without AMX, as here, it is slower than fp32. --bf16 measures it.");
        Console.WriteLine($"\n{SpeedReport.Header}");

        var results = new List<SpeedResult>();
        foreach (SpeedWork work in works.Where(w => only?.Contains(w.Name) != false))
        {
            using (work)
            {
                foreach (SpeedResult result in SpeedRounds.Measure(work, Peers(work), rounds))
                {
                    results.Add(result);
                    Console.WriteLine(SpeedReport.Line(result));
                }
            }
        }
        if (json is not null)
            SpeedReport.Write(json.FullName, new { machine, rounds, results });
        return results.All(r => r.Agree) ? 0 : 1;

        IEnumerable<SpeedPeer> Peers(SpeedWork work) =>
            ((SpeedPeer?[])[stock, work.HasPython ? single : null, work.HasBFloat16 ? half : null]).OfType<SpeedPeer>();
    }

    /// <summary>
    /// In another process: OpenMP and .NET read how many threads they may have when they start.
    /// </summary>
    private static int Again(int threads, string[] arguments)
    {
        string program = Environment.ProcessPath!;
        var start = new ProcessStartInfo(program);
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
            start.ArgumentList.Add(typeof(SpeedBenchmark).Assembly.Location);
        foreach (string argument in arguments)
            start.ArgumentList.Add(argument);
        string count = threads.ToString(CultureInfo.InvariantCulture);
        start.Environment[ThreadVariable] = count;
        start.Environment["DOTNET_PROCESSOR_COUNT"] = count;
        using Process process = Process.Start(start)!;
        process.WaitForExit();
        return process.ExitCode;
    }
}
