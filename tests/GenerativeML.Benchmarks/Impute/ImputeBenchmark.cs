using System.CommandLine;
using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>impute</c>: how well missing values are filled in, over a folder of tables. Values are taken away at random, and
/// every method sees the table without them, and nothing else.
/// </summary>
internal static class ImputeBenchmark
{
    private const int Neighbours = 5;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder of CSV files: header, numbers, last column a label, which is not used.",
            Required = true,
        };
        Option<double> missing = new("--missing") { Description = "The share of values that is missing.", DefaultValueFactory = _ => 0.2 };
        Option<int> seed = new("--seed") { Description = "The seed." };
        Option<string[]> only = new("--only")
        {
            Description = "Names of the sets to measure, without extension. Default: all.",
            AllowMultipleArgumentsPerToken = true,
        };
        Option<string?> options = new("--options")
        {
            Description = """Options other than the defaults, as JSON: '{"Epochs":20}'.""",
        };
        Command command = new("impute", "Imputation over a folder of tables: mean, five nearest neighbours, diffusion.")
        {
            data, missing, seed, only, options,
        };
        command.SetAction(parsed =>
        {
            FileInfo[] files = LabelledTable.Files(parsed.GetRequiredValue(data), parsed.GetValue(only) ?? []);
            DiffusionOptions changed = ChosenOptions.Read<DiffusionOptions>(parsed.GetValue(options));
            Console.WriteLine("root mean squared error of the missing values, in deviations of their columns");
            Console.WriteLine("data set              rows features     mean     5-NN     ours   seconds");
            foreach (FileInfo file in files)
                Measure(LabelledTable.Read(file.FullName), parsed.GetValue(missing), parsed.GetValue(seed), changed);
        });
        return command;
    }

    private static void Measure(LabelledTable table, double share, int seed, DiffusionOptions options)
    {
        var standard = new Standardisation(table.Rows);
        float[][] rows = [.. table.Rows.Select(standard.Apply)];
        var random = new SplitMix64((ulong)seed);
        float[][] holed = new float[rows.Length][];
        for (int i = 0; i < rows.Length; i++)
        {
            holed[i] = [.. rows[i]];
            foreach (ref float value in holed[i].AsSpan())
                value = random.NextDouble() < share ? float.NaN : value;
        }
        float[] means = [.. Enumerable.Range(0, table.Width).Select(
            j => (float)holed.Select(row => (double)row[j]).Where(double.IsFinite).DefaultIfEmpty().Average())];
        double mean = Error((_, j) => means[j]);
        float[][] near = NearestNeighbours(holed, means);
        double neighbours = Error((i, j) => near[i][j]);

        var clock = Stopwatch.StartNew();
        var ml = new MLContext(seed);
        IDataView view = VectorRows.View(ml, holed, table.Width);
        using ImputingTransformer imputer = ml.Generative.Impute(options).Fit(view);
        IDataView filled = imputer.Transform(view);
        float[][] ours = [.. filled.GetColumn<VBuffer<float>>(filled.Schema["Features"]).Select(v => v.DenseValues().ToArray())];
        double error = Error((i, j) => ours[i][j]);
        Console.WriteLine(FormattableString.Invariant(
            $"{table.Name,-18} {rows.Length,7} {table.Width,8}   {mean,6:F4}   {neighbours,6:F4}   {error,6:F4}   {clock.Elapsed.TotalSeconds,7:F1}"));

        double Error(Func<int, int, float> guess)
        {
            double sum = 0;
            long count = 0;
            for (int i = 0; i < rows.Length; i++)
            {
                for (int j = 0; j < table.Width; j++)
                {
                    if (!float.IsNaN(holed[i][j]))
                        continue;
                    sum += Math.Pow(guess(i, j) - rows[i][j], 2);
                    count++;
                }
            }
            return Math.Sqrt(sum / count);
        }
    }

    // The mean of the nearest rows that have the value, by the distance over the features that both rows have, scaled up
    // to all (Troyanskaya 2001; as scikit-learn's KNNImputer).
    private static float[][] NearestNeighbours(float[][] rows, float[] means)
    {
        int width = means.Length;
        float[][] filled = new float[rows.Length][];
        Parallel.For(0, rows.Length, i =>
        {
            filled[i] = [.. rows[i]];
            double[] distances = new double[rows.Length];
            int[] order = [.. Enumerable.Range(0, rows.Length)];
            for (int other = 0; other < rows.Length; other++)
            {
                double sum = 0;
                int shared = 0;
                for (int j = 0; j < width; j++)
                {
                    float difference = rows[i][j] - rows[other][j];
                    if (float.IsNaN(difference))
                        continue;
                    sum += difference * difference;
                    shared++;
                }
                distances[other] = other == i || shared == 0 ? double.PositiveInfinity : sum / shared;
            }
            Array.Sort(distances, order);
            for (int j = 0; j < width; j++)
            {
                if (!float.IsNaN(rows[i][j]))
                    continue;
                float[] donors = [.. order.Where((_, k) => double.IsFinite(distances[k])).Where(other => !float.IsNaN(rows[other][j]))
                    .Take(Neighbours).Select(other => rows[other][j])];
                filled[i][j] = donors.Length == 0 ? means[j] : donors.Average();
            }
        });
        return filled;
    }
}
