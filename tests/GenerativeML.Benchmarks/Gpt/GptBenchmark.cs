using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>gpt</c>: a character model of a text: how well it predicts the text's last tenth, and how fast it trains and
/// writes.
/// </summary>
internal static class GptBenchmark
{
    private const double TrainingShare = 0.9;
    private const int Sampled = 1000;
    private const int RowLength = 1000;
    private const string Score = "Score";

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> text = new("--text") { Description = "A text in UTF-8.", Required = true };
        Option<int> iterations = new("--iters") { Description = "Steps.", DefaultValueFactory = _ => 2000 };
        Option<string> config = new("--config")
        {
            Description =
                "cpu: 4 layers, width 128, context 64, batch 12; base: 6 layers, width 384, context 256, batch 8.",
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
        Option<Precision> precision = new("--precision") { Description = "Of the training. Default: Auto." };
        Option<bool> checkpointing = new("--checkpointing") { Description = "Compute blocks a second time, by option GradientCheckpointing." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("gpt", "Validation loss and speed of a character model of a text.")
        {
            text, iterations, config, seeds, recipe, precision, checkpointing, json,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(text), Math.Max(1, parsed.GetValue(iterations)), parsed.GetRequiredValue(config),
            Math.Max(1, parsed.GetValue(seeds)), parsed.GetRequiredValue(recipe), parsed.GetValue(precision),
            parsed.GetValue(checkpointing), parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        FileInfo file, int steps, string config, int seeds, string recipe, Precision precision, bool checkpointing, FileInfo? json,
        CancellationToken cancellation)
    {
        if (!file.Exists)
        {
            Console.Error.WriteLine($"There is no file {file.FullName}.");
            return 2;
        }
        string text = File.ReadAllText(file.FullName);
        GptOptions options = Options(config, recipe, precision, steps, text, cancellation) with { GradientCheckpointing = checkpointing };
        Console.WriteLine(
            $"{file.Name}: {text.Length} characters; {config}, recipe {recipe}, precision {precision}, {steps} steps");
        var runs = new List<(double Loss, double Seconds, double Sampling)>();
        for (int seed = 0; seed < seeds; seed++)
        {
            (double loss, double seconds, double sampling) run = Measure(text, options, seed);
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

    private static GptOptions Options(
        string config, string recipe, Precision precision, int steps, string text, CancellationToken cancellation)
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
            Precision = precision,
            Optimizer = nanogpt ? LanguageModelOptimizer.AdamW : defaults.Optimizer,
            LearningRate = nanogpt ? 1e-3 : defaults.LearningRate,
            FinalRateShare = nanogpt ? 0.1 : defaults.FinalRateShare,
            Schedule = nanogpt ? LearningRateSchedule.Cosine : defaults.Schedule,
            // The characters of the whole text, as the protocol's figures have them.
            Tokenizer = new CharacterTokenizer(text, UnknownCharacters.Error),
            JoinRows = true,
            RowSeparator = "",
            GeneratedTextColumnName = null,
            ScoreColumnName = Score,
            CancellationToken = cancellation,
        };
    }

    private static (double Loss, double Seconds, double Sampling) Measure(
        string text, GptOptions options, int seed)
    {
        int first = (int)(text.Length * TrainingShare);
        var ml = new MLContext(seed);
        IDataView rows = Rows(ml, text[..first].Chunk(RowLength).Select(c => new string(c)));
        var clock = Stopwatch.StartNew();
        TimeSpan cpu = Environment.CpuUsage.TotalTime;
        using GptTransformer model = ml.Generative.Gpt(options).Fit(rows);
        double seconds = clock.Elapsed.TotalSeconds;
        Console.WriteLine(
            $"{(Environment.CpuUsage.TotalTime - cpu).TotalSeconds / options.Steps!.Value:F2} s of processor time a step, at most {ProcessMemory.Peak / (1 << 20)} MB of memory");

        // Each window predicts as many characters as the context is long, from those before them in the window.
        var windows = new List<string>();
        for (int start = first; start < text.Length - 1; start += options.ContextLength)
            windows.Add(text[start..Math.Min(start + options.ContextLength + 1, text.Length)]);
        float[] losses = VectorRows.Singles(model.Transform(Rows(ml, windows)), Score);
        double loss = windows.Zip(losses, (w, l) => (w.Length - 1) * (double)l).Sum() / (text.Length - 1 - first);

        var sampling = new GenerationOptions { MaxNewTokens = Sampled, Seed = seed };
        _ = model.Generate("\n", sampling); // warming up
        clock.Restart();
        _ = model.Generate("\n", sampling);
        return (loss, seconds, Sampled / clock.Elapsed.TotalSeconds);
    }

    private static IDataView Rows(MLContext ml, IEnumerable<string> texts) =>
        ml.Data.LoadFromEnumerable(texts.Select(t => new TextRow { Text = t }).ToArray());

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
