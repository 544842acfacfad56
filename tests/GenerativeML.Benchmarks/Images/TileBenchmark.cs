using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>tiles</c>: defects of magnetic tiles, by an autoencoder of images that sees sound ones only, or by PatchCore with a network
/// that is given. The published split has
/// photographs of the same tile on both sides; here each tile is on one. All defects are test images.
/// </summary>
internal static class TileBenchmark
{
    private const int SoundTests = 190, SheetColumns = 12;

    private static readonly string[] s_classes = ["sound", "blowhole", "break", "crack", "fray", "uneven"];

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder of train-images, test-images, test-labels and test-masks (IDX, .gz or not), and groups.txt: "
                + "the tile of each sound image, of train, then of test.",
            Required = true,
        };
        Option<int> seeds = new("--seeds") { Description = "Runs, each with its own split.", DefaultValueFactory = _ => 3 };
        Option<int> firstSeed = new("--first-seed") { Description = "The first run's seed." };
        Option<string> options = new("--options")
        {
            Description = """Options other than the defaults, as JSON: '{"LatentDimension":16}'.""", DefaultValueFactory = _ => "{}",
        };
        Option<FileInfo?> network = new("--network")
        {
            Description = "An ONNX file of a network of images: PatchCore by its features in place of the autoencoder; --options are "
                + """those of PatchCore then: '{"MemoryShare":0.1}'.""",
        };
        Option<FileInfo?> sheet = new("--sheet")
        {
            Description = "Where to write a sheet of the last run: for each kind a line of images, of their anomaly maps, and of "
                + "where people marked a defect.",
        };
        Option<FileInfo?> json = new("--json") { Description = "Where to write one record a run as JSON." };
        Command command = new("tiles", "Defects of magnetic tiles, and where they are, by an autoencoder of sound ones.")
        {
            data, seeds, firstSeed, options, network, sheet, json,
        };
        command.SetAction(parsed =>
        {
            Tiles tiles = Tiles.Load(parsed.GetRequiredValue(data).FullName);
            string wanted = parsed.GetValue(options)!;
            if (parsed.GetValue(network) is { Exists: false } none)
                throw new FileNotFoundException($"There is no {none.FullName}.");
            var results = new List<TileResult>();
            foreach (int seed in Enumerable.Range(parsed.GetValue(firstSeed), parsed.GetValue(seeds)))
            {
                (float[][] train, float[][] sound) = tiles.Split(seed);
                Tile[] test = [.. sound.Select(image => new Tile(image, 0, new bool[image.Length])), .. tiles.Broken];
                float[][] images = [.. test.Select(tile => tile.Image)];
                TileQuality nearest = TileQuality.Of(test, Thumbnails.Score(train, images), null);
                TimeSpan before = Environment.CpuUsage.TotalTime;
                using VectorTransformer model = Trainer(new MLContext(seed), wanted, parsed.GetValue(network)?.FullName, tiles.Shape)
                    .Fit(View(train, tiles.Shape));
                double seconds = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
                IDataView scored = model.Transform(View(images, tiles.Shape));
                float[][] maps = [.. scored.GetColumn<float[]>("Map")];
                TileQuality quality = TileQuality.Of(test, [.. scored.GetColumn<float>("Score")], maps);
                Console.WriteLine(
                    $"seed {seed}: trained on {train.Length} images in {seconds:F0} s of CPU time; {sound.Length} sound and "
                    + $"{test.Length - sound.Length} broken ones of other tiles\n{quality}\n  nearest thumbnails: {nearest.ImageAuroc:F3}");
                results.Add(new(seed, wanted, train.Length, sound.Length, seconds, quality, nearest.ImageAuroc));
                if (parsed.GetValue(sheet) is { } picture)
                    SaveSheet(test, maps, tiles.Shape, picture.FullName);
                if (parsed.GetValue(json) is { } records)
                    File.WriteAllText(records.FullName, JsonSerializer.Serialize(results, Json) + "\n");
            }
            Console.WriteLine(
                $"mean of {results.Count}: image AUROC {results.Average(r => r.Quality.ImageAuroc):F3}, pixel AUROC "
                + $"{results.Average(r => r.Quality.PixelAuroc!.Value):F3}; nearest thumbnails {results.Average(r => r.NearestThumbnails):F3}");
        });
        return command;
    }

    private static VectorTrainer<VectorTransformer> Trainer(MLContext ml, string options, string? network, ImageShape shape) => network is null
        ? ml.AnomalyDetection.Trainers.ImageAutoencoder(ChosenOptions.Read<ImageAutoencoderOptions>(options) with
        {
            ImageShape = shape, AnomalyMapColumnName = "Map", PredictedLabelColumnName = null,
        })
        : ml.AnomalyDetection.Trainers.PatchCore(ChosenOptions.Read<PatchCoreOptions>(options) with
        {
            NetworkPath = network, ImageShape = shape, AnomalyMapColumnName = "Map", PredictedLabelColumnName = null,
        });

    private static IDataView View(float[][] images, ImageShape shape)
    {
        SchemaDefinition schema = SchemaDefinition.Create(typeof(Picture));
        schema["Features"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, (int)shape.Length);
        return new MLContext(0).Data.LoadFromEnumerable(images.Select(image => new Picture { Features = image }).ToArray(), schema);
    }

    private static void SaveSheet(Tile[] test, float[][] maps, ImageShape shape, string path)
    {
        var lines = new List<float[]>();
        for (int kind = 0; kind < s_classes.Length; kind++)
        {
            int[] some = [.. Enumerable.Range(0, test.Length).Where(i => test[i].Kind == kind)];
            some = [.. Enumerable.Range(0, SheetColumns).Select(k => some[k * some.Length / SheetColumns])];
            lines.AddRange(some.Select(i => test[i].Image));
            lines.AddRange(some.Select(i => maps[i].Select(value => Math.Clamp(value, 0, 1)).ToArray()));
            lines.AddRange(some.Select(i => test[i].Mask.Select(marked => marked ? 1f : 0).ToArray()));
        }
        View([.. lines], shape).SaveGrid("Features", path, rows: lines.Count / SheetColumns, columns: SheetColumns, shape);
    }

    /// <summary>An image, its kind (zero is sound), and the pixels that people marked.</summary>
    public sealed record Tile(float[] Image, byte Kind, bool[] Mask);

    /// <summary>Sound images by their tile, and broken ones.</summary>
    private sealed record Tiles(ImageShape Shape, float[][] Sound, int[] Groups, Tile[] Broken)
    {
        public static Tiles Load(string folder)
        {
            (float[][] train, ImageShape shape) = IdxFile.Pictures(Find("train-images*"));
            if (shape.Channels != 1 || shape.Height != shape.Width || shape.Height % Thumbnails.Side != 0)
            {
                throw new InvalidDataException(
                    $"Images are expected of one channel and of equal sides that are a multiple of {Thumbnails.Side}, and they "
                    + $"have {shape.Channels} × {shape.Height} × {shape.Width}.");
            }
            float[][] test = IdxFile.Pictures(Find("test-images*")).Images, masks = IdxFile.Pictures(Find("test-masks*")).Images;
            byte[] labels = IdxFile.Labels(Find("test-labels*"));
            for (int kind = 0; kind < s_classes.Length; kind++)
            {
                if (!labels.Contains((byte)kind))
                    throw new InvalidDataException($"The test images have none with label {kind}, '{s_classes[kind]}'.");
            }
            if (labels.Length != test.Length || masks.Length != test.Length || labels.Max() >= s_classes.Length)
            {
                throw new InvalidDataException(
                    $"There are {test.Length} test images, {labels.Length} labels, the largest {labels.Max()}, and {masks.Length} "
                    + $"masks: as many of each are expected, and labels below {s_classes.Length}.");
            }
            Tile[] all = [.. test.Select((image, i) => new Tile(image, labels[i], [.. masks[i].Select(grey => grey > 0.5f)]))];
            float[][] sound = [.. train, .. all.Where(tile => tile.Kind == 0).Select(tile => tile.Image)];
            int[] groups =
            [
                .. File.ReadLines(Find("groups.txt")).Where(line => line.Length > 0)
                    .Select(line => int.Parse(line, CultureInfo.InvariantCulture)),
            ];
            if (groups.Length != sound.Length)
                throw new InvalidDataException($"groups.txt has {groups.Length} numbers for {sound.Length} sound images.");
            return new(shape, sound, groups, [.. all.Where(tile => tile.Kind != 0)]);

            string Find(string pattern) => Directory.GetFiles(folder, pattern) is [string file, ..]
                ? file
                : throw new FileNotFoundException($"There is no {pattern} in {folder}.");
        }

        /// <summary>Sound images to train on and to test with: whole groups, drawn till there are enough to test with.</summary>
        public (float[][] Train, float[][] Test) Split(int seed)
        {
            int[] order = [.. Groups.Distinct().Order()];
            new Random(seed).Shuffle(order);
            var tested = new HashSet<int>();
            int count = 0;
            foreach (int group in order.TakeWhile(_ => count < SoundTests))
            {
                tested.Add(group);
                count += Groups.Count(g => g == group);
            }
            return (Part(false), Part(true));

            float[][] Part(bool isTest) => [.. Sound.Where((_, i) => tested.Contains(Groups[i]) == isTest)];
        }
    }

    /// <summary>
    /// What is to be had without learning: an image's distance from the nearest training image, both being 8 × 8 means of
    /// mean zero and deviation one.
    /// </summary>
    private static class Thumbnails
    {
        public const int Side = 8;

        public static float[] Score(float[][] train, float[][] test)
        {
            float[][] known = [.. train.Select(Of)];
            return
            [
                .. test.Select(Of).Select(image => known.Min(other => image.Zip(other, (a, b) => (a - b) * (a - b)).Sum())),
            ];
        }

        private static float[] Of(float[] image)
        {
            int side = (int)Math.Sqrt(image.Length), cell = side / Side;
            float[] means = new float[Side * Side];
            for (int i = 0; i < image.Length; i++)
                means[i / side / cell * Side + i % side / cell] += image[i];
            float mean = means.Average(), deviation = MathF.Sqrt(means.Average(m => (m - mean) * (m - mean)));
            return [.. means.Select(m => (m - mean) / Math.Max(deviation, 1e-6f))];
        }
    }

    /// <summary>How well scores and maps tell the broken from the sound; by kind against all sound ones.</summary>
    public sealed record TileQuality(
        double ImageAuroc, double? PixelAuroc, IReadOnlyDictionary<string, double> ImageByKind,
        IReadOnlyDictionary<string, double> PixelByKind)
    {
        public static TileQuality Of(Tile[] test, float[] scores, float[][]? maps)
        {
            var byImage = new Dictionary<string, double>();
            var byPixel = new Dictionary<string, double>();
            for (int kind = 1; kind < s_classes.Length; kind++)
            {
                byImage[s_classes[kind]] = Images(kind);
                if (maps is not null)
                    byPixel[s_classes[kind]] = Pixels(kind);
            }
            return new(Images(null), maps is null ? null : Pixels(null), byImage, byPixel);

            int[] Rows(int? kind) =>
                [.. Enumerable.Range(0, test.Length).Where(i => kind is null || test[i].Kind == 0 || test[i].Kind == kind)];

            double Images(int? kind) => DetectionQuality.Auroc(
                [.. Rows(kind).Select(i => scores[i])], [.. Rows(kind).Select(i => test[i].Kind != 0)]);

            double Pixels(int? kind) => DetectionQuality.Auroc(
                [.. Rows(kind).SelectMany(i => maps![i])], [.. Rows(kind).SelectMany(i => test[i].Mask)]);
        }

        public override string ToString() =>
            $"  image AUROC {ImageAuroc:F3} ({Listed(ImageByKind)})\n  pixel AUROC {PixelAuroc:F3} ({Listed(PixelByKind)})";

        private static string Listed(IReadOnlyDictionary<string, double> values) =>
            string.Join(", ", values.Select(pair => $"{pair.Key} {pair.Value:F3}"));
    }

    private sealed class Picture
    {
        public float[] Features { get; set; } = [];
    }
}

/// <summary>What <c>tiles</c> measures of one run; CPU seconds are those of training.</summary>
internal sealed record TileResult(
    int Seed, string Options, int TrainingImages, int SoundTestImages, double CpuSeconds, TileBenchmark.TileQuality Quality,
    double NearestThumbnails);
