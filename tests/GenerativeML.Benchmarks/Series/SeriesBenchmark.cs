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
        Option<string?> likelihood = new("--likelihood") { Description = "Options of AnomalyLikelihood as JSON." };
        Option<int> seed = new("--seed") { Description = "The seed." };
        Option<DirectoryInfo?> scores = new("--scores") { Description = "Where the models' own scores are kept, a file for each series: those that are there are not computed again." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("series", "How well anomalies of series in time are detected: NAB.") { data, methods, options, likelihood, seed, scores, json };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(data), parsed.GetValue(methods)!, parsed.GetValue(options), parsed.GetValue(likelihood),
            parsed.GetValue(seed), parsed.GetValue(scores), parsed.GetValue(json)));
        return command;
    }

    private static int Run(
        DirectoryInfo folder, string[] methods, string? options, string? likelihood, int seed, DirectoryInfo? dump, FileInfo? json)
    {
        var nested = new DirectoryInfo(Path.Combine(folder.FullName, "nab"));
        NabSeries[] all = NabSeries.ReadAll(nested.Exists ? nested : folder);
        Console.WriteLine($"{all.Length} series, {all.Sum(s => s.Values.Length)} rows, {all.Sum(s => s.Windows.Count)} windows");
        var report = new Dictionary<string, object>();
        foreach (string method in methods)
        {
            var raw = new List<(NabSeries Series, float[] Scores)>();
            TimeSpan cpu = Process.GetCurrentProcess().TotalProcessorTime;
            foreach (NabSeries series in all)
                raw.Add((series, Kept(dump, $"{method}-{series.Name.Replace('/', '-')}", () => Stream(series, method, options, seed))));
            double seconds = (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalSeconds;
            var ml = new MLContext(seed);
            List<(NabSeries Series, float[] Scores)> likelihoods = [.. raw.Select(r => (r.Series, Likelihoods(ml, r.Series, r.Scores, likelihood)))];
            float own = (float)Math.Log(ChosenOptions.Read<AnomalyLikelihoodOptions>(likelihood).OneIn);
            var scorer = new NabScorer();
            (string, (double Threshold, double Score, int Found, int Falsely))[] scores =
            [
                ("raw scores, NAB's own search", scorer.Best(raw)), ("likelihoods, NAB's own search", scorer.Best(likelihoods)),
                ("likelihoods, threshold without labels", scorer.At(own, likelihoods)),
            ];
            Console.WriteLine($"{method}, {seconds:F0} s of processor time:");
            foreach ((string what, (double threshold, double score, int found, int falsely)) in scores)
                Console.WriteLine($"  {what,-40} {score,6:F1} at {threshold:F3}: {found} windows found, {falsely} rows falsely");
            var precision = raw.Zip(likelihoods).Where(pair => pair.First.Series.Windows.Count > 0).Select(pair => (
                pair.First.Series.Name, Raw: Quality(pair.First), Likelihood: Quality(pair.Second))).ToArray();
            Console.WriteLine($"  {"area under precision and recall, point by point, and VUS-PR",-60} {"raw",14} {"likelihood",14}");
            foreach ((string name, (double, double) ofRaw, (double, double) ofLikelihood) in precision)
                Show(name, ofRaw, ofLikelihood);
            Show("mean", Mean(precision.Select(p => p.Raw)), Mean(precision.Select(p => p.Likelihood)));
            report[method] = new
            {
                seconds,
                scores = scores.ToDictionary(s => s.Item1, s => new { s.Item2.Threshold, s.Item2.Score, s.Item2.Found, s.Item2.Falsely }),
                averagePrecision = precision.ToDictionary(p => p.Name, p => new { Raw = p.Raw.Area, Likelihood = p.Likelihood.Area }),
                volume = precision.ToDictionary(p => p.Name, p => new { Raw = p.Raw.Volume, Likelihood = p.Likelihood.Volume }),
            };
        }
        if (json is not null)
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(report) + "\n");
        return 0;
    }

    private static (double Area, double Volume) Quality((NabSeries Series, float[] Scores) of)
    {
        int first = of.Series.Probation;
        bool[] isAnomaly = of.Series.IsAnomaly[first..];
        ReadOnlySpan<float> scores = of.Scores.AsSpan(first);
        return isAnomaly.Contains(true)
            ? (DetectionQuality.AveragePrecision(scores, isAnomaly), DetectionQuality.VolumeUnderPrecisionRecall(scores, isAnomaly))
            : (double.NaN, double.NaN);
    }

    private static (double Area, double Volume) Mean(IEnumerable<(double Area, double Volume)> of) =>
        (of.Average(one => one.Area), of.Average(one => one.Volume));

    private static void Show(string name, (double Area, double Volume) raw, (double Area, double Volume) likelihood) => Console.WriteLine(
        $"  {name,-60} {raw.Area,7:F3}{raw.Volume,7:F3} {likelihood.Area,7:F3}{likelihood.Volume,7:F3}");

    private static float[] Likelihoods(MLContext ml, NabSeries series, float[] scores, string? options)
    {
        IDataView rows = ml.Data.LoadFromEnumerable(series.Values.Zip(scores, (value, score) => new Scored { Value = value, Score = score }));
        return VectorRows.Singles(
            ml.Transforms.AnomalyLikelihood(ChosenOptions.Read<AnomalyLikelihoodOptions>(options) with { ValueColumnName = "Value" })
                .Fit(rows).Transform(rows),
            "Likelihood");
    }

    // What is in a file of the folder, or is computed and put there.
    private static float[] Kept(DirectoryInfo? folder, string name, Func<float[]> compute)
    {
        if (folder is null)
            return compute();
        folder.Create();
        string file = Path.Combine(folder.FullName, name);
        if (File.Exists(file))
            return [.. File.ReadLines(file).Select(line => float.Parse(line, CultureInfo.InvariantCulture))];
        float[] computed = compute();
        File.WriteAllLines(file, computed.Select(s => s.ToString("R", CultureInfo.InvariantCulture)));
        return computed;
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

    private sealed class Scored
    {
        public float Value { get; set; }

        public float Score { get; set; }
    }

    private sealed class Step
    {
        public float Value { get; set; }
    }
}
