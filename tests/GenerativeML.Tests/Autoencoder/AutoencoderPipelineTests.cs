using System.Collections.Immutable;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Autoencoder;

[TestClass]
public sealed class AutoencoderPipelineTests
{
    private readonly MLContext _ml = new(1);

    [TestMethod]
    public void Rows_unlike_the_training_rows_score_higher_and_evaluate_agrees()
    {
        using TransformerChain<VectorTransformer> detector = _ml.Transforms
            .Concatenate("Features", "A", "B", "C")
            .Append(_ml.Transforms.NormalizeMeanVariance("Features", fixZero: false))
            .Append(_ml.AnomalyDetection.Trainers.Autoencoder(new() { Contamination = 0.02, Epochs = 40 }))
            .Fit(Data(400));
        IDataView scored = detector.Transform(Data(200, strangeEvery: 10));
        AnomalyDetectionMetrics metrics = _ml.AnomalyDetection.Evaluate(scored, falsePositiveCount: 5);
        Assert.IsGreaterThan(0.95, metrics.AreaUnderRocCurve);

        float[] scores = [.. scored.GetColumn<float>("Score")];
        bool[] labels = [.. scored.GetColumn<bool>("PredictedLabel")];
        float threshold = detector.LastTransformer.Threshold;
        CollectionAssert.AreEqual(scores.Select(s => s > threshold).ToArray(), labels);
    }

    [TestMethod]
    public void The_threshold_can_be_changed_and_stays_so_when_saved()
    {
        IDataView data = Data(200), fresh = Data(400);
        TransformerChain<VectorTransformer> detector = _ml.Transforms.Concatenate("Features", "A", "B", "C")
            .Append(_ml.AnomalyDetection.Trainers.Autoencoder(contamination: 0.1, epochs: 3)).Fit(data);
        detector.LastTransformer.SetThreshold(detector.Transform(fresh), share: 0.25);
        Assert.AreEqual(100, Flagged(detector));
        float[] scores = [.. detector.Transform(fresh).GetColumn<float>("Score").Order()];
        detector.LastTransformer.Threshold = scores[^11];
        Assert.AreEqual(10, Flagged(detector));

        using var saved = new MemoryStream();
        _ml.Model.Save(detector, data.Schema, saved);
        Assert.AreEqual(10, Flagged(_ml.Model.Load(saved, out _)));
        Assert.Throws<ArgumentOutOfRangeException>(() => detector.LastTransformer.Threshold = float.NaN);

        int Flagged(ITransformer model) => model.Transform(fresh).GetColumn<bool>("PredictedLabel").Count(label => label);
    }

    [TestMethod]
    public void What_is_not_finite_is_named_by_its_column()
    {
        var pipeline = _ml.Transforms.Concatenate("Features", "A", "B").Append(_ml.AnomalyDetection.Trainers.Autoencoder());
        Reading[] rows = [.. Enumerable.Range(0, 30).Select(i => new Reading { A = i, B = i == 7 ? float.NaN : 1 })];
        StringAssert.Contains(Refused(), "the first is NaN in slot 1, 'B', of row 7 (both counted from 0). Clean the data");
        foreach (Reading row in rows)
            row.B = float.NaN;
        StringAssert.Contains(Refused(), "Every row has some: is the separator that of the file?");

        string Refused() =>
            Assert.Throws<InvalidOperationException>(() => pipeline.Fit(_ml.Data.LoadFromEnumerable(rows))).Message;
    }

    [TestMethod]
    public void Feature_scores_sum_to_the_score_and_carry_the_sensors_names()
    {
        IDataView data = Data(200);
        using TransformerChain<VectorTransformer> detector = _ml.Transforms.Concatenate("Features", "A", "B", "C")
            .Append(_ml.AnomalyDetection.Trainers.Autoencoder(new()
            {
                FeatureScoreColumnName = "FeatureScore", ReconstructionColumnName = "Reconstruction", LatentColumnName = "Latent",
                LatentDimension = 2, HiddenLayers = [8], Epochs = 3,
            })).Fit(data);
        IDataView scored = detector.Transform(data);
        float[] scores = [.. scored.GetColumn<float>("Score")];
        float[][] shares = [.. scored.GetColumn<float[]>("FeatureScore")];
        for (int row = 0; row < scores.Length; row++)
            Assert.AreEqual(scores[row], shares[row].Sum(), 1e-4f * Math.Max(1, scores[row]));

        VBuffer<ReadOnlyMemory<char>> names = default;
        foreach (string column in new[] { "FeatureScore", "Reconstruction" })
        {
            scored.Schema[column].Annotations.GetValue("SlotNames", ref names);
            CollectionAssert.AreEqual(new[] { "A", "B", "C" }, names.DenseValues().Select(n => n.ToString()).ToArray());
        }
        Assert.HasCount(2, scored.GetColumn<float[]>("Latent").First());
        Assert.AreEqual(2, detector.LastTransformer.LatentDimension);
        Assert.AreEqual(3, detector.LastTransformer.InputWidth);
    }

