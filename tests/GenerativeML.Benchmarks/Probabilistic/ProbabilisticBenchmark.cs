using System.CommandLine;
using GenerativeML.Tests;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>probabilistic</c>: fits of the models that need no network, in turns with the libraries of Python that have them.
/// Times are compared only where our fit is as good as theirs, or better.
/// </summary>
internal static class ProbabilisticBenchmark
{
    private static readonly string[] s_names = ["mixture", "markov", "network", "boltzmann"];

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<string[]> only = new("--only")
        {
            Description = "What to fit. Default: all.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => s_names,
        };
        only.AcceptOnlyFromAmong(s_names);
        Option<FileInfo?> bif = new("--bif")
        {
            Description = "The network whose first 18 variables the rows of network are drawn from: a BIF file, .gz or not.",
        };
        Option<bool> peer = new("--peer")
        {
            Description = "Against scikit-learn, hmmlearn and pgmpy, in the Python that GENERATIVEML_PYTHON names, where it has them.",
        };
        Option<int> rows = new("--rows") { Description = "Rows to fit.", DefaultValueFactory = _ => 100_000 };
        Option<int> rounds = new("--rounds") { Description = "Rounds after a warm-up.", DefaultValueFactory = _ => 3 };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("probabilistic", "Fits of mixtures, Markov models, Bayesian networks and Boltzmann machines.")
        {
            only, bif, peer, rows, rounds, json,
        };
        command.SetAction(parsed => Run(
            parsed.GetValue(only)!, parsed.GetValue(bif)?.FullName, parsed.GetValue(peer), parsed.GetValue(rows),
            parsed.GetValue(rounds), parsed.GetValue(json)));
        return command;
    }

    private static int Run(string[] only, string? bif, bool compares, int rows, int rounds, FileInfo? json)
    {
        var results = new List<SpeedResult>();
        using var works = new FitWorks(rows);
        Console.WriteLine(SpeedReport.Header);
        foreach (string name in only)
        {
            if (name == "network" && bif is null)
            {
                Console.WriteLine("network: left out, since --bif does not say which one rows are drawn from");
                continue;
            }
            using FitWork work = name switch
            {
                "mixture" => works.Mixture(),
                "markov" => works.Markov(),
                "network" => works.Network(bif!),
                _ => works.Boltzmann(),
            };
            bool hasPeer = compares && new PythonPeer(work.Module).IsThere;
            if (!hasPeer)
            {
                work.Ours(seed: 0);
                SpeedSample[] ours = [.. Enumerable.Range(1, rounds).Select(work.Ours)];
                var seconds = Spread.Of(ours.Select(s => s.Seconds));
                Console.WriteLine($"{name,-20} {(compares ? $"no {work.Module}" : ""),-12} {SpeedReport.Times(seconds),32}\n  {work.Title}");
                continue;
            }
            using var peer = new PythonSpeedPeer(work.Module, "probabilistic_peer.py", Environment.ProcessorCount);
            foreach (SpeedResult result in SpeedRounds.Measure(work, [peer], rounds))
            {
                results.Add(result);
                Console.WriteLine(SpeedReport.Line(result));
            }
        }
        if (json is not null)
            SpeedReport.Write(json.FullName, new { rows, rounds, results });
        return results.All(r => r.Agree) ? 0 : 1;
    }
}
