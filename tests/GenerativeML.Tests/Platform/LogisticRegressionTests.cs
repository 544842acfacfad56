using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>What logistic regression learns, and how binary classifiers are graded.</summary>
[TestClass]
public sealed class LogisticRegressionTests
{
    private readonly MLContext _ml = new(1);

    // One feature that is 0 or 1: of four rows each, one and three are positive.
    private static readonly TableView s_rows = new TableView(8)
        .AddVector("Features", 1, i => [i / 4])
        .Add("Label", BooleanDataViewType.Instance, i => i is 0 or 4 or 5 or 6);

    [TestMethod]
    public void Without_penalties_the_score_is_the_log_odds()
    {
        IDataView scored = _ml.BinaryClassification.Trainers
            .LbfgsLogisticRegression(l1Regularization: 0, l2Regularization: 0).Fit(s_rows).Transform(s_rows);
        float[] scores = [.. scored.GetColumn<float>("Score")];
        Assert.AreEqual(-Math.Log(3), scores[0], 0.01);
        Assert.AreEqual(Math.Log(3), scores[4], 0.01);
        Assert.AreEqual(0.75, scored.GetColumn<float>("Probability").Last(), 0.01);
        CollectionAssert.AreEqual(
            new[] { false, false, false, false, true, true, true, true },
            scored.GetColumn<bool>("PredictedLabel").ToArray());
    }

    [TestMethod]
    [DataRow(1f, 0f)]
    [DataRow(0f, 0.5f)]
    [DataRow(0.5f, 1f)]
    public void Penalties_are_on_weights_and_not_on_the_bias(float l1, float l2)
    {
        var model = _ml.BinaryClassification.Trainers
            .LbfgsLogisticRegression(l1Regularization: l1, l2Regularization: l2).Fit(s_rows);
        float[] scores = [.. model.Transform(s_rows).GetColumn<float>("Score")];
        double weight = scores[4] - scores[0];
        double low = 1 / (1 + Math.Exp(-scores[0])), high = 1 / (1 + Math.Exp(-scores[4]));
        // Where the loss is least, its slopes are zero: by the bias, and by the weight with its penalties.
        Assert.AreEqual(0, 4 * low - 1 + 4 * high - 3, 0.02);
        Assert.AreEqual(0, 4 * high - 3 + l1 + l2 * weight, 0.02);
    }

    [TestMethod]
    public void A_strong_penalty_leaves_the_bias_alone()
    {
        float[] scores = [.. _ml.BinaryClassification.Trainers.LbfgsLogisticRegression(l1Regularization: 100)
            .Fit(s_rows).Transform(s_rows).GetColumn<float>("Score")];
        CollectionAssert.AreEqual(new float[8], scores.Select(s => MathF.Round(s, 2)).ToArray());
    }

    [TestMethod]
    public void A_label_that_is_not_Boolean_is_refused()
    {
        TableView rows = new TableView(8)
            .AddVector("Features", 1, i => [i])
            .Add("Label", NumberDataViewType.Single, i => (float)(i % 2));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _ml.BinaryClassification.Trainers.LbfgsLogisticRegression().Fit(rows));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _ml.BinaryClassification.Trainers.LbfgsLogisticRegression("Absent").Fit(rows));
    }

    [TestMethod]
    public void Grades_are_by_rank_and_by_predicted_label()
    {
        float[] scores = [-2, -1, 0.5f, 0.5f, 3];
        bool[] labels = [false, true, false, true, true];
        TableView rows = Scored(scores, labels);
        var grades = _ml.BinaryClassification.Evaluate(rows);
        // Of six pairs, the positive row is above in four and level in one.
        Assert.AreEqual(4.5 / 6, grades.AreaUnderRocCurve, 1e-6);
        Assert.AreEqual(0.6, grades.Accuracy, 1e-6);
        Assert.AreEqual(2 * 2.0 / (3 + 3), grades.F1Score, 1e-6);
    }

    [TestMethod]
    public void Rows_of_one_class_alone_are_not_graded()
    {
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _ml.BinaryClassification.Evaluate(Scored([1, 2], [false, false])));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _ml.BinaryClassification.Evaluate(Scored([1, 2], [true, true])));
    }

    private static TableView Scored(float[] scores, bool[] labels) => new TableView(scores.Length)
        .Add("Label", BooleanDataViewType.Instance, i => labels[i])
        .Add("Score", NumberDataViewType.Single, i => scores[i])
        .Add("Probability", NumberDataViewType.Single, i => 1 / (1 + MathF.Exp(-scores[i])))
        .Add("PredictedLabel", BooleanDataViewType.Instance, i => scores[i] > 0);
}
