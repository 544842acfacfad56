using System.CommandLine;
using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>seq2seq</c>: texts made of texts. Sums of numbers and dates in twelve spellings, drawn from a seed: the share of
/// held-back answers that are right in every character. German to English, Multi30k: BLEU of the validation set, after so
/// many minutes of processor time.
/// </summary>
internal static class SequenceToSequenceBenchmark
{
    private const int ProbeSteps = 60, ProbeSkipped = 20, Shown = 3;

    // The transformer of 9 million weights whose BLEU on this data is published as 36.5 (Wu 2021), and how long it trains.
    private const string GpuOptions =
        """{"Width":256,"EncoderLayers":4,"DecoderLayers":4,"BytePairVocabulary":6000,"Dropout":0.3,"BatchSize":128,"Epochs":60}""";

    private static readonly JsonSerializerOptions Json = new()
    {
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        Converters = { new JsonStringEnumConverter() },
    };

    private enum Kind
    {
        All,
        Addition,
        Dates,
        Translation,
    }

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<Kind> task = new("--task") { Description = "What is learned: addition, dates, translation, or all." };
        Option<DirectoryInfo?> data = new("--data")
        {
            Description = "A folder with Multi30k: train.de.gz, train.en.gz, val.de.gz, val.en.gz. Without it, no translation.",
        };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 1 };
        Option<double> minutes = new("--minutes")
        {
            Description = "Minutes of processor time for translation; 0: as many steps as the options say.",
            DefaultValueFactory = _ => 30,
        };
        Option<bool> gpu = new("--gpu")
        {
            Description = "Computes on the first CUDA device. At a size for one, translation takes --minutes 0 --options '"
                + GpuOptions + "'.",
        };
        Option<string?> options = new("--options") { Description = "Changes of the trainer's options, as JSON." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("seq2seq", "Texts made of texts: sums, dates, translations.")
        {
            task, data, seeds, minutes, gpu, options, json,
        };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetValue(task), parsed.GetValue(data), Math.Max(1, parsed.GetValue(seeds)), parsed.GetValue(minutes),
            parsed.GetValue(gpu), parsed.GetValue(options), parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        Kind task, DirectoryInfo? data, int seeds, double minutes, bool gpu, string? chosen, FileInfo? json,
        CancellationToken cancellation)
    {
        if (task == Kind.Translation && data is null)
        {
            Console.Error.WriteLine("Translation needs --data.");
            return 2;
        }
        var results = new JsonObject();
        SequenceToSequenceOptions common = new()
        {
            Device = gpu ? ComputeDevice.Cuda() : null, CancellationToken = cancellation, Seed = null,
        };
        if (task is Kind.All or Kind.Addition)
            results["addition"] = Exact("addition", TextPairTasks.Addition, Chosen(common, chosen), seeds);
        if (task is Kind.All or Kind.Dates)
            results["dates"] = Exact("dates", TextPairTasks.Dates, Chosen(common, chosen), seeds);
        if (data is not null && task is Kind.All or Kind.Translation)
            results["translation"] = Translation(data!, Chosen(ForTranslation(common), chosen), seeds, minutes);
        if (json is not null)
            File.WriteAllText(json.FullName, results.ToJsonString() + "\n");
        return 0;
    }

    // Pieces of words in place of characters, and few enough texts that they could be learned by heart.
    private static SequenceToSequenceOptions ForTranslation(SequenceToSequenceOptions options) => options with
    {
        BytePairVocabulary = 4000, SharedVocabulary = true, Dropout = 0.1,
    };

    // Options with what the JSON changes.
    private static SequenceToSequenceOptions Chosen(SequenceToSequenceOptions options, string? chosen)
    {
        JsonObject all = JsonSerializer.SerializeToNode(options, Json)!.AsObject();
        foreach ((string name, JsonNode? value) in JsonNode.Parse(chosen ?? "{}")!.AsObject())
            all[name] = value?.DeepClone();
        return all.Deserialize<SequenceToSequenceOptions>(Json)! with
        {
            Device = options.Device, CancellationToken = options.CancellationToken,
        };
    }

    private static JsonNode Exact(
        string name, Func<int, (TextPair[] Training, TextPair[] Held)> draw, SequenceToSequenceOptions options, int seeds)
    {
        List<double> shares = [], times = [];
        for (int seed = 0; seed < seeds; seed++)
        {
            (TextPair[] training, TextPair[] held) = draw(seed);
            (SequenceToSequenceTransformer model, double seconds) = Fit(training, options, seed);
            using (model)
            {
                IReadOnlyList<TargetText> answers = model.Generate([.. held.Select(pair => pair.Source)]);
                shares.Add(answers.Zip(held).Average(pair => pair.First.Text == pair.Second.Target ? 1.0 : 0.0));
                times.Add(seconds);
                Console.WriteLine(
                    $"{name}, seed {seed}: {shares[^1]:P2} of {held.Length} held-back answers are right; "
                    + $"{model.ParameterCount} weights, {seconds:F0} s of processor time");
                var wrong = answers.Zip(held).Where(p => p.First.Text != p.Second.Target);
                foreach ((TargetText answer, TextPair pair) in wrong.Take(Shown))
                    Console.WriteLine($"  {pair.Source} -> {answer.Text}, not {pair.Target}");
            }
        }
        return new JsonObject
        {
            ["exact"] = shares.Average(), ["least"] = shares.Min(), ["seeds"] = seeds, ["cpu_seconds"] = times.Average(),
        };
    }

    private static JsonNode Translation(DirectoryInfo data, SequenceToSequenceOptions options, int seeds, double minutes)
    {
        TextPair[] training = Read(data, "train"), held = Read(data, "val");
        var results = new JsonArray();
        for (int seed = 0; seed < seeds; seed++)
        {
            SequenceToSequenceOptions decided = options;
            if (minutes > 0)
            {
                var probe = new ProcessorClock(ProbeSkipped);
                Fit(training, options with { Epochs = null, Steps = ProbeSteps, Progress = probe }, seed).Model.Dispose();
                decided = options with { Epochs = null, Steps = (int)Math.Max(1, 60 * minutes / probe.SecondsPerStep) };
                Console.WriteLine(
                    $"translation: {1e3 * probe.SecondsPerStep:F0} ms of processor time for a step, {decided.Steps} steps in "
                    + $"{minutes} minutes");
            }
            var clock = Stopwatch.StartNew();
            (SequenceToSequenceTransformer model, double seconds) = Fit(training, decided, seed);
            double wall = clock.Elapsed.TotalSeconds;
            using (model)
            {
                string[] sources = [.. held.Select(pair => pair.Source)], targets = [.. held.Select(pair => pair.Target)];
                string[] greedy = [.. model.Generate(sources, new() { Beams = 1 }).Select(text => text.Text)];
                clock.Restart();
                string[] found = [.. model.Generate(sources).Select(text => text.Text)];
                double searching = clock.Elapsed.TotalSeconds;
                double perplexity = Math.Exp(model.Score(sources, targets).Average());
                (double beam, double alone) = (Bleu.Score(found, [targets]), Bleu.Score(greedy, [targets]));
                Console.WriteLine(
                    $"translation, seed {seed}: BLEU {beam:F2} with {options.Generation.Beams} beams, {alone:F2} greedy, "
                    + $"perplexity {perplexity:F2}; {model.ParameterCount} weights, {seconds:F0} s of processor time "
                    + $"({wall:F0} s by the clock), {held.Length / searching:F0} translations per second");
                for (int i = 0; i < Shown; i++)
                    Console.WriteLine($"  {sources[i]}\n    {found[i]}\n    {targets[i]}");
                results.Add(new JsonObject
                {
                    ["bleu"] = beam, ["bleu_greedy"] = alone, ["perplexity"] = perplexity, ["weights"] = model.ParameterCount,
                    ["steps"] = decided.Steps, ["cpu_seconds"] = seconds, ["seconds"] = wall,
                    ["translations_per_second"] = held.Length / searching,
                });
            }
        }
        Console.WriteLine(
            $"At a size for a GPU: seq2seq --task translation --data {data.Name} --gpu --minutes 0 --options '{GpuOptions}'");
        return results;
    }

    private static (SequenceToSequenceTransformer Model, double Seconds) Fit(
        TextPair[] training, SequenceToSequenceOptions options, int seed)
    {
        var ml = new MLContext(seed);
        ml.Log += (_, e) =>
        {
            if (e.Source.Contains(nameof(SequenceToSequenceTrainer), StringComparison.Ordinal))
                Console.Error.WriteLine(e.Message);
        };
        TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
        SequenceToSequenceTransformer model = ml.Generative.SequenceToSequence(options).Fit(ml.Data.LoadFromEnumerable(training));
        return (model, (Process.GetCurrentProcess().TotalProcessorTime - before).TotalSeconds);
    }

    private static TextPair[] Read(DirectoryInfo folder, string part)
    {
        return [.. Lines("de").Zip(Lines("en"), (source, target) => new TextPair { Source = source, Target = target })];

        string[] Lines(string language)
        {
            using FileStream file = File.OpenRead(Path.Combine(folder.FullName, $"{part}.{language}.gz"));
            using var reader = new StreamReader(new GZipStream(file, CompressionMode.Decompress));
            return reader.ReadToEnd().TrimEnd('\n').Split('\n');
        }
    }

    /// <summary>How much processor time a step takes, after those that are skipped.</summary>
    private sealed class ProcessorClock(int skipped) : IProgress<TrainingProgress>
    {
        private (long Step, TimeSpan Time)? _first;
        private (long Step, TimeSpan Time) _last;

        public double SecondsPerStep => _first is { } first && _last.Step > first.Step
            ? (_last.Time - first.Time).TotalSeconds / (_last.Step - first.Step)
            : throw new InvalidOperationException("Training has not reported twice.");

        public void Report(TrainingProgress value)
        {
            _last = (value.Step, Process.GetCurrentProcess().TotalProcessorTime);
            if (_first is null && value.Step >= skipped)
                _first = _last;
        }
    }
}
