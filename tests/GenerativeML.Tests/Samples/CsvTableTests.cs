using Microsoft.ML;
using Microsoft.ML.Data;
using SyntheticData;

namespace GenerativeML.Tests.Samples;

/// <summary>How tables of any columns are read from delimited text, and written back.</summary>
[TestClass]
public sealed class CsvTableTests
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;
    private readonly MLContext _ml = new(1);

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Types_follow_from_the_values()
    {
        CsvTable table = Read("""
            name, whole, gap, precise, mixed
            x, 1, 2.5, 0.123456789, 1
            y, -3, , 2, z
            "z, z", 5, ?, 3, 2
            """);
        DataViewSchema schema = Load(table).Schema;
        CollectionAssert.AreEqual(
            new[] { "name", "whole", "gap", "precise", "mixed" }, schema.Select(c => c.Name).ToArray());
        CollectionAssert.AreEqual(
            new DataViewType[]
            {
                TextDataViewType.Instance, NumberDataViewType.Int32, NumberDataViewType.Single,
                NumberDataViewType.Double, TextDataViewType.Instance,
            },
            schema.Select(c => c.Type).ToArray());
        CollectionAssert.AreEqual(new[] { 2.5f, float.NaN, float.NaN }, Load(table).GetColumn<float>("gap").ToArray());
        Assert.AreEqual("z, z", Load(table).GetColumn<string>("name").Last());
        Assert.AreEqual(0.123456789, Load(table).GetColumn<double>("precise").First());
    }

    [TestMethod]
    public void A_line_with_a_number_is_no_header()
    {
        CsvTable table = Read("5;a\n6;b\n");
        Assert.IsFalse(table.HasHeader);
        Assert.HasCount(2, table.Rows);
        Assert.AreEqual(1, table.ColumnOf("1"));
        CollectionAssert.AreEqual(new[] { 5, 6 }, Load(table).GetColumn<int>("0").ToArray());
    }

    [TestMethod]
    public void Columns_go_by_name_or_number()
    {
        CsvTable table = Read("a,b\n1,2\n");
        Assert.ThrowsExactly<InvalidDataException>(() => table.ColumnOf("c"));
        Assert.AreEqual(1, table.ColumnOf("b"));
        Assert.AreEqual(1, table.ColumnOf("1"));
        Assert.ThrowsExactly<InvalidDataException>(() => table.ColumnOf("2"));
    }

    [TestMethod]
    public void What_is_saved_is_read_back_the_same()
    {
        CsvTable table = Read("t,i,f,d\nx,1,2.5,0.123456789\n,2,,7\n\"a,\"\"b\"\"\",3,0.1,1e-9\n");
        string saved = Path.Combine(_folder, "saved.csv");
        table.Save(_ml, Load(table), saved);
        Assert.AreEqual("t,i,f,d", File.ReadLines(saved).First());
        CsvTable again = CsvTable.Read(saved);
        CollectionAssert.AreEqual(new[] { "x", "", "a,\"b\"" }, again.Rows.Select(row => row[0]).ToArray());
        IDataView first = Load(table), second = table.Load(_ml, saved);
        CollectionAssert.AreEqual(first.GetColumn<float>("f").ToArray(), second.GetColumn<float>("f").ToArray());
        CollectionAssert.AreEqual(first.GetColumn<double>("d").ToArray(), second.GetColumn<double>("d").ToArray());
        CollectionAssert.AreEqual(first.GetColumn<string>("t").ToArray(), second.GetColumn<string>("t").ToArray());
    }

    [TestMethod]
    public void A_column_can_be_text_whatever_it_holds()
    {
        CsvTable table = Read("a,b\n1,2\n3,4\n");
        string path = Path.Combine(_folder, "rows.csv");
        table.Write(path, [1, 0]);
        CollectionAssert.AreEqual(
            new[] { "4", "2" }, table.Load(_ml, path, asText: 1).GetColumn<string>("b").ToArray());
        CollectionAssert.AreEqual(new[] { 3, 1 }, table.Load(_ml, path, asText: 1).GetColumn<int>("a").ToArray());
    }

    [TestMethod]
    public void Damaged_files_are_refused()
    {
        Assert.ThrowsExactly<InvalidDataException>(() => Read("a,b\n1,2,3\n"));
        Assert.ThrowsExactly<InvalidDataException>(() => Read("a,a\n1,2\n"));
        Assert.ThrowsExactly<InvalidDataException>(() => Read("a,b\n"));
        Assert.ThrowsExactly<InvalidDataException>(() => Read("\n \n"));
    }

    private CsvTable Read(string text)
    {
        string path = Path.Combine(_folder, "table.csv");
        File.WriteAllText(path, text);
        return CsvTable.Read(path);
    }

    private IDataView Load(CsvTable table) => table.Load(_ml, Path.Combine(_folder, "table.csv"));
}
