using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using DataFiles;
using GenerativeML.Tests;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>tabular</c>: how good synthetic rows of a table are. A generator learns one part of the rows and makes as many;
/// the other part tests what they are worth.
/// </summary>
internal static class TabularBenchmark
{
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerOptions.Web) { WriteIndented = true };

    /// <summary>What can generate.</summary>
    public static string[] Methods { get; } = ["bayesnet", "diffusion", "gan", "vae"];

    /// <summary>The trainer of a method.</summary>
    public static TabularEstimator Trainer(MLContext ml, string method, string? label, int? epochs) => method switch
    {
        "bayesnet" => ml.Generative.BayesianNetwork(new BayesianNetworkOptions { LabelColumnName = label, Epochs = epochs }),
        "diffusion" => ml.Generative.TabularDiffusion(label, epochs),
        "gan" => ml.Generative.TabularGan(label, epochs),
        "vae" => ml.Generative.TabularVae(label, epochs),
        _ => throw new ArgumentOutOfRangeException(nameof(method), method, "There is no such method."),
    };

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> data = new("--data")
        {
            Description = "A delimited text file, with a header or without.",
            Required = true,
        };
        data.AcceptExistingOnly();
        Option<string> label = new("--label")
        {
            Description = "The column to predict, by name or by number from zero.",
            Required = true,
        };
        Option<double> testFraction = new("--test-fraction")
        {
            Description = "The share of rows that test.",
            DefaultValueFactory = _ => 0.2,
        };
        Option<int> seeds = new("--seeds") { Description = "How many splits and fits.", DefaultValueFactory = _ => 1 };
        Option<int> seed = new("--seed") { Description = "The first seed.", DefaultValueFactory = _ => 0 };
        Option<string> method = new("--method") { Description = "What generates.", DefaultValueFactory = _ => "vae" };
        method.AcceptOnlyFromAmong(Methods);
        Option<int?> epochs = new("--epochs")
        {
            Description = "Passes over the training rows. Default: by their number.",
        };
        Option<FileInfo?> output = new("--out")
        {
            Description = "Where to write the synthetic rows; with several seeds, name.0.csv, name.1.csv and so on.",
        };
        Option<bool> judge = new("--judge")
        {
            Description = "Let scikit-learn judge as well: tests/peers/tabular_judge.py.",
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("tabular", "The quality of synthetic rows of a table, over splits.")
        {
            data, label, testFraction, seeds, seed, method, epochs, output, judge, json,
        };
        command.SetAction(parsed => new Run
        {
            Path = parsed.GetValue(data)!.FullName,
            Label = parsed.GetValue(label)!,
            TestFraction = parsed.GetValue(testFraction),
            Seeds = Enumerable.Range(parsed.GetValue(seed), Math.Max(0, parsed.GetValue(seeds))),
            Method = parsed.GetValue(method)!,
            Epochs = parsed.GetValue(epochs),
            Output = parsed.GetValue(output)?.FullName,
            Judge = parsed.GetValue(judge),
            Json = parsed.GetValue(json)?.FullName,
        }.Measure());
        return command;
    }

    private sealed class Run
    {
        private static readonly PythonPeer s_scikit = new("sklearn");

        public required string Path { get; init; }

        public required string Label { get; init; }

        public double TestFraction { get; init; }

        public required IEnumerable<int> Seeds { get; init; }

        public required string Method { get; init; }

        public int? Epochs { get; init; }

        public string? Output { get; init; }

        public bool Judge { get; init; }

        public string? Json { get; init; }

        public int Measure()
        {
            DelimitedFile table;
            int label;
            string[][] rows;
            try
            {
                CheckOptions();
                table = DelimitedFile.Open(Path, new() { AsText = [Label] });
                label = table.ColumnOf(Label);
                rows = [.. table.Texts()];
            }
            catch (InvalidDataException wrong)
            {
                Console.Error.WriteLine(wrong.Message);
                return 2;
            }
            Console.WriteLine(
                $"{System.IO.Path.GetFileName(Path)}: {rows.Length} rows, {table.Names.Length} columns, "
                + $"label '{table.Names[label]}', {Method}");
            DirectoryInfo folder = Directory.CreateTempSubdirectory("generativeml-");
            try
            {
                List<TabularResult> results = [];
                foreach (int seed in Seeds)
                {
                    results.Add(Measure(table, rows, label, seed, folder.FullName));
                    Show($"seed {seed}", [results[^1]]);
                }
                if (results.Count > 1)
                    Show("mean", results);
                if (Json is not null)
                    File.WriteAllText(Json, JsonSerializer.Serialize(results, s_json) + "\n");
            }
            finally
            {
                folder.Delete(recursive: true);
            }
            return 0;
        }

        private void CheckOptions()
        {
            if (TestFraction is not (> 0 and < 1))
                throw new InvalidDataException($"--test-fraction is {TestFraction}; it must lie between 0 and 1.");
            if (!Seeds.Any())
                throw new InvalidDataException("--seeds must be at least 1.");
            if (Judge && !s_scikit.IsThere)
            {
                throw new InvalidDataException(
                    "--judge needs scikit-learn: install python3-sklearn, or set GENERATIVEML_PYTHON.");
            }
        }

        private TabularResult Measure(DelimitedFile table, string[][] rows, int label, int seed, string folder)
        {
            TableSplit split = TableSplit.Create(rows.Length, TestFraction, (ulong)seed);
            string training = System.IO.Path.Combine(folder, "train.csv");
            string test = System.IO.Path.Combine(folder, "test.csv");
            string made = Output is null
                ? System.IO.Path.Combine(folder, "synthetic.csv")
                : Seeds.Skip(1).Any() ? Numbered(Output, seed) : Output;
            table.Write(training, split.Train.Select(row => rows[row]));
            table.Write(test, split.Test.Select(row => rows[row]));

            MLContext ml = new(seed);
            IDataView real = table.Like(training);
            var clock = Stopwatch.StartNew();
            using TabularTransformer generator = Trainer(ml, Method, table.Names[label], Epochs).Fit(real);
            double trainingSeconds = clock.Elapsed.TotalSeconds;
            clock.Restart();
            table.Save(generator.Generate(split.Train.Length, seed), made);
            double generationSeconds = clock.Elapsed.TotalSeconds;

            // The rows are judged as they are in the file.
            SyntheticDataReport report = SyntheticDataReport.Compare(real, table.Like(made), new()
            {
                HoldOut = table.Like(test),
                LabelColumnName = table.Names[label],
                MaximumRows = int.MaxValue,
                Seed = seed,
            });
            ClosestRecords closest = report.ClosestRecords!;
            return new(
                seed, trainingSeconds, generationSeconds, report.MeanShape, report.MeanTrend, report.DetectionAuroc,
                closest.Ratio, closest.SyntheticCopies, closest.HoldOutCopies, report.Utility!.Real,
                report.Utility.Synthetic, Judge ? JudgeOf(made, seed) : null);
        }

        private JsonElement JudgeOf(string made, int seed)
        {
            string output = s_scikit.Run(
                "tabular_judge.py", Path, made, "--label", Label, "--seed", $"{seed}",
                "--test-fraction", TestFraction.ToString(CultureInfo.InvariantCulture));
            return JsonDocument.Parse(output).RootElement.Clone();
        }

        private static string Numbered(string path, int seed) =>
            System.IO.Path.ChangeExtension(path, $"{seed}{System.IO.Path.GetExtension(path)}");

        private static void Show(string name, IReadOnlyList<TabularResult> results)
        {
            double Mean(Func<TabularResult, double> figure) => results.Average(figure);
            Console.WriteLine(
                $"{name,-8} {Mean(r => r.TrainingSeconds):F1} s to train, {Mean(r => r.GenerationSeconds):F1} s to "
                + $"write rows; shape {Mean(r => r.Shape):F4}, pairs {Mean(r => r.Pairs):F4}, distance ratio "
                + $"{Mean(r => r.DistanceRatio):F3}, copies {Mean(r => r.Copies):P2} (test rows "
                + $"{Mean(r => r.TestCopies):P2})");
            Console.WriteLine(
                $"{"",-8} ML.NET logistic regression: F1 {Mean(r => r.Synthetic.F1):F4} (on real "
                + $"{Mean(r => r.Real.F1):F4}), AUROC {Mean(r => r.Synthetic.Auroc):F4} (on real "
                + $"{Mean(r => r.Real.Auroc):F4}), detection {Mean(r => r.Detection ?? double.NaN):F4}");
            if (results[0].Judge is null)
                return;
            double Judged(params string[] path) => Mean(
                r => path.Aggregate(r.Judge!.Value, (element, key) => element.GetProperty(key)).GetDouble());
            Console.WriteLine(
                $"{"",-8} scikit-learn, mean of three: F1 {Judged("utility", "mean", "synthetic", "f1"):F4} (on real "
                + $"{Judged("utility", "mean", "real", "f1"):F4}, lost {Judged("f1_loss"):F4}), AUROC "
                + $"{Judged("utility", "mean", "synthetic", "auroc"):F4} (on real "
                + $"{Judged("utility", "mean", "real", "auroc"):F4}, lost {Judged("auroc_loss"):F4}), detection "
                + $"{Judged("detection"):F4}");
        }
    }
}
