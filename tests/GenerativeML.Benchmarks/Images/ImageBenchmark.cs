using System.CommandLine;
using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary><c>images</c>: how good the images are that a family makes after so many steps.</summary>
internal static class ImageBenchmark
{
    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder of train-… and t10k-… images and, for conditions, labels: IDX, .gz or not.", Required = true,
        };
        Option<string[]> families = new("--family")
        {
            Description = "vae, gan or diffusion. Given several times, each is trained.", DefaultValueFactory = _ => ["gan"],
        };
        Option<GanObjective[]> objectives = new("--objective")
        {
            Description = "The GAN's game. Given several times, each is played; so is each of them by each architecture.",
            DefaultValueFactory = _ => [GanObjective.NonSaturating],
        };
        Option<ImageGanArchitecture[]> architectures = new("--architecture")
        {
            Description = "What the GAN's networks are made of: Dcgan, Residual, Progressive or StyleGan. Given several times, each is trained.",
            DefaultValueFactory = _ => [ImageGanArchitecture.Dcgan],
        };
        Option<int> steps = new("--steps")
        {
            Description = """
                Optimizer steps, of batches of 64, rounded to whole epochs. Of a GAN those of the generator: where the
                discriminator takes several for each, it sees as many more images.
                """,
            DefaultValueFactory = _ => 2000,
        };
        Option<int> seeds = new("--seeds") { Description = "Runs.", DefaultValueFactory = _ => 1 };
        Option<int> first = new("--first-seed") { Description = "The first run's seed.", DefaultValueFactory = _ => 0 };
        Option<int> count = new("--count") { Description = "Images that are compared.", DefaultValueFactory = _ => 5000 };
        Option<bool> unconditional = new("--unconditional") { Description = "Leaves the labels to the judge." };
        Option<bool> peer = new("--peer")
        {
            Description = """
                Also runs PyTorch's DCGAN tutorial and, where an objective is Wasserstein's, which it is compared with,
                PyTorch-GAN's WGAN-GP, in plain TorchSharp: once for each seed, as many steps of the generator as the longest
                of ours took. Training images are judged with them. The former takes one of the discriminator for each, of 128 images; the latter five, of 64.
                """,
        };
        Option<string[]> options = new("--options")
        {
            Description = """
                Options of the family other than the defaults, as JSON: '{"Channels":32,"Epochs":2}'. Given several
                times, each is trained.
                """,
            DefaultValueFactory = _ => ["{}"],
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
        Option<FileInfo?> sheet = new("--sheet")
        {
            Description = "Where to write a sheet of the last run's images, a PNG; of several models, the name goes on with which it is.",
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write one record a run as JSON." };
        families.AcceptOnlyFromAmong("vae", "gan", "diffusion");
        Command command = new("images", "Images made by a family, against real ones: distances, recall, labels, copies.")
        {
            data, families, objectives, architectures, steps, seeds, first, count, unconditional, peer, options, samplings,
            kept, sheet, json,
        };
        command.SetAction(parsed =>
        {
            DirectoryInfo folder = parsed.GetRequiredValue(data);
            var images = new ImageSet(folder.FullName);
            var quality = new ImageQualityOptions
            {
                HoldOut = images.Test, LabelColumnName = images.HasLabels ? "Label" : null,
                MaximumRows = parsed.GetValue(count), ImageShape = images.Shape,
            };
            var clock = Stopwatch.StartNew();
            using ImageJudge judge = ImageJudge.Train(images.Train, "Features", quality);
            Console.WriteLine($"judge {judge.Fingerprint}, trained in {clock.Elapsed.TotalSeconds:F0} s");
            Subject[] subjects =
            [
                .. from family in parsed.GetValue(families)!
                   from architecture in family == "gan" ? parsed.GetValue(architectures)! : [default]
                   from objective in family == "gan" ? parsed.GetValue(objectives)! : [default]
                   from option in parsed.GetValue(options)!
                   select new Subject(family, architecture, objective, option),
            ];
            var results = new List<ImageResult>();
            if (parsed.GetValue(peer))
                results.Add(Real());
            for (int seed = parsed.GetValue(first); seed < parsed.GetValue(first) + parsed.GetValue(seeds); seed++)
            {
                var own = new List<ImageResult>();
                foreach (Subject subject in subjects)
                    own.AddRange(Measure(subject, seed));
                if (parsed.GetValue(peer))
                {
                    var peers = own.Select(result => GanPeer.Of(result.Game)).Distinct()
                        .ToDictionary(recipe => recipe, recipe => Peer(recipe, seed, own.Max(result => (int)result.Steps)));
                    own = [.. own.Select(result => result with { Peer = peers[GanPeer.Of(result.Game)] }), .. peers.Values];
                }
                results.AddRange(own);
                if (parsed.GetValue(json) is { } records)
                    ImageResult.Write(records.FullName, results);
            }
            Console.WriteLine($"{ImageResult.Header}\n{string.Join('\n', results)}");

            List<ImageResult> Measure(Subject subject, int seed)
            {
                var ml = new MLContext(seed);
                var progress = new TrainingClock(0);
                clock.Restart();
                TimeSpan before = Environment.CpuUsage.TotalTime;
                ITransformer trained = parsed.GetValue(kept) is { Exists: true } there
                    ? ml.Model.Load(there.FullName, out _)
                    : subject.Train(
                        ml, images, parsed.GetValue(steps), images.HasLabels && !parsed.GetValue(unconditional), progress);
                double seconds = clock.Elapsed.TotalSeconds, used = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
                if (parsed.GetValue(kept) is { Exists: false } target)
                    ml.Model.Save(trained, images.Train.Schema, target.FullName);
                if (trained is GanTransformer { Report: { } told })
                    Console.WriteLine(told);
                var model = (IDataGenerator)trained;
                var measured = new List<ImageResult>();
                foreach (string sampling in model is DiffusionTransformer or GanTransformer ? parsed.GetValue(samplings)! : ["{}"])
                {
                    if (model is DiffusionTransformer diffusion)
                        diffusion.Sampling = ChosenOptions.Read<DiffusionSampling>(sampling);
                    if (model is GanTransformer gan)
                        gan.Sampling = ChosenOptions.Read<GanSampling>(sampling);
                    IDataView view = ml.Data.Cache(model.Generate(quality.MaximumRows, seed: 1));
                    string which = subjects.Length == 1 ? "" : $".{subject}";
                    Draw(view, which);
                    if (Sheet($"{which}.styles") is { } styles && model is GanTransformer { StyleLayers: > 1 } styled)
                        Mixtures(styled, images, styles);
                    measured.Add(Judged(view, new()
                    {
                        Family = subject.Family + (subject.Architecture == default ? "" : $" {subject.Architecture}"),
                        Data = folder.Name, Game = subject.Family == "gan" ? subject.Objective : null,
                        Options = subject.Options == "{}" ? null : subject.Options,
                        Sampling = sampling == "{}" ? null : sampling, Seed = seed,
                        Steps = progress.Steps / subject.DiscriminatorSteps, Seconds = seconds, CpuSeconds = used,
                    }));
                }
                return measured;
            }

            // What no generator can be better than, but by chance.
            ImageResult Real()
            {
                int shown = Math.Min(quality.MaximumRows, images.TrainRows.Length);
                IEnumerable<float[]> rows = Enumerable.Range(0, shown)
                    .Select(i => images.TrainRows[(long)i * images.TrainRows.Length / shown]);
                return Judged(images.View([.. rows]), new()
                {
                    Family = "training images", Data = folder.Name, Seed = quality.Seed, Steps = 0, Seconds = 0, CpuSeconds = 0,
                });
            }

            ImageResult Peer(GanPeer recipe, int seed, int taken)
            {
                clock.Restart();
                TimeSpan before = Environment.CpuUsage.TotalTime;
                Func<int, float[][]> make = recipe.Train(images.TrainRows, images.Shape, taken, seed);
                double seconds = clock.Elapsed.TotalSeconds, used = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
                IDataView view = images.View(make(quality.MaximumRows));
                Draw(view, $".{recipe.Name.Replace(' ', '-')}");
                return Judged(view, new()
                {
                    Family = recipe.Name, Data = folder.Name, Seed = seed, Steps = taken, Seconds = seconds, CpuSeconds = used,
                });
            }

            string? Sheet(string which) =>
                parsed.GetValue(sheet) is { } file ? $"{Path.ChangeExtension(file.FullName, null)}{which}.png" : null;

            void Draw(IDataView view, string which)
            {
                if (Sheet(which) is { } path)
                    view.SaveGrid("Features", path, rows: 10, columns: 10, images.Shape);
            }

            ImageResult Judged(IDataView view, ImageResult of)
            {
                ImageQualityReport report = ImageQualityReport.Compare(judge, images.Train, view, "Features", quality);
                ImageResult result = of.With(report);
                Console.WriteLine($"{result}\n{report}\n");
                return result;
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

    /// <summary>What is trained.</summary>
    private sealed record Subject(string Family, ImageGanArchitecture Architecture, GanObjective Objective, string Options)
    {
        private const int Batch = 64;

        /// <summary>The discriminator's steps for each of the generator's.</summary>
        public int DiscriminatorSteps => Family == "gan" ? Gan.DiscriminatorSteps : 1;

        private ImageGanOptions Gan => ChosenOptions.Read<ImageGanOptions>(Options) with { Objective = Objective };

        public ITransformer Train(MLContext ml, ImageSet images, int steps, bool conditional, IProgress<TrainingProgress> progress)
        {
            string[] conditions = conditional ? ["Label"] : [];
            int Epochs(double held) => Math.Max(1, (int)Math.Round(
                steps * (double)DiscriminatorSteps * Batch / (images.TrainRows.Length * (1 - held))));
            if (Family == "vae")
            {
                ImageVaeOptions asked = ChosenOptions.Read<ImageVaeOptions>(Options);
                return ml.Generative.ImageVae(asked with
                {
                    ImageShape = images.Shape, ConditionColumnNames = conditions, BatchSize = asked.BatchSize ?? Batch,
                    Epochs = asked.Epochs ?? Epochs(asked.ValidationFraction), Progress = progress,
                }).Fit(images.Train);
            }
            if (Family == "gan")
            {
                ImageGanOptions given = Gan;
                return ml.Generative.ImageGan(given with
                {
                    ImageShape = images.Shape, ConditionColumnNames = conditions, BatchSize = given.BatchSize ?? Batch,
                    Architecture = Architecture, Epochs = given.Epochs ?? Epochs(given.ValidationFraction), Progress = progress,
                }).Fit(images.Train);
            }
            ImageDiffusionOptions own = ChosenOptions.Read<ImageDiffusionOptions>(Options);
            return ml.Generative.ImageDiffusion(own with
            {
                ImageShape = images.Shape, ConditionColumnNames = conditions, BatchSize = own.BatchSize ?? Batch,
                Epochs = own.Epochs ?? Epochs(0), Progress = progress,
            }).Fit(images.Train);
        }

        /// <summary>As a part of a file's name.</summary>
        public override string ToString() => string.Concat(
            (Family == "gan" ? $"{Family}.{Architecture}.{Objective}.{Options}" : $"{Family}.{Options}")
                .Where(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-')).TrimEnd('.');
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
