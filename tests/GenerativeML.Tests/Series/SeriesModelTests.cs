using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Series;

[TestClass]
[DoNotParallelize]
public sealed class SeriesModelTests
{
    private static readonly MLContext s_ml = new(1);

    [TestMethod]
    public void A_step_is_scored_by_the_mean_over_the_windows_that_hold_it()
    {
        float[] values = [.. Enumerable.Range(0, 40).Select(t => MathF.Sin(t))];
        var options = new SequenceAutoencoderOptions
        {
            FeatureColumnName = "Value", PredictedLabelColumnName = null, WindowLength = 5, Width = 4, Epochs = 1, ExpectedColumnName = "Expected",
        };
        using SeriesTransformer trained = s_ml.AnomalyDetection.Trainers.SequenceAutoencoder(options).Fit(Rows(values));
        float[] scores = Scores(trained, values);
        var network = (SequenceAutoencoderNetwork)trained.State.Model.Network;
        float[] z = SeriesSteps.Of(values, trained.State.Model.Scaler).Values;
        foreach (int t in new[] { 0, 2, 17, 39 })
        {
            double sum = 0;
            int count = 0;
            for (int end = t; end < Math.Min(t + 5, 40); end++)
            {
                // The window alone; what is before the first step was not observed.
                float[] steps = [.. Enumerable.Range(end - 4, 5).Select(i => i < 0 ? 0 : z[i])];
                float[] seen = [.. Enumerable.Range(end - 4, 5).Select(i => i < 0 ? 0f : 1)];
                sum += trained.State.Model.Run("alone", () => new Errors(network), steps, seen, 1, [5])[0][t - end + 4];
                count++;
            }
            Assert.AreEqual(sum / count, scores[t], 1e-5);
        }
        // The column of what is made of the steps explains a score where one window holds the step: the last one.
        float[] expected = [.. trained.Transform(Rows(values)).GetColumn<float>("Expected")];
        double error = (expected[39] - values[39]) * trained.State.Model.Scaler.Scale(0);
        Assert.AreEqual(error * error, scores[39], 1e-4);
    }

    [TestMethod]
    public void What_is_scored_as_a_stream_does_not_see_the_future()
    {
        float[] values = [.. Enumerable.Range(0, 60).Select(t => MathF.Sin(t * 0.7f))], other = [.. values[..45], .. Enumerable.Repeat(9f, 15)];
        using SeriesTransformer autoencoder = s_ml.AnomalyDetection.Trainers.SequenceAutoencoder(new()
        {
            FeatureColumnName = "Value", PredictedLabelColumnName = null, WindowLength = 8, Width = 4, Epochs = 1, Score = SequenceScore.LastOfWindow,
        }).Fit(Rows(values));
        using AutoregressiveSeriesTransformer autoregressive = s_ml.Generative.AutoregressiveSeries(new()
        {
            FeatureColumnName = "Value", WindowLength = 8, Width = 4, Epochs = 1,
        }).Fit(Rows(values));
        foreach (SeriesTransformer model in new SeriesTransformer[] { autoencoder, autoregressive })
        {
            float[] whole = Scores(model, values);
            AssertClose(whole[..45], Scores(model, other)[..45]);
            AssertClose(whole[..31], Scores(model, values[..31]));
        }
    }

