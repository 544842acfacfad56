using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using GenerativeML.Torch;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>gpt</c>: a character model of a text: how well it predicts the text's last tenth, and how fast it trains and
/// writes.
/// </summary>
internal static class GptBenchmark
{
    private const double ValidationShare = 0.1;
    private const int Sampled = 1000;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> text = new("--text") { Description = "A text in UTF-8.", Required = true };
        Option<int> iterations = new("--iters") { Description = "Steps.", DefaultValueFactory = _ => 2000 };
        Option<string> config = new("--config")
        {
            Description = "cpu: 4 layers, width 128, context 64, batch 12; base: 6 layers, width 384, context 256, batch 8.",
            DefaultValueFactory = _ => "cpu",
        };
        config.AcceptOnlyFromAmong("cpu", "base");
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 1 };
        Option<string> recipe = new("--recipe")
        {
            Description = "ours: this package's defaults. nanogpt: AdamW as nanoGPT sets it.",
            DefaultValueFactory = _ => "ours",
        };
        recipe.AcceptOnlyFromAmong("ours", "nanogpt");
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("gpt", "Validation loss and speed of a character model of a text.")
        {
            text, iterations, config, seeds, recipe, json,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(text), Math.Max(1, parsed.GetValue(iterations)), parsed.GetRequiredValue(config),
            Math.Max(1, parsed.GetValue(seeds)), parsed.GetRequiredValue(recipe), parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        FileInfo file, int steps, string config, int seeds, string recipe, FileInfo? json,
        CancellationToken cancellation)
    {
        if (!file.Exists)
        {
            Console.Error.WriteLine($"There is no file {file.FullName}.");
            return 2;
        }
        string text = File.ReadAllText(file.FullName);
        char[] characters = [.. text.Distinct().Order()];
        int[] tokens = [.. text.Select(c => Array.BinarySearch(characters, c))];
        var corpus = new GptCorpus(characters.Length);
        corpus.Add(tokens);

        GptOptions options = Options(config, recipe, steps, cancellation);
        Console.WriteLine(
            $"{file.Name}: {text.Length} characters, {characters.Length} distinct; {config}, recipe {recipe}, "
            + $"{GptFit.ShapeOf(options, characters.Length).ParameterCount()} weights, {steps} steps");
        var runs = new List<(double Loss, double Seconds, double Sampling)>();
        for (int seed = 0; seed < seeds; seed++)
        {
            (double loss, double seconds, double sampling) run = Measure(corpus, tokens, options, seed);
            runs.Add(run);
            Console.WriteLine(
                $"seed {seed}: validation loss {run.loss:F4}, {run.seconds:F0} s of training, "
                + $"{run.sampling:F0} sampled tokens per second");
        }
        double mean = runs.Average(r => r.Loss);
        double deviation = Math.Sqrt(runs.Average(r => (r.Loss - mean) * (r.Loss - mean)));
        Console.WriteLine($"mean validation loss {mean:F4} ± {deviation:F4}");
        if (json is not null)
        {
            double seconds = runs.Average(r => r.Seconds);
            var result = new
            {
                text = file.Name,
                config,
                val_loss = mean,
                bits_per_char = mean / Math.Log(2),
                train_seconds = seconds,
                tokens_per_second = (double)steps * options.BatchSize!.Value * options.ContextLength / seconds,
                sample_tokens_per_second = runs.Average(r => r.Sampling),
            };
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(result) + "\n");
        }
        return 0;
    }

    private static GptOptions Options(string config, string recipe, int steps, CancellationToken cancellation)
    {
        bool large = config == "base", nanogpt = recipe == "nanogpt";
        var shape = large
            ? (Layers: 6, Heads: 6, Width: 384, Context: 256, Batch: 8)
            : (Layers: 4, Heads: 4, Width: 128, Context: 64, Batch: 12);
        var defaults = new GptOptions();
        return new GptOptions
        {
            Layers = shape.Layers,
            Heads = shape.Heads,
            Width = shape.Width,
            ContextLength = shape.Context,
            BatchSize = shape.Batch,
            Steps = steps,
            ValidationFraction = ValidationShare,
            Optimizer = nanogpt ? GptOptimizer.AdamW : defaults.Optimizer,
            LearningRate = nanogpt ? 1e-3 : defaults.LearningRate,
            FinalRateShare = nanogpt ? 0.1 : defaults.FinalRateShare,
            Schedule = nanogpt ? LearningRateSchedule.Cosine : defaults.Schedule,
            CancellationToken = cancellation,
        };
    }

    private static (double Loss, double Seconds, double Sampling) Measure(
        GptCorpus corpus, int[] tokens, GptOptions options, int seed)
    {
        var context = new TrainingContext { Seed = seed, Device = ComputeDevice.Cpu, FallbackToCpu = false };
        var clock = Stopwatch.StartNew();
        GptFitResult fit = GptFit.Fit(corpus, options, context);
        double seconds = clock.Elapsed.TotalSeconds;

        // What users get decodes in managed code, so that is what is measured.
        using var model = new TrainedGpt(fit.Weights);
        double loss = ValidationLoss(model, tokens);
        var sampling = new GenerationOptions { MaxNewTokens = Sampled, Seed = seed };
        _ = model.Stream([0], sampling).Count(); // warming up
        clock.Restart();
        _ = model.Stream([0], sampling).Count();
        return (loss, seconds, Sampled / clock.Elapsed.TotalSeconds);
    }

    /// <summary>The mean loss of the validation part's characters, in consecutive windows of the context's length.</summary>
    private static double ValidationLoss(TrainedGpt model, int[] tokens)
    {
        int first = tokens.Length - (int)Math.Ceiling(tokens.Length * ValidationShare), context = model.Shape.ContextLength;
        List<ArraySegment<int>> windows = [];
        for (int start = first; start < tokens.Length - 1; start += context)
            windows.Add(new(tokens, start, Math.Min(context + 1, tokens.Length - start)));
        float[] losses = new float[windows.Count];
        model.Evaluate([.. windows], losses, default);
        return windows.Zip(losses, (w, loss) => (w.Count - 1) * (double)loss).Sum() / (tokens.Length - 1 - first);
    }
}