    [TestMethod]
    public void A_later_trainers_permutation_importance_knows_the_latent_features_by_name()
    {
        IDataView data = Data(200);
        ITransformer model = _ml.Transforms.Concatenate("Features", "A", "B", "C")
            .Append(_ml.Generative.AutoencoderFeaturizer(
                "Latent", "Features", new() { Epochs = 20, LatentDimension = 2, HiddenLayers = [8] }))
            .Append(_ml.Regression.Trainers.OnlineGradientDescent("A", "Latent"))
            .Fit(data);
        ImmutableDictionary<string, RegressionMetricsStatistics> importance =
            _ml.Regression.PermutationFeatureImportance(model, model.Transform(data), "A");
        CollectionAssert.AreEquivalent(new[] { "Latent.0", "Latent.1" }, importance.Keys.ToArray());
        Assert.IsGreaterThan(0.01, importance.Values.Max(change => Math.Abs(change.RSquared.Mean)));
    }

    [TestMethod]
    public void Weights_travel_through_a_file()
    {
        IDataView data = Data(100);
        using TransformerChain<VectorTransformer> one = WithReconstruction(1).Fit(data), other = WithReconstruction(2).Fit(data);
        string file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.safetensors");
        try
        {
            one.LastTransformer.SaveWeights(file);
            other.LastTransformer.LoadWeights(file);
            float[][] expected = [.. one.Transform(data).GetColumn<float[]>("Reconstruction")];
            float[][] actual = [.. other.Transform(data).GetColumn<float[]>("Reconstruction")];
            for (int row = 0; row < expected.Length; row++)
                CollectionAssert.AreEqual(expected[row], actual[row]);

            File.WriteAllBytes(file, File.ReadAllBytes(file)[..^1]);
            Assert.Throws<FormatException>(() => other.LastTransformer.LoadWeights(file));
            CollectionAssert.AreEqual(actual[0], other.Transform(data).GetColumn<float[]>("Reconstruction").First());
        }
        finally
        {
            File.Delete(file);
        }
    }

