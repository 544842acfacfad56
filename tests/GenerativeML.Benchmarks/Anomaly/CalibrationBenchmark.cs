using System.CommandLine;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>calibration</c>: which share of fresh ordinary rows detectors flag, by how many rows and features they were trained
/// on, with each row once and with each twice. Rows are normal numbers, so that all of them are ordinary.
/// </summary>
internal static class CalibrationBenchmark
{
    private const int Fresh = 10_000;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<int[]> rows = new("--rows")
        {
            Description = "Training rows.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [50, 200, 1000, 10_000],
        };
        Option<int[]> widths = new("--features")
        {
            Description = "Features.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [2, 8, 32, 64],
        };
        Option<string[]> methods = new("--method")
        {
            Description = "Detectors.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => AnomalyBenchmark.Methods,
        };
        methods.AcceptOnlyFromAmong(AnomalyBenchmark.Methods);
        Option<int> seeds = new("--seeds") { Description = "Fits for each line.", DefaultValueFactory = _ => 3 };
        Option<double> contamination = new("--contamination")
        {
            Description = "The share that is to be flagged.",
            DefaultValueFactory = _ => 0.05,
        };
        Command command = new("calibration", "Which share of fresh ordinary rows detectors flag.")
        {
            rows, widths, methods, seeds, contamination,
        };
        command.SetAction(parsed => Run(
            parsed.GetValue(rows)!, parsed.GetValue(widths)!, parsed.GetValue(methods)!, parsed.GetValue(seeds),
            parsed.GetValue(contamination)));
        return command;
    }

    private static int Run(int[] counts, int[] widths, string[] methods, int seeds, double share)
    {
        Console.WriteLine(
            $"share of {Fresh} fresh rows that is flagged, mean of {seeds} fits; expected: the mean, and what three "
            + "standard errors allow");
        Console.WriteLine($"{"detector",-12} {"rows",6} {"features",8} {"each",5} {"flagged",8} {"expected",20}");
        int outside = 0;
        foreach (string method in methods)
        {
            foreach ((int count, int width, int copies) in
                from count in counts from width in widths from copies in new[] { 1, 2 } select (count, width, copies))
            {
                double flagged = Enumerable.Range(0, seeds)
                    .Average(seed => Flagged(method, count / copies, copies, width, share, seed));
                // A threshold is one of so many scores: the share of rows beyond it is distributed as Beta, and how many
                // of the fresh rows these are as a binomial. Of many rows a fifth is held back.
                int calibrating = (count < 2000 ? count : Math.Min(4000, count / 5)) / copies;
                double mean = Math.Floor((calibrating + 1) * share) / (calibrating + 1);
                double error = 3 * Math.Sqrt(share * (1 - share) * (1.0 / calibrating + 1.0 / Fresh) / seeds);
                bool within = Math.Abs(flagged - mean) <= error;
                outside += within ? 0 : 1;
                Console.WriteLine(
                    $"{method,-12} {count,6} {width,8} {(copies == 1 ? "once" : "twice"),5} {flagged,8:P1} "
                    + $"{$"{mean:P1} ± {error:P1}",20}{(within ? "" : "  outside")}");
            }
        }
        Console.WriteLine($"{outside} outside");
        return 0;
    }

    private static double Flagged(string method, int distinct, int copies, int width, double share, int seed)
    {
        var random = new SplitMix64((ulong)seed);
        float[][] rows = Rows(distinct);
        var ml = new MLContext(seed);
        string options = FormattableString.Invariant($$"""{"Contamination":{{share}}}""");
        using GenerativeTransformer detector = AnomalyBenchmark.Fitting(method, options)(
            ml, VectorRows.View(ml, Enumerable.Repeat(rows, copies).SelectMany(all => all), width));
        IDataView scored = detector.Transform(VectorRows.View(ml, Rows(Fresh), width));
        return scored.GetColumn<bool>("PredictedLabel").Count(label => label) / (double)Fresh;

        float[][] Rows(int count) => [.. Enumerable.Range(0, count).Select(_ =>
        {
            float[] row = new float[width];
            NormalNumbers.Fill(ref random, row);
            return row;
        })];
    }
}
