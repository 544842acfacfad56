using System.Globalization;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Tables;

[TestClass]
public sealed class TrainingTableTests
{
    [TestMethod]
    public void Every_value_of_every_type_comes_back_as_it_was()
    {
        TableView data = MixedTable.Rows(150);
        using TabularTransformer model = ShuffledTable.Fit(
            data, new PlainOptions { Identifiers = new() { ["Row"] = IdentifierKind.None } });
        IDataView rows = model.Generate(3000);
        CollectionAssert.AreEqual(ViewRows.Describe(data.Schema), ViewRows.Describe(rows.Schema));
        HashSet<string> known = [.. ViewRows.Read(data)];
        HashSet<string> generated = [.. ViewRows.Read(rows)];
        Assert.IsTrue(generated.IsSubsetOf(known), generated.FirstOrDefault(row => !known.Contains(row)));
        Assert.IsGreaterThan(140, generated.Count); // of 150, each 20 times if all are learned to be alike likely
        Assert.AreEqual(0, data.OpenCursors);
    }

    [TestMethod]
    public void Columns_are_learned_as_what_they_hold()
    {
        TableShape shape = Shape(
            MixedTable.Rows(200), new PlainOptions { Identifiers = new() { ["Row"] = IdentifierKind.None } });
        Assert.AreEqual((0, 19.8, 1, true), Numbers("Single"));
        Assert.AreEqual(0, shape.Columns.Single(c => c.Name == "Double").StepSize); // any number
        Assert.AreEqual((-100, 99, 0, false), Numbers("SByte"));
        Assert.AreEqual(3, Categories("Byte"));
        Assert.AreEqual(2, Categories("Flag"));
        Assert.AreEqual(4, Categories("Colour"));
        Assert.AreEqual(200, Categories("Row"));
        Assert.AreEqual(4, Categories("Key"));
        Assert.AreEqual(40, Categories("Bare"));
        Assert.AreEqual(true, shape.Columns.Single(c => c.Name == "Day").HasMissing);
        TableColumn day = shape.Columns.Single(c => c.Name == "Day");
        Assert.AreEqual(198, (day.Max - day.Min) / TimeSpan.TicksPerDay);
        Assert.AreEqual(
            TimeSpan.FromMilliseconds(199 * 250).Ticks,
            shape.Columns.Where(c => c.Name == "Time").Select(c => c.Max - c.Min).Single());
        Assert.AreEqual(TimeSpan.TicksPerMinute, shape.Columns.Single(c => c.Name == "Moment").StepSize);
        Assert.AreEqual(TimeSpan.TicksPerHour, shape.Columns.Single(c => c.Name == "Span").StepSize);
        Assert.AreEqual(2, Categories("Sparse.odd"));
        Assert.AreEqual((0, 49.75, 2, false), Numbers("Sparse.1"));
        Assert.AreEqual(2, Categories("Sparse.gap"));
        Assert.AreEqual(1, Categories("Image.0"));
        Assert.AreEqual((0, 199, 0, false), Numbers("Image.3"));

        int Categories(string name) => shape.Columns.Single(c => c.Name == name).Categories;

        (double, double, int, bool) Numbers(string name)
        {
            TableColumn column = shape.Columns.Single(c => c.Name == name);
            Assert.AreEqual(TableColumnKind.Continuous, column.Kind);
            return ((float)column.Min, Math.Round(column.Max, 3), column.Step, column.HasMissing);
        }
    }

    [TestMethod]
    [DataRow(20, 100, 20)]
    [DataRow(21, 1000, 0)]
    [DataRow(20, 99, 0)]
    public void Few_numbers_that_occur_often_are_categories(int different, int rows, int categories)
    {
        TableView data = new TableView(rows).Add("X", NumberDataViewType.Double, row => row % different * 1.5);
        Assert.AreEqual(categories, Shape(data).Columns[0].Categories);
        Assert.AreEqual(different, Shape(data, new() { CategoricalColumnNames = ["X"] }).Columns[0].Categories);
    }

    [TestMethod]
    public void Hidden_columns_and_those_not_named_are_left_out()
    {
        TableView data = new TableView(30)
            .Add("A", NumberDataViewType.Single, row => (float)row)
            .Add("A", TextDataViewType.Instance, row => (row % 2 == 0 ? "x" : "y").AsMemory())
            .Add("B", NumberDataViewType.Single, row => (float)row)
            .Add("Odd", new VectorDataViewType(NumberDataViewType.Single), _ => default(VBuffer<float>));
        using TabularTransformer model = ShuffledTable.Fit(data, new PlainOptions { ColumnNames = ["B", "A"] });
        Assert.AreEqual("A:String B:Single", string.Join(" ", model.GeneratedSchema.Select(c => $"{c.Name}:{c.Type}")));
        Assert.IsTrue(data.Reads[1] == 60 && data.Reads[0] == 0, "a column that is not needed was read");
    }

