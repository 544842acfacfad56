using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary><c>ring</c>: whether each objective of a GAN recovers a ring of eight Gaussians, by its defaults.</summary>
internal static class RingBenchmark
{
    private const int TrainingRows = 10_000;
    private const int GeneratedRows = 10_000;

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<GanObjective?> objective = new("--objective") { Description = "One objective. Default: all." };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 3 };
        Option<double> deviation = new("--deviation")
        {
            Description = "The Gaussians' standard deviation, on a ring of radius 2.",
            DefaultValueFactory = _ => new GaussianRing().Deviation,
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Option<string?> options = new("--options")
        {
            Description = """Options other than the defaults, as JSON: '{"PackSize":2}'.""",
        };
        Option<bool> report = new("--report") { Description = "Show each training report." };
        Command command = new("ring", "Whether GANs recover a ring of eight Gaussians.")
        {
            objective, seeds, deviation, json, options, report,
        };
        command.SetAction(parsed =>
        {
            GanObjective[] objectives =
                parsed.GetValue(objective) is GanObjective one ? [one] : Enum.GetValues<GanObjective>();
            var ring = new GaussianRing(Deviation: parsed.GetValue(deviation));
            var results = new List<RingResult>();
            Console.WriteLine("objective                    seed  modes hit   within 4 deviations   Wasserstein   seconds");
            foreach (GanObjective game in objectives)
            {
                for (int seed = 0; seed < parsed.GetValue(seeds); seed++)
                {
                    results.Add(Measure(
                        ring, game, seed, parsed.GetValue(options) ?? "{}", parsed.GetValue(report)));
                }
            }
            if (parsed.GetValue(json) is FileInfo file)
                File.WriteAllText(file.FullName, JsonSerializer.Serialize(results, Json) + "\n");
        });
        return command;
    }

    private static RingResult Measure(GaussianRing ring, GanObjective objective, int seed, string changed, bool report)
    {
        var clock = Stopwatch.StartNew();
        var ml = new MLContext(seed);
        var settings = JsonSerializer.Deserialize<Dictionary<string, JsonElement>>(changed)!;
        settings["Objective"] = JsonSerializer.SerializeToElement(objective.ToString());
        var options = ChosenOptions.Read<GanOptions>(JsonSerializer.Serialize(settings));
        var source = new DataViewRowSource(
            VectorRows.View(ml, ring.Sample(TrainingRows, seed), width: 2), ["Features"], options.NonFiniteValues);
        var context = new TrainingContext { Seed = seed, Device = ComputeDevice.Cpu, FallbackToCpu = false };
        VectorFitResult fit = VectorFit.Fit(source, GanTrainer.Family, options, context);
        double seconds = clock.Elapsed.TotalSeconds;
        using TrainedVector gan = fit.Model;
        float[] made = new float[2 * GeneratedRows];
        gan.Generate(made, default, GeneratedRows, (ulong)seed, []);
        (int modes, double near) = ring.Judge([.. made.Chunk(2)]);
        GanReport told = GanReport.Read(fit.Extra);
        var result = new RingResult(
            objective.ToString(), seed, modes, near, told.Stages[^1].SlicedWasserstein,
            told.ReferenceSlicedWasserstein, seconds);
        Console.WriteLine(
            $"{result.Objective,-28} {seed,4}  {modes,6} of {ring.Modes}   {near,19:P1}   "
            + $"{result.SlicedWasserstein,11:F4}   {seconds,7:F1}");
        if (report)
            Console.WriteLine(told);
        return result;
    }
}
