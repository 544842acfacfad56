using System.CommandLine;
using System.Diagnostics;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>plane</c>: whether a generator's points in the plane can be told from fresh ones of what it was trained on, with one
/// configuration for all shapes.
/// </summary>
internal static class PlaneBenchmark
{
    private const int TrainingRows = 10_000;
    private const int ComparedRows = 2000;
    private const int Comparisons = 20;

    private static readonly string[] Shapes = ["ring", "moons", "swissroll", "checkerboard"];

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<string?> only = new("--only") { Description = $"One shape of {string.Join(", ", Shapes)}. Default: all." };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 1 };
        Option<string> method = new("--method") { Description = "flow or diffusion.", DefaultValueFactory = _ => "flow" };
        method.AcceptOnlyFromAmong("flow", "diffusion");
        Option<string?> options = new("--options")
        {
            Description = """Options other than the defaults, as JSON: '{"Autoregressive":true}'.""",
        };
        Command command = new("plane", "Whether a generator's points in the plane are like fresh ones.")
        {
            only, seeds, method, options,
        };
        command.SetAction(parsed =>
        {
            Console.WriteLine("shape         seed   distance   real to real   ratio   modes   nats   inverse   fit, s   10,000 rows, s");
            foreach (string shape in Shapes.Where(s => (parsed.GetValue(only) ?? s) == s))
            {
                for (int seed = 0; seed < parsed.GetValue(seeds); seed++)
                {
                    string? json = parsed.GetValue(options);
                    if (parsed.GetValue(method) == "flow")
                        Measure(shape, seed, NormalizingFlowTrainer.Family, ChosenOptions.Read<NormalizingFlowOptions>(json) with { ScoreColumnName = "Score" });
                    else
                        Measure(shape, seed, DiffusionTrainer.Family, ChosenOptions.Read<DiffusionOptions>(json));
                }
            }
        });
        return command;
    }

    private static void Measure(string shape, int seed, VectorFamily family, VectorOptions options)
    {
        var ml = new MLContext(seed);
        var source = new DataViewRowSource(
            VectorRows.View(ml, Sample(shape, TrainingRows, seed), width: 2), ["Features"], options.NonFiniteValues);
        var context = new TrainingContext { Seed = seed, Device = ComputeDevice.Cpu, FallbackToCpu = false };
        var clock = Stopwatch.StartNew();
        using TrainedVector model = VectorFit.Fit(source, family, options, context).Model;
        double fit = clock.Elapsed.TotalSeconds;
        clock.Restart();
        float[] made = new float[2 * TrainingRows];
        model.Generate(made, default, TrainingRows, (ulong)seed, []);
        double generate = clock.Elapsed.TotalSeconds;

        double distance = 0, real = 0;
        for (int i = 0; i < Comparisons; i++)
        {
            float[][] fresh = Sample(shape, ComparedRows, 1000 + 2 * i), other = Sample(shape, ComparedRows, 1001 + 2 * i);
            distance += Energy([.. made.Chunk(2).Skip(i * ComparedRows % TrainingRows).Take(ComparedRows)], fresh) / Comparisons;
            real += Energy(other, fresh) / Comparisons;
        }
        string modes = shape == "ring" ? $"{new GaussianRing().Judge([.. made.Chunk(2)]).ModesHit} of 8" : "";

        (string nats, string inverse) = model.Network is NormalizingFlowNetwork ? Invert(model, shape) : ("", "");
        Console.WriteLine(
            $"{shape,-12} {seed,5} {Math.Sqrt(distance),10:F4} {Math.Sqrt(real),14:F4} {Math.Sqrt(distance / real),7:F2} {modes,7} "
            + $"{nats,6} {inverse,9} {fit,8:F1} {generate,12:F2}");
    }

    // The mean log-likelihood of fresh points, and how far those that were encoded come back from where they were.
    private static (string Nats, string Inverse) Invert(TrainedVector model, string shape)
    {
        float[] test = [.. Sample(shape, TrainingRows, 999).SelectMany(row => row)], scores = new float[TrainingRows];
        float[] latent = new float[test.Length];
        var block = new RowBlock([new RowField("Features", FieldKind.Single, 2)], TrainingRows);
        test.CopyTo(block.Singles(0));
        model.Compute(block, TrainingRows, new VectorResults { Score = scores, Latent = latent });
        (float[] standardized, _) = model.Standardize(block, TrainingRows);
        float[] again = model.Run(new Back((ISampler)model.Network), latent, default, TrainingRows, [2])[0];
        double inverse = standardized.Zip(again, (a, b) => Math.Abs(a - b)).Max();
        return ($"{-scores.Average():F3}", $"{inverse:E1}");
    }

    // 2·E|x − y| − E|x − x'| − E|y − y'| (Székely and Rizzo 2013), with each row's distance of zero from itself.
    private static double Energy(float[][] x, float[][] y)
    {
        return 2 * Mean(x, y) - Mean(x, x) - Mean(y, y);

        static double Mean(float[][] a, float[][] b) => a.AsParallel().Sum(p => b.Sum(q =>
            Math.Sqrt((p[0] - q[0]) * (p[0] - q[0]) + (p[1] - q[1]) * (p[1] - q[1])))) / a.Length / b.Length;
    }

    private static float[][] Sample(string shape, int rows, int seed)
    {
        if (shape == "ring")
            return new GaussianRing().Sample(rows, seed);
        var random = new SplitMix64((ulong)seed);
        float[] noise = new float[2 * rows];
        NormalNumbers.Fill(ref random, noise);
        return [.. Enumerable.Range(0, rows).Select(i =>
        {
            double u = random.NextDouble(), v = random.NextDouble(), turn = 1.5 * Math.PI * (1 + 2 * u);
            (double x, double y, double deviation) = shape switch
            {
                "moons" when random.Next(2) == 0 => (Math.Cos(Math.PI * u), Math.Sin(Math.PI * u), 0.1),
                "moons" => (1 - Math.Cos(Math.PI * u), 0.5 - Math.Sin(Math.PI * u), 0.1),
                "swissroll" => (turn * Math.Cos(turn) / 5, turn * Math.Sin(turn) / 5, 0.1),
                _ => (4 * u - 2, v + Math.Floor(4 * u) % 2 - 2 * random.Next(2), 0.0),
            };
            return (float[])[(float)(x + deviation * noise[2 * i]), (float)(y + deviation * noise[2 * i + 1])];
        })];
    }

    private sealed class Back(ISampler sampler) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [sampler.Sample(w, inputs[0], null, null)];
    }
}
