using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Benchmarks;

/// <summary><c>boltzmann</c>: how likely handwritten digits are, and what their features are good for.</summary>
internal static class BoltzmannBenchmark
{
    /// <summary>The command and its options.</summary>
    public static Command Command()
    {
        Option<DirectoryInfo> data = new("--data")
        {
            Description = "A folder with the four files of MNIST.",
            Required = true,
        };
        Option<string> measure = new("--measure")
        {
            Description = "likelihood: of binarised test images by an RBM of 500 units; features: test error of logistic "
                + "regression on 1,024 hidden probabilities; classes: of a deep belief network of 500, 500 and 2,000 units, "
                + "fine-tuned.",
            DefaultValueFactory = _ => "likelihood",
        };
        measure.AcceptOnlyFromAmong("likelihood", "features", "classes");
        Option<int?> rows = new("--rows") { Description = "How many training images. Default: all." };
        Option<int> temperatures = new("--temperatures")
        {
            Description = "Of annealed importance sampling, with 100 chains.",
            DefaultValueFactory = _ => 10_000,
        };
        Option<string?> options = new("--options") { Description = """Options other than the defaults, as JSON: '{"Epochs":4}'.""" };
        Command command = new("boltzmann", "Boltzmann machines on MNIST.") { data, measure, rows, temperatures, options };
        command.SetAction(parsed => Run(
            parsed.GetRequiredValue(data).FullName, parsed.GetValue(measure)!, parsed.GetValue(rows) ?? int.MaxValue,
            parsed.GetValue(temperatures), parsed.GetValue(options) ?? "{}"));
        return command;
    }

    private static int Run(string folder, string measure, int rows, int temperatures, string options)
    {
        (float[][] train, byte[] trainLabels) = Read(folder, "train");
        (float[][] test, byte[] testLabels) = Read(folder, "t10k");
        (train, trainLabels) = ([.. train.Take(rows)], [.. trainLabels.Take(rows)]);
        var ml = new MLContext(1);
        var clock = Stopwatch.StartNew();
        if (measure == "likelihood")
        {
            using BoltzmannTransformer model = Train(500);
            // Binarised once, by their greys: zeros and ones have a likelihood, greys have none.
            float Mean(float[][] images) => VectorRows.Singles(
                model.Transform(VectorRows.View(ml, Binarised(images), images[0].Length)), "Score").Average();
            float ofTraining = -Mean([.. train.Take(test.Length)]), ofTest = -Mean(test);
            LogPartition z = model.EstimateLogPartition(chains: 100, temperatures);
            Console.WriteLine(
                $"log Z {z.Value:F2} ± {z.StandardError:F2}; log-likelihood of test images {ofTest - z.Value:F2} nats, of training "
                + $"images {ofTraining - z.Value:F2}; {clock.Elapsed.TotalSeconds:F0} s in all");
            return 0;
        }
        if (measure == "classes")
        {
            var own = JsonSerializer.Deserialize<DeepBeliefNetworkOptions>(options)!;
            using BoltzmannTransformer classifier = ml.Generative.DeepBeliefNetwork(own with
            {
                VisibleUnits = VisibleUnits.Binary,
                HiddenLayers = own.HiddenLayers ?? [500, 500, 2000],
                LabelColumnName = "Label",
                Progress = new ProgressLines(),
            }).Fit(Digits(ml, train, trainLabels));
            Console.WriteLine($"trained in {clock.Elapsed.TotalSeconds:F0} s");
            double wrong = 1 - ml.MulticlassClassification.Evaluate(classifier.Transform(Digits(ml, test, testLabels))).MicroAccuracy;
            Console.WriteLine($"deep belief network: test error {wrong:P2}; {clock.Elapsed.TotalSeconds:F0} s in all");
            return 0;
        }
        using BoltzmannTransformer encoder = Train(1024);
        double error = LogisticError(ml, encoder, train, trainLabels, test, testLabels);
        Console.WriteLine($"logistic regression on hidden probabilities: test error {error:P2}; {clock.Elapsed.TotalSeconds:F0} s in all");
        return 0;

        BoltzmannTransformer Train(int hidden)
        {
            var own = JsonSerializer.Deserialize<RestrictedBoltzmannMachineOptions>(options)!;
            BoltzmannTransformer model = ml.Generative.RestrictedBoltzmannMachine(own with
            {
                VisibleUnits = VisibleUnits.Binary,
                HiddenUnits = own.HiddenUnits ?? hidden,
                LatentColumnName = "Latent",
                Progress = new ProgressLines(),
            }).Fit(VectorRows.View(ml, train, train[0].Length));
            Console.WriteLine($"trained in {clock.Elapsed.TotalSeconds:F0} s");
            return model;
        }
    }

    private static (float[][] Images, byte[] Labels) Read(string folder, string name) => (
        IdxFile.Images(Path.Combine(folder, $"{name}-images-idx3-ubyte.gz")),
        IdxFile.Labels(Path.Combine(folder, $"{name}-labels-idx1-ubyte.gz")));

    private static float[][] Binarised(float[][] images)
    {
        var random = new Random(1);
        return [.. images.Select(image => image.Select(grey => random.NextSingle() < grey ? 1f : 0f).ToArray())];
    }

    private static double LogisticError(
        MLContext ml, BoltzmannTransformer encoder, float[][] train, byte[] trainLabels, float[][] test, byte[] testLabels)
    {
        IDataView Encoded(float[][] images, byte[] labels) => Digits(
            ml, [.. encoder.Transform(VectorRows.View(ml, images, images[0].Length)).GetColumn<float[]>("Latent")], labels);

        ITransformer classifier = ml.MulticlassClassification.Trainers.LbfgsMaximumEntropy(new()
        {
            L1Regularization = 0, L2Regularization = 1, NumberOfThreads = 1, MaximumNumberOfIterations = 100,
        }).Fit(Encoded(train, trainLabels));
        return 1 - ml.MulticlassClassification.Evaluate(classifier.Transform(Encoded(test, testLabels))).MicroAccuracy;
    }

    private static IDataView Digits(MLContext ml, float[][] rows, byte[] labels)
    {
        var schema = SchemaDefinition.Create(typeof(Digit));
        schema[nameof(Digit.Features)].ColumnType = new VectorDataViewType(NumberDataViewType.Single, rows[0].Length);
        return ml.Data.LoadFromEnumerable(rows.Zip(labels, (row, label) => new Digit { Features = row, Label = label + 1u }), schema);
    }

    private sealed class Digit
    {
        public float[] Features { get; set; } = [];

        [KeyType(10)]
        public uint Label { get; set; }
    }
}
