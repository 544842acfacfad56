using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>VAEs that detect, trained on a small table whose third slot is the sum of the first two.</summary>
[TestClass]
public class TrainedVaeTests
{
    private static readonly float[] s_usual = [11f, 2f, 13f, 7], s_wrong = [10.2f, 2.8f, 11f, 7];

    private static TrainedVae Detector(VaeOptions? options = null, IRowSource? rows = null) =>
        VaeFit.Fit(rows ?? Trained.SumRows(), options ?? new VaeDetectorOptions { Epochs = 60 }, Trained.OnCpu);

    private static float[] Scores(TrainedVae model, float[] rows)
    {
        float[] scores = new float[rows.Length / 4];
        model.Compute(VaeTruthTests.Block(rows, 4), scores.Length, new VaeOutputs { Score = scores });
        return scores;
    }

    [TestMethod]
    [DataRow(0, 0.97)] // networks trained for so short a time find one or two rows of the table's corners as strange
    [DataRow(2048, 1.0)]
    public void A_row_that_breaks_the_tables_rule_is_stranger_than_those_that_keep_it(int memoryRows, double share)
    {
        using TrainedVae model = Detector(new VaeDetectorOptions { Epochs = 60, MemoryRows = memoryRows });
        // Each slot is within its range; only the sum is wrong.
        float wrong = Scores(model, s_wrong)[0];
        Assert.IsGreaterThanOrEqualTo(share, Scores(model, Trained.AllRows()).Count(s => s < wrong) / 300.0);
    }

    [TestMethod]
    [DataRow(VaeScore.Novelty)]
    [DataRow(VaeScore.Reconstruction)]
    public void Slots_shares_add_up_to_the_score(VaeScore score)
    {
        using TrainedVae model = Detector(new VaeDetectorOptions { Epochs = 20, Score = score });
        float[] found = new float[2], features = new float[8];
        model.Compute(
            VaeTruthTests.Block([.. s_usual, .. s_wrong], 4), 2,
            new VaeOutputs { Score = found, FeatureScore = features });
        Assert.AreEqual(found[0], features[..4].Sum(), 1e-4f * Math.Max(1, Math.Abs(found[0])));
        Assert.AreEqual(found[1], features[4..].Sum(), 1e-4f * Math.Max(1, Math.Abs(found[1])));
    }

    [TestMethod]
    public void A_constant_slot_counts_for_nothing_even_when_it_moves()
    {
        using TrainedVae model = Detector(new VaeDetectorOptions { Epochs = 20 });
        float[] score = new float[2], features = new float[8];
        model.Compute(
            VaeTruthTests.Block([11f, 2f, 14f, 7, 11f, 2f, 14f, 1000], 4), 2,
            new VaeOutputs { Score = score, FeatureScore = features });
        Assert.AreEqual(score[0], score[1]);
        Assert.AreEqual(0, features[7], 1e-4f * score[1]); // it has a share so small of what belongs to the whole row
    }

    [TestMethod]
    public void The_threshold_leaves_the_contamination_above_it()
    {
        using TrainedVae model = Detector(new VaeDetectorOptions { Epochs = 5, Contamination = 0.1 });
        Assert.AreEqual(30, Scores(model, Trained.AllRows()).Count(s => s > model.Threshold));
    }

    [TestMethod]
    public void A_saved_model_scores_as_before_to_the_last_bit_and_another_shape_is_refused()
    {
        using TrainedVae model = Detector(new VaeDetectorOptions { Epochs = 3, HiddenLayers = [16, 8] });
        Assert.AreEqual(300, model.Shape.MemoryRows);
        using var weights = new MemoryStream();
        model.Save(weights);
        weights.Position = 0;
        using TrainedVae loaded = TrainedVae.Load(model.Shape, model.Threshold, weights);
        CollectionAssert.AreEqual(Scores(model, Trained.AllRows()), Scores(loaded, Trained.AllRows()));

        foreach (VaeShape shape in new[]
        {
            model.Shape with { MemoryRows = 10_000 }, model.Shape with { MemoryRows = 299 },
            model.Shape with { MemoryRows = 1 << 30 }, model.Shape with { MemoryRows = -1 },
            model.Shape with { Score = VaeScore.Reconstruction },
            model.Shape with { Score = VaeScore.Reconstruction, MemoryRows = 0 },
        })
        {
            weights.Position = 0;
            Assert.ThrowsExactly<FormatException>(() => TrainedVae.Load(shape, 0, weights));
        }
    }

    [TestMethod]
    public void Rows_are_stored_for_novelty_alone_and_not_with_conditions()
    {
        using TrainedVae plain = Detector(
            new VaeDetectorOptions { Epochs = 1, Score = VaeScore.NegativeLogLikelihood });
        Assert.AreEqual(0, plain.Shape.MemoryRows);
        using TrainedVae conditional = Detector(
            new VaeDetectorOptions { Epochs = 1 }, new FieldRows(40, [4, 1], (i, j) => i * (3 + j) % 7));
        Assert.AreEqual(0, conditional.Shape.MemoryRows);
        using TrainedVae generator = Detector(new VaeOptions { Epochs = 1, Score = VaeScore.Novelty });
        Assert.IsTrue(Scores(generator, Trained.AllRows(10)).All(s => s > 0 && float.IsFinite(s)));
        Assert.IsTrue(float.IsPositiveInfinity(generator.Threshold));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(5)]
    public void A_handful_of_rows_trains(int rows)
    {
        using TrainedVae model = Detector(new VaeDetectorOptions { Epochs = 2 }, Trained.SumRows(rows));
        Assert.IsTrue(Scores(model, Trained.AllRows(10)).All(float.IsFinite));
        using TrainedVae linear = Detector(
            new VaeDetectorOptions { Epochs = 2, HiddenLayers = [] }, Trained.SumRows(rows));
        Assert.IsTrue(Scores(linear, Trained.AllRows(10)).All(float.IsFinite));
    }

    [TestMethod]
    public void Extreme_values_give_large_finite_scores()
    {
        using TrainedVae model = Detector(new VaeDetectorOptions { Epochs = 20 });
        float[] scores = Scores(model, [1e30f, 0, 0, 7, -1e38f, 1e38f, 0, 7, .. s_usual]);
        Assert.IsTrue(scores.All(float.IsFinite));
        Assert.IsGreaterThan(scores[2], scores[0]);
        Assert.IsGreaterThan(scores[2], scores[1]);
    }

    [TestMethod]
    public void Training_scoring_and_disposal_leave_no_tensor_behind()
    {
        Detector(new VaeDetectorOptions { Epochs = 1 }).Dispose();
        long before = torch.Tensor.TotalCount;
        TrainedVae model = Detector(new VaeDetectorOptions { Epochs = 1 });
        Scores(model, Trained.AllRows());
        Assert.AreEqual(before, torch.Tensor.TotalCount, "a model on the CPU holds no tensor");
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => Scores(model, Trained.AllRows()));
    }
}
