using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Series;

[TestClass]
public sealed class SeriesWindowsTests
{
    private static readonly MLContext s_ml = new(1);

    // Two series, of five and of three rows.
    private static TableView Table() => new TableView(8)
        .Add("Id", NumberDataViewType.Int32, row => row)
        .Add("Series", TextDataViewType.Instance, row => (row < 5 ? "a" : "b").AsMemory())
        .Add("Value", NumberDataViewType.Single, row => row == 3 ? float.NaN : row * 10f)
        .AddVector("Pair", 2, row => [row, -row]);

    [TestMethod]
    public void Windows_end_with_each_row_that_has_enough_before_it()
    {
        IDataView windows = Windows(new() { WindowLength = 3 });
        AssertRows(windows, (2, "0 10 20"), (3, "10 20 NaN"), (4, "20 NaN 40"), (5, "NaN 40 50"), (6, "40 50 60"), (7, "50 60 70"));
        Assert.AreEqual(3, ((VectorDataViewType)windows.Schema["Features"].Type).Size);
    }

    [TestMethod]
    public void No_window_goes_over_the_end_of_a_series_and_a_shorter_one_has_none()
    {
        AssertRows(Windows(new() { WindowLength = 3, GroupColumnName = "Series" }), (2, "0 10 20"), (3, "10 20 NaN"), (4, "20 NaN 40"), (7, "50 60 70"));
        AssertRows(Windows(new() { WindowLength = 4, GroupColumnName = "Series" }), (3, "0 10 20 NaN"), (4, "10 20 NaN 40"));
        AssertRows(Windows(new() { WindowLength = 9 }));
    }

    [TestMethod]
    public void A_stride_counts_from_the_first_window_of_each_series()
    {
        AssertRows(Windows(new() { WindowLength = 2, Stride = 2, GroupColumnName = "Series" }), (1, "0 10"), (3, "20 NaN"), (6, "50 60"));
    }

    [TestMethod]
    public void A_target_is_what_follows_and_a_row_without_one_is_left_out()
    {
        IDataView windows = Windows(new() { WindowLength = 1, Horizon = 2, GroupColumnName = "Series" });
        AssertRows(windows, (0, "0"), (1, "10"), (2, "20"), (5, "50"));
        CollectionAssert.AreEqual(
            new[] { "10 20", "20 NaN", "NaN 40", "60 70" }, Vectors(windows, "Target"));
        // The other columns are those of the row that the window ends with.
        CollectionAssert.AreEqual(new[] { 0f, 10, 20, 50 }, windows.GetColumn<float>("Value").ToArray());
    }

    [TestMethod]
    public void Steps_of_several_features_stay_together()
    {
        AssertRows(Windows(new() { InputColumnName = "Pair", WindowLength = 2, Stride = 3 }), (1, "0 0 1 -1"), (4, "3 -3 4 -4"), (7, "6 -6 7 -7"));
    }

    [TestMethod]
    public void Windows_are_saved_loaded_and_promised_as_they_are()
    {
        var options = new SeriesWindowsOptions { WindowLength = 2, Horizon = 1, GroupColumnName = "Series" };
        SeriesWindowsEstimator estimator = s_ml.Transforms.SeriesWindows(options);
        SeriesWindowsTransformer windows = estimator.Fit(Table());
        CollectionAssert.AreEquivalent(
            SchemaTests.Describe(estimator.GetOutputSchema(SchemaTests.Shape(Table().Schema))),
            SchemaTests.Describe(SchemaTests.Shape(windows.GetOutputSchema(Table().Schema))));
        using var file = new MemoryStream();
        s_ml.Model.Save(windows, Table().Schema, file);
        ITransformer loaded = new MLContext().Model.Load(file, out _);
        CollectionAssert.AreEqual(Vectors(windows.Transform(Table()), "Features"), Vectors(loaded.Transform(Table()), "Features"));
        CollectionAssert.AreEqual(new[] { "20", "NaN", "40", "70" }, Vectors(loaded.Transform(Table()), "Target"));
    }

    [TestMethod]
    public void A_family_of_vectors_learns_windows()
    {
        TableView rows = new TableView(60).Add("Value", NumberDataViewType.Single, row => MathF.Sin(row * 0.5f));
        IEstimator<ITransformer> chain = s_ml.Transforms.SeriesWindows(new() { WindowLength = 4 })
            .Append(s_ml.AnomalyDetection.Trainers.Autoencoder(new() { Epochs = 1, PredictedLabelColumnName = null }));
        Assert.HasCount(57, chain.Fit(rows).Transform(rows).GetColumn<float>("Score").ToArray());
    }

    [TestMethod]
    public void What_cannot_be_is_refused_and_named()
    {
        var table = Table();
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => Windows(new() { InputColumnName = "Id" })).Message,
            "Column 'Id' is of the wrong type: expected a Single, or a vector of Single of known size");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => Windows(new() { GroupColumnName = "Pair" })).Message, "'Pair'");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => s_ml.Transforms.SeriesWindows(new() { WindowLength = 0 })).Message, "WindowLength");
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => s_ml.Transforms.SeriesWindows(new() { Horizon = 1, TargetColumnName = "Features" })).Message, "'Features'");
        IDataView unordered = Windows(new() { GroupColumnName = "Name", WindowLength = 1 }, new TableView(3)
            .Add("Name", NumberDataViewType.Int32, row => row % 2).Add("Value", NumberDataViewType.Single, row => (float)row));
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => unordered.GetColumn<float>("Value").ToArray()).Message, "'0' of column 'Name'");
    }

    private static IDataView Windows(SeriesWindowsOptions options, TableView? table = null)
    {
        table ??= Table();
        return s_ml.Transforms.SeriesWindows(options).Fit(table).Transform(table);
    }

    private static string[] Vectors(IDataView view, string column) => [.. view.GetColumn<float[]>(column).Select(v => string.Join(" ", v))];

    private static void AssertRows(IDataView view, params (int Id, string Window)[] expected)
    {
        CollectionAssert.AreEqual(expected.Select(e => e.Id).ToArray(), view.GetColumn<int>("Id").ToArray());
        CollectionAssert.AreEqual(expected.Select(e => e.Window).ToArray(), Vectors(view, "Features"));
    }
}
