using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
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
            Description = "reference, defaults, convolutional or all.",
            DefaultValueFactory = _ => "all",
        };
        Option<int?> epochs = new("--epochs") { Description = "Passes over the training images. Default: the recipe's." };
        Option<string> pixels = new("--pixels")
        {
            Description = "grey, binary (thresholded at one half) or both.",
            DefaultValueFactory = _ => "both",
        };
        recipe.AcceptOnlyFromAmong(["all", .. VaeRecipe.All.Select(r => r.Name)]);
        pixels.AcceptOnlyFromAmong("grey", "binary", "both");
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("vae", "ELBO of VAEs on images, and detection of other images.")
        {
            train, test, outliers, oneAgainstRest, trainLabels, testLabels, recipe, epochs, pixels, json,
        };
        command.Validators.Add(result =>
        {
            if (result.GetValue(oneAgainstRest)
                && (result.GetValue(trainLabels) is null || result.GetValue(testLabels) is null))
            {
                result.AddError("--one-against-rest needs --train-labels and --test-labels.");
            }
        });
        command.SetAction(parsed =>
        {
            float[][] training = IdxFile.Images(parsed.GetRequiredValue(train).FullName);
            float[][] testing = IdxFile.Images(parsed.GetRequiredValue(test).FullName);
            object results = parsed.GetValue(oneAgainstRest)
                ? OneAgainstRest(
                    training, IdxFile.Labels(parsed.GetValue(trainLabels)!.FullName),
                    testing, IdxFile.Labels(parsed.GetValue(testLabels)!.FullName))
                : Elbo(
                    training, testing,
                    parsed.GetValue(outliers) is FileInfo other ? IdxFile.Images(other.FullName) : null,
                    parsed.GetValue(recipe)!, parsed.GetValue(epochs), parsed.GetValue(pixels)!);
            if (parsed.GetValue(json) is FileInfo file)
                File.WriteAllText(file.FullName, JsonSerializer.Serialize(results, Json) + "\n");
        });
        return command;
    }

    private static List<VaeResult> Elbo(
        float[][] train, float[][] test, float[][]? outliers, string recipe, int? epochs, string pixels)
    {
        var results = new List<VaeResult>();
        foreach (VaeRecipe one in VaeRecipe.All)
        {
            foreach (string kind in new[] { "grey", "binary" })
            {
                if (recipe != "all" && recipe != one.Name || pixels != "both" && pixels != kind)
                    continue;
                Func<float[][], float[][]> of = kind == "grey" ? images => images : Threshold;
                results.Add(Measure(one, epochs, kind, of(train), of(test), outliers is null ? null : of(outliers)));
            }
        }
        return results;
    }

    private static VaeResult Measure(
        VaeRecipe recipe, int? epochs, string pixels, float[][] train, float[][] test, float[][]? outliers)
    {
        var clock = Stopwatch.StartNew();
        var ml = new MLContext(seed: 0);
        int width = train[0].Length;
        Console.WriteLine($"{recipe.Name}, {pixels} pixels, nats per image");
        var source = new DataViewRowSource(
            VectorRows.View(ml, train, width), ["Features"], recipe.Options.NonFiniteValues,
            images: recipe.Options.Images);
        var losses = new EpochLosses();
        var context = new TrainingContext
        {
            Seed = 0, Device = ComputeDevice.Cpu, FallbackToCpu = false, Progress = losses,
        };
        VariationalOptions options = recipe.Options with { Epochs = epochs ?? recipe.Options.Epochs };
        if (outliers is not null)
            options = options with { ScoreColumnName = "Score", PredictedLabelColumnName = "PredictedLabel" };
        using TrainedVector model = VectorFit.Fit(source, recipe.Family, options, context).Model;
        double elbo = new VaeElbo(test).Negative(model);
        Console.WriteLine($"  -ELBO of {test.Length} test images {elbo:F2}   {clock.Elapsed.TotalSeconds,5:F0} s");
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
        float[][] train, byte[] trainLabels, float[][] test, byte[] testLabels)
    {
        Console.WriteLine("one class against the rest, by the defaults, grey pixels");
        var results = new List<VaeClassResult>();
        foreach (byte digit in trainLabels.Distinct().Order())
        {
            var clock = Stopwatch.StartNew();
            var ml = new MLContext(seed: 0);
            float[][] own = [.. train.Where((_, i) => trainLabels[i] == digit)];
            using VectorGenerator detector = ml.AnomalyDetection.Trainers.VariationalAutoencoder(
                (VaeOptions)VaeRecipe.Defaults.Options).Fit(VectorRows.View(ml, own, own[0].Length));
            double auroc = Auroc(detector, ml, test, [.. testLabels.Select(l => l != digit)]);
            results.Add(new VaeClassResult(digit, auroc, clock.Elapsed.TotalSeconds));
            Console.WriteLine($"  {digit}: AUROC {auroc:F4}   {clock.Elapsed.TotalSeconds:F0} s");
        }
        Console.WriteLine($"  mean: AUROC {results.Average(r => r.Auroc):F4}");
        return results;
    }

    private static double Auroc(VectorGenerator detector, MLContext ml, float[][] images, bool[] isOutlier)
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
