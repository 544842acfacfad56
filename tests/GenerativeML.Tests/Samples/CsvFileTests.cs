using AnomalyDetection;
using GenerativeML.Benchmarks;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Samples;

/// <summary>The anomaly sample reads anyone's table.</summary>
[TestClass]
public sealed class CsvFileTests
{
    private readonly string _path = Path.GetTempFileName();

    [TestCleanup]
    public void Clean() => File.Delete(_path);

    [TestMethod]
    [DataRow("a,b,c,y\n1,2.5,x,0\n-3e1,?,y,1\n")]
    [DataRow("a;b;c;y\n1;2.5;x;0\n-3e1;?;y;1\n")]
    [DataRow("a\tb\tc\ty\r\n1\t2.5\tx\t0\r\n-3e1\t?\ty\t1\r\n")]
    [DataRow("\"a\",\"b\",\"c\",\"y\"\n1, 2.5 ,\"x, or so\",0\n-3e1,,\"y\",\"1\"\n\n")]
    public void Numbers_become_features_and_text_is_left_out(string text)
    {
        CsvFile file = Open(text, "y");
        CollectionAssert.AreEqual(new[] { "a", "b" }, file.Features);
        CollectionAssert.AreEqual(new[] { "c" }, file.LeftOut);
        Assert.AreEqual(2, file.RowCount);

        var ml = new MLContext();
        IDataView rows = file.Load(ml);
        CollectionAssert.AreEqual(new[] { 1f, -30f }, VectorRows.Singles(rows, "a"));
        float[] b = VectorRows.Singles(rows, "b");
        Assert.AreEqual(2.5f, b[0]);
        Assert.IsTrue(float.IsNaN(b[1]), "a missing number must not be read as one");
    }

    [TestMethod]
    public void A_column_is_left_out_on_request_and_the_label_is_text()
    {
        CsvFile file = Open("id,a,fault\n1,5,none\n2,6,wear\n", "fault", "id");
        CollectionAssert.AreEqual(new[] { "a" }, file.Features);
        Assert.AreEqual(TextDataViewType.Instance, file.Load(new MLContext()).Schema["Label"].Type);
    }

    [TestMethod]
    [DataRow("", null)]
    [DataRow("a,b\n1,2,3\n", null)]
    [DataRow("a,b\nx,y\n", null)]
    [DataRow("a,b\n1,2\n", "z")]
    public void What_cannot_be_a_table_is_refused(string text, string? label) =>
        Assert.ThrowsExactly<InvalidDataException>(() => Open(text, label));

    [TestMethod]
    public void Labels_tell_normal_rows_in_many_ways()
    {
        foreach (string normal in new[] { "0", "0.0", "", "None", "normal", "FALSE", "no" })
            Assert.IsFalse(CsvFile.IsAnomaly(normal), normal);
        foreach (string anomaly in new[] { "1", "-1", "true", "bearing wear", "yes" })
            Assert.IsTrue(CsvFile.IsAnomaly(anomaly), anomaly);
    }

    private CsvFile Open(string text, string? label, params string[] ignored)
    {
        File.WriteAllText(_path, text);
        return new CsvFile(_path, label, ignored);
    }
}
