using System.Text;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Platform;

/// <summary>What <c>SaveAsText</c> writes.</summary>
[TestClass]
public sealed class TextSaverTests
{
    private readonly MLContext _ml = new();

    [TestMethod]
    public void A_note_tells_the_loader_what_the_fields_are()
    {
        CollectionAssert.AreEqual(
            new[]
            {
                "#@ TextLoader{", "#@   header+", "#@   sep=comma", "#@   col=Id:I4:0", "#@   col=Value:R4:1",
                "#@   col=Features:R4:2-4", "#@   col=Text:TX:5", "#@   col=Flag:BL:6", "#@ }",
                "Id,Value,\"\",\"\",\"\",Text,Flag", "0,0,0,0,1,\"\",0", "1,0.5,1,2,1,row 1,1",
            },
            Lines(_ml.Data.LoadFromEnumerable(PlatformRow.Make(2)), schema: true, forceDense: true));
    }

    [TestMethod]
    public void Text_is_quoted_where_it_must_be()
    {
        string[] texts = ["plain", "with,comma", "say \"so\"", " leading", "a:b", "a;b", ""];
        CollectionAssert.AreEqual(
            new[] { "Text", "plain", "\"with,comma\"", "\"say \"\"so\"\"\"", "\" leading\"", "\"a:b\"", "a;b", "\"\"" },
            Lines(new TableView(texts.Length).Add("Text", TextDataViewType.Instance, i => texts[i].AsMemory())));
    }

    [TestMethod]
    public void Numbers_are_whole_and_what_is_none_is_a_question_mark()
    {
        float[] singles = [float.NaN, 0.1f, -3];
        double[] doubles = [double.NaN, 0.5, 1e300];
        CollectionAssert.AreEqual(
            new[] { "F,D,L", "?,?,0", "0.1,0.5,10000000000", "-3,1.0000000000000001E+300,20000000000" },
            Lines(new TableView(3)
                .Add("F", NumberDataViewType.Single, i => singles[i])
                .Add("D", NumberDataViewType.Double, i => doubles[i])
                .Add("L", NumberDataViewType.Int64, i => i * 10_000_000_000)));
    }

    [TestMethod]
    public void Keys_count_from_zero_and_a_missing_one_is_nothing()
    {
        IDataView data = new TableView(3)
            .Add("K", new KeyDataViewType(typeof(uint), 2), i => (uint)i)
            .Add("B", BooleanDataViewType.Instance, i => i == 1);
        CollectionAssert.AreEqual(new[] { "K,B", ",0", "0,1", "1,0" }, Lines(data));
        CollectionAssert.Contains(Lines(data, schema: true), "#@   col=K:U4[2]:0");
    }

    [TestMethod]
    public void Many_zeros_are_written_sparsely_unless_that_is_forbidden()
    {
        IDataView data = new TableView(1)
            .Add("Id", NumberDataViewType.Int32, _ => 7)
            .AddVector("V", 9, _ => [0, 0, 5, 0, 0, 0, 0, 0, 0]);
        Assert.AreEqual("7,9,2:5", Lines(data)[1]);
        Assert.AreEqual("7,0,0,5,0,0,0,0,0,0", Lines(data, forceDense: true)[1]);
    }

    private string[] Lines(IDataView data, bool schema = false, bool forceDense = false)
    {
        using MemoryStream stream = new();
        _ml.Data.SaveAsText(data, stream, ',', headerRow: true, schema: schema, forceDense: forceDense);
        return Encoding.UTF8.GetString(stream.ToArray()).ReplaceLineEndings("\n").Trim('\n').Split('\n');
    }
}
