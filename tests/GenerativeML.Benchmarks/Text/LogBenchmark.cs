using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using nietras.SeparatedValues;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>logs</c>: lines of a log whose label says which are alerts: models that learn half of the ordinary lines rank the
/// rest; the text is the column <c>Content</c>, the message without time, place and level.
/// </summary>
internal static class LogBenchmark
{
    private const string Ordinary = "-";

    // Of a few hundred lines a network learns most by heart. Ranks need no threshold, for which lines would be held back.
    private const double Dropout = 0.2;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> data = new("--data") { Description = "A CSV file with the columns Label and Content.", Required = true };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 3 };
        Option<int> steps = new("--steps") { Description = "Optimizer steps.", DefaultValueFactory = _ => 500 };
        Option<int> words = new("--words") { Description = "Learns so many tokens, words and bytes; 0: characters.", DefaultValueFactory = _ => 4096 };
        Option<int> context = new("--context") { Description = "Tokens that are looked at together.", DefaultValueFactory = _ => 128 };
        Option<string> models = new("--models") { Description = "gpt, masked, or both with a comma between.", DefaultValueFactory = _ => "gpt,masked" };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("logs", "How models of text rank the alerts of a log.") { data, seeds, steps, words, context, models, json };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), Math.Max(1, parsed.GetValue(seeds)), parsed.GetValue(steps),
            parsed.GetValue(words) is > 0 and int most ? most : null, parsed.GetValue(context),
            parsed.GetValue(models)!, parsed.GetValue(json))));
        return command;
    }

    private static int Run(FileInfo file, int seeds, int steps, int? words, int context, string models, FileInfo? json)
    {
        if (!file.Exists)
        {
            Console.Error.WriteLine($"There is no file {file.FullName}.");
            return 2;
        }
        using SepReader reader = Sep.Reader(options => options with { Unescape = true }).FromFile(file.FullName);
        List<string> ordinary = [], alerts = [];
        foreach (SepReader.Row row in reader)
            (row["Label"].ToString() == Ordinary ? ordinary : alerts).Add(row["Content"].ToString());
        Console.WriteLine($"{file.Name}: {ordinary.Count} ordinary lines, {alerts.Count} alerts");

        var areas = new Dictionary<string, List<double>>();
        var seconds = new Dictionary<string, List<double>>();
        for (int seed = 0; seed < seeds; seed++)
        {
            string[] lines = [.. ordinary];
            new SplitMix64((ulong)seed).Shuffle(lines.AsSpan());
            string[] train = lines[..(lines.Length / 2)], test = [.. lines[(lines.Length / 2)..], .. alerts];
            bool[] isAlert = [.. test.Select((_, i) => i >= test.Length - alerts.Count)];
            var ml = new MLContext(seed);
            var trigrams = new CharacterTrigrams(train);
            Add("trigram", () => [.. test.Select(trigrams.Score)]);
            if (models.Contains("gpt", StringComparison.Ordinal))
            {
                Add("gpt", () => Scores(ml.Generative.Gpt(new()
                {
                    WordVocabulary = words, ContextLength = context, Steps = steps, Dropout = Dropout, ScoreColumnName = "Score",
                    GeneratedTextColumnName = null,
                })));
            }
            if (models.Contains("masked", StringComparison.Ordinal))
            {
                Add("masked", () => Scores(ml.Generative.MaskedLanguageModel(new()
                {
                    WordVocabulary = words, WholeWords = words is not null, ContextLength = context, Steps = steps, Dropout = Dropout,
                    ScoreColumnName = "Score",
                })));
            }

            void Add(string name, Func<float[]> scores)
            {
                var clock = Stopwatch.StartNew();
                double area = DetectionQuality.Auroc(scores(), isAlert);
                areas.TryAdd(name, []);
                areas[name].Add(area);
                seconds.TryAdd(name, []);
                seconds[name].Add(clock.Elapsed.TotalSeconds);
                Console.WriteLine($"seed {seed}: {name} AUROC {area:F4}, {clock.Elapsed.TotalSeconds:F0} s");
            }

            float[] Scores(IEstimator<ITransformer> trainer)
            {
                ITransformer model = trainer.Fit(Rows(train));
                using var disposed = (IDisposable)model;
                // A log says the same again and again: each message is scored once.
                string[] distinct = [.. test.Distinct()];
                float[] scores = VectorRows.Singles(model.Transform(Rows(distinct)), "Score");
                Dictionary<string, float> known = distinct.Zip(scores).ToDictionary(pair => pair.First, pair => pair.Second);
                return [.. test.Select(text => known[text])];
            }

            IDataView Rows(string[] texts) => ml.Data.LoadFromEnumerable(texts.Select(text => new Line { Text = text }));
        }
        foreach ((string name, List<double> of) in areas)
            Console.WriteLine($"{name}: mean AUROC {of.Average():F4}, {seconds[name].Average():F0} s");
        if (json is not null)
        {
            var result = areas.ToDictionary(a => a.Key, a => new { auroc = a.Value, mean = a.Value.Average(), seconds = seconds[a.Key].Average() });
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(result) + "\n");
        }
        return 0;
    }

    private sealed class Line
    {
        public string Text { get; set; } = "";
    }
}