    [TestMethod]
    public void An_autoregressive_process_is_learned_to_its_entropy_and_forecast_as_the_formula_says()
    {
        // x(t) = 0.8·x(t − 1) + e with a standard normal e: given x, the step h ahead has the mean 0.8ʰ·x and the variance
        // (1 − 0.64ʰ)/0.36; the entropy of a step is log √(2πe).
        const int length = 3000;
        float[] noise = new float[length], values = new float[length];
        var random = new SplitMix64(11);
        NormalNumbers.Fill(ref random, noise);
        for (int t = 1; t < length; t++)
            values[t] = 0.8f * values[t - 1] + noise[t];
        using AutoregressiveSeriesTransformer model = s_ml.Generative.AutoregressiveSeries(new()
        {
            FeatureColumnName = "Value", WindowLength = 8, Width = 12, Layers = 1, MixtureComponents = 2, Epochs = 12, LearningRate = 1e-2, Layer = SequenceLayer.Lstm,
        }).Fit(Rows(values));
        double entropy = 0.5 * Math.Log(2 * Math.PI * Math.E);
        Assert.AreEqual(entropy, Scores(model, values).Skip(1).Average(), 0.05); // three standard errors of so many steps

        SeriesForecast forecast = model.Forecast(Rows([.. values[..100], 2]), new() { Horizon = 3, Samples = 4000, Quantiles = [0.1, 0.5] }).Single();
        Assert.AreEqual((3, 1, (string?)null), (forecast.Horizon, forecast.Features, forecast.Series));
        for (int h = 1; h <= 3; h++)
        {
            double mean = Math.Pow(0.8, h) * 2, deviation = Math.Sqrt((1 - Math.Pow(0.64, h)) / 0.36);
            Assert.AreEqual(mean, forecast.Mean[h - 1], 0.3);
            Assert.AreEqual(mean, forecast.Quantiles[1][h - 1], 0.3);
            Assert.AreEqual(mean - 1.2816 * deviation, forecast.Quantiles[0][h - 1], 0.4);
        }
        CollectionAssert.AreEqual(
            forecast.Samples.ToArray(),
            model.Forecast(Rows([.. values[..100], 2]), new() { Horizon = 3, Samples = 4000 }).Single().Samples.ToArray());

        // Generated rows have the process's deviation, 1/0.6, and its correlation; the same rows in any order of reading.
        float[] made = [.. model.Generate(1500, seed: 3).GetColumn<float>("Value")];
        Assert.AreEqual(1 / 0.6, Math.Sqrt(made.Average(v => v * v)), 0.35);
        Assert.AreEqual(0.8, made.Zip(made.Skip(1), (a, b) => a * b).Average() / made.Average(v => v * v), 0.08);
        CollectionAssert.AreEqual(made[..130], model.Generate(130, seed: 3).GetColumn<float>("Value").ToArray());
    }

