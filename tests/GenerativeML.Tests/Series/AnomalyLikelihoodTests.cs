using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Series;

[TestClass]
public sealed class AnomalyLikelihoodTests
{
    private static readonly AnomalyLikelihoodOptions s_plain = new() { Warmup = 1, RestPeriod = 0 };

    [TestMethod]
    public void A_likelihood_is_the_logarithm_of_the_share_of_scores_before_it_that_are_as_high()
    {
        // 1 is not above any, 2 above one of two, 5 above all three, 2 above one of four.
        AssertLikelihoods(s_plain, [3, 1, 2, 5, 2], 0, Math.Log(2 / 2.0), Math.Log(3 / 2.0), Math.Log(4 / 1.0), Math.Log(5 / 4.0));
        AssertLikelihoods(s_plain with { Warmup = 4 }, [3, 1, 2, 5, 2], 0, 0, 0, 0, Math.Log(5 / 4.0));
        // Means of two: 3, 2, 1.5, 3.5, 3.5.
        AssertLikelihoods(
            s_plain with { ShortWindow = 2 }, [3, 1, 2, 5, 2], 0, 0, 0, Math.Log(4 / 1.0), Math.Log(5 / 2.0));
        // Of twelve rows the last ten: the first, which is higher, is forgotten.
        float[] falling = [9, .. Enumerable.Repeat(1f, 10), 5];
        Assert.AreEqual(Math.Log(11), Likelihoods(s_plain with { LongWindow = 10 }, falling)[11], 1e-6);
        Assert.AreEqual(Math.Log(12 / 2.0), Likelihoods(s_plain, falling)[11], 1e-6);
    }

    [TestMethod]
    public void A_row_that_is_not_stranger_than_those_just_before_it_is_ordinary()
    {
        // Without rest 0, log 2, log 3, log 4 (rising); then 3.5 is above three of four.
        AssertLikelihoods(
            s_plain with { RestPeriod = 2 }, [1, 2, 3, 4, 3.5f, 1, 3.6f], 0, Math.Log(2), Math.Log(3), Math.Log(4), 0, 0, Math.Log(7 / 2.0));
    }

    [TestMethod]
    public void Values_beyond_all_before_them_count_more()
    {
        var options = s_plain with { ValueColumnName = "Value", ExtremeMargin = 0.1, ExtremeWeight = 4, ShiftWeight = 0 };
        // The range of the values is 0 to 10 after two rows: 10.9 is within the margin of one, 12.1 beyond that of 10.9.
        float[] likelihoods = new LikelihoodRows(options, 1).Likelihoods([1, 0, 1, 10, 1, 10.9f, 1, 12.1f, 1, -1.3f]);
        float[] expected = [0, 4, 0, 4, 4];
        for (int t = 0; t < expected.Length; t++)
            Assert.AreEqual(expected[t], likelihoods[t], 1e-6, $"row {t}"); // all scores are alike
    }

    [TestMethod]
    public void The_first_of_values_that_begin_late_is_neither_extreme_nor_a_shift()
    {
        var options = s_plain with { ValueColumnName = "Value" };
        float[] rows = [.. Enumerable.Range(0, 60).SelectMany(t => new[] { 1, t < 50 ? float.NaN : 1000 + t % 2 })];
        float[] likelihoods = new LikelihoodRows(options, 1).Likelihoods(rows);
        Assert.AreEqual(0, likelihoods[50], 1e-6);
        Assert.AreEqual(6, likelihoods[51], 1e-6); // beyond the only one before it
        Assert.AreEqual(0, likelihoods[52..].Max(), 1e-6);
    }

    [TestMethod]
    public void A_likelihood_at_a_row_is_the_same_without_the_rows_behind_it()
    {
        var options = new AnomalyLikelihoodOptions { ValueColumnName = "Value", ShortWindow = 3, Warmup = 5, RestPeriod = 7, LongWindow = 50, ShiftWindow = 3 };
        var random = new Random(1);
        float[] rows = [.. Enumerable.Range(0, 400).Select(_ => (float)random.NextDouble())];
        float[] whole = new LikelihoodRows(options, 1).Likelihoods(rows);
        foreach (int count in (int[])[1, 40, 120, 199])
            Assert.AreSequenceEqual(whole[..count], new LikelihoodRows(options, 1).Likelihoods(rows.AsSpan(0, 2 * count)));
        // One huge score does not spoil the means of those long after it.
        float[] spoiled = [.. rows];
        spoiled[2 * 20] = 1e30f;
        Assert.AreSequenceEqual(whole[180..], new LikelihoodRows(options, 1).Likelihoods(spoiled)[180..]);
    }

