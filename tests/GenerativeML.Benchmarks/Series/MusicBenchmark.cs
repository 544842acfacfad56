using System.CommandLine;
using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>music</c>: Bach's chorales as piano rolls of 88 keys (Boulanger-Lewandowski 2012): how probable each frame is, given
/// those before it, in nats a frame. The chorales of training and validation are learned; a tenth of their windows, which
/// overlap by half, is held back to choose the weights by. Those of the test are only scored. As published, a chorale's
/// first frame does not count.
/// </summary>
internal static class MusicBenchmark
{
    private const int LowestKey = 21, Keys = 88;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data") { Description = "The folder with JSB_Chorales_pianoroll88.json.gz.", Required = true };
        Option<string?> options = new("--options") { Description = "Options of the network as JSON." };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 1 };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("music", "How well an autoregressive network foretells chorales.") { data, options, seeds, json };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(data), parsed.GetValue(options), parsed.GetValue(seeds), parsed.GetValue(json)));
        return command;
    }

    private static int Run(DirectoryInfo folder, string? options, int seeds, FileInfo? json)
    {
        using var file = new GZipStream(
            File.OpenRead(Path.Combine(folder.FullName, "JSB_Chorales_pianoroll88.json.gz")), CompressionMode.Decompress);
        Dictionary<string, int[][][]> chorales = JsonSerializer.Deserialize<Dictionary<string, int[][][]>>(file)!;
        int[][][] train = [.. chorales["train"], .. chorales["valid"]], test = chorales["test"];
        var report = new List<object>();
        for (int seed = 0; seed < seeds; seed++)
        {
            var ml = new MLContext(seed);
            TimeSpan cpu = Process.GetCurrentProcess().TotalProcessorTime;
            using AutoregressiveSeriesTransformer model = ml.Generative.AutoregressiveSeries(
                ChosenOptions.Read<AutoregressiveSeriesOptions>(options ?? Default) with
                {
                    FeatureColumnName = nameof(Frame.Keys), GroupColumnName = nameof(Frame.Chorale), Density = SeriesDensity.Bernoulli,
                    Progress = new ProgressLines(),
                }).Fit(Rows(ml, train));
            double seconds = (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalSeconds;
            double nats = Nats(ml, model, test);
            report.Add(new { seed, nats, seconds });
            Console.WriteLine($"seed {seed}: {nats:F3} nats a frame of {test.Length} chorales, {seconds:F0} s of processor time to train");
        }
        if (json is not null)
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(report) + "\n");
        return 0;
    }

    // Two blocks see twelve frames back, as published networks of this kind do. None are held back: the loss on those falls to
    // the last epoch, so that they would choose nothing.
    private const string Default = """
        {"Width":200,"Layers":2,"WindowLength":64,"WindowStride":32,"Dropout":0.5,"BatchSize":16,"Epochs":60,
         "LearningRate":2e-3,"WeightDecay":1e-2}
        """;

    private static double Nats(MLContext ml, AutoregressiveSeriesTransformer model, int[][][] chorales)
    {
        float[] scores = VectorRows.Singles(model.Transform(Rows(ml, chorales)), "Score");
        double sum = 0;
        int at = 0, frames = 0;
        foreach (int[][] chorale in chorales)
        {
            for (int t = 1; t < chorale.Length; t++, frames++)
                sum += scores[at + t];
            at += chorale.Length;
        }
        return sum / frames;
    }

    private static IDataView Rows(MLContext ml, int[][][] chorales) => ml.Data.LoadFromEnumerable(
        chorales.SelectMany((chorale, number) => chorale.Select(notes =>
        {
            float[] keys = new float[Keys];
            foreach (int note in notes)
                keys[note - LowestKey] = 1;
            return new Frame { Chorale = number, Keys = keys };
        })));

    private sealed class Frame
    {
        public int Chorale { get; set; }

        [VectorType(88)]
        public float[] Keys { get; set; } = [];
    }
}
