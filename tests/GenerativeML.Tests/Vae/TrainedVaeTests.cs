namespace GenerativeML.Tests;

/// <summary>VAEs that detect, trained on a small table whose third feature is the sum of the first two.</summary>
[TestClass]
public class TrainedVaeTests
{
    private static readonly float[] s_usual = [11f, 2f, 13f, 7], s_wrong = [10.2f, 2.8f, 11f, 7];

    // As the catalog of detectors completes the options.
    private static VectorFitResult Detector(VaeOptions options, IRowSource? rows = null) => VectorFit.Fit(
        rows ?? Trained.SumRows(), VaeTrainer.Family,
        options with { ScoreColumnName = "Score", PredictedLabelColumnName = "PredictedLabel" }, Trained.OnCpu);

    private static float[] Scores(TrainedVector model, float[] rows) => Trained.Scores(model, rows);

    [TestMethod]
    [DataRow(0, 0.97)] // networks trained for so short a time find one or two rows of the table's corners as strange
    [DataRow(2048, 1.0)]
    public void A_row_that_breaks_the_tables_rule_is_stranger_than_those_that_keep_it(int referenceRows, double share)
    {
        using TrainedVector model = Detector(new() { Epochs = 60, ReferenceRows = referenceRows }).Model;
        // Each feature is within its range; only the sum is wrong.
        float wrong = Scores(model, s_wrong)[0];
        Assert.IsGreaterThanOrEqualTo(share, Scores(model, Trained.AllRows()).Count(s => s < wrong) / 300.0);
    }

    [TestMethod]
    public void A_constant_feature_that_stays_counts_for_nothing_and_one_that_moves_for_more_than_all_else()
    {
        using TrainedVector model = Detector(new() { Epochs = 20 }).Model;
        (float[] score, float[] byFeature) = RandomVae.Scores(
            model, RandomVae.Block([11f, 2f, 14f, 7, 11f, 2f, 14f, 7.1f], 4), 2);
        Assert.AreEqual(0, byFeature[3], 1e-4f * score[0]); // it has a share so small of what belongs to the whole row
        Assert.IsGreaterThan(1e6f, byFeature[7]);
    }

    [TestMethod]
    public void Rows_are_stored_for_novelty_alone_and_not_with_conditions()
    {
        VaeOptions once = new() { Epochs = 1 };
        Assert.AreEqual(300, Stored(Detector(once)));
        Assert.AreEqual(0, Stored(Detector(once with { Score = VaeScore.NegativeLogLikelihood })));
        IRowSource labelled = new FieldRows(40, [4, 1], (i, j) => i * (3 + j) % 7);
        Assert.AreEqual(0, Stored(Detector(once with { ConditionColumnNames = ["Label"] }, labelled)));
        VectorFitResult generator = VectorFit.Fit(Trained.SumRows(), VaeTrainer.Family, once, Trained.OnCpu);
        Assert.AreEqual(0, Stored(generator));
        Assert.IsTrue(float.IsPositiveInfinity(generator.Threshold));

        static int Stored(VectorFitResult fit)
        {
            fit.Model.Dispose();
            int stored = ((VaeOptions)fit.Options).ReferenceRows;
            Assert.AreEqual(stored, fit.Model.Weights.Find("memory")?.Shape[0] ?? 0);
            return stored;
        }
    }

    [TestMethod]
    [DataRow(10)]
    [DataRow(12)]
    public void A_handful_of_rows_trains(int rows)
    {
        using TrainedVector model = Detector(new() { Epochs = 2 }, Trained.SumRows(rows)).Model;
        Assert.IsTrue(Scores(model, Trained.AllRows(10)).All(float.IsFinite));
        using TrainedVector linear = Detector(new() { Epochs = 2, HiddenLayers = [] }, Trained.SumRows(rows)).Model;
        Assert.IsTrue(Scores(linear, Trained.AllRows(10)).All(float.IsFinite));
    }

    [TestMethod]
    [DataRow(VaeScore.Novelty)]
    [DataRow(VaeScore.NegativeLogLikelihood)]
    public void Extreme_values_give_large_finite_scores(VaeScore score)
    {
        using TrainedVector model = Detector(new() { Epochs = 20, Score = score }).Model;
        float[] scores = Scores(model, [1e30f, 0, 0, 7, -1e38f, 1e38f, 0, 7, .. s_usual]);
        Assert.IsTrue(scores.All(float.IsFinite));
        Assert.IsGreaterThan(scores[2], scores[0]);
        Assert.IsGreaterThan(scores[2], scores[1]);
    }

    [TestMethod]
    public void Constant_tensors_stay_what_they_are_though_weights_are_averaged()
    {
        using TrainedVector model = Detector(
            new() { Epochs = 40, Likelihood = VaeLikelihood.Auto }, new ArrayRows(60, 2, (i, j) => i % (3 + j) == 0 ? 1 : 0)).Model;
        Assert.IsTrue(model.Weights["binary"].All(v => v == 1));
        CollectionAssert.AreEqual(model.Weights["input_mean"], model.Weights["bernoulli_mean"]);
    }
}
