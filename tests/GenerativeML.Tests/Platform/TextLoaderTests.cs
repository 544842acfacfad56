using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>How ML.NET reads text files.</summary>
[TestClass]
public sealed class TextLoaderTests
{
    private readonly string _path = Path.GetTempFileName();
    private readonly MLContext _ml = new();

    [TestCleanup]
    public void Cleanup() => File.Delete(_path);

    [TestMethod]
    public void A_header_names_the_slots_of_a_vector()
    {
        IDataView data = Load("a,b,c,label\n1,2,3,x\n4,5,6,y\n", new TextLoader.Options
        {
            Columns = [new("Features", DataKind.Single, 0, 2), new("Label", DataKind.String, 3)],
            Separators = [','],
            HasHeader = true,
        });
        CollectionAssert.AreEqual(new[] { "a", "b", "c" }, SchemaTests.SlotNames(data.Schema["Features"]));
        CollectionAssert.AreEqual(
            new float[] { 1, 2, 3, 4, 5, 6 }, data.GetColumn<float[]>("Features").SelectMany(v => v).ToArray());
        CollectionAssert.AreEqual(new[] { "x", "y" }, data.GetColumn<string>("Label").ToArray());
        Assert.IsNull(data.GetRowCount());
        Assert.IsFalse(data.CanShuffle);
    }

    [TestMethod]
    [DataRow(false, 0f)]
    [DataRow(true, float.NaN)]
    public void A_missing_number_is_zero_unless_the_options_say_NaN(bool asNaN, float expected)
    {
        IDataView data = Load("1,,2\n3, ,4\n5\n", new TextLoader.Options
        {
            Columns = [new("Value", DataKind.Single, 1)],
            Separators = [','],
            MissingRealsAsNaNs = asNaN,
        });
        CollectionAssert.AreEqual(new[] { expected, expected }, data.GetColumn<float>("Value").Take(2).ToArray());
    }

    [TestMethod]
    public void What_is_no_number_is_NaN()
    {
        IDataView data = Load("?\nword\nNaN\n1e3\n -2.5\n", new TextLoader.Options
        {
            Columns = [new("Value", DataKind.Single, 0)],
            Separators = [','],
        });
        CollectionAssert.AreEqual(
            new[] { float.NaN, float.NaN, float.NaN, 1000f, -2.5f }, data.GetColumn<float>("Value").ToArray());
    }

    [TestMethod]
    public void A_Double_has_more_digits_than_a_Single()
    {
        IDataView data = Load("16777217\n?\n\"\"\n", new TextLoader.Options
        {
            Columns = [new("Value", DataKind.Double, 0)],
            Separators = [','],
            AllowQuoting = true,
            MissingRealsAsNaNs = true,
        });
        CollectionAssert.AreEqual(
            new[] { 16777217, double.NaN, double.NaN }, data.GetColumn<double>("Value").ToArray());
    }

    [TestMethod]
    public void Quotes_hold_separators_and_doubled_quotes()
    {
        IDataView data = Load("\"a,b\",\"say \"\"x\"\"\",1\n", new TextLoader.Options
        {
            Columns = [new("A", DataKind.String, 0), new("B", DataKind.String, 1), new("C", DataKind.Single, 2)],
            Separators = [','],
            AllowQuoting = true,
        });
        Assert.AreEqual("a,b", data.GetColumn<string>("A").Single());
        Assert.AreEqual("say \"x\"", data.GetColumn<string>("B").Single());
        Assert.AreEqual(1f, data.GetColumn<float>("C").Single());
    }

    [TestMethod]
    public void Spaces_before_a_field_go_and_those_at_the_end_of_the_line_when_told()
    {
        var columns = new TextLoader.Column[] { new("A", DataKind.String, 0), new("B", DataKind.String, 1) };
        File.WriteAllText(_path, "  x , y \n");
        IDataView kept = _ml.Data.LoadFromTextFile(_path, columns, separatorChar: ',');
        Assert.AreEqual("x ", kept.GetColumn<string>("A").Single());
        Assert.AreEqual("y ", kept.GetColumn<string>("B").Single());
        IDataView trimmed = _ml.Data.LoadFromTextFile(_path, columns, separatorChar: ',', trimWhitespace: true);
        Assert.AreEqual("x ", trimmed.GetColumn<string>("A").Single());
        Assert.AreEqual("y", trimmed.GetColumn<string>("B").Single());
    }

    [TestMethod]
    public void Empty_lines_and_comments_are_no_rows()
    {
        IDataView data = Load("1\n\n// no row\n2\r\n", new TextLoader.Options
        {
            Columns = [new("Value", DataKind.Single, 0)],
            Separators = [','],
        });
        CollectionAssert.AreEqual(new float[] { 1, 2 }, data.GetColumn<float>("Value").ToArray());
    }

    [TestMethod]
    public void A_class_says_which_field_fills_which_member()
    {
        File.WriteAllText(_path, "name,a,b,flag\nx,1,2,true\ny,3,4,0\n");
        IDataView data = _ml.Data.LoadFromTextFile<Line>(_path, separatorChar: ',', hasHeader: true);
        List<Line> lines = [.. _ml.Data.CreateEnumerable<Line>(data, reuseRowObject: false)];
        Assert.AreEqual("y", lines[1].Name);
        CollectionAssert.AreEqual(new float[] { 3, 4 }, lines[1].Features);
        Assert.IsTrue(lines[0].Flag);
        Assert.IsFalse(lines[1].Flag);
    }

    [TestMethod]
    public void A_file_that_is_not_there_is_an_argument_out_of_range() =>
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _ml.Data.LoadFromTextFile<Line>(_path + ".nowhere", separatorChar: ','));

    private IDataView Load(string text, TextLoader.Options options)
    {
        File.WriteAllText(_path, text);
        return _ml.Data.LoadFromTextFile(_path, options);
    }

    private sealed class Line
    {
        [LoadColumn(0)]
        public string Name { get; set; } = "";

        [LoadColumn(1, 2), VectorType(2)]
        public float[] Features { get; set; } = [];

        [LoadColumn(3)]
        public bool Flag { get; set; }
    }
}
