using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary><c>images</c>: how good the images are that a family makes after so many steps.</summary>
internal static class ImageBenchmark
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    // Of options on the command line, where enums have their names.
    private static readonly JsonSerializerOptions Named = new() { Converters = { new JsonStringEnumConverter() } };

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder of train-… and t10k-… images and, for conditions, labels: IDX, .gz or not.", Required = true,
        };
        Option<string> family = new("--family") { Description = "vae, gan or diffusion.", DefaultValueFactory = _ => "gan" };
        Option<GanObjective> objective = new("--objective")
        {
            Description = "The GAN's game.", DefaultValueFactory = _ => GanObjective.NonSaturating,
        };
        Option<ImageGanArchitecture[]> architectures = new("--architecture")
        {
            Description = "What the GAN's networks are made of: Dcgan, Residual, Progressive or StyleGan. Given several times, each is trained.",
            DefaultValueFactory = _ => [ImageGanArchitecture.Dcgan],
        };
        Option<int> steps = new("--steps") { Description = "Optimizer steps.", DefaultValueFactory = _ => 2000 };
        Option<int> seeds = new("--seeds") { Description = "Runs.", DefaultValueFactory = _ => 1 };
        Option<int> count = new("--count") { Description = "Images that are compared.", DefaultValueFactory = _ => 5000 };
        Option<bool> unconditional = new("--unconditional") { Description = "Leaves the labels to the judge." };
        Option<bool> peer = new("--peer") { Description = "Also runs PyTorch's DCGAN tutorial, in plain TorchSharp." };
        Option<string> options = new("--options")
        {
            Description = """Options of the GAN or of diffusion other than the defaults, as JSON: '{"Channels":32,"Epochs":2}'.""",
            DefaultValueFactory = _ => "{}",
        };
        Option<string[]> samplings = new("--sampling")
        {
            Description = """
                How diffusion generates, as JSON: '{"Sampler":"Ddim","Steps":20}', or a GAN: '{"NoiseTruncation":1}'. Given
                several times, each is measured on the same model.
                """,
            DefaultValueFactory = _ => ["{}"],
        };
        Option<FileInfo?> kept = new("--model")
        {
            Description = "Where the last run's trained model goes; one that is there already is measured instead of training.",
        };
        Option<FileInfo?> sheet = new("--sheet") { Description = "Where to write a sheet of the last run's images." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write one record a run as JSON." };
        family.AcceptOnlyFromAmong("vae", "gan", "diffusion");
        Command command = new("images", "Images made by a family, against real ones: distances, recall, labels, copies.")
        {
            data, family, objective, architectures, steps, seeds, count, unconditional, peer, options, samplings, kept, sheet, json,
        };
        command.SetAction(parsed =>
        {
            var images = new ImageSet(parsed.GetRequiredValue(data).FullName);
            var quality = new ImageQualityOptions
            {
                HoldOut = images.Test, LabelColumnName = images.HasLabels ? "Label" : null,
                MaximumRows = parsed.GetValue(count), ImageShape = images.Shape,
            };
            var clock = Stopwatch.StartNew();
            using ImageJudge judge = ImageJudge.Train(images.Train, "Features", quality);
            Console.WriteLine($"judge {judge.Fingerprint}, trained in {clock.Elapsed.TotalSeconds:F0} s");
            var results = new List<ImageResult>();
            ImageGanArchitecture[] made = parsed.GetValue(family) == "gan" ? parsed.GetValue(architectures)! : [default];
            foreach ((int seed, ImageGanArchitecture architecture) in
                from s in Enumerable.Range(0, parsed.GetValue(seeds)) from a in made select (s, a))
            {
                string kind = made.Length > 1 || architecture != default ? $" {architecture}" : "";
                string? picture = parsed.GetValue(sheet) is not { } file ? null
                    : made.Length == 1 ? file.FullName : $"{file.FullName}.{architecture}.png";
                bool conditional = images.HasLabels && !parsed.GetValue(unconditional);
                var ml = new MLContext(seed);
                clock.Restart();
                TimeSpan before = Environment.CpuUsage.TotalTime;
                ITransformer trained = parsed.GetValue(kept) is { Exists: true } there
                    ? ml.Model.Load(there.FullName, out _)
                    : Train(
                        ml, images, parsed.GetValue(family)!, parsed.GetValue(objective), architecture,
                        parsed.GetValue(steps), conditional, parsed.GetValue(options)!);
                if (parsed.GetValue(kept) is { Exists: false } target)
                    ml.Model.Save(trained, images.Train.Schema, target.FullName);
                var model = (IDataGenerator)trained;
                double seconds = clock.Elapsed.TotalSeconds;
                Console.WriteLine($"trained in {(Environment.CpuUsage.TotalTime - before).TotalSeconds:F0} s of CPU time");
                if (model is GanTransformer { Report: { } told })
                    Console.WriteLine(told);
                foreach (string sampling in model is DiffusionTransformer or GanTransformer ? parsed.GetValue(samplings)! : [""])
                {
                    if (model is DiffusionTransformer diffusion)
                        diffusion.Sampling = JsonSerializer.Deserialize<DiffusionSampling>(sampling, Named)!;
                    if (model is GanTransformer gan)
                        gan.Sampling = JsonSerializer.Deserialize<GanSampling>(sampling, Named)!;
                    IDataView view = ml.Data.Cache(model.Generate(quality.MaximumRows, seed: 1));
                    if (picture is not null)
                        view.SaveGrid("Features", picture, rows: 10, columns: 10, images.Shape);
                    if (picture is not null && model is GanTransformer { StyleLayers: > 1 } styled)
                        Mixtures(styled, images, $"{picture}.styles.png");
                    string how = model is GanTransformer && sampling == "{}" ? "" : sampling;
                    Add($"{parsed.GetValue(family)}{kind} {how}".TrimEnd(), view, seconds);
                }
                if (!parsed.GetValue(peer))
                    continue;
                clock.Restart();
                float[][] plain = DcganPeer.Make(
                    images.TrainRows, images.Shape, parsed.GetValue(steps), quality.MaximumRows, seed);
                Add("peer", images.View(plain), clock.Elapsed.TotalSeconds);

                void Add(string name, IDataView view, double taken)
                {
                    ImageQualityReport report = ImageQualityReport.Compare(judge, images.Train, view, "Features", quality);
                    Console.WriteLine($"{name}, seed {seed}, {parsed.GetValue(steps)} steps in {taken:F0} s\n{report}\n");
                    results.Add(new ImageResult(
                        name, parsed.GetRequiredValue(data).Name, parsed.GetValue(family) == "gan" && name != "peer" ? parsed.GetValue(objective).ToString() : null,
                        seed, parsed.GetValue(steps), taken, report.Frechet, report.FrechetFloor, report.KernelDistance,
                        report.Precision, report.Recall, report.Density, report.Coverage,
                        report.GanTestByClass.Count > 0 ? report.GanTest : null, report.GanTestByClass, report.ClassShares,
                        report.NearestRatio, report.JudgeAccuracy, report.JudgeFingerprint));
                }
            }
            if (parsed.GetValue(json) is FileInfo records)
            {
                // NaN: of a label that no generated image has.
                JsonSerializerOptions named = new(Json)
                {
                    NumberHandling = System.Text.Json.Serialization.JsonNumberHandling.AllowNamedFloatingPointLiterals,
                };
                File.WriteAllText(records.FullName, JsonSerializer.Serialize(results, named) + "\n");
            }
        });
        return command;
    }

    // Each line: an image, five with the style of another from an ever later layer on, the other; the last three a path between.
    private static void Mixtures(GanTransformer model, ImageSet images, string path)
    {
        const int Lines = 10;
        IEnumerable<IDataView> columns =
        [
            model.Generate(Lines, 1),
            .. Enumerable.Range(0, model.StyleLayers).Take(5).Reverse().Select(layer => model.Mix(Lines, 1, 2, layer)),
            model.Generate(Lines, 2),
            .. ((double[])[0.25, 0.5, 0.75]).Select(share => model.Mix(Lines, 1, 2, 0, share)),
        ];
        float[][][] made = [.. columns.Select(view => view.GetColumn<float[]>("Features").ToArray())];
        float[][] rows = [.. Enumerable.Range(0, Lines).SelectMany(line => made.Select(column => column[line]))];
        images.View(rows).SaveGrid("Features", path, rows: Lines, columns: made.Length, images.Shape);
    }

    private static ITransformer Train(
        MLContext ml, ImageSet images, string family, GanObjective objective, ImageGanArchitecture architecture, int steps,
        bool conditional, string options)
    {
        const int Batch = 64;
        string[] conditions = conditional ? ["Label"] : [];
        int Epochs(double held) => Math.Max(1, (int)Math.Round(steps * (double)Batch / (images.TrainRows.Length * (1 - held))));
        if (family == "vae")
        {
            return ml.Generative.ImageVae(new ImageVaeOptions
            {
                ImageShape = images.Shape, ConditionColumnNames = conditions, BatchSize = Batch, Epochs = Epochs(0),
            }).Fit(images.Train);
        }
        if (family == "gan")
        {
            ImageGanOptions given = JsonSerializer.Deserialize<ImageGanOptions>(options, Named)!;
            return ml.Generative.ImageGan(given with
            {
                ImageShape = images.Shape, ConditionColumnNames = conditions, Objective = objective, BatchSize = given.BatchSize ?? Batch,
                Architecture = architecture, Epochs = given.Epochs ?? Epochs(given.ValidationFraction),
            }).Fit(images.Train);
        }
        ImageDiffusionOptions own = JsonSerializer.Deserialize<ImageDiffusionOptions>(options, Named)!;
        return ml.Generative.ImageDiffusion(own with
        {
            ImageShape = images.Shape, ConditionColumnNames = conditions, BatchSize = own.BatchSize ?? Batch,
            Epochs = own.Epochs ?? Epochs(0),
        }).Fit(images.Train);
    }

    /// <summary>Images of a folder, with labels where there are any.</summary>
    private sealed class ImageSet
    {
        private readonly MLContext _ml = new(0);

        public ImageSet(string folder)
        {
            string[] colour = [.. Directory.GetFiles(folder, "train-*idx4*").Order(StringComparer.Ordinal)];
            string[] files = colour.Length > 0 ? colour : [Find("train-*images*")];
            (float[][] Images, ImageShape Shape)[] read = [.. files.Select(IdxFile.Pictures)];
            Shape = read[0].Shape;
            string[] labelFiles = [.. Directory.GetFiles(folder, "train-*labels*").Order(StringComparer.Ordinal)];
            HasLabels = labelFiles.Length > 0;
            float[][] all = [.. read.SelectMany(part => part.Images)];
            byte[]? labels = HasLabels ? [.. labelFiles.SelectMany(IdxFile.Labels)] : null;
            if (Directory.GetFiles(folder, "t10k-*images*").Length > 0)
            {
                (TrainRows, Train) = (all, View(all, labels));
                Test = View(IdxFile.Pictures(Find("t10k-*images*")).Images, HasLabels ? IdxFile.Labels(Find("t10k-*labels*")) : null);
                return;
            }
            // Every tenth is held out where there are no test images.
            TrainRows = Part(all, i => i % 10 != 0);
            Train = View(TrainRows, labels is null ? null : Part(labels, i => i % 10 != 0));
            Test = View(Part(all, i => i % 10 == 0), labels is null ? null : Part(labels, i => i % 10 == 0));

            static T[] Part<T>(T[] values, Func<int, bool> isIn) => [.. values.Where((_, i) => isIn(i))];

            string Find(string pattern) => Directory.GetFiles(folder, pattern) is [string file, ..]
                ? file
                : throw new FileNotFoundException($"There is no {pattern} in {folder}.");
        }

        public float[][] TrainRows { get; }

        public ImageShape Shape { get; }

        public IDataView Train { get; }

        public IDataView Test { get; }

        public bool HasLabels { get; }

        public IDataView View(float[][] rows, byte[]? labels = null)
        {
            SchemaDefinition schema = SchemaDefinition.Create(labels is null ? typeof(Picture) : typeof(LabelledPicture));
            schema["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, (int)Shape.Length);
            return labels is null
                ? _ml.Data.LoadFromEnumerable(rows.Select(row => new Picture { Features = row }).ToArray(), schema)
                : _ml.Data.LoadFromEnumerable(
                    rows.Select((row, i) => new LabelledPicture { Features = row, Label = labels[i] }).ToArray(), schema);
        }
    }

    private class Picture
    {
        public float[] Features { get; set; } = [];
    }

    private sealed class LabelledPicture : Picture
    {
        public float Label { get; set; }
    }
}

/// <summary>What <c>images</c> measures of one run; distances are those of the judge with this fingerprint.</summary>
internal sealed record ImageResult(
    string Family, string Data, string? Objective, int Seed, int Steps, double Seconds, double Frechet,
    double? FrechetFloor, double KernelDistance, double Precision, double Recall, double Density, double Coverage,
    double? GanTest, IReadOnlyList<double> GanTestByClass, IReadOnlyList<double> ClassShares, double? NearestRatio,
    double? JudgeAccuracy, string Judge);
