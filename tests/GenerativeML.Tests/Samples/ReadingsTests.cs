using AnomalyDetection;
using DataFiles;
using GenerativeML.Benchmarks;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Samples;

/// <summary>The anomaly sample chooses what a detector looks at.</summary>
[TestClass]
public sealed class ReadingsTests
{
    private readonly string _path = Path.GetTempFileName();

    [TestCleanup]
    public void Clean() => File.Delete(_path);

    [TestMethod]
    [DataRow("a,b,c,y\n1,2.5,x,0\n-3e1,?,y,1\n")]
    [DataRow("a;b;c;y\n1;2,5;x;0\n-3e1;?;y;1\n")]
    [DataRow("a\tb\tc\ty\r\n1\t2.5\tx\t0\r\n-3e1\t?\ty\t1\r\n")]
    [DataRow("\"a\",\"b\",\"c\",\"y\"\n1, 2.5 ,\"x, or so\",0\n-3e1,,\"y\",\"1\"\n\n")]
    public void Numbers_become_features_and_text_is_left_out(string text)
    {
        Readings file = Open(text, "y");
        CollectionAssert.AreEqual(new[] { "a", "b" }, file.Features);
        CollectionAssert.AreEqual(new[] { "c" }, file.LeftOut);
        Assert.AreEqual(2L, file.RowCount);

        IDataView rows = file.Load(new MLContext());
        CollectionAssert.AreEqual(new[] { "a", "b", "Label" }, rows.Schema.Select(c => c.Name).ToArray());
        CollectionAssert.AreEqual(new[] { 1f, -30f }, VectorRows.Singles(rows, "a"));
        float[] b = VectorRows.Singles(rows, "b");
        Assert.AreEqual(2.5f, b[0]);
        Assert.IsTrue(float.IsNaN(b[1]), "a missing number must not be read as one");
        CollectionAssert.AreEqual(new[] { "0", "1" }, rows.GetColumn<string>("Label").ToArray());
    }

    [TestMethod]
    public void A_column_is_left_out_on_request_and_a_Boolean_is_a_number()
    {
        Readings file = Open("id,a,on,fault\n1,5,true,none\n2,6,false,wear\n", "fault", "id");
        CollectionAssert.AreEqual(new[] { "a", "on" }, file.Features);
        IDataView rows = file.Load(new MLContext());
        Assert.AreEqual(TextDataViewType.Instance, rows.Schema["Label"].Type);
        CollectionAssert.AreEqual(new[] { 1f, 0f }, VectorRows.Singles(rows, "on"));
    }

    [TestMethod]
    [DataRow("a,b\nx,y\n", null)]
    [DataRow("a,b\n1,2\n", "z")]
    public void What_no_detector_can_see_is_refused(string text, string? label) =>
        Assert.ThrowsExactly<InvalidDataException>(() => Open(text, label));

    [TestMethod]
    public void A_feature_called_Label_is_not_the_label_whose_gaps_are_unlabelled()
    {
        File.WriteAllText(_path, "Label,fault\n5,0\n6,1\n7,NA\n");
        Readings file = new(TableFile.Open(_path), "fault", []);
        IDataView rows = file.Load(new MLContext());
        CollectionAssert.AreEqual(new[] { 5f, 6f, 7f }, VectorRows.Singles(rows, "Label"));
        CollectionAssert.AreEqual(new[] { 0f, 1f, float.NaN }, VectorRows.Singles(rows, file.Label));
    }

    private Readings Open(string text, string? label, params string[] ignored)
    {
        File.WriteAllText(_path, text);
        return new Readings(TableFile.Open(_path, new() { AsText = label is null ? [] : [label] }), label, ignored);
    }
}
