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
            Description = "reference, defaults or both.",
            DefaultValueFactory = _ => "both",
        };
        Option<string> pixels = new("--pixels")
        {
            Description = "grey, binary (thresholded at one half) or both.",
            DefaultValueFactory = _ => "both",
        };
        recipe.AcceptOnlyFromAmong("reference", "defaults", "both");
        pixels.AcceptOnlyFromAmong("grey", "binary", "both");
        Option<FileInfo?> json = new("--json") { Description = "Where to write the results as JSON." };
        Command command = new("vae", "ELBO of VAEs on images, and detection of other images.")
        {
            train, test, outliers, oneAgainstRest, trainLabels, testLabels, recipe, pixels, json,
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
                    parsed.GetValue(recipe)!, parsed.GetValue(pixels)!);
            if (parsed.GetValue(json) is FileInfo file)
                File.WriteAllText(file.FullName, JsonSerializer.Serialize(results, Json) + "\n");
        });
        return command;
    }

    private static List<VaeResult> Elbo(
        float[][] train, float[][] test, float[][]? outliers, string recipe, string pixels)
    {
        var results = new List<VaeResult>();
        foreach (VaeRecipe one in new[] { VaeRecipe.Reference, VaeRecipe.Defaults })
        {
            foreach (string kind in new[] { "grey", "binary" })
            {
                if (recipe != "both" && recipe != one.Name || pixels != "both" && pixels != kind)
                    continue;
                Func<float[][], float[][]> of = kind == "grey" ? images => images : Threshold;
                results.Add(Measure(one, kind, of(train), of(test), outliers is null ? null : of(outliers)));
            }
        }
        return results;
    }

    private static VaeResult Measure(
        VaeRecipe recipe, string pixels, float[][] train, float[][] test, float[][]? outliers)
    {
        var clock = Stopwatch.StartNew();
        var ml = new MLContext(seed: 0);
        int width = train[0].Length;
        Console.WriteLine($"{recipe.Name}, {pixels} pixels: -ELBO on {test.Length} test images, nats per image");
        var elbo = new VaeElbo(test);
        var perEpoch = new List<double>();
        var source = new DataViewRowSource(
            VectorRows.View(ml, train, width), ["Features"], recipe.Options.NonFiniteValues);
        var context = new TrainingContext { Seed = 0, Device = ComputeDevice.Cpu, FallbackToCpu = false };
        using TrainedVae model = VaeFit.Fit(source, recipe.Options, context, trained =>
        {
            perEpoch.Add(elbo.Negative(trained));
            Console.WriteLine($"  epoch {perEpoch.Count,3} {perEpoch[^1],8:F2}   {clock.Elapsed.TotalSeconds,5:F0} s");
        });
        double? auroc = null;
        if (outliers is not null)
        {
            using var detector = new VaeTransformer(
                model, new() { Features = "Features", Score = "Score" }, VectorSchema.Of(source.Columns), null);
            auroc = Auroc(detector, ml, [.. test, .. outliers], [.. test.Select(_ => false), .. outliers.Select(_ => true)]);
            Console.WriteLine($"  outliers against test images: AUROC {auroc:F4}");
        }
        return new VaeResult(recipe.Name, pixels, perEpoch, auroc, clock.Elapsed.TotalSeconds);
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
            using VaeTransformer detector = ml.AnomalyDetection.Trainers.VariationalAutoencoder(
                VaeRecipe.Defaults.Options).Fit(VectorRows.View(ml, own, own[0].Length));
            double auroc = Auroc(detector, ml, test, [.. testLabels.Select(l => l != digit)]);
            results.Add(new VaeClassResult(digit, auroc, clock.Elapsed.TotalSeconds));
            Console.WriteLine($"  {digit}: AUROC {auroc:F4}   {clock.Elapsed.TotalSeconds:F0} s");
        }
        Console.WriteLine($"  mean: AUROC {results.Average(r => r.Auroc):F4}");
        return results;
    }

    private static double Auroc(VaeTransformer detector, MLContext ml, float[][] images, bool[] isOutlier)
    {
        IDataView scored = detector.Transform(VectorRows.View(ml, images, images[0].Length));
        return DetectionQuality.Auroc(VectorRows.Singles(scored, "Score"), isOutlier);
    }

    private static float[][] Threshold(float[][] images) =>
        [.. images.Select(image => image.Select(grey => grey >= 0.5f ? 1f : 0f).ToArray())];
}
