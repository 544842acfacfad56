using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>decode</c>: tokens per second from a GPT with random weights, one sequence at a time, beside the same in Python
/// with a key-value cache. The two alternate, after a warm-up; the greedy texts must agree first.
/// </summary>
internal static class DecodeBenchmark
{
    private const double LeastRatio = 4;
    private const long MostBytes = 2_000_000_000;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<string> config = new("--config")
        {
            Description = "cpu: 4 layers, width 128; base: 6 layers, width 384; gpt2: 124 million parameters.",
            DefaultValueFactory = _ => "cpu",
        };
        config.AcceptOnlyFromAmong([.. DecodeConfiguration.All.Select(c => c.Name)]);
        Option<int> threads = new("--threads") { Description = "Threads, for both.", DefaultValueFactory = _ => 1 };
        Option<int> rounds = new("--rounds") { Description = "Rounds to measure.", DefaultValueFactory = _ => 7 };
        Option<bool> noPeer = new("--no-peer") { Description = "Leave Python out." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("decode", "Tokens per second, beside Python's.")
        {
            config, threads, rounds, noPeer, json,
        };
        command.SetAction(parsed => Run(
            DecodeConfiguration.Find(parsed.GetRequiredValue(config)), parsed.GetValue(threads),
            Math.Max(5, parsed.GetValue(rounds)), !parsed.GetValue(noPeer), parsed.GetValue(json)));
        return command;
    }

    private static int Run(DecodeConfiguration config, int threads, int rounds, bool withPeer, FileInfo? json)
    {
        string file = Path.GetTempFileName();
        try
        {
            AtomicFile.Write(file, config.Write);
            using TrainedGpt model = config.Load(file, threads);
            using DecodePeer? peer =
                withPeer ? new DecodePeer(file, config.Network.Options, new PeerSetting(threads, null)) : null;
            if (peer is not null && !Agree(model, peer, config))
                return 1;
            return Measure(model, peer, config, threads, rounds, json);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static int Measure(
        TrainedGpt model, DecodePeer? peer, DecodeConfiguration config, int threads, int rounds, FileInfo? json)
    {
        int tokens = config.Texts * config.Length;
        List<double> ours = [], batched = [], scored = [], theirs = [], ratios = [];
        for (int round = -2; round < rounds; round++)
        {
            double our = tokens / Seconds(() => OneByOne(model, config));
            double many = 16 * config.Length / Seconds(() => Together(model, config, 16));
            double texts = 16 * config.Length / Seconds(() => Score(model, config, 16));
            double their = peer is null ? double.NaN : tokens / peer.Seconds(config.Texts, config.Length);
            if (round < 0)
                continue; // warming up
            ours.Add(our);
            batched.Add(many);
            scored.Add(texts);
            theirs.Add(their);
            ratios.Add(our / their);
        }
        Print("one sequence", ours);
        Print("sixteen sequences together", batched);
        Print("texts scored, sixteen of them", scored);
        long peak = ProcessMemory.Peak;
        Console.WriteLine($"{Verdict(peak <= MostBytes)}  peak memory of the process: {peak >> 20} MB");
        if (peer is not null)
            Print("Python, one sequence", theirs);
        double ratio = Median(ratios);
        bool kept = peer is null || config.Name != "cpu" || ratio >= LeastRatio;
        if (peer is not null)
            Console.WriteLine(
                $"{Verdict(kept)}  times as fast as Python: {ratio:F2} ({ratios.Min():F2} to {ratios.Max():F2})");
        if (json is not null)
        {
            var result = new
            {
                config = config.Name,
                threads,
                rounds,
                tokens_per_second = Median(ours),
                batch_of_16_tokens_per_second = Median(batched),
                scored_tokens_per_second = Median(scored),
                python_tokens_per_second = peer is null ? (double?)null : Median(theirs),
                ratio = peer is null ? (double?)null : ratio,
                least_ratio = peer is null ? (double?)null : ratios.Min(),
                most_ratio = peer is null ? (double?)null : ratios.Max(),
                peak_bytes = peak,
            };
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(result) + "\n");
        }
        return kept && peak <= MostBytes ? 0 : 1;
    }

    private static string Verdict(bool kept) => kept ? "kept  " : "BROKEN";

    private static bool Agree(TrainedGpt model, DecodePeer peer, DecodeConfiguration config)
    {
        foreach (int token in (int[])[0, 7, 42])
        {
            GenerationOptions greedy = Limited(0, config.Length);
            int[] ours = [.. model.Stream([token], greedy).Select(t => t.Id)];
            int[] theirs = peer.Greedy(token, config.Length);
            if (!ours.SequenceEqual(theirs))
            {
                Console.WriteLine($"BROKEN  the greedy texts after token {token} are equal");
                Console.WriteLine($"  ours   {string.Join(' ', ours)}\n  theirs {string.Join(' ', theirs)}");
                return false;
            }
        }
        Console.WriteLine("kept    the greedy texts are equal");
        return true;
    }

    private static void OneByOne(TrainedGpt model, DecodeConfiguration config)
    {
        for (int text = 0; text < config.Texts; text++)
        {
            int count = model.Stream([text], Limited(1, config.Length)).Count();
            if (count != config.Length)
                throw new InvalidOperationException($"A text has {count} tokens.");
        }
    }

    private static void Together(TrainedGpt model, DecodeConfiguration config, int texts)
    {
        int[][] prompts = [.. Enumerable.Range(0, texts).Select(i => new[] { i })];
        model.Generate(prompts, Limited(1, config.Length), (_, _) => true);
    }

    private static void Score(TrainedGpt model, DecodeConfiguration config, int texts)
    {
        int[] text = [.. Enumerable.Range(0, config.Length).Select(i => i % 50)];
        model.Evaluate([.. Enumerable.Repeat(text, texts)], new float[texts], default);
    }

    private static GenerationOptions Limited(float temperature, int length) =>
        new() { Temperature = temperature, MaxNewTokens = length, Seed = 1 };

    private static void Print(string what, List<double> rates) => Console.WriteLine(
        $"{what,-32} {Median(rates),9:F0} tokens/s ({rates.Min():F0} to {rates.Max():F0})");

    private static double Seconds(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
