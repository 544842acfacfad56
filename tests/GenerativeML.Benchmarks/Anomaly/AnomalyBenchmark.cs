using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>anomaly</c>: how well a detector does over a folder of labelled tables, with one configuration for all.
/// </summary>
internal static class AnomalyBenchmark
{
    /// <summary>Trains a detector.</summary>
    internal delegate GenerativeTransformer Fit(MLContext ml, IDataView rows);

    /// <summary>What detectors are called.</summary>
    internal static readonly string[] Methods = ["autoencoder", "vae", "flow", "mixture", "bayesnet", "rbm", "diffusion"];

    private const string Peer = "dte";

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder of CSV files: header, numbers, last column the label (0 is normal).",
            Required = true,
        };
        Option<AnomalyProtocol> protocol = new("--protocol")
        {
            Description = "semi: fit on half of the normal rows. unsup: fit on all rows, without labels.",
        };
        Option<int> seeds = new("--seeds")
        {
            Description = "How many seeds, from 0 on.",
            DefaultValueFactory = _ => 5,
        };
        Option<string> method = new("--method")
        {
            Description = $"{string.Join(", ", Methods)}; or {Peer}, diffusion time estimation as published.",
            DefaultValueFactory = _ => "autoencoder",
        };
        method.AcceptOnlyFromAmong([.. Methods, Peer]);
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Option<string[]> only = new("--only")
        {
            Description = "Names of the sets to measure, without extension. Default: all.",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<string?> options = new("--options")
        {
            Description = """Options other than the defaults, as JSON: '{"LatentDimension":4}'.""",
        };
        seeds.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1)
                result.AddError("--seeds must be at least 1.");
        });
        options.Validators.Add(result =>
        {
            if (result.GetValue(method) == Peer)
                result.AddError($"--method {Peer} is as published, and has no --options.");
        });
        Command command = new("anomaly", "Detection quality over a folder of labelled tables.")
        {
            data, protocol, seeds, method, json, only, options,
        };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(data),
            parsed.GetValue(protocol),
            parsed.GetValue(seeds),
            parsed.GetValue(json),
            parsed.GetValue(only) ?? [],
            parsed.GetValue(method) == Peer ? null : Fitting(parsed.GetValue(method)!, parsed.GetValue(options) ?? "{}")));
        return command;
    }

    /// <summary>A detector that is trained with the given options.</summary>
    internal static Fit Fitting(string method, string options)
    {
        if (method == "flow")
            return (ml, rows) => ml.AnomalyDetection.Trainers.NormalizingFlow(Changed<NormalizingFlowOptions>()).Fit(rows);
        if (method == "diffusion")
            return (ml, rows) => ml.AnomalyDetection.Trainers.Diffusion(Changed<DiffusionOptions>()).Fit(rows);
        if (method == "bayesnet")
        {
            BayesianNetworkOptions changed = Changed<BayesianNetworkOptions>() with { ColumnNames = ["Features"] };
            return (ml, rows) => ml.AnomalyDetection.Trainers.BayesianNetwork(changed).Fit(rows);
        }
        if (method == "mixture")
            return (ml, rows) => ml.AnomalyDetection.Trainers.GaussianMixture(Changed<GaussianMixtureOptions>()).Fit(rows);
        if (method == "rbm")
        {
            return (ml, rows) => ml.AnomalyDetection.Trainers.RestrictedBoltzmannMachine(
                Changed<RestrictedBoltzmannMachineOptions>()).Fit(rows);
        }
        if (method == "vae")
        {
            var changed = Changed<VaeOptions>();
            return (ml, rows) => ml.AnomalyDetection.Trainers.VariationalAutoencoder(changed).Fit(rows);
        }
        else
        {
            var changed = Changed<AutoencoderOptions>();
            return (ml, rows) => ml.AnomalyDetection.Trainers.Autoencoder(changed).Fit(rows);
        }

        T Changed<T>() => ChosenOptions.Read<T>(options);
    }

    private static int Run(
        DirectoryInfo folder, AnomalyProtocol protocol, int seeds, FileInfo? json, string[] only, Fit? fit)
    {
        FileInfo[] files = LabelledTable.Files(folder, only);
        if (files.Length == 0)
        {
            Console.Error.WriteLine($"No CSV file to measure in {folder.FullName}.");
            return 2;
        }

        string name = protocol.ToString().ToLowerInvariant();
        var results = new List<AnomalyResult>();
        Console.WriteLine(
            $"protocol {name}, {seeds} {(seeds == 1 ? "seed" : "seeds")}; seconds are for one fit and its scores");
        Show("data set", "rows", "features", "AUROC", "±", "AUCPR", "seconds");
        foreach (FileInfo file in files)
        {
            LabelledTable table = LabelledTable.Read(file.FullName);
            AnomalyResult result = Measure(table, name, protocol, seeds, fit);
            results.Add(result);
            Show(result, $"{table.Rows.Length}", $"{table.Width}");
        }
        Show(
            new AnomalyResult(
                "mean", name, results.Average(r => r.Auroc), results.Average(r => r.AurocStd),
                results.Average(r => r.Aucpr), results.Average(r => r.Seconds)),
            "",
            "");

        if (json is not null)
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(results, Json) + "\n");
        return 0;
    }

    private static void Show(AnomalyResult r, string rows, string features) => Show(
        r.Dataset, rows, features, $"{r.Auroc:F4}", $"{r.AurocStd:F4}", $"{r.Aucpr:F4}", $"{r.Seconds:F2}");

    private static void Show(
        string name, string rows, string features, string auroc, string deviation, string aucpr, string seconds) =>
        Console.WriteLine($"{name,-18} {rows,7} {features,8}   {auroc,6} {deviation,6}   {aucpr,6} {seconds,8}");

    private static AnomalyResult Measure(
        LabelledTable table, string name, AnomalyProtocol protocol, int seeds, Fit? fit)
    {
        double[] auroc = new double[seeds], aucpr = new double[seeds];
        var clock = Stopwatch.StartNew();
        for (int seed = 0; seed < seeds; seed++)
        {
            AnomalySplit split = AnomalySplit.Create(protocol, table.IsAnomaly, (ulong)seed);
            float[] scores = Score(table, split, seed, fit);
            bool[] truth = [.. split.Test.Select(row => table.IsAnomaly[row])];
            auroc[seed] = DetectionQuality.Auroc(scores, truth);
            aucpr[seed] = DetectionQuality.AveragePrecision(scores, truth);
        }
        double mean = auroc.Average();
        double deviation = Math.Sqrt(auroc.Average(a => (a - mean) * (a - mean)));
        return new AnomalyResult(
            table.Name, name, mean, deviation, aucpr.Average(), clock.Elapsed.TotalSeconds / seeds);
    }

    /// <summary>Fits and scores through ML.NET, as a user would; the peer without it.</summary>
    private static float[] Score(LabelledTable table, AnomalySplit split, int seed, Fit? fit)
    {
        var standard = new Standardisation([.. split.Train.Select(row => table.Rows[row])]);
        float[][] train = [.. split.Train.Select(row => standard.Apply(table.Rows[row]))];
        float[][] test = [.. split.Test.Select(row => standard.Apply(table.Rows[row]))];
        if (fit is null)
            return StockDiffusionTime.Scores(train, test, seed);
        var ml = new MLContext(seed);
        using GenerativeTransformer detector = fit(ml, VectorRows.View(ml, train, table.Width));
        return VectorRows.Singles(detector.Transform(VectorRows.View(ml, test, table.Width)), "Score");
    }
}
