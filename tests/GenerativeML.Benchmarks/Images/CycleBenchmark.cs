using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>cycle</c>: MNIST and USPS at 16 × 16, translated into each other without pairs. A classifier that is trained on
/// translated training images of one reads the test images of the other; another, trained on the other's own, says which
/// translated test images still show their digit.
/// </summary>
internal static class CycleBenchmark
{
    private const int Side = 16, Pixels = Side * Side, SheetColumns = 24;

    private static readonly string[] s_names = ["mnist", "usps"];

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder with mnist and usps, each of train-… and t10k-… images and labels: IDX, .gz or not.",
            Required = true,
        };
        Option<string[]> labels = new("--labels")
        {
            Description = "Whose labels training sees, for semantic consistency: none, mnist, usps, or several of these in turn.",
            DefaultValueFactory = _ => ["none"], AllowMultipleArgumentsPerToken = true,
        };
        Option<int?> steps = new("--steps") { Description = "Optimizer steps; whole epochs are made. Default: the trainer's own." };
        Option<int> take = new("--take")
        {
            Description = "The first so many training images of each set, and of each test set.", DefaultValueFactory = _ => int.MaxValue,
        };
        Option<int> seeds = new("--seeds") { Description = "Runs.", DefaultValueFactory = _ => 1 };
        Option<int> firstSeed = new("--first-seed") { Description = "The first run's seed." };
        Option<string> options = new("--options")
        {
            Description = """Options other than the defaults, as JSON: '{"IdentityWeight":0}'.""", DefaultValueFactory = _ => "{}",
        };
        Option<FileInfo?> sheet = new("--sheet")
        {
            Description = "Where to write a sheet for each --labels, whose name is put before the ending: lines of "
                + "originals, translations and what comes back, of MNIST, then of USPS.",
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write one record a run as JSON." };
        labels.AcceptOnlyFromAmong("none", "mnist", "usps");
        Command command = new("cycle", "MNIST and USPS translated into each other: what classifiers read.")
        {
            data, labels, steps, take, seeds, firstSeed, options, sheet, json,
        };
        command.SetAction(parsed =>
        {
            Digits[] sets =
                [.. s_names.Select(name => Digits.Load(Path.Combine(parsed.GetRequiredValue(data).FullName, name), parsed.GetValue(take)))];
            var clock = Stopwatch.StartNew();
            Reader[] own = [.. sets.Select(set => new Reader(set.Train, set.TrainLabels))];
            double[] supervised = [.. own.Select((reader, i) => reader.Accuracy(sets[i].Test, sets[i].TestLabels))];
            double[] sourceOnly = [.. own.Select((reader, i) => reader.Accuracy(sets[1 - i].Test, sets[1 - i].TestLabels))];
            Console.WriteLine(
                $"source only {sourceOnly[0]:P2} / {sourceOnly[1]:P2}, supervised {supervised[1]:P2} / {supervised[0]:P2} "
                + $"(MNIST reads USPS / USPS reads MNIST; classifiers trained in {clock.Elapsed.TotalSeconds:F0} s)");
            var results = new List<CycleResult>();
            var runs = from run in Enumerable.Range(parsed.GetValue(firstSeed), parsed.GetValue(seeds))
                       from whose in parsed.GetValue(labels)! select (run, whose);
            foreach ((int seed, string seen) in runs)
            {
                CycleGanOptions wanted = ChosenOptions.Read<CycleGanOptions>(parsed.GetValue(options)!) with
                {
                    ImageShape = new(1, Side, Side), ReconstructionColumnName = "Reconstruction",
                    LabelColumnName = seen == "none" ? null : "Label",
                };
                if (parsed.GetValue(steps) is int count)
                {
                    double perEpoch = 2.0 * sets.Max(set => set.Train.Length) / (wanted.BatchSize ?? 32);
                    wanted = wanted with { Epochs = Math.Max(1, (int)Math.Round(count / perEpoch)) };
                }
                long made = 0;
                string losses = "";
                wanted = wanted with
                {
                    Progress = new Told(p =>
                    {
                        made = p.Step;
                        losses = $"{p}";
                        if (p.Step / 500 > (made - 1) / 500 || p.IsLast)
                            Console.Error.WriteLine(losses);
                    }),
                };
                var ml = new MLContext(seed);
                clock.Restart();
                TimeSpan cpu = Process.GetCurrentProcess().TotalProcessorTime;
                using CycleGanTransformer model = ml.Generative.CycleGan(wanted).Fit(
                    Views.Of(sets[0].Train, 0, seen == s_names[0] ? sets[0].TrainLabels : null),
                    Views.Of(sets[1].Train, 1, seen == s_names[1] ? sets[1].TrainLabels : null));
                double seconds = clock.Elapsed.TotalSeconds;
                double cpuSeconds = (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalSeconds;
                double[] adapted = new double[2], kept = new double[2];
                for (int from = 0; from < 2; from++)
                {
                    float[][] train = Translated(model, sets[from].Train, from), test = Translated(model, sets[from].Test, from);
                    adapted[from] = new Reader(train, sets[from].TrainLabels).Accuracy(sets[1 - from].Test, sets[1 - from].TestLabels);
                    kept[from] = own[1 - from].Accuracy(test, sets[from].TestLabels);
                }
                Console.WriteLine(
                    $"labels {seen}, seed {seed}, {made} steps in {seconds:F0} s ({cpuSeconds:F0} s of CPU): reads "
                    + $"{adapted[0]:P2} / {adapted[1]:P2}, keeps {kept[0]:P2} / {kept[1]:P2} (MNIST to USPS / USPS to MNIST)\n  {losses}");
                results.Add(new(
                    seen, seed, made, seconds, cpuSeconds, parsed.GetValue(options)!, adapted[0], adapted[1], kept[0], kept[1],
                    sourceOnly[0], sourceOnly[1], supervised[1], supervised[0]));
                if (parsed.GetValue(sheet) is { } picture)
                    SaveSheet(model, sets, Path.ChangeExtension(picture.FullName, $".{seen}.png"));
                if (parsed.GetValue(json) is FileInfo records)
                    File.WriteAllText(records.FullName, JsonSerializer.Serialize(results, Json) + "\n");
            }
        });
        return command;
    }

    private static float[][] Translated(CycleGanTransformer model, float[][] images, int from, string column = "Translation") =>
        [.. model.Transform(Views.Of(images, from)).GetColumn<float[]>(column)];

    private static void SaveSheet(CycleGanTransformer model, Digits[] sets, string path)
    {
        float[][] lines =
        [
            .. Enumerable.Range(0, 2).SelectMany(from =>
            {
                float[][] some = sets[from].Test[..SheetColumns];
                return (IEnumerable<float[]>)
                    [.. some, .. Translated(model, some, from), .. Translated(model, some, from, "Reconstruction")];
            }),
        ];
        Views.Of(lines, 0).SaveGrid("Features", path, rows: 6, columns: SheetColumns, new(1, Side, Side));
    }

    /// <summary>Training and test images of one set, with labels from 0 to 9.</summary>
    private sealed record Digits(float[][] Train, byte[] TrainLabels, float[][] Test, byte[] TestLabels)
    {
        public static Digits Load(string folder, int take)
        {
            return new(Images("train"), Labels("train"), Images("t10k"), Labels("t10k"));

            float[][] Images(string part)
            {
                (float[][] images, ImageShape shape) = IdxFile.Pictures(Find($"{part}-*images*"));
                return [.. images.Take(take).Select(image => Resized(image, shape))];
            }

            byte[] Labels(string part) => [.. IdxFile.Labels(Find($"{part}-*labels*")).Take(take)];

            string Find(string pattern) => Directory.GetFiles(folder, pattern) is [string file, ..]
                ? file
                : throw new FileNotFoundException($"There is no {pattern} in {folder}.");
        }

        // Each pixel is the mean of the area that it covers.
        private static float[] Resized(float[] image, ImageShape shape)
        {
            if (shape.Height == Side && shape.Width == Side)
                return image;
            float[] resized = new float[Pixels];
            for (int i = 0; i < Pixels; i++)
            {
                (double top, double left) = (i / Side * (double)shape.Height / Side, i % Side * (double)shape.Width / Side);
                (double bottom, double right) = (top + (double)shape.Height / Side, left + (double)shape.Width / Side);
                double sum = 0;
                for (int y = (int)top; y < bottom; y++)
                {
                    for (int x = (int)left; x < right; x++)
                    {
                        sum += image[y * shape.Width + x]
                            * (Math.Min(y + 1, bottom) - Math.Max(y, top)) * (Math.Min(x + 1, right) - Math.Max(x, left));
                    }
                }
                resized[i] = (float)(sum / ((bottom - top) * (right - left)));
            }
            return resized;
        }
    }

    /// <summary>A classifier of digits, by the same recipe for all: it sees 60,000, of the first 20,000 again and again.</summary>
    private sealed class Reader(float[][] images, byte[] labels)
    {
        private const int Most = 20_000, Presented = 60_000;

        private readonly VectorTransformer _model = new MLContext(0).MulticlassClassification.Trainers
            .ImageDiscriminator(new ImageDiscriminatorOptions
            {
                ImageShape = new(1, Side, Side), Epochs = Math.Max(1, Presented / Math.Min(images.Length, Most)),
            })
            .Fit(Views.Of([.. images.Take(Most)], 0, labels));

        public double Accuracy(float[][] test, byte[] truth) => _model.Transform(Views.Of(test, 0)).GetColumn<uint>("PredictedLabel")
            .Zip(truth).Average(pair => pair.First == pair.Second + 1u ? 1.0 : 0.0);
    }

    private static class Views
    {
        private const uint Missing = 10; // beyond the key's values, which a property counts from zero

        private static readonly MLContext s_ml = new(0);

        public static IDataView Of(float[][] images, int domain, byte[]? labels = null) =>
            Of(images.Select((image, i) => new Digit { Features = image, Domain = domain == 1, Label = labels?[i] ?? Missing }));

        private static IDataView Of(IEnumerable<Digit> digits) => s_ml.Data.LoadFromEnumerable(digits.ToArray());
    }

    private sealed class Digit
    {
        [VectorType(Pixels)]
        public float[] Features { get; set; } = [];

        public bool Domain { get; set; }

        [KeyType(10)]
        public uint Label { get; set; }
    }

    private sealed class Told(Action<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard(value);
    }
}

/// <summary>What <c>cycle</c> measures of one run, in shares of test images; CPU seconds are those of training.</summary>
internal sealed record CycleResult(
    string Labels, int Seed, long Steps, double Seconds, double CpuSeconds, string Options, double MnistToUsps, double UspsToMnist,
    double KeptMnistToUsps, double KeptUspsToMnist, double SourceOnlyMnistToUsps, double SourceOnlyUspsToMnist,
    double SupervisedUsps, double SupervisedMnist);
