using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>memory</c>: memory is flat in the number of rows, in Transform, in Fit and in Generate; no tensor is left behind; and a row costs
/// microseconds, among many and alone. Each measurement has its own process.
/// </summary>
internal static class MemoryBenchmark
{
    private const double MegaByte = 1 << 20;

    /// <summary>Peaks for few and for many rows may differ by this much.</summary>
    private const double MostExtraMegaBytes = 200;

    /// <summary>The most that a row alone may cost; a machine at rest takes a fifth of it.</summary>
    private const double MostMicroseconds = 100;

    private const int Pixels = 28 * 28;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<long> rows = Count("--rows", "Rows to score.", 1_000_000);
        Option<long> fewRows = Count("--few-rows", "Rows to score for comparison.", 10_000);
        Option<long> fitRows = Count("--fit-rows", "Rows to train on.", 10_000_000);
        Option<long> fewFitRows = Count("--few-fit-rows", "Rows to train on for comparison.", 100_000);
        Option<long> images = Count("--images", "Images of 28 × 28 pixels to generate.", 100_000);
        Option<long> fewImages = Count("--few-images", "Images to generate for comparison.", 5000);
        Option<long> width = Count("--width", "Features of a row.", 32);
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new(
            "memory", "Memory for few and for many rows, live tensors, and the cost of a row in a batch and alone.")
        {
            rows, fewRows, fitRows, fewFitRows, images, fewImages, width, json,
        };
        command.SetAction(parsed =>
        {
            int w = (int)parsed.GetValue(width);
            return Run(
                Measure("transform", parsed.GetValue(fewRows), w),
                Measure("transform", parsed.GetValue(rows), w),
                Measure("fit", parsed.GetValue(fewFitRows), w),
                Measure("fit", parsed.GetValue(fitRows), w),
                Measure("generate", parsed.GetValue(fewImages), Pixels),
                Measure("generate", parsed.GetValue(images), Pixels),
                RowCost.Measure(w),
                parsed.GetValue(json));
        });
        return command;
    }

    private static Option<long> Count(string name, string description, long usual) =>
        new(name) { Description = description, DefaultValueFactory = _ => usual };

    private static int Run(
        MemoryUse few, MemoryUse many, MemoryUse fewFit, MemoryUse manyFit, MemoryUse fewImages, MemoryUse manyImages, RowCost cost,
        FileInfo? json)
    {
        bool kept = true;
        Check("Transform: peak above few rows'", Extra(few, many), "MB", d => d <= MostExtraMegaBytes);
        Check("Fit: peak above few rows'", Extra(fewFit, manyFit), "MB", d => d <= MostExtraMegaBytes);
        Check("Generate: peak above few images'", Extra(fewImages, manyImages), "MB", d => d <= MostExtraMegaBytes);
        Check("Transform: live tensors more than before", many.TensorsAfter - many.TensorsBefore, "", d => d == 0);
        Check("Fit: live tensors more than before", manyFit.TensorsAfter - manyFit.TensorsBefore, "", d => d == 0);
        Check("Generate: live tensors more than before", manyImages.TensorsAfter - manyImages.TensorsBefore, "", d => d == 0);
        Check("a row alone costs", 1e6 * cost.Alone, "µs", d => d <= MostMicroseconds);
        Check("a row among many costs", 1e6 * cost.InBatch, "µs", d => d <= 1e6 * cost.Alone);

        if (json is not null)
        {
            var all = new
            {
                Transform = new[] { few, many }, Fit = new[] { fewFit, manyFit }, Generate = new[] { fewImages, manyImages },
                RowCost = cost,
            };
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(all, JsonSerializerOptions.Web) + "\n");
        }
        return kept ? 0 : 1;

        void Check(string promise, double value, string unit, Func<double, bool> holds)
        {
            kept &= holds(value);
            Console.WriteLine($"{(holds(value) ? "kept  " : "BROKEN")}  {promise}: {value:F1} {unit}");
        }
    }

    private static double Extra(MemoryUse few, MemoryUse many) => (many.PeakBytes - few.PeakBytes) / MegaByte;

    private static MemoryUse Measure(string work, long rows, int width)
    {
        string program = Environment.ProcessPath!;
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(program) == "dotnet")
            start.ArgumentList.Add(typeof(MemoryBenchmark).Assembly.Location);
        start.ArgumentList.Add(MemoryMeasurement.Name);
        start.ArgumentList.Add(work);
        start.ArgumentList.Add(rows.ToString(CultureInfo.InvariantCulture));
        start.ArgumentList.Add(width.ToString(CultureInfo.InvariantCulture));
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"Measuring '{work}' on {rows} rows failed: {output}");
        MemoryUse use = JsonSerializer.Deserialize<MemoryUse>(output.Trim().Split('\n')[^1])!;
        Console.WriteLine(
            $"{work,-10} {rows,11:N0} rows   peak {use.PeakBytes / MegaByte,6:F0} MB   "
            + $"live tensors {use.TensorsBefore} → {use.TensorsAfter}   {1e6 * use.Seconds / rows,9:F2} µs/row");
        return use;
    }
}
