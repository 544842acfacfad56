using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Augmentation;

/// <summary>What a wrapped estimator sees, and what comes back.</summary>
[TestClass]
public sealed class AugmentingEstimatorTests : IDisposable
{
    private readonly MLContext _ml = new(1);
    private readonly FakeGenerator _generator = new();

    private readonly TableView _rows = new TableView(12)
        .Add("x", NumberDataViewType.Single, i => (float)i)
        .Add("class", TextDataViewType.Instance, i => (i < 7 ? "a" : i < 10 ? "b" : i < 11 ? "c" : "").AsMemory())
        .Add("flag", BooleanDataViewType.Instance, i => i == 3)
        .Add("only real", NumberDataViewType.Int32, i => i);

    public void Dispose() => _generator.Dispose();

    [TestMethod]
    public void Real_and_synthetic_rows_are_seen_in_the_ratio_and_spread_evenly()
    {
        float[] seen = Seen(new() { Ratio = 0.5 });
        Assert.HasCount(18, seen);
        CollectionAssert.AreEqual(
            Enumerable.Range(0, 12).Select(i => (float)i).ToArray(), seen.Where(x => x >= 0).ToArray());
        CollectionAssert.AreEqual(
            Enumerable.Range(1, 6).Select(i => (float)-i).ToArray(), seen.Where(x => x < 0).ToArray());
        for (int start = 0; start < 18; start += 3)
            Assert.AreEqual(1, seen[start..(start + 3)].Count(x => x < 0));
    }

    [TestMethod]
    public void By_default_there_are_as_many_synthetic_rows_as_real_ones() =>
        Assert.AreEqual(12, Seen(new()).Count(x => x < 0));

    [TestMethod]
    public void Classes_are_filled_up_to_the_most_frequent_one()
    {
        Seen(new() { BalancedColumnName = "class", Seed = 5 });
        CollectionAssert.AreEqual(
            new[] { (4L, 6, "'class' = 'b'"), (6L, 7, "'class' = 'c'") }, _generator.Asked);
        _generator.Asked.Clear();
        Seen(new() { BalancedColumnName = "flag" });
        CollectionAssert.AreEqual(new[] { (10L, 1, "'flag' = True") }, _generator.Asked);
    }

    [TestMethod]
    public void What_comes_back_is_the_wrapped_estimators_own_transformer_and_the_generator_is_gone()
    {
        CountingEstimator wrapped = new();
        CountingTransformer transformer = Augmented(wrapped, new()).Fit(_rows);
        Assert.AreSame(wrapped.Made, transformer);
        Assert.IsTrue(_generator.IsDisposed);
        Assert.AreEqual(12, transformer.Transform(_rows).GetColumn<float>("x").Count());
        Assert.AreEqual(0, _rows.OpenCursors);
    }

    [TestMethod]
    public void A_table_in_balance_is_left_as_it_is()
    {
        IDataView balanced = new TableView(4)
            .Add("x", NumberDataViewType.Single, i => (float)i)
            .Add("class", TextDataViewType.Instance, i => (i % 2 == 0 ? "a" : "b").AsMemory());
        CountingEstimator wrapped = new();
        Augmented(wrapped, new() { BalancedColumnName = "class" }).Fit(balanced);
        Assert.HasCount(4, wrapped.Seen);
        Assert.IsEmpty(_generator.Asked);
    }

    [TestMethod]
    public void The_promise_is_the_wrapped_estimators_and_errors_come_before_training()
    {
        var trainer = _ml.BinaryClassification.Trainers.LbfgsLogisticRegression();
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => Augmented(trainer, new()).Fit(_rows));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => Augmented(new CountingEstimator(), new() { BalancedColumnName = "none" }).Fit(_rows));
        TableView empty = new TableView(0).Add("x", NumberDataViewType.Single, i => 0f);
        Assert.ThrowsExactly<InvalidOperationException>(() => Augmented(new CountingEstimator(), new()).Fit(empty));
        Assert.AreEqual(0, _generator.Learned);
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => Augmented(new CountingEstimator(), new() { Ratio = 0 }));
        Assert.ThrowsExactly<ArgumentException>(
            () => Augmented(new CountingEstimator(), new() { Ratio = 1, BalancedColumnName = "class" }));
    }

    [TestMethod]
    public void A_classifier_is_trained_on_real_rows_and_on_those_of_a_trained_generator()
    {
        IDataView rows = new TableView(300)
            .Add("Label", BooleanDataViewType.Instance, i => i % 10 == 0)
            .AddVector("Features", 2, i => [i % 10 == 0 ? 1 + i % 7 : i % 5, i % 3]);
        TabularVaeTrainer generator = _ml.Generative.TabularVae(new TabularVaeOptions { Epochs = 1, Seed = 1 });
        var trainer = _ml.BinaryClassification.Trainers.LbfgsLogisticRegression();
        var model = _ml.Generative.Augment(trainer, generator, new() { BalancedColumnName = "Label" }).Fit(rows);
        Assert.AreEqual(300, model.Transform(rows).GetColumn<float>("Score").Count());
        // The classes are in balance now, so that the mean chance is far above the rarer one's share.
        float plain = trainer.Fit(rows).Transform(rows).GetColumn<float>("Probability").Average();
        Assert.AreEqual(0.1, plain, 0.02);
        Assert.IsGreaterThan(0.2f, model.Transform(rows).GetColumn<float>("Probability").Average());
    }

    private float[] Seen(AugmentationOptions options)
    {
        CountingEstimator wrapped = new();
        Augmented(wrapped, options).Fit(_rows);
        return [.. wrapped.Seen];
    }

    private AugmentingEstimator<T> Augmented<T>(IEstimator<T> wrapped, AugmentationOptions options)
        where T : class, ITransformer => new(_ml, wrapped, _generator.Learn, options);

    /// <summary>Makes rows with x = −1, −2, …</summary>
    private sealed class FakeGenerator : IDataGenerator, IDisposable
    {
        public List<(long Rows, int Seed, string? Where)> Asked { get; } = [];

        public int Learned { get; private set; }

        public bool IsDisposed { get; private set; }

        public DataViewSchema GeneratedSchema => Rows(0).Schema;

        public IDataGenerator Learn(IDataView data)
        {
            Learned++;
            return this;
        }

        public IDataView Generate(long rows, int seed, RowCondition? where)
        {
            Asked.Add((rows, seed, where?.ToString()));
            return Rows((int)rows);
        }

        public void Dispose() => IsDisposed = true;

        private static TableView Rows(int rows) => new TableView(rows)
            .Add("class", TextDataViewType.Instance, _ => "made".AsMemory())
            .Add("flag", BooleanDataViewType.Instance, _ => true)
            .Add("x", NumberDataViewType.Single, i => -1f - i);
    }

    private sealed class CountingEstimator : IEstimator<CountingTransformer>
    {
        public List<float> Seen { get; } = [];

        public CountingTransformer? Made { get; private set; }

        public CountingTransformer Fit(IDataView input)
        {
            Seen.AddRange(input.GetColumn<float>("x"));
            return Made = new();
        }

        public SchemaShape GetOutputSchema(SchemaShape inputSchema) => inputSchema;
    }

    private sealed class CountingTransformer : ITransformer
    {
        bool ITransformer.IsRowToRowMapper => false;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inputSchema;

        public IDataView Transform(IDataView input) => input;

        IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema) => throw new NotSupportedException();

        void ICanSaveModel.Save(ModelSaveContext ctx) => throw new NotSupportedException();
    }
}
