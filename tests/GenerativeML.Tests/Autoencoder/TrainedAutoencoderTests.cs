using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class TrainedAutoencoderTests
{
    [TestMethod]
    public void A_row_that_breaks_the_tables_rule_is_stranger_than_any_that_keeps_it()
    {
        using TrainedAutoencoder model = Trained.Detector();
        float usual = Trained.Scores(model, Trained.AllRows()).Max();
        // Each slot is within its range; only the sum is wrong.
        Assert.IsGreaterThan(usual, Trained.Scores(model, [10.2f, 2.8f, 11f, 7])[0]);
    }

    [TestMethod]
    public void Slots_contributions_add_up_to_the_score_and_name_the_culprit()
    {
        using TrainedAutoencoder model = Trained.Detector();
        float[] score = new float[1], features = new float[4];
        model.Compute(new[] { 11f, 2f, 19f, 7 }, 1, new() { Score = score, FeatureScore = features });
        Assert.AreEqual(score[0], features.Sum(), 1e-4f * score[0]);
        Assert.AreEqual(2, Array.IndexOf(features, features.Max()));
    }

    [TestMethod]
    public void A_constant_slot_contributes_nothing_even_when_it_moves()
    {
        using TrainedAutoencoder model = Trained.Detector();
        float[] score = new float[2], features = new float[8];
        model.Compute(
            new[] { 11f, 2f, 13f, 7, 11f, 2f, 13f, 1000 }, 2, new() { Score = score, FeatureScore = features });
        Assert.AreEqual(0, features[3]);
        Assert.AreEqual(0, features[7]);
        Assert.AreEqual(score[0], score[1]);
    }

    [TestMethod]
    [DataRow(0.02)]
    [DataRow(0.1)]
    [DataRow(0.5)]
    public void The_threshold_leaves_the_contamination_above_it(double contamination)
    {
        using TrainedAutoencoder model = Trained.Detector(
            new AutoencoderDetectorOptions { Epochs = 5, Contamination = contamination });
        int above = Trained.Scores(model, Trained.AllRows()).Count(s => s > model.Threshold);
        Assert.AreEqual((int)Math.Round(contamination * 300), above);
    }

    [TestMethod]
    public void Scores_do_not_depend_on_the_batch()
    {
        using TrainedAutoencoder model = Trained.Detector();
        float[] rows = Trained.AllRows();
        float[] together = Trained.Scores(model, rows);
        for (int i = 0; i < together.Length; i += 7)
        {
            float alone = Trained.Scores(model, rows[(4 * i)..(4 * i + 4)])[0];
            Assert.AreEqual(together[i], alone);
        }
    }

    [TestMethod]
    public void The_same_seed_gives_the_same_bits_and_another_seed_another_model()
    {
        float[] Score(int seed)
        {
            using TrainedAutoencoder model = AutoencoderFit.Fit(
                Trained.SumRows(), new AutoencoderDetectorOptions { Epochs = 3 }, AutoencoderUse.Detect,
                Trained.OnCpu with { Seed = seed });
            return Trained.Scores(model, Trained.AllRows(20));
        }

        float[] first = Score(1);
        CollectionAssert.AreEqual(first, Score(1));
        CollectionAssert.AreNotEqual(first, Score(2));
    }

    [TestMethod]
    public void A_saved_model_scores_as_before_to_the_last_bit()
    {
        using TrainedAutoencoder model = Trained.Detector(new AutoencoderDetectorOptions
        {
            Epochs = 3,
            HiddenLayers = [16, 8],
            LatentDimension = 3,
            BatchNormalization = true,
            Members = 3,
        });
        using var weights = new MemoryStream();
        model.Save(weights);
        weights.Position = 0;
        using TrainedAutoencoder loaded = TrainedAutoencoder.Load(model.Shape, model.Threshold, weights);
        CollectionAssert.AreEqual(
            Trained.Scores(model, Trained.AllRows()), Trained.Scores(loaded, Trained.AllRows()));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void Exported_weights_have_PyTorchs_names_and_shapes_and_come_back(int members)
    {
        var options = new AutoencoderDetectorOptions
        {
            Epochs = 2, HiddenLayers = [6], LatentDimension = 1, Members = members, BatchNormalization = true, InputNoise = 0,
            InputMasking = 0,
        };
        using TrainedAutoencoder model = Trained.Detector(options);
        using TrainedAutoencoder other = AutoencoderFit.Fit(
            Trained.SumRows(), options, AutoencoderUse.Detect, Trained.OnCpu with { Seed = 8 });
        using var weights = new MemoryStream();
        model.ExportWeights(weights);

        weights.Position = 0;
        var shapes = SafetensorsReader.Open(weights).Header.Tensors.ToDictionary(
            t => t.Spec.Name, t => string.Join('x', t.Spec.Shape.ToArray()));
        string stack = members == 1 ? "" : members + "x";
        Assert.AreEqual(stack + "6x4", shapes["encoder.0.weight"]);
        Assert.AreEqual(stack + "6", shapes["encoder.0.bias"]);
        Assert.AreEqual(stack + "1x6", shapes["encoder.1.weight"]);
        Assert.AreEqual(stack + "1", shapes["encoder.1.bias"]);
        Assert.AreEqual(stack + "6x1", shapes["decoder.0.weight"]);
        Assert.AreEqual(stack + "6", shapes["encoder_norm.0.weight"]);
        Assert.AreEqual(stack + "6", shapes["decoder_norm.0.running_var"]);

        weights.Position = 0;
        other.ImportWeights(weights);
        float[] rows = Trained.AllRows(20), expected = new float[80], found = new float[80];
        model.Compute(rows, 20, new() { Reconstruction = expected });
        other.Compute(rows, 20, new() { Reconstruction = found });
        CollectionAssert.AreEqual(expected, found);
    }

    [TestMethod]
    public void Training_in_bfloat16_gives_other_weights_and_nearly_the_same_scores()
    {
        float[] Scores(Precision precision)
        {
            using TrainedAutoencoder model = Trained.Detector(new() { Epochs = 30, MemoryRows = 0, Precision = precision });
            return Trained.Scores(model, Trained.AllRows());
        }

        float[] full = Scores(Precision.Float32), half = Scores(Precision.BFloat16);
        CollectionAssert.AreNotEqual(full, half);
        CollectionAssert.AreEqual(full, Scores(Precision.Auto)); // the layers are too narrow to gain by it
        // Scores are in units of a usual row's; noise that differs by eight bits of precision moves them by a few
        // percent.
        Assert.IsLessThan(0.2, full.Zip(half, (a, b) => Math.Abs(a - b)).Average());
    }

    [TestMethod]
    public void Weights_of_another_shape_are_refused()
    {
        using TrainedAutoencoder model = Trained.Detector(new AutoencoderDetectorOptions { Epochs = 1 });
        using var weights = new MemoryStream();
        model.Save(weights);
        weights.Position = 0;
        Assert.ThrowsExactly<FormatException>(
            () => TrainedAutoencoder.Load(model.Shape with { LatentDimension = 5 }, 0, weights));
        weights.Position = 0;
        Assert.ThrowsExactly<FormatException>(
            () => TrainedAutoencoder.Load(model.Shape with { HiddenLayers = [60_000, 60_000] }, 0, weights));
    }

    [TestMethod]
    public void Training_scoring_saving_and_disposal_leave_no_tensor_behind()
    {
        Trained.Detector(new AutoencoderDetectorOptions { Epochs = 1 }).Dispose();
        long before = torch.Tensor.TotalCount;
        TrainedAutoencoder model = Trained.Detector(
            new AutoencoderDetectorOptions { Epochs = 2, BatchNormalization = true, Dropout = 0.1, ValidationFraction = 0.1 });
        Assert.AreEqual(before, torch.Tensor.TotalCount, "a model on the CPU holds no tensor");
        float[] rows = Trained.AllRows();
        model.Compute(rows, 300, new()
        {
            Score = new float[300],
            FeatureScore = new float[1200],
            Reconstruction = new float[1200],
            Latent = new float[300 * 128],
        });
        model.Save(new MemoryStream());
        model.Dispose();
        Assert.AreEqual(before, torch.Tensor.TotalCount);
        Assert.ThrowsExactly<ObjectDisposedException>(() => Trained.Scores(model, rows));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(5)]
    public void A_handful_of_rows_trains(int rows)
    {
        using TrainedAutoencoder model = Trained.Detector(
            new AutoencoderDetectorOptions { Epochs = 2, BatchNormalization = true }, Trained.SumRows(rows));
        Assert.IsTrue(Trained.Scores(model, Trained.AllRows(10)).All(float.IsFinite));
    }

    [TestMethod]
    public void Extreme_values_give_large_finite_scores()
    {
        using TrainedAutoencoder model = Trained.Detector();
        float[] scores = Trained.Scores(model, [1e30f, 0, 0, 7, -1e38f, 1e38f, 0, 7, 11f, 2f, 13f, 7]);
        Assert.IsTrue(scores.All(float.IsFinite));
        Assert.IsGreaterThan(scores[2], scores[0]);
        Assert.IsGreaterThan(scores[2], scores[1]);
    }

    [TestMethod]
    public void Reconstruction_is_in_the_units_of_the_data()
    {
        using TrainedAutoencoder model = AutoencoderFit.Fit(
            Trained.SumRows(), new AutoencoderOptions { Epochs = 200, InputNoise = 0.05 }, AutoencoderUse.Denoise,
            Trained.OnCpu);
        float[] rows = Trained.AllRows(50), output = new float[200];
        model.Compute(rows, 50, new() { Reconstruction = output });
        for (int i = 0; i < output.Length; i++)
            Assert.AreEqual(rows[i], output[i], 0.25f); // the slots range over 2 to 4 units
    }
}
