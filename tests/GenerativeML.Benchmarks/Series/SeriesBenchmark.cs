using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>series</c>: the Numenta Anomaly Benchmark as a stream: a model learns the probationary part of a series, scores what
/// follows, and is trained anew on all that went by whenever that has doubled. No score knows of a later row.
/// </summary>
internal static class SeriesBenchmark
{
    private static readonly string[] s_methods = ["autoregressive", "autoencoder"];

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data") { Description = "The folder that holds nab, or that folder.", Required = true };
        Option<string[]> methods = new("--method")
        {
            Description = "Families.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => s_methods,
        };
        methods.AcceptOnlyFromAmong(s_methods);
        Option<string?> options = new("--options") { Description = "Options of the family as JSON." };
        Option<int> seed = new("--seed") { Description = "The seed." };
        Option<DirectoryInfo?> scores = new("--scores") { Description = "Where to write the models' own scores, a file for each series." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("series", "How well anomalies of series in time are detected: NAB.") { data, methods, options, seed, scores, json };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(data), parsed.GetValue(methods)!, parsed.GetValue(options), parsed.GetValue(seed),
            parsed.GetValue(scores), parsed.GetValue(json)));
        return command;
    }

    private static int Run(
        DirectoryInfo folder, string[] methods, string? options, int seed, DirectoryInfo? dump, FileInfo? json)
    {
        var nested = new DirectoryInfo(Path.Combine(folder.FullName, "nab"));
        NabSeries[] all = NabSeries.ReadAll(nested.Exists ? nested : folder);
        Console.WriteLine($"{all.Length} series, {all.Sum(s => s.Values.Length)} rows, {all.Sum(s => s.Windows.Count)} windows");
        foreach (string method in methods)
        {
            var raw = new List<(NabSeries, float[])>();
            long start = Stopwatch.GetTimestamp();
            foreach (NabSeries series in all)
            {
                float[] scores = Stream(series, method, options, seed);
                raw.Add((series, scores));
                if (dump is not null)
                {
                    dump.Create();
                    File.WriteAllLines(
                        Path.Combine(dump.FullName, $"{method}-{series.Name.Replace('/', '-')}"),
                        scores.Select(s => s.ToString("R", CultureInfo.InvariantCulture)));
                }
            }
            var scorer = new NabScorer();
            Console.WriteLine($"{method}: raw {scorer.Best(raw)}, {Stopwatch.GetElapsedTime(start).TotalSeconds:F0} s");
        }
        return 0;
    }

    // The scores of all rows, none of which knows of a later one.
    private static float[] Stream(NabSeries series, string method, string? options, int seed)
    {
        float[] scores = new float[series.Values.Length];
        var ml = new MLContext(seed);
        int trained = Math.Max(2, series.Probation), from = 0;
        while (from < scores.Length)
        {
            int end = (int)Math.Min(2L * trained, scores.Length);
            using SeriesTransformer model = Trainer(ml, method, options).Fit(Rows(ml, series.Values[..trained])) as SeriesTransformer
                ?? throw new InvalidOperationException();
            float[] some = VectorRows.Singles(model.Transform(Rows(ml, series.Values[..end])), "Score");
            some.AsSpan(from..end).CopyTo(scores.AsSpan(from));
            (from, trained) = (end, end);
        }
        return scores;
    }

    private static IEstimator<ITransformer> Trainer(MLContext ml, string method, string? options) => method == "autoencoder"
        ? ml.AnomalyDetection.Trainers.SequenceAutoencoder(ChosenOptions.Read<SequenceAutoencoderOptions>(options) with
        {
            FeatureColumnName = "Value", PredictedLabelColumnName = null, Score = SequenceScore.LastOfWindow,
        })
        : ml.Generative.AutoregressiveSeries(ChosenOptions.Read<AutoregressiveSeriesOptions>(options) with
        {
            FeatureColumnName = "Value",
        });

    private static IDataView Rows(MLContext ml, float[] values) =>
        ml.Data.LoadFromEnumerable(values.Select(value => new Step { Value = value }));

    private sealed class Step
    {
        public float Value { get; set; }
    }
}
