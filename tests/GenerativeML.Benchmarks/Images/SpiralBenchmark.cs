using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Numerics.Tensors;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary>
/// <c>spiral</c>: how near a SPIRAL agent's paintings come to digits of 16 × 16 pixels that it was not trained on, beside an
/// empty canvas, random strokes, and greedy search among random strokes; and a sheet to look at.
/// </summary>
internal static class SpiralBenchmark
{
    private const int Side = 16, Enlarged = 3;
    private static readonly ImageShape s_shape = new(1, Side, Side);
    private static readonly int[] s_tries = [1, 4, 16, 64, 256];

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder of digits: IDX files as MNIST has, or optdigits-train.csv and -test.csv. They become 16 × 16.",
            Required = true,
        };
        Option<int> seeds = new("--seeds") { Description = "How many seeds, from 0 on.", DefaultValueFactory = _ => 1 };
        Option<int> test = new("--test") { Description = "How many test images.", DefaultValueFactory = _ => 1000 };
        Option<string?> options = new("--options") { Description = "Changes of the trainer's options, as JSON." };
        Option<FileInfo?> sheet = new("--sheet") { Description = "Where to write test images above their paintings, and free paintings, as PNG." };
        Option<FileInfo?> svg = new("--svg") { Description = "Where to write the first painting, as SVG." };
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("spiral", "Squared errors of a SPIRAL agent's paintings.") { data, seeds, test, options, sheet, svg, json };
        command.SetAction((parsed, cancellation) => Task.FromResult(Run(
            parsed.GetRequiredValue(data), Math.Max(1, parsed.GetValue(seeds)), Math.Max(1, parsed.GetValue(test)),
            ChosenOptions.Read<SpiralOptions>(parsed.GetValue(options)) with { CancellationToken = cancellation },
            parsed.GetValue(sheet), parsed.GetValue(svg), parsed.GetValue(json))));
        return command;
    }

    private static int Run(
        DirectoryInfo folder, int seeds, int tests, SpiralOptions chosen, FileInfo? sheet, FileInfo? svg, FileInfo? json)
    {
        if (!folder.Exists)
        {
            Console.Error.WriteLine($"There is no folder {folder.FullName}.");
            return 2;
        }
        (float[][] train, float[][] test) = (Read(folder, "train"), Read(folder, "t"));
        test = [.. test.Take(tests)];
        Console.WriteLine($"{folder.Name}: {train.Length} images to train on, {test.Length} to test; mean squared error of a pixel, black 0, white 1");
        double empty = test.Average(image => TensorPrimitives.SumOfSquares<float>(image) / image.Length);
        Console.WriteLine($"empty canvas {empty:F5}");
        double random = double.NaN;
        double[] greedy = [];
        List<double> errors = [], minutes = [];
        for (int seed = 0; seed < seeds; seed++)
        {
            var ml = new MLContext(seed);
            var watch = new Watch();
            TimeSpan before = Process.GetCurrentProcess().TotalProcessorTime;
            using SpiralTransformer model = ml.Generative.Spiral(chosen with
            {
                ImageShape = s_shape, ScoreColumnName = "Score", Progress = watch,
            }).Fit(View(ml, train));
            minutes.Add((Process.GetCurrentProcess().TotalProcessorTime - before).TotalMinutes);
            if (seed == 0)
            {
                SpiralNetwork network = model.Model.Network;
                random = test.Select((image, i) => Search(network, image, i, tries: 0)).Average();
                greedy = [.. s_tries.Select(tries => test.Select((image, i) => Search(network, image, i, tries)).Average())];
                Console.WriteLine($"random strokes {random:F5}, a third {random / 3:F5}");
                Console.WriteLine("greedy search, so many tries a stroke: " + string.Join(", ", s_tries.Zip(greedy, (n, e) => $"{n}: {e:F5}")));
            }
            IDataView painted = model.Transform(View(ml, test));
            errors.Add(painted.GetColumn<float>("Score").Average());
            Console.WriteLine($"seed {seed}: agent {errors[^1]:F5}, {errors[^1] / random:F3} of random, {minutes[^1]:F1} CPU minutes of training");
            if (seed == 0 && sheet is not null)
                Sheet(ml, model, test, [.. painted.GetColumn<float[]>("Painting").Take(48)], sheet);
            if (seed == 0 && svg is not null)
                File.WriteAllText(svg.FullName, model.Paint(test[0]).ToSvg());
        }
        if (json is not null)
        {
            var result = new
            {
                data = folder.Name, seeds, test = test.Length, strokes = chosen.Strokes, empty, random, agent = errors.Average(), errors,
                greedy = s_tries.Zip(greedy, (tries, error) => new { tries, error }), cpu_minutes = minutes.Average(),
            };
            File.WriteAllText(json.FullName, JsonSerializer.Serialize(result) + "\n");
        }
        return 0;
    }

    /// <summary>
    /// The error of random strokes, drawn from all that the agent may choose from; or of each the best of so many tries, if it
    /// lowers the error at all.
    /// </summary>
    private static double Search(SpiralNetwork network, float[] image, int number, int tries)
    {
        var random = new SplitMix64(SplitMix64.Derive(0, RandomPurpose.Scoring, number));
        float[] canvas = new float[image.Length], best = new float[image.Length], now = new float[image.Length];
        (float x, float y) = (Side / 2 + 0.5f, Side / 2 + 0.5f);
        for (int i = 0; i < network.Options.Strokes; i++)
        {
            float least = tries > 0 ? Distance(canvas) : float.PositiveInfinity;
            canvas.CopyTo(best, 0);
            (float X, float Y) end = (x, y);
            for (int k = 0; k < Math.Max(1, tries); k++)
            {
                var stroke = new BrushStroke(
                    x, y, Place(ref random), Place(ref random), Place(ref random), Place(ref random),
                    (float)random.Next(network.PressureLevels) / (network.PressureLevels - 1), network.Widths[random.Next(network.Widths.Length)]);
                canvas.CopyTo(now, 0);
                stroke.Paint(now, Side, Side);
                // A stroke without pressure moves the brush where nothing better was tried.
                if (Distance(now) is float distance && (distance < least || distance == least && stroke.Pressure == 0))
                {
                    (least, end) = (distance, (stroke.EndX, stroke.EndY));
                    now.CopyTo(best, 0);
                }
            }
            best.CopyTo(canvas, 0);
            (x, y) = end;
        }
        return Distance(canvas) / image.Length;

        float Distance(float[] painted) => MathF.Pow(TensorPrimitives.Distance<float>(painted, image), 2);

        static float Place(ref SplitMix64 random) => random.Next(Side) + 0.5f;
    }

    private static void Sheet(MLContext ml, SpiralTransformer model, float[][] test, float[][] painted, FileInfo file)
    {
        const int columns = 16;
        List<float[]> images = [];
        for (int first = 0; first + columns <= Math.Min(painted.Length, test.Length); first += columns)
            images.AddRange([.. test.AsSpan(first, columns), .. painted.AsSpan(first, columns)]);
        if (model.Model.Network.Options.Generates)
            images.AddRange(model.Generate(4 * columns, seed: 1).GetColumn<float[]>("Image"));
        var shape = new ImageShape(1, Side * Enlarged, Side * Enlarged);
        IEnumerable<ImageRow> rows = images.Select(image => new ImageRow
        {
            Image = [.. Enumerable.Range(0, (int)shape.Length).Select(i => image[i / shape.Width / Enlarged * Side + i % shape.Width / Enlarged])],
        });
        ml.Data.LoadFromEnumerable(rows, Schema((int)shape.Length)).SaveGrid("Image", file.FullName, images.Count / columns, columns, shape);
    }

    private static float[][] Read(DirectoryInfo folder, string part)
    {
        if (folder.GetFiles("optdigits-*.csv").FirstOrDefault(f => f.Name.StartsWith($"optdigits-{part}", StringComparison.Ordinal)) is FileInfo csv)
        {
            IEnumerable<string[]> lines = File.ReadLines(csv.FullName).Select(line => line.Split(',')).Where(fields => float.TryParse(fields[0], CultureInfo.InvariantCulture, out _));
            return Resized([.. lines.Select(fields => fields.Take(64).Select(v => float.Parse(v, CultureInfo.InvariantCulture) / 16).ToArray())], new(1, 8, 8));
        }
        (float[][] images, ImageShape shape) = IdxFile.Pictures(folder.GetFiles($"{part}*-images-idx3-ubyte*")[0].FullName);
        return Resized(images, shape);
    }

    private static float[][] Resized(float[][] images, ImageShape shape) => shape.Height == Side && shape.Width == Side
        ? images
        : [.. images.Select(image =>
        {
            using MLImage picture = ImagePixels.ToImage(image, shape)!;
            float[] values = new float[Side * Side];
            ImagePixels.Read(picture, new(s_shape), values);
            return values;
        })];

    private static IDataView View(MLContext ml, float[][] images) =>
        ml.Data.LoadFromEnumerable(images.Select(image => new ImageRow { Image = image }), Schema(Side * Side));

    private static SchemaDefinition Schema(int width)
    {
        var schema = SchemaDefinition.Create(typeof(ImageRow));
        schema["Image"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, width);
        return schema;
    }

    private sealed class ImageRow
    {
        public float[] Image { get; set; } = [];
    }

    /// <summary>Writes losses ten times in a run.</summary>
    private sealed class Watch : IProgress<TrainingProgress>
    {
        private int _written;

        public void Report(TrainingProgress value)
        {
            if (value.Step * 10 / value.Steps < _written)
                return;
            _written++;
            Console.WriteLine($"  step {value.Step} of {value.Steps}: {string.Join(", ", value.Losses.Select(l => $"{l.Key} {l.Value:F4}"))}   {value.Elapsed.TotalSeconds:F0} s");
        }
    }
}
