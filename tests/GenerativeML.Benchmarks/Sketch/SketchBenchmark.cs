using System.CommandLine;
using System.Diagnostics;
using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML;
using TorchSharp;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>sketch</c>: how well a Sketch-RNN knows drawings that it was not trained on, by the paper's terms with latent vectors
/// drawn from their distributions, beside the same network of torch's stock modules; and a sheet to look at.
/// </summary>
internal static class SketchBenchmark
{
    private const int BatchRows = 100;

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> data = new("--data")
        {
            Description = "Drawings: lines of part (train, valid or test), word and stroke-3, with tabs between; may be gzip.",
            Required = true,
        };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 3 };
        Option<string?> options = new("--options") { Description = "Changes of the trainer's options, as JSON." };
        Option<bool> peer = new("--peer") { Description = "Trains the same network of stock modules, too, with as many steps." };
        Option<FileInfo?> sheet = new("--sheet") { Description = "Where to write test drawings, reconstructions and others, as SVG." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("sketch", "Reconstruction and KL terms of a Sketch-RNN.") { data, seeds, options, peer, sheet, json };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), Math.Max(1, parsed.GetValue(seeds)),
            ChosenOptions.Read<SketchRnnOptions>(parsed.GetValue(options)), parsed.GetValue(peer), parsed.GetValue(sheet),
            parsed.GetValue(json), cancellation)));
        return command;
    }

    private static int Run(
        FileInfo file, int seeds, SketchRnnOptions chosen, bool peer, FileInfo? sheet, FileInfo? json, CancellationToken cancellation)
    {
        if (!file.Exists)
        {
            Console.Error.WriteLine($"There is no file {file.FullName}.");
            return 2;
        }
        ILookup<string, string> parts = Read(file).ToLookup(line => line.Part, line => line.Drawing);
        Console.WriteLine($"{file.Name}: {parts["train"].Count()} drawings to train on, {parts["test"].Count()} to test");
        var ours = new List<Terms>();
        var theirs = new List<Terms>();
        for (int seed = 0; seed < seeds; seed++)
        {
            var ml = new MLContext(seed);
            TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
            using SketchRnnTransformer model = ml.Generative.SketchRnn(chosen with { CancellationToken = cancellation })
                .Fit(Rows(ml, parts["train"]));
            TimeSpan spent = Process.GetCurrentProcess().TotalProcessorTime - before;
            Note(ours, "", spent, Measure(model, parts["test"], seed));
            if (seed == 0 && sheet is not null)
                File.WriteAllText(sheet.FullName, Sheet(model, [.. parts["test"].Select(StrokeDrawing.Parse)]));
            if (!peer)
                continue;
            before = Process.GetCurrentProcess().TotalProcessorTime;
            using var stock = new StockSketch(model.Model.Options, seed);
            SketchRnnOptions options = model.Model.Options;
            int steps = options.Steps ?? throw new ArgumentException("With --peer, epochs do not count: give Steps.");
            float[][] drawings = [.. parts["train"].Select(d => StrokeDrawing.Parse(d).ToStroke3()).Where(d => d.Length is > 0 && d.Length <= 3 * options.MaxPoints)];
            // Drawings are changed for them as ours are.
            var changes = new SplitMix64((ulong)seed);
            stock.Train(drawings, steps, seed, drawing => SketchData.Changed(StrokeDrawing.FromStroke3(drawing), options, ref changes));
            spent = Process.GetCurrentProcess().TotalProcessorTime - before;
            torch.random.manual_seed(seed);
            Note(theirs, "stock modules: ", spent, Mean(parts["test"], options, stock.Terms));
        }
        double weight = chosen.KlWeight;
        Summarize("ours", ours, weight);
        if (peer)
            Summarize("stock modules", theirs, weight);
        if (json is not null)
        {
            var result = new
            {
                data = file.Name,
                seeds,
                reconstruction = ours.Average(t => t.Reconstruction),
                kl = ours.Average(t => t.Kl),
                sum = ours.Average(t => t.Sum(weight)),
                peer_reconstruction = peer ? theirs.Average(t => t.Reconstruction) : (double?)null,
                peer_kl = peer ? theirs.Average(t => t.Kl) : (double?)null,
                peer_sum = peer ? theirs.Average(t => t.Sum(weight)) : (double?)null,
            };
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(result) + "\n");
        }
        return 0;

        void Note(List<Terms> list, string name, TimeSpan spent, Terms terms)
        {
            list.Add(terms);
            Console.WriteLine(
                $"seed {list.Count - 1}: {name}reconstruction {terms.Reconstruction:F4}, KL {terms.Kl:F4}, sum {terms.Sum(chosen.KlWeight):F4}, "
                + $"{spent.TotalMinutes:F1} CPU minutes of training");
        }
    }

    private static void Summarize(string name, List<Terms> terms, double weight)
    {
        double mean = terms.Average(t => t.Sum(weight));
        Console.WriteLine(
            $"{name}: reconstruction {terms.Average(t => t.Reconstruction):F4}, KL {terms.Average(t => t.Kl):F4}, with its weight {weight} "
            + $"{mean:F4} ± {Math.Sqrt(terms.Average(t => Math.Pow(t.Sum(weight) - mean, 2))):F4}");
    }

    private static Terms Measure(SketchRnnTransformer model, IEnumerable<string> test, int seed)
    {
        SketchRnnModel inner = model.Model;
        Dictionary<string, torch.Tensor> weights = inner.Weights.ToTensors(torch.CPU);
        Scope<TorchTensor> w = new TorchOps(weights).Root;
        var random = new SeededRandom(torch.CPU, (ulong)seed);
        Terms mean = Mean(test, inner.Options, batch =>
        {
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            IReadOnlyList<LossTerm> terms = inner.Network.Terms(w, batch, random);
            return ((terms[0].Value.item<float>() + terms[1].Value.item<float>()) * batch.Rows, terms[2].Value.item<float>() * batch.Rows);
        });
        foreach (torch.Tensor weight in weights.Values)
            weight.Dispose();
        return mean;
    }

    private static Terms Mean(
        IEnumerable<string> test, SketchRnnOptions options, Func<Batch, (double Reconstruction, double Kl)> sums)
    {
        (double reconstruction, double kl, int rows) = (0, 0, 0);
        IEnumerable<float[]> drawings = test.Select(d => StrokeDrawing.Parse(d).ToStroke3())
            .Where(d => d.Length is > 0 && d.Length <= 3 * options.MaxPoints).OrderBy(d => d.Length);
        foreach (float[][] some in drawings.Chunk(BatchRows))
        {
            using Batch batch = SketchData.ToBatch(some, options, torch.CPU);
            (double r, double k) = sums(batch);
            (reconstruction, kl, rows) = (reconstruction + r, kl + k, rows + batch.Rows);
        }
        return new(reconstruction / rows, kl / rows);
    }

    // Test drawings, the same drawn anew, others of the model's own, and the way from one to another.
    private static string Sheet(SketchRnnTransformer model, StrokeDrawing[] test)
    {
        const int columns = 10;
        StrokeDrawing[] some = [.. test.Where(d => d.PointCount > 0).Take(2 * columns)];
        var ml = new MLContext(0);
        IEnumerable<StrokeDrawing> others = ml.Data
            .CreateEnumerable<DrawingRow>(model.Generate(2 * columns, seed: 1), reuseRowObject: false).Select(row => StrokeDrawing.Parse(row.Drawing));
        return StrokeDrawing.ToSvgGrid(
            [
                .. some[..columns], .. some[..columns].Select(d => model.Reconstruct(d)),
                .. some[columns..], .. some[columns..].Select(d => model.Reconstruct(d)), .. others,
                .. model.Interpolate(some[0], some[1], columns),
                .. some[..columns].Select(d => d.PointCount < 2 ? d : model.Complete(StrokeDrawing.FromStroke3(d.ToStroke3().AsSpan(0, d.PointCount / 2 * 3)))),
            ],
            columns);
    }

    private static IEnumerable<(string Part, string Drawing)> Read(FileInfo file)
    {
        using Stream stream = file.Extension == ".gz" ? new GZipStream(file.OpenRead(), CompressionMode.Decompress) : file.OpenRead();
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is string line)
        {
            string[] fields = line.Split('\t');
            if (fields.Length != 3)
                throw new FormatException($"A line of {file.Name} has {fields.Length} fields; part, word and drawing are expected.");
            yield return (fields[0], fields[2]);
        }
    }

    private static IDataView Rows(MLContext ml, IEnumerable<string> drawings) =>
        ml.Data.LoadFromEnumerable(drawings.Select(drawing => new DrawingRow { Drawing = drawing }));

    private readonly record struct Terms(double Reconstruction, double Kl)
    {
        public double Sum(double weight) => Reconstruction + weight * Kl;
    }

    private sealed class DrawingRow
    {
        public string Drawing { get; set; } = "";
    }
}