    [TestMethod]
    public void Weights_that_are_loaded_while_others_score_are_used_from_then_on()
    {
        IDataView data = Data(100), few = Data(3);
        using TransformerChain<VectorTransformer> one = WithReconstruction(1).Fit(data), other = WithReconstruction(2).Fit(data);
        string[] files = [.. new[] { 1, 2 }.Select(_ => Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.safetensors"))];
        using var stop = new CancellationTokenSource();
        try
        {
            one.LastTransformer.SaveWeights(files[0]);
            other.LastTransformer.SaveWeights(files[1]);
            float[][] expected = [Loaded(0), Loaded(1)];
            CollectionAssert.AreNotEqual(expected[0], expected[1]);
            Task[] scorers = [.. Enumerable.Range(0, 3).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    while (!stop.IsCancellationRequested)
                        Scores();
                },
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
            for (int i = 0; i < 60; i++)
                CollectionAssert.AreEqual(expected[i % 2], Loaded(i % 2), $"round {i}");
            stop.Cancel();
            Task.WaitAll(scorers);
        }
        finally
        {
            stop.Cancel();
            Array.ForEach(files, File.Delete);
        }

        float[] Loaded(int file)
        {
            one.LastTransformer.LoadWeights(files[file]);
            return Scores();
        }

        float[] Scores() => [.. one.Transform(few).GetColumn<float>("Score")];
    }

    [TestMethod]
    public void Weights_that_are_not_finite_are_refused()
    {
        VectorFitResult fit = Trained.Detector(new() { Epochs = 1 });
        using TrainedVector model = fit.Model;
        float[] before = Trained.Scores(model, Trained.AllRows(3));
        using var file = new MemoryStream();
        model.ExportWeights(file);
        byte[] bytes = file.ToArray();
        BitConverter.GetBytes(float.NaN).CopyTo(bytes, bytes.Length - sizeof(float));
        var error = Assert.Throws<FormatException>(() => model.ImportWeights(new MemoryStream(bytes)));
        StringAssert.Contains(error.Message, "NaN");
        CollectionAssert.AreEqual(before, Trained.Scores(model, Trained.AllRows(3)));
    }

    [TestMethod]
    public void A_score_of_NaN_is_that_of_an_anomaly()
    {
        VectorFitResult fit = Trained.Detector(new() { Epochs = 1 });
        fit.Model.Weights["encoder.0.bias"][0] = float.NaN;
        using var rows = new VectorBatchModel(new(
            AutoencoderTrainer.Family, fit.Options, fit.Model, fit.Threshold, new() { Columns = [], Order = [] }, null));
        var outputs = new OutputBlock(rows.Outputs, [.. rows.Outputs.Select(_ => true)], capacity: 1);
        rows.Run(new RowBlock(rows.Inputs, 1), 1, outputs);
        int score = rows.Outputs.ToList().FindIndex(o => o.Name == "Score");
        int label = rows.Outputs.ToList().FindIndex(o => o.Name == "PredictedLabel");
        Assert.IsTrue(float.IsNaN(outputs.Singles(score)[0]));
        Assert.IsTrue(outputs.Booleans(label)[0]);
    }

    [TestMethod]
    public void Options_out_of_range_and_impossible_columns_are_refused_when_the_trainer_is_made()
    {
        AnomalyDetectionCatalog.AnomalyDetectionTrainers trainers = _ml.AnomalyDetection.Trainers;
        var range = Assert.Throws<ArgumentOutOfRangeException>(() => trainers.Autoencoder(contamination: 0.7));
        StringAssert.Contains(range.Message, "Contamination");
        Assert.Throws<ArgumentOutOfRangeException>(() => trainers.Autoencoder(epochs: 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Generative.AutoencoderFeaturizer("L", "F", new() { Dropout = 1 }));
        Assert.Throws<ArgumentException>(() => trainers.Autoencoder(featureColumnName: " "));
        var twice = Assert.Throws<ArgumentException>(() => trainers.Autoencoder(new() { LatentColumnName = "Score" }));
        StringAssert.Contains(twice.Message, "'Score'");
    }

    [TestMethod]
    public void A_device_that_is_not_there_is_an_error_unless_the_cpu_may_stand_in()
    {
        if (TorchSharp.torch.cuda.is_available())
            Assert.Inconclusive("This machine has a CUDA device.");
        TableView data = new TableView(20).AddVector("Features", 3, row => [row, -row, 1]);
        Assert.Throws<InvalidOperationException>(() => _ml.AnomalyDetection.Trainers.Autoencoder(new()
        {
            Device = ComputeDevice.Cuda(0), FallbackToCpu = false, Epochs = 1,
        }).Fit(data));
        _ml.AnomalyDetection.Trainers.Autoencoder(new()
        {
            Device = ComputeDevice.Cuda(0), FallbackToCpu = true, Epochs = 1,
        }).Fit(data).Dispose();

        // What the context says counts where the options say nothing.
        var context = new MLContext(1) { GpuDeviceId = 0, FallbackToCpu = false };
        Assert.Throws<InvalidOperationException>(
            () => context.AnomalyDetection.Trainers.Autoencoder(epochs: 1).Fit(data));
        context.FallbackToCpu = true;
        using VectorTransformer model = context.AnomalyDetection.Trainers.Autoencoder(epochs: 1).Fit(data);

        using var saved = new MemoryStream();
        context.Model.Save(model, data.Schema, saved);
        context.FallbackToCpu = false;
        var error = Assert.Throws<InvalidOperationException>(() => context.Model.Load(saved, out _));
        StringAssert.Contains(error.ToString(), "cuda:0");
        context.FallbackToCpu = true;
        ((IDisposable)context.Model.Load(saved, out _)).Dispose();
    }

    [TestMethod]
    public void Trains_on_a_part_and_scores_the_rest()
    {
        DataOperationsCatalog.TrainTestData parts = _ml.Data.TrainTestSplit(Data(200, 10), testFraction: 0.5, seed: 1);
        using TransformerChain<VectorTransformer> model = _ml.Transforms.Concatenate("Features", "A", "B", "C")
            .Append(_ml.AnomalyDetection.Trainers.Autoencoder(epochs: 2)).Fit(parts.TrainSet);
        int rows = parts.TestSet.GetColumn<float>("A").Count();
        Assert.AreEqual(rows, model.Transform(parts.TestSet).GetColumn<float>("Score").Count(float.IsFinite));
    }

    private EstimatorChain<VectorTransformer> WithReconstruction(int seed) => _ml.Transforms
        .Concatenate("Features", "A", "B", "C")
        .Append(_ml.AnomalyDetection.Trainers.Autoencoder(new()
        {
            Seed = seed, Epochs = 2, ReconstructionColumnName = "Reconstruction",
        }));

    /// <summary>C follows from A and B, but in strange rows, which have Label 1.</summary>
    private IDataView Data(int count, int strangeEvery = 0)
    {
        var random = new Random(17);
        return _ml.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(i =>
        {
            float a = random.NextSingle(), b = random.NextSingle();
            bool strange = strangeEvery > 0 && i % strangeEvery == 0;
            return new Reading { A = a, B = b, C = a + b + (strange ? 2 : 0), Label = strange ? 1 : 0 };
        }).ToArray());
    }

    public sealed class Reading
    {
        public float A { get; set; }

        public float B { get; set; }

        public float C { get; set; }

        public float Label { get; set; }
    }
}
