using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>decode</c>: tokens per second from a GPT with random weights, of one text, of several together, and of texts that
/// are scored; <c>speed --only sampling</c> compares the first with other sides.
/// </summary>
internal static class DecodeBenchmark
{
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
        Option<int> threads = new("--threads") { Description = "Threads.", DefaultValueFactory = _ => 1 };
        Option<int> rounds = new("--rounds") { Description = "Rounds to measure.", DefaultValueFactory = _ => 7 };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("decode", "Tokens per second.")
        {
            config, threads, rounds, json,
        };
        command.SetAction(parsed => Run(
            DecodeConfiguration.Find(parsed.GetRequiredValue(config)), parsed.GetValue(threads),
            Math.Max(5, parsed.GetValue(rounds)), parsed.GetValue(json)));
        return command;
    }

    private static int Run(DecodeConfiguration config, int threads, int rounds, FileInfo? json)
    {
        string file = Path.GetTempFileName();
        try
        {
            AtomicFile.Write(file, config.Write);
            using TrainedGpt model = config.Load(file, threads);
            return Measure(model, config, threads, rounds, json);
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static int Measure(
        TrainedGpt model, DecodeConfiguration config, int threads, int rounds, FileInfo? json)
    {
        int tokens = config.Texts * config.Length;
        List<double> single = [], batched = [], scored = [];
        for (int round = -2; round < rounds; round++)
        {
            double one = tokens / Seconds(() => OneByOne(model, config));
            double many = 16 * config.Length / Seconds(() => Together(model, config, 16));
            double texts = 16 * config.Length / Seconds(() => Score(model, config, 16));
            if (round < 0)
                continue; // warming up
            single.Add(one);
            batched.Add(many);
            scored.Add(texts);
        }
        Print("one sequence", single);
        Print("sixteen sequences together", batched);
        Print("texts scored, sixteen of them", scored);
        long peak = ProcessMemory.Peak;
        bool kept = peak <= MostBytes;
        Console.WriteLine($"{(kept ? "kept  " : "BROKEN")}  peak memory of the process: {peak >> 20} MB");
        if (json is not null)
        {
            var result = new
            {
                config = config.Name,
                threads,
                rounds,
                tokens_per_second = Median(single),
                batch_of_16_tokens_per_second = Median(batched),
                scored_tokens_per_second = Median(scored),
                peak_bytes = peak,
            };
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(result) + "\n");
        }
        return kept ? 0 : 1;
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
