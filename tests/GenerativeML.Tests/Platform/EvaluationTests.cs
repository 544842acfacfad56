using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>What <c>AnomalyDetection.Evaluate</c> takes and gives.</summary>
[TestClass]
public sealed class EvaluationTests
{
    private readonly MLContext _ml = new();

    [TestMethod]
    public void A_single_label_is_taken_without_annotations()
    {
        AnomalyDetectionMetrics metrics = Evaluate(200, i => i % 20 == 0 ? 1 : 0, i => i % 20 == 0 ? 5 + i : i / 100f);
        Assert.AreEqual(1, metrics.AreaUnderRocCurve);
        Assert.AreEqual(1, metrics.DetectionRateAtFalsePositiveCount);
    }

    [TestMethod]
    public void Fewer_normal_rows_than_false_positives_allowed_detect_all()
    {
        AnomalyDetectionMetrics metrics = Evaluate(10, i => i % 2, i => i);
        Assert.AreEqual(0.6, metrics.AreaUnderRocCurve, 1e-12);
        Assert.AreEqual(1, metrics.DetectionRateAtFalsePositiveCount);
    }

    [TestMethod]
    public void Equal_scores_count_half() =>
        Assert.AreEqual(0.5, Evaluate(40, i => i % 2, _ => 1).AreaUnderRocCurve, 1e-12);

    [TestMethod]
    public void A_score_that_is_no_number_does_not_count()
    {
        AnomalyDetectionMetrics metrics = Evaluate(50, i => i % 2, i => i == 3 ? float.NaN : i);
        Assert.AreEqual(323.0 / 600, metrics.AreaUnderRocCurve, 1e-12);
        Assert.AreEqual(11.0 / 24, metrics.DetectionRateAtFalsePositiveCount, 1e-12);
    }

    [TestMethod]
    public void A_key_of_two_values_is_a_label()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(Enumerable.Range(0, 10).Select(
            i => new KeyLabel { Label = i > 6 ? 1u : 0u, Score = i }));
        Assert.AreEqual(1, _ml.AnomalyDetection.Evaluate(data).AreaUnderRocCurve);
    }

    [TestMethod]
    public void A_boolean_label_is_refused()
    {
        IDataView data = _ml.Data.LoadFromEnumerable([new BooleanLabel { Label = true, Score = 1 }]);
        ArgumentOutOfRangeException refused =
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.AnomalyDetection.Evaluate(data));
        Assert.Contains("'Label'", refused.Message);
    }

    [TestMethod]
    [DataRow(0f)]
    [DataRow(1f)]
    public void One_class_alone_is_refused(float label) =>
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Evaluate(50, _ => label, i => i));

    [TestMethod]
    public void A_column_that_is_not_there_is_refused()
    {
        IDataView data = _ml.Data.LoadFromEnumerable([new SingleLabel()]);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.AnomalyDetection.Evaluate(data, "Nope"));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.AnomalyDetection.Evaluate(data, scoreColumnName: "Nope"));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _ml.AnomalyDetection.Evaluate(data, predictedLabelColumnName: "Nope"));
    }

    private AnomalyDetectionMetrics Evaluate(int count, Func<int, float> label, Func<int, float> score) =>
        _ml.AnomalyDetection.Evaluate(_ml.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(
            i => new SingleLabel { Label = label(i), Score = score(i) })));

    private sealed class SingleLabel
    {
        public float Label { get; set; }

        public float Score { get; set; }

        public bool PredictedLabel { get; set; }
    }

    private sealed class BooleanLabel
    {
        public bool Label { get; set; }

        public float Score { get; set; }

        public bool PredictedLabel { get; set; }
    }

    private sealed class KeyLabel
    {
        [KeyType(2)]
        public uint Label { get; set; }

        public float Score { get; set; }

        public bool PredictedLabel { get; set; }
    }
}
