using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Rows;

[TestClass]
public sealed class PredictionEngineTests
{
    private static readonly MLContext s_ml = new(1);

    [TestMethod]
    public void A_prediction_engine_gives_what_Transform_gives()
    {
        Input[] inputs = Inputs(40);
        IDataView data = s_ml.Data.LoadFromEnumerable(inputs);
        ITransformer chain = new AffineEstimator(s_ml, new AffineOptions { Rows = 7 })
            .Append(s_ml.Transforms.Concatenate("Both", "Features", "Twice"))
            .Fit(data);
        Output[] transformed = [.. s_ml.Data.CreateEnumerable<Output>(chain.Transform(data), reuseRowObject: false)];
        using PredictionEngine<Input, Output> engine = s_ml.Model.CreatePredictionEngine<Input, Output>(chain);
        for (int row = 0; row < inputs.Length; row++)
        {
            Output predicted = engine.Predict(inputs[row]);
            Assert.AreEqual(transformed[row].Score, predicted.Score);
            Assert.AreEqual(transformed[row].PredictedLabel, predicted.PredictedLabel);
            Assert.AreEqual(transformed[row].Words, predicted.Words);
            Assert.AreEqual(inputs[row].Name, predicted.Name);
            CollectionAssert.AreEqual(transformed[row].Twice, predicted.Twice);
            CollectionAssert.AreEqual(transformed[row].Both, predicted.Both);
        }
    }

    [TestMethod]
    public void An_engine_computes_once_for_each_example()
    {
        var transformer = new AffineTransformer(new AffineModel());
        using PredictionEngine<Input, Output> engine = s_ml.Model.CreatePredictionEngine<Input, Output>(transformer);
        foreach (Input input in Inputs(5))
            engine.Predict(input);
        Assert.AreEqual(5, transformer.Model.Calls, "four outputs of a row are one computation");
        Assert.AreEqual(5, transformer.Model.Rows);
    }

    [TestMethod]
    public void Several_engines_share_a_transformer_on_several_threads()
    {
        using var transformer = new AffineTransformer(new AffineModel());
        Input[] inputs = Inputs(300);
        Parallel.For(0, 4, _ =>
        {
            PredictionEngine<Input, Output> engine = s_ml.Model.CreatePredictionEngine<Input, Output>(
                transformer, new PredictionEngineOptions { OwnsTransformer = false });
            foreach (Input input in inputs)
                Assert.AreEqual(AffineModel.ScoreOf(input.Features), engine.Predict(input).Score);
        });
    }

    [TestMethod]
    public void A_vector_without_a_size_is_refused_with_a_hint()
    {
        using var transformer = new AffineTransformer(new AffineModel());
        var error = Assert.Throws<ArgumentOutOfRangeException>(
            () => s_ml.Model.CreatePredictionEngine<Sizeless, Output>(transformer));
        StringAssert.Contains(error.Message, "VectorType");
    }

    [TestMethod]
    public void A_transformer_outlives_the_engines_that_dispose_it()
    {
        // ML.NET's engines dispose the transformer that they were made of, unless told otherwise.
        IDataView data = s_ml.Data.LoadFromEnumerable(Inputs(30));
        VectorTransformer transformer = s_ml.AnomalyDetection.Trainers.Autoencoder(epochs: 1).Fit(data);
        float[] before = [.. transformer.Transform(data).GetColumn<float>("Score")];
        for (int request = 0; request < 3; request++)
        {
            using PredictionEngine<Input, Output> engine = s_ml.Model.CreatePredictionEngine<Input, Output>(transformer);
            Assert.AreEqual(before[7], engine.Predict(Inputs(30).ElementAt(7)).Score);
        }
        transformer.Dispose();
        CollectionAssert.AreEqual(before, transformer.Transform(data).GetColumn<float>("Score").ToArray());
    }

    [TestMethod]
    public void A_failed_computation_is_tried_again_for_the_same_row()
    {
        var table = new TableView(1).AddVector("Features", 3, _ => [1, 1, 1]);
        var model = new FailsOnce();
        IRowToRowMapper mapper = new BatchRowMapper(table.Schema, model);
        using DataViewRowCursor cursor = table.GetRowCursor(table.Schema);
        using DataViewRow row = mapper.GetRow(cursor, mapper.OutputSchema);
        Assert.IsTrue(cursor.MoveNext());
        ValueGetter<float> score = row.GetGetter<float>(row.Schema["Score"]);
        float value = 0;
        Assert.Throws<TimeoutException>(() => score(ref value));
        score(ref value);
        Assert.AreEqual(6, value);
    }

    [TestMethod]
    public void Cache_split_and_shuffle_work_on_a_transformed_view()
    {
        IDataView data = s_ml.Data.LoadFromEnumerable(Inputs(60));
        IDataView scored = new AffineTransformer(new AffineModel(batchSize: 7)).Transform(data);
        float[] expected = [.. Inputs(60).Select(i => AffineModel.ScoreOf(i.Features))];
        CollectionAssert.AreEqual(expected, s_ml.Data.Cache(scored).GetColumn<float>("Score").ToArray());
        CollectionAssert.AreEquivalent(expected, s_ml.Data.ShuffleRows(scored, seed: 3).GetColumn<float>("Score").ToArray());
        DataOperationsCatalog.TrainTestData halves = s_ml.Data.TrainTestSplit(scored, 0.5, seed: 2);
        CollectionAssert.AreEquivalent(
            expected,
            halves.TrainSet.GetColumn<float>("Score").Concat(halves.TestSet.GetColumn<float>("Score")).ToArray());
    }

    private static Input[] Inputs(int count) =>
        [.. Enumerable.Range(0, count).Select(i => new Input { Name = $"row {i}", Features = [i, i / 2f, -i] })];

    private sealed class FailsOnce : IBatchModel
    {
        private readonly AffineModel _model = new();
        private bool _failed;

        public IReadOnlyList<RowField> Inputs => _model.Inputs;

        public IReadOnlyList<OutputColumn> Outputs => _model.Outputs;

        public int BatchSize => 4;

        public NonFiniteReplacement? Replacement => null;

        public void Run(RowBlock inputs, int rows, OutputBlock outputs)
        {
            if (!_failed)
            {
                _failed = true;
                throw new TimeoutException("once");
            }
            _model.Run(inputs, rows, outputs);
        }

        public void Dispose() => _model.Dispose();
    }

    public sealed class Input
    {
        public string Name { get; set; } = "";

        [VectorType(3)]
        public float[] Features { get; set; } = [];
    }

    public sealed class Sizeless
    {
        public float[] Features { get; set; } = [];
    }

    public sealed class Output
    {
        public string Name { get; set; } = "";

        public float Score { get; set; }

        public bool PredictedLabel { get; set; }

        public string Words { get; set; } = "";

        public float[] Twice { get; set; } = [];

        public float[] Both { get; set; } = [];
    }
}