    [TestMethod]
    public void Columns_that_cannot_be_learned_are_refused_by_name()
    {
        TableView data = new TableView(9)
            .Add("Fine", NumberDataViewType.Single, row => (float)row)
            .Add("Loose", new VectorDataViewType(NumberDataViewType.Single), _ => default(VBuffer<float>));
        Refused(data, new(), "'Loose'", "whose size may differ");
        Refused(data, new() { ColumnNames = ["Fine", "Absent"] }, "'Absent'", "ColumnNames", "'Fine', 'Loose'");
        Refused(data, new() { LabelColumnName = "Income", ColumnNames = ["Fine"] }, "'Income'", "LabelColumnName");
        Refused(data, new() { LabelColumnName = "Loose", ColumnNames = ["Fine"] }, "'Loose'", "not among the columns");
        TableView vector = new TableView(9).AddVector("V", 2, row => [row, 1]);
        Refused(vector, new() { LabelColumnName = "V" }, "'V'", "which is a vector", "'V.0'");
        Refused(vector, new() { CategoricalColumnNames = ["W"] }, "'W'", "CategoricalColumnNames");
        TableView text = new TableView(9).Add("T", TextDataViewType.Instance, _ => "t".AsMemory());
        Refused(text, new() { Constraints = [new TableConstraint.InRange("T", 0, 1)] }, "'T'", "String");

        static void Refused(TableView data, PlainOptions options, params string[] said)
        {
            var early = Assert.Throws<ArgumentOutOfRangeException>(() => Shape(data, options));
            foreach (string part in said)
                StringAssert.Contains(early.Message, part);
            Assert.AreEqual(0, data.Reads.Sum(), "rows were read before the error");
        }
    }

    [TestMethod]
    public void Tables_of_no_row_and_of_one_are_refused_and_columns_without_information_are_learned()
    {
        foreach (int rows in new[] { 0, 1 })
        {
            var error = Assert.Throws<InvalidOperationException>(() => Shape(MixedTable.Rows(rows)));
            StringAssert.Contains(error.Message, $"has {rows}");
        }

        TableView dull = new TableView(12)
            .Add("NaN", NumberDataViewType.Single, _ => float.NaN)
            .Add("Empty", TextDataViewType.Instance, _ => default(ReadOnlyMemory<char>))
            .Add("NoKey", new KeyDataViewType(typeof(uint), 3), _ => 0u)
            .Add("Same", NumberDataViewType.Int32, _ => 7)
            .Add("SameText", TextDataViewType.Instance, _ => "x".AsMemory());
        using TabularTransformer model = ShuffledTable.Fit(dull);
        CollectionAssert.AreEqual(ViewRows.Read(dull), ViewRows.Read(model.Generate(12)));
    }

    [TestMethod]
    public void Infinite_numbers_are_an_error_or_missing_or_left_out()
    {
        TableView data = new TableView(40)
            .Add("A", NumberDataViewType.Single, row => row == 12 ? float.PositiveInfinity : row)
            .Add("B", NumberDataViewType.Double, row => row is 12 or 30 ? double.NegativeInfinity : row);
        string error = Assert.Throws<InvalidOperationException>(() => Shape(data)).Message;
        StringAssert.Contains(error, "2 of 40 rows");
        StringAssert.Contains(error, "column 'A' of row 12");
        Assert.IsTrue(Shape(data, new() { NonFiniteValues = NonFiniteValues.Replace }).Columns.All(c => c.HasMissing));
        using TabularTransformer dropped = ShuffledTable.Fit(
            data, new PlainOptions { NonFiniteValues = NonFiniteValues.DropRow });
        Assert.HasCount(38, ViewRows.Read(dropped.Generate(4000)).Distinct().ToArray());
    }

    [TestMethod]
    public void Ten_thousand_categories_are_learned_with_a_warning_and_too_many_are_refused()
    {
        var warnings = new List<string>();
        TableView data = new TableView(10_000).Add("Name", TextDataViewType.Instance, row => $"n{row}".AsMemory());
        using TabularTransformer model = ShuffledTable.Fit(
            data, new PlainOptions { Identifiers = new() { ["Name"] = IdentifierKind.None } }, warn: warnings.Add);
        StringAssert.Contains(warnings.Single(), "'Name' has 10000 categories");
        Assert.IsGreaterThan(5000, ViewRows.Read(model.Generate(10_000)).Distinct().Count());

        TableView many = new TableView(70_000).Add("Id", TextDataViewType.Instance, row => $"{Math.Max(row, 1)}".AsMemory());
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => Shape(many)).Message, "'Id' has more than 65536");
        TableView exact = new TableView(30).Add("Long", NumberDataViewType.Int64, row => long.MaxValue - row);
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => Shape(exact)).Message, "'Long'");
    }

    [TestMethod]
    public void Rows_that_change_between_passes_are_an_error()
    {
        int passes = 0;
        TableView data = new TableView(30).Add("T", TextDataViewType.Instance, row =>
            (row == 0 ? (++passes).ToString(CultureInfo.InvariantCulture) : "same").AsMemory());
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => ShuffledTable.Fit(data)).Message, "same in every pass");
        Assert.AreEqual(0, data.OpenCursors);
    }

    [TestMethod]
    public void Reading_can_be_cancelled()
    {
        using var cancelled = new CancellationTokenSource();
        TableView data = new TableView(100_000).Add("X", NumberDataViewType.Int32, row =>
        {
            if (row == 2000)
                cancelled.Cancel();
            return row;
        });
        Assert.Throws<OperationCanceledException>(() => Shape(data, new() { CancellationToken = cancelled.Token }));
        Assert.IsLessThan(5000, data.Reads[0]);
    }

    private static TableShape Shape(IDataView data, PlainOptions? options = null)
    {
        options ??= new();
        return new TrainingTable(data, new TableBinding(data.Schema, options, "input"), options, null).Shape;
    }
}
