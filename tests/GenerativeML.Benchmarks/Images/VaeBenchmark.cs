using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.ML;

namespace GenerativeML.Benchmarks;

/// <summary><c>vae</c>: how well VAEs model images, and how well they detect those of another kind.</summary>
internal static class VaeBenchmark
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    // Of options on the command line, where enums have their names.
    private static readonly JsonSerializerOptions Named = new() { Converters = { new JsonStringEnumConverter() } };

    // What one class is told from the rest by: the detectors of these options.
    private static readonly Dictionary<string, (DetectorOptions Options, Func<MLContext, DetectorOptions, IEstimator<ITransformer>> Make)>
        Detectors = new()
        {
            ["defaults"] = (VaeRecipe.Defaults.Options, (ml, o) => ml.AnomalyDetection.Trainers.VariationalAutoencoder((VaeOptions)o)),
            ["convolutional"] = (
                VaeRecipe.Convolutional.Options with { ScoreColumnName = "Score", PredictedLabelColumnName = "PredictedLabel" },
                (ml, o) => ml.Generative.ImageVae((ImageVaeOptions)o)),
            ["autoencoder"] = (
                new ImageAutoencoderOptions(), (ml, o) => ml.AnomalyDetection.Trainers.ImageAutoencoder((ImageAutoencoderOptions)o)),
        };

    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<FileInfo> train = new("--train") { Description = "Training images, IDX, .gz or not.", Required = true };
        Option<FileInfo> test = new("--test") { Description = "Test images.", Required = true };
        Option<FileInfo?> outliers = new("--outliers") { Description = "Images to tell from the test images." };
        Option<bool> oneAgainstRest = new("--one-against-rest")
        {
            Description = "Train on each class alone and detect the others; needs the labels.",
        };
        Option<FileInfo?> trainLabels = new("--train-labels") { Description = "Classes of the training images." };
        Option<FileInfo?> testLabels = new("--test-labels") { Description = "Classes of the test images." };
        Option<string> recipe = new("--recipe")
        {
            Description = """
                reference, defaults, convolutional or all; of one class against the rest defaults, convolutional or autoencoder,
                all being defaults.
                """,
            DefaultValueFactory = _ => "all",
        };
        Option<int?> epochs = new("--epochs") { Description = "Passes over the training images. Default: the recipe's." };
        Option<string> pixels = new("--pixels")
        {
            Description = "grey, binary (thresholded at one half) or both.",
            DefaultValueFactory = _ => "both",
        };
        Option<int[]> classes = new("--classes")
        {
            Description = "Those that are told from the rest, all by default.", AllowMultipleArgumentsPerToken = true,
        };
        Option<string> options = new("--options")
        {
            Description = """Options other than the recipe's, as JSON: '{"HiddenWidth":512,"BatchSize":64}'.""",
            DefaultValueFactory = _ => "{}",
        };
        Option<int> seed = new("--seed") { Description = "Of training." };
        recipe.AcceptOnlyFromAmong(["all", "autoencoder", .. VaeRecipe.All.Select(r => r.Name)]);
        pixels.AcceptOnlyFromAmong("grey", "binary", "both");
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("vae", "ELBO of VAEs on images, and detection of other images.")
        {
            train, test, outliers, oneAgainstRest, trainLabels, testLabels, recipe, epochs, pixels, classes, options,
            seed, json,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(oneAgainstRest)
                && (result.GetValue(trainLabels) is null || result.GetValue(testLabels) is null))
            {
                result.AddError("--one-against-rest needs --train-labels and --test-labels.");
            }
            string of = result.GetValue(recipe)!;
            if (result.GetValue(oneAgainstRest) ? of != "all" && !Detectors.ContainsKey(of) : of == "autoencoder")
                result.AddError($"--recipe {of} is none of {(result.GetValue(oneAgainstRest) ? "a detector" : "a VAE")}.");
        });
        command.SetAction(parsed =>
        {
            float[][] training = IdxFile.Images(parsed.GetRequiredValue(train).FullName);
            float[][] testing = IdxFile.Images(parsed.GetRequiredValue(test).FullName);
            object results = parsed.GetValue(oneAgainstRest)
                ? OneAgainstRest(
                    training, IdxFile.Labels(parsed.GetValue(trainLabels)!.FullName),
                    testing, IdxFile.Labels(parsed.GetValue(testLabels)!.FullName),
                    parsed.GetValue(recipe)!, parsed.GetValue(epochs), parsed.GetValue(options)!, parsed.GetValue(seed),
                    parsed.GetValue(classes) ?? [])
                : Elbo(
                    training, testing,
                    parsed.GetValue(outliers) is FileInfo other ? IdxFile.Images(other.FullName) : null,
                    parsed.GetValue(recipe)!, parsed.GetValue(epochs), parsed.GetValue(pixels)!, parsed.GetValue(options)!,
                    parsed.GetValue(seed));
            if (parsed.GetValue(json) is FileInfo file)
                File.WriteAllText(file.FullName, JsonSerializer.Serialize(results, Json) + "\n");
        });
        return command;
    }

    private static List<VaeResult> Elbo(
        float[][] train, float[][] test, float[][]? outliers, string recipe, int? epochs, string pixels, string given,
        int seed)
    {
        var results = new List<VaeResult>();
        foreach (VaeRecipe one in VaeRecipe.All)
        {
            foreach (string kind in new[] { "grey", "binary" })
            {
                if (recipe != "all" && recipe != one.Name || pixels != "both" && pixels != kind)
                    continue;
                Func<float[][], float[][]> of = kind == "grey" ? images => images : Threshold;
                results.Add(Measure(
                    one with { Options = With(one.Options, given, epochs) }, kind, of(train), of(test),
                    outliers is null ? null : of(outliers), seed));
            }
        }
        return results;
    }

    private static VaeResult Measure(
        VaeRecipe recipe, string pixels, float[][] train, float[][] test, float[][]? outliers, int seed)
    {
        var clock = Stopwatch.StartNew();
        TimeSpan before = Environment.CpuUsage.TotalTime;
        var ml = new MLContext(seed);
        int width = train[0].Length;
        Console.WriteLine($"{recipe.Name}, {pixels} pixels, nats per image");
        var source = new DataViewRowSource(
            VectorRows.View(ml, train, width), ["Features"], recipe.Options.NonFiniteValues,
            images: recipe.Options.Images);
        var losses = new EpochLosses();
        var context = new TrainingContext
        {
            Seed = seed, Device = ComputeDevice.Cpu, FallbackToCpu = false, Progress = losses,
        };
        VariationalOptions options = recipe.Options;
        if (outliers is not null)
            options = options with { ScoreColumnName = "Score", PredictedLabelColumnName = "PredictedLabel" };
        using TrainedVector model = VectorFit.Fit(source, recipe.Family, options, context).Model;
        double cpu = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        double elbo = new VaeElbo(test).Negative(model);
        Console.WriteLine(
            $"  -ELBO of {test.Length} test images {elbo:F2}   {clock.Elapsed.TotalSeconds,5:F0} s, {cpu:F0} s of CPU time to train");
        double? auroc = null;
        if (outliers is not null)
        {
            float[][] all = [.. test, .. outliers];
            var block = new RowBlock([new RowField("Features", FieldKind.Single, width)], all.Length);
            for (int i = 0; i < all.Length; i++)
                all[i].CopyTo(block.SingleRow(0, i));
            float[] scores = new float[all.Length];
            model.Compute(block, all.Length, new VectorResults { Score = scores });
            auroc = DetectionQuality.Auroc(scores, [.. all.Select((_, i) => i >= test.Length)]);
            Console.WriteLine($"  outliers against test images: AUROC {auroc:F4}");
        }
        return new VaeResult(recipe.Name, pixels, losses.Losses, elbo, auroc, clock.Elapsed.TotalSeconds);
    }

    private static List<VaeClassResult> OneAgainstRest(
        float[][] train, byte[] trainLabels, float[][] test, byte[] testLabels, string recipe, int? epochs, string given, int seed,
        int[] classes)
    {
        string name = recipe == "all" ? "defaults" : recipe;
        (DetectorOptions options, var make) = Detectors[name];
        Console.WriteLine($"one class against the rest, {name}, grey pixels");
        var results = new List<VaeClassResult>();
        foreach (byte digit in trainLabels.Distinct().Order().Where(label => classes.Length == 0 || classes.Contains(label)))
        {
            var clock = Stopwatch.StartNew();
            TimeSpan before = Environment.CpuUsage.TotalTime;
            var ml = new MLContext(seed);
            float[][] own = [.. train.Where((_, i) => trainLabels[i] == digit)];
            ITransformer detector = make(ml, With(options, given, epochs)).Fit(VectorRows.View(ml, own, own[0].Length));
            using IDisposable? model = detector as IDisposable;
            double auroc = Auroc(detector, ml, test, [.. testLabels.Select(l => l != digit)]);
            results.Add(new VaeClassResult(digit, auroc, clock.Elapsed.TotalSeconds));
            double cpu = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
            Console.WriteLine($"  {digit}: AUROC {auroc:F4}   {clock.Elapsed.TotalSeconds:F0} s, {cpu:F0} s of CPU time");
        }
        Console.WriteLine($"  mean: AUROC {results.Average(r => r.Auroc):F4}");
        return results;
    }

    // The options, but for those that the command line gives.
    private static T With<T>(T options, string given, int? epochs)
        where T : DetectorOptions
    {
        JsonObject all = JsonSerializer.SerializeToNode(options, options.GetType(), Named)!.AsObject();
        foreach ((string name, JsonNode? value) in JsonNode.Parse(given)!.AsObject())
        {
            if (!all.ContainsKey(name))
                throw new ArgumentException($"--options: there is no option {name}.");
            all[name] = value?.DeepClone();
        }
        var result = (T)all.Deserialize(options.GetType(), Named)!;
        return epochs is null ? result : result with { Epochs = epochs };
    }

    private static double Auroc(ITransformer detector, MLContext ml, float[][] images, bool[] isOutlier)
    {
        IDataView scored = detector.Transform(VectorRows.View(ml, images, images[0].Length));
        return DetectionQuality.Auroc(VectorRows.Singles(scored, "Score"), isOutlier);
    }

    private static float[][] Threshold(float[][] images) =>
        [.. images.Select(image => image.Select(grey => grey >= 0.5f ? 1f : 0f).ToArray())];

    /// <summary>The training loss as last reported in each epoch.</summary>
    private sealed class EpochLosses : IProgress<TrainingProgress>
    {
        private readonly Dictionary<int, double> _losses = [];

        public IReadOnlyList<double> Losses => [.. _losses.OrderBy(e => e.Key).Select(e => e.Value)];

        public void Report(TrainingProgress value)
        {
            if (_losses.Count > 0 && !_losses.ContainsKey(value.Epoch))
                Console.WriteLine($"  epoch {value.Epoch - 1,3} {_losses[value.Epoch - 1],8:F2}   {value.Elapsed.TotalSeconds,5:F0} s");
            if (value.Losses.TryGetValue("loss", out double loss))
                _losses[value.Epoch] = loss;
        }
    }
}