    [TestMethod]
    public void Zeros_and_ones_are_generated_series_by_series()
    {
        // In series of four steps, the first key is always on, the second in every other step.
        TableView rows = new TableView(80)
            .Add("Series", NumberDataViewType.Int32, row => row / 4)
            .AddVector("Keys", 2, row => [1, row % 2]);
        using AutoregressiveSeriesTransformer model = s_ml.Generative.AutoregressiveSeries(new()
        {
            FeatureColumnName = "Keys", GroupColumnName = "Series", Density = SeriesDensity.Bernoulli, WindowLength = 4, Width = 8, Epochs = 200,
            LearningRate = 1e-2, WeightDecay = 0,
        }).Fit(rows);
        IDataView made = model.Generate(12, seed: 1);
        CollectionAssert.AreEqual(new[] { 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3 }, made.GetColumn<int>("Series").ToArray());
        Assert.AreEqual("1 0|1 1|1 0|1 1|1 0|1 1|1 0|1 1|1 0|1 1|1 0|1 1", string.Join("|", made.GetColumn<float[]>("Keys").Select(k => string.Join(" ", k))));
        CollectionAssert.AreEqual(
            Enumerable.Range(0, 20).Select(i => $"{i}").ToArray(), model.Forecast(rows).Select(f => f.Series).ToArray());

        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => s_ml.Generative.AutoregressiveSeries(new()
            {
                FeatureColumnName = "Value", Density = SeriesDensity.Bernoulli,
            }).Fit(Rows([0, 1, 2]))).Message,
            "Column 'Value' has values from 0 to 2");
    }

    [TestMethod]
    public void A_label_is_told_by_steps_that_were_not_trained_on()
    {
        float[] values = [.. Enumerable.Range(0, 300).Select(t => MathF.Sin(t * 0.5f))], broken = [.. values];
        broken[200] = 4;
        using SeriesTransformer model = s_ml.AnomalyDetection.Trainers.SequenceAutoencoder(new()
        {
            FeatureColumnName = "Value", WindowLength = 12, Width = 12, Contamination = 0.05, Epochs = 12, PValueColumnName = "P",
        }).Fit(Rows(values));
        // The last fifth is what it is calibrated by.
        IDataView scored = model.Transform(Rows(values));
        Assert.IsLessThanOrEqualTo(0.05 * 60 + 1, scored.GetColumn<bool>("PredictedLabel").Skip(240).Count(l => l));
        Assert.IsTrue(model.Transform(Rows(broken)).GetColumn<bool>("PredictedLabel").ElementAt(200));
        Assert.AreEqual(1f / 61, model.Transform(Rows(broken)).GetColumn<float>("P").ElementAt(200), 1e-6f);
    }

    [TestMethod]
    public void What_was_not_observed_has_no_score_and_is_no_error_where_it_may_be()
    {
        float[] values = [.. Enumerable.Range(0, 40).Select(t => t is 7 or 8 ? float.NaN : MathF.Sin(t))];
        var options = new SequenceAutoencoderOptions { FeatureColumnName = "Value", WindowLength = 6, Width = 4, Epochs = 1 };
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => s_ml.AnomalyDetection.Trainers.SequenceAutoencoder(options).Fit(Rows(values))).Message,
            "Column 'Value' holds 2 values that are NaN, infinite or missing, in 2 of 40 rows; the first is NaN in slot 0 of row 7");
        using SeriesTransformer model = s_ml.AnomalyDetection.Trainers.SequenceAutoencoder(
            options with { NonFiniteValues = NonFiniteValues.Replace }).Fit(Rows(values));
        float[] scores = Scores(model, values);
        CollectionAssert.AreEqual(new[] { 7, 8 }, Enumerable.Range(0, 40).Where(t => float.IsNaN(scores[t])).ToArray());
        Assert.IsFalse(model.Transform(Rows(values)).GetColumn<bool>("PredictedLabel").ElementAt(7));
    }

    [TestMethod]
    public void Gaps_longer_than_a_window_are_passed_over_and_a_series_without_a_whole_step_is_refused()
    {
        // One window at a time: what has nothing observed would be nothing to divide by.
        float[] values = [.. Enumerable.Range(0, 60).Select(t => t is > 10 and < 50 ? float.NaN : MathF.Sin(t))];
        var options = new AutoregressiveSeriesOptions
        {
            FeatureColumnName = "Value", WindowLength = 6, Width = 4, Epochs = 2, BatchSize = 1, NonFiniteValues = NonFiniteValues.Replace,
        };
        using AutoregressiveSeriesTransformer model = s_ml.Generative.AutoregressiveSeries(options).Fit(Rows(values));
        Assert.AreEqual(21, Scores(model, values).Count(float.IsFinite));
        TableView turns = new TableView(40).AddVector("Value", 2, row => row % 2 == 0 ? [1, float.NaN] : [float.NaN, 2]);
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => s_ml.Generative.AutoregressiveSeries(options).Fit(turns)).Message, "in no row");
    }

    [TestMethod]
    public void Generated_steps_are_the_same_wherever_a_reader_begins_and_however_many_there_are()
    {
        using AutoregressiveSeriesTransformer model = s_ml.Generative.AutoregressiveSeries(new()
        {
            FeatureColumnName = "Value", WindowLength = 4, Width = 4, Epochs = 1,
        }).Fit(Rows([.. Enumerable.Range(0, 40).Select(t => MathF.Sin(t))]));
        // So many blocks that not all of their beginnings are kept, read forwards, and by a shuffled cursor.
        const int rows = 64 * 150;
        IDataView view = model.Generate(rows, seed: 5);
        float[] forwards = [.. view.GetColumn<float>("Value")];
        DataViewSchema.Column column = view.Schema["Value"];
        using DataViewRowCursor shuffled = model.Generate(rows, seed: 5).GetRowCursor([column], new Random(3));
        ValueGetter<float> value = shuffled.GetGetter<float>(column);
        ValueGetter<DataViewRowId> id = shuffled.GetIdGetter();
        for (int i = 0; i < 500 && shuffled.MoveNext(); i++)
        {
            DataViewRowId number = default;
            float found = 0;
            id(ref number);
            value(ref found);
            Assert.AreEqual(forwards[(int)number.Low], found);
        }
    }

    [TestMethod]
    public void Short_series_are_learned_and_a_single_step_is_refused()
    {
        // All shorter than the window: what is before, or behind, was not observed.
        TableView rows = new TableView(30)
            .Add("Series", NumberDataViewType.Int32, row => row / 3).Add("Value", NumberDataViewType.Single, row => (float)(row % 3));
        var options = new AutoregressiveSeriesOptions { FeatureColumnName = "Value", GroupColumnName = "Series", Epochs = 1 };
        using AutoregressiveSeriesTransformer model = s_ml.Generative.AutoregressiveSeries(options).Fit(rows);
        float[] scores = [.. model.Transform(rows).GetColumn<float>("Score")];
        Assert.HasCount(30, scores);
        AssertClose(scores[..3], scores[27..]); // each begins anew
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(
                () => s_ml.Generative.AutoregressiveSeries(options with { GroupColumnName = null }).Fit(Rows([1]))).Message,
            "Column 'Value' has one step");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => s_ml.Generative.AutoregressiveSeries(new() { WindowLength = 1 })).Message, "WindowLength");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => model.Forecast(rows, new() { Quantiles = [2] })).Message, "Quantiles");
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => s_ml.Generative.AutoregressiveSeries(new() { FeaturesPerStep = 3 }).Fit(
                new TableView(4).AddVector("Features", 4, row => new float[4]))).Message,
            "Column 'Features' has 4 features, which are no whole number of steps of 3 features");
        Assert.Throws<InvalidOperationException>(() => ((ITransformer)model).GetRowToRowMapper(rows.Schema));
    }

    [TestMethod]
    public void Series_of_one_row_each_have_a_score_each_and_what_no_threshold_can_be_told_by_is_refused()
    {
        TableView rows = new TableView(40)
            .Add("Series", NumberDataViewType.Int32, row => row).Add("Value", NumberDataViewType.Single, row => MathF.Sin(row));
        var options = new AutoregressiveSeriesOptions { FeatureColumnName = "Value", GroupColumnName = "Series", Epochs = 2, Width = 4 };
        using (AutoregressiveSeriesTransformer model = s_ml.Generative.AutoregressiveSeries(options).Fit(rows))
        {
            Assert.IsTrue(model.Transform(rows).GetColumn<float>("Score").All(float.IsFinite));
            Assert.HasCount(40, model.Forecast(rows, new() { Samples = 2 }));
            CollectionAssert.AreEqual(new[] { 1, 2, 3 }, model.Generate(3).GetColumn<int>("Series").ToArray());
        }
        using (SeriesTransformer detector = s_ml.AnomalyDetection.Trainers.SequenceAutoencoder(new()
        {
            FeatureColumnName = "Value", GroupColumnName = "Series", Epochs = 1, Width = 4,
        }).Fit(rows))
            Assert.IsTrue(detector.Transform(rows).GetColumn<float>("Score").All(float.IsFinite));
        string few = Assert.Throws<InvalidOperationException>(() => s_ml.AnomalyDetection.Trainers.SequenceAutoencoder(new()
        {
            FeatureColumnName = "Value", Epochs = 1,
        }).Fit(Rows([1]))).Message;
        StringAssert.Contains(few, "1 row");
    }

    private static float[] Scores(SeriesTransformer model, float[] values) => [.. model.Transform(Rows(values)).GetColumn<float>("Score")];

    private static TableView Rows(float[] values) =>
        new TableView(values.Length).Add("Value", NumberDataViewType.Single, row => values[row]);

    private static void AssertClose(float[] expected, float[] actual)
    {
        for (int i = 0; i < expected.Length; i++)
            Assert.AreEqual(expected[i], actual[i], 1e-5f * Math.Max(1, Math.Abs(expected[i])), $"step {i}");
    }

    private sealed class Errors(SequenceAutoencoderNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T> => [network.Errors(w, inputs[0], inputs[1]).Errors];
    }
}