    [TestMethod]
    public void Options_by_which_no_row_could_be_an_anomaly_are_refused()
    {
        TransformsCatalog transforms = new MLContext().Transforms;
        Assert.Throws<ArgumentOutOfRangeException>(() => transforms.AnomalyLikelihood(new() { LongWindow = 500 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => transforms.AnomalyLikelihood(new() { OneIn = 1 }));
        _ = transforms.AnomalyLikelihood(new() { LongWindow = 500, ValueColumnName = "Value" });
    }

    [TestMethod]
    public void A_shift_of_the_values_counts_by_how_rare_it_is()
    {
        // Alternating 0 and 1, then 5: with windows of two the mean of the last two is compared with that of twenty before.
        var options = s_plain with { ValueColumnName = "Value", ExtremeWeight = 0, ShiftWindow = 2, ShiftWeight = 0.5 };
        float[] rows = [.. Enumerable.Range(0, 30).SelectMany(t => new[] { 1, t < 29 ? t % 2 : 5f })];
        float[] likelihoods = new LikelihoodRows(options, 1).Likelihoods(rows);
        // There are 19 shifts by the last row, one for each that has ten values before its two; it is the largest.
        Assert.AreEqual(0.5 * Math.Log(19), likelihoods[29], 1e-6);
        Assert.AreEqual(0, likelihoods[10], 1e-6);
    }

    [TestMethod]
    public void Series_begin_anew_and_rows_without_a_score_are_none_to_compare_with()
    {
        TableView rows = new TableView(6)
            .Add("Series", NumberDataViewType.Int32, row => row / 3)
            .Add("Score", NumberDataViewType.Single, row => row == 1 ? float.NaN : row % 3);
        var ml = new MLContext(1);
        AnomalyLikelihoodEstimator estimator = ml.Transforms.AnomalyLikelihood(s_plain with { GroupColumnName = "Series", OneIn = 2.5 });
        AnomalyLikelihoodTransformer transformer = estimator.Fit(rows);
        CollectionAssert.AreEquivalent(
            SchemaTests.Describe(estimator.GetOutputSchema(SchemaTests.Shape(rows.Schema))),
            SchemaTests.Describe(SchemaTests.Shape(transformer.GetOutputSchema(rows.Schema))));
        transformer.Threshold = (float)Math.Log(3);
        using var file = new MemoryStream();
        ml.Model.Save(transformer, rows.Schema, file);
        IDataView result = ml.Model.Load(file, out _).Transform(rows);
        double[] expected = [0, double.NaN, Math.Log(2), 0, Math.Log(2), Math.Log(3)];
        float[] found = [.. result.GetColumn<float>("Likelihood")];
        for (int t = 0; t < 6; t++)
            Assert.AreEqual((float)expected[t], found[t], 1e-6f);
        CollectionAssert.AreEqual(new[] { false, false, false, false, false, true }, result.GetColumn<bool>("PredictedLabel").ToArray());
    }

    [TestMethod]
    public void What_cannot_be_is_refused_and_named()
    {
        var ml = new MLContext(1);
        TableView rows = new TableView(2).Add("Score", TextDataViewType.Instance, _ => "".AsMemory());
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => ml.Transforms.AnomalyLikelihood().Fit(rows)).Message, "Column 'Score' is of the wrong type");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => ml.Transforms.AnomalyLikelihood(new() { LongWindow = 5 })).Message, "LongWindow");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => ml.Transforms.AnomalyLikelihood(new() { OneIn = 0.5 })).Message, "OneIn");
    }

    private static float[] Likelihoods(AnomalyLikelihoodOptions options, float[] scores) => new LikelihoodRows(options, 0).Likelihoods(scores);

    private static void AssertLikelihoods(AnomalyLikelihoodOptions options, float[] scores, params double[] expected)
    {
        float[] found = Likelihoods(options, scores);
        for (int t = 0; t < expected.Length; t++)
            Assert.AreEqual(expected[t], found[t], 1e-6, $"row {t}");
    }
}
