using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using GenerativeML.TestData;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Benchmarks;

/// <summary>What one process used for one piece of work.</summary>
/// <param name="Rows">How many rows it worked on.</param>
/// <param name="PeakBytes">The most memory in use in the whole life of the process.</param>
/// <param name="TensorsBefore">Live tensors before the work.</param>
/// <param name="TensorsAfter">Live tensors after it, when what it made is disposed of.</param>
/// <param name="Seconds">How long the work took.</param>
internal sealed record MemoryUse(long Rows, long PeakBytes, long TensorsBefore, long TensorsAfter, double Seconds);

/// <summary>
/// <c>memory-process</c>: one piece of work in a process of its own, so that its peak is its own; <c>memory</c> starts
/// it.
/// </summary>
internal static class MemoryMeasurement
{
    /// <summary>The command's name.</summary>
    public const string Name = "memory-process";

    private const int TrainingRows = 10_000, WarmUpRows = 1000;
    private const long CacheBudget = 64L << 20;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Argument<string> work = new("work");
        work.AcceptOnlyFromAmong("fit", "transform", "generate");
        Argument<long> rows = new("rows");
        Argument<int> width = new("width");
        Command command = new(Name, "One measurement of 'memory'.") { work, rows, width };
        command.Hidden = true;
        command.SetAction(parsed =>
        {
            MemoryUse use = Measure(parsed.GetRequiredValue(work), parsed.GetValue(rows), parsed.GetValue(width));
            Console.WriteLine(JsonSerializer.Serialize(use));
        });
        return command;
    }

    private static MemoryUse Measure(string work, long rows, int width)
    {
        var ml = new MLContext(seed: 1);
        using VectorTransformer model = work == "generate" ? FitImages(ml, width) : Fit(ml, TrainingRows, width);
        Action<long> run = work switch
        {
            "fit" => n => Fit(ml, n, width).Dispose(),
            "transform" => n => Transform(model, n, width),
            _ => n => Generate((GanTransformer)model, n),
        };
        run(Math.Min(rows, WarmUpRows));

        long before = torch.Tensor.TotalCount;
        var clock = Stopwatch.StartNew();
        run(rows);
        double seconds = clock.Elapsed.TotalSeconds;
        return new MemoryUse(rows, ProcessMemory.Peak, before, torch.Tensor.TotalCount, seconds);
    }

    /// <summary>A detector of generated rows, trained for one epoch with a small cache.</summary>
    public static VectorTransformer Fit(MLContext ml, long rows, int width) =>
        ml.AnomalyDetection.Trainers.Autoencoder(new AutoencoderOptions
        {
            Epochs = 1,
            CacheBudgetBytes = CacheBudget,
        }).Fit(new GeneratedRows(rows, width, countKnown: false));

    // A GAN of square grey images with so many pixels, hardly trained.
    private static GanTransformer FitImages(MLContext ml, int width) => ml.Generative.ImageGan(new ImageGanOptions
    {
        Epochs = 1, ValidationFraction = 0.5,
    }).Fit(new GeneratedRows(WarmUpRows, width));

    // Makes images and reads every one.
    private static void Generate(GanTransformer model, long rows)
    {
        IDataView made = model.Generate(rows, seed: 2);
        using DataViewRowCursor cursor = made.GetRowCursor(made.Schema);
        ValueGetter<VBuffer<float>> get = cursor.GetGetter<VBuffer<float>>(made.Schema["Features"]);
        VBuffer<float> image = default;
        long read = 0;
        for (; cursor.MoveNext(); read++)
            get(ref image);
        if (read != rows)
            throw new InvalidOperationException($"{rows} images were asked for and {read} came out.");
    }

    /// <summary>Reads score and verdict of every row, many rows at once.</summary>
    public static void Transform(VectorTransformer model, long rows, int width)
    {
        IDataView scored = model.Transform(new GeneratedRows(rows, width));
        DataViewSchema.Column score = scored.Schema["Score"], flag = scored.Schema["PredictedLabel"];
        using DataViewRowCursor cursor = scored.GetRowCursor([score, flag]);
        ValueGetter<float> getScore = cursor.GetGetter<float>(score);
        ValueGetter<bool> getFlag = cursor.GetGetter<bool>(flag);
        float value = 0;
        bool flagged = false;
        long read = 0;
        for (; cursor.MoveNext(); read++)
        {
            getScore(ref value);
            getFlag(ref flagged);
        }
        if (read != rows)
            throw new InvalidOperationException($"{rows} rows went in and {read} came out.");
    }
}
