using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>lstm</c>: a recurrent character model of a text: how well it predicts the text's last tenth, its state carried
/// through all of it, and how fast it trains and writes; beside the same network of torch's stock modules.
/// </summary>
internal static class LstmBenchmark
{
    // As many as the GPT of gpt's configuration cpu sees in 2000 steps.
    private const int Seen = 2000 * 12 * 64;
    private const double TrainingShare = 0.9;
    private const int Sampled = 1000, Rounds = 5, TimedSteps = 150, Skipped = 30;
    private const string Score = "Score";

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> data = new("--data") { Description = "A text in UTF-8.", Required = true };
        Option<int> characters = new("--characters")
        {
            Description = "Characters seen in training.", DefaultValueFactory = _ => Seen,
        };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 1 };
        Option<string?> options = new("--options") { Description = "Changes of the trainer's options, as JSON." };
        Option<bool> peer = new("--peer")
        {
            Description = "Trains the same network of stock modules, too, and compares the speed of steps in turns.",
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("lstm", "Validation loss and speed of a recurrent character model of a text.")
        {
            data, characters, seeds, options, peer, json,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), Math.Max(1, parsed.GetValue(characters)), Math.Max(1, parsed.GetValue(seeds)),
            ChosenOptions.Read<RecurrentLanguageModelOptions>(parsed.GetValue(options)), parsed.GetValue(peer),
            parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        FileInfo file, int characters, int seeds, RecurrentLanguageModelOptions chosen, bool peer, FileInfo? json,
        CancellationToken cancellation)
    {
        if (!file.Exists)
        {
            Console.Error.WriteLine($"There is no file {file.FullName}.");
            return 2;
        }
        string text = File.ReadAllText(file.FullName);
        RecurrentLanguageModelOptions options = Options(chosen, text, characters, cancellation);
        Console.WriteLine(
            $"{file.Name}: {text.Length} characters; {options.Cell} {options.Layers} x {options.Width}, "
            + $"{options.Steps} steps of {options.BatchSize} x {options.WindowLength}");
        var runs = new List<(double Loss, double Seconds, double Sampling)>();
        var peers = new List<double>();
        for (int seed = 0; seed < seeds; seed++)
        {
            (double loss, double seconds, double sampling) run = Measure(text, options, seed);
            runs.Add(run);
            Console.WriteLine(
                $"seed {seed}: validation loss {run.loss:F4}, {run.seconds:F0} s of training, "
                + $"{run.sampling:F0} sampled characters per second");
            if (!peer)
                continue;
            using var stock = new StockLstm(text, TrainingShare, options, seed);
            stock.Train(options.Steps!.Value);
            peers.Add(stock.ValidationLoss());
            Console.WriteLine($"seed {seed}: stock modules' validation loss {peers[^1]:F4}");
        }
        double mean = runs.Average(r => r.Loss);
        double deviation = Math.Sqrt(runs.Average(r => (r.Loss - mean) * (r.Loss - mean)));
        Console.WriteLine($"mean validation loss {mean:F4} ± {deviation:F4}");
        double? ratio = peer ? Speed(text, options) : null;
        if (json is not null)
        {
            double seconds = runs.Average(r => r.Seconds);
            var result = new
            {
                text = file.Name,
                cell = $"{options.Cell}",
                options.Layers,
                options.Width,
                val_loss = mean,
                bits_per_char = mean / Math.Log(2),
                peer_val_loss = peers.Count > 0 ? peers.Average() : (double?)null,
                times_as_fast_as_peer = ratio,
                train_seconds = seconds,
                characters_per_second = characters / seconds,
                sample_characters_per_second = runs.Average(r => r.Sampling),
            };
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(result) + "\n");
        }
        return 0;
    }

    private static RecurrentLanguageModelOptions Options(
        RecurrentLanguageModelOptions chosen, string text, int characters, CancellationToken cancellation)
    {
        // The characters of the whole text, as the protocol's figures have them.
        var tokenizer = new CharacterTokenizer(text, UnknownCharacters.Error);
        chosen = chosen.Resolve(TokenCodec.For(tokenizer), 0) with { Seed = null };
        return chosen with
        {
            Steps = Math.Max(1, characters / (chosen.BatchSize!.Value * chosen.WindowLength)),
            Tokenizer = tokenizer,
            VocabularySize = null,
            JoinRows = true,
            RowSeparator = "",
            GeneratedTextColumnName = null,
            ScoreColumnName = Score,
            CancellationToken = cancellation,
        };
    }

    private static (double Loss, double Seconds, double Sampling) Measure(
        string text, RecurrentLanguageModelOptions options, int seed)
    {
        int first = (int)(text.Length * TrainingShare);
        var ml = new MLContext(seed);
        var clock = Stopwatch.StartNew();
        using RecurrentLanguageModelTransformer model = Fit(ml, text[..first], options);
        double seconds = clock.Elapsed.TotalSeconds;
        // One row: the state is carried through all of it.
        double loss = VectorRows.Singles(model.Transform(Rows(ml, text[first..])), Score)[0];
        var sampling = new GenerationOptions { MaxNewTokens = Sampled, Seed = seed };
        _ = model.Generate("\n", sampling); // warming up
        clock.Restart();
        _ = model.Generate("\n", sampling);
        return (loss, seconds, Sampled / clock.Elapsed.TotalSeconds);
    }

    // How many times as fast as the peer's a step is: in turns, the median of rounds.
    private static double Speed(string text, RecurrentLanguageModelOptions options)
    {
        var ratios = new List<double>();
        options = options with { Steps = TimedSteps };
        for (int round = 0; round < Rounds; round++)
        {
            var clock = new TrainingClock(Skipped);
            Fit(new MLContext(0), text, options with { Progress = clock }).Dispose();
            using var stock = new StockLstm(text, TrainingShare, options, round);
            stock.Train(Skipped);
            long start = Stopwatch.GetTimestamp();
            stock.Train(TimedSteps - Skipped);
            double theirs = Stopwatch.GetElapsedTime(start).TotalSeconds / (TimedSteps - Skipped);
            ratios.Add(theirs / clock.SecondsPerStep);
            Console.WriteLine(
                $"round {round}: a step takes {1e3 * clock.SecondsPerStep:F2} ms, of stock modules {1e3 * theirs:F2} ms");
        }
        ratios.Sort();
        Console.WriteLine($"{ratios[Rounds / 2]:F2} times as fast as stock modules");
        return ratios[Rounds / 2];
    }

    private static RecurrentLanguageModelTransformer Fit(MLContext ml, string text, RecurrentLanguageModelOptions options) =>
        ml.Generative.RecurrentLanguageModel(options).Fit(Rows(ml, text));

    private static IDataView Rows(MLContext ml, string text) =>
        ml.Data.LoadFromEnumerable([new TextRow { Text = text }]);

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
