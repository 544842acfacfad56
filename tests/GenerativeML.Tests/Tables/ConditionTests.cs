using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Tables;

/// <summary>Conditions hold in every row, whether the generator heeds them or not.</summary>
[TestClass]
public sealed class ConditionTests
{
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Every_generated_row_meets_the_condition_and_there_are_as_many_as_asked_for(bool limits)
    {
        using TabularTransformer model = ShuffledTable.Fit(Data(), independent: true, limits: limits);
        var where = new RowCondition().OneOf("Text", "t1", "t3").Between("Number", 20, 80.5).Equal("Flag", true)
            .Equal("Key", "blue").AtLeast("Grade", 2).Present("Gaps");
        IDataView rows = model.Generate(5000, 3, where);
        Assert.AreEqual(5000, rows.GetRowCount());
        string[] texts = [.. rows.GetColumn<ReadOnlyMemory<char>>("Text").Select(t => t.ToString())];
        Assert.HasCount(5000, texts);
        Assert.HasCount(2, texts.Distinct().ToArray());
        Assert.IsTrue(texts.All(t => t is "t1" or "t3"));
        Assert.IsTrue(rows.GetColumn<float>("Number").All(v => v is >= 20 and <= 80.5f));
        Assert.IsTrue(rows.GetColumn<bool>("Flag").All(v => v));
        Assert.IsTrue(rows.GetColumn<uint>("Key").All(v => v == 3));
        Assert.IsTrue(rows.GetColumn<int>("Grade").All(v => v >= 2));
        Assert.IsFalse(rows.GetColumn<double>("Gaps").Any(double.IsNaN));
        // What is not asked for is as in all rows.
        Assert.AreEqual(0.5, rows.GetColumn<int>("Free").Average(), 0.05);
    }

    [TestMethod]
    public void A_column_whose_name_is_a_space_can_be_asked_for()
    {
        using TabularTransformer model = ShuffledTable.Fit(
            new TableView(30).Add(" ", TextDataViewType.Instance, row => $"t{row % 3}".AsMemory()));
        IDataView rows = model.Generate(50, where: new RowCondition().Equal(" ", "t2"));
        Assert.IsTrue(rows.GetColumn<ReadOnlyMemory<char>>(" ").All(t => t.ToString() == "t2"));
    }

    [TestMethod]
    [DataRow("'Text' = 't2'")]
    [DataRow("'Grade' = 3")]
    [DataRow("'Number' = 20.1")]
    [DataRow("'Number' between -Infinity and 3")]
    [DataRow("'Gaps' missing")]
    [DataRow("'Key' missing")]
    [DataRow("'Text' missing")]
    [DataRow("'Weight' = 2.5")]
    [DataRow("'Vector.a' between 1 and 2")]
    [DataRow("'Day' between")]
    public void Each_kind_of_condition_holds(string kind)
    {
        using TabularTransformer model = ShuffledTable.Fit(Data(), limits: true);
        (RowCondition where, Func<IDataView, bool> holds) = ((RowCondition, Func<IDataView, bool>))(kind switch
        {
            "'Text' = 't2'" => (new RowCondition().Equal("Text", "t2"), rows => Texts(rows).All(t => t == "t2")),
            "'Grade' = 3" =>
                (new RowCondition().Equal("Grade", 3), rows => rows.GetColumn<int>("Grade").All(v => v == 3)),
            "'Number' = 20.1" =>
                (new RowCondition().Equal("Number", 20.1),
                    rows => rows.GetColumn<float>("Number").All(v => v == 20.1f)),
            "'Number' between -Infinity and 3" =>
                (new RowCondition().AtMost("Number", 3), rows => rows.GetColumn<float>("Number").All(v => v <= 3)),
            "'Gaps' missing" =>
                (new RowCondition().Missing("Gaps"), rows => rows.GetColumn<double>("Gaps").All(double.IsNaN)),
            "'Key' missing" =>
                (new RowCondition().Missing("Key"), rows => rows.GetColumn<uint>("Key").All(k => k == 0)),
            "'Text' missing" => (new RowCondition().Missing("Text"), rows => Texts(rows).All(t => t.Length == 0)),
            "'Weight' = 2.5" =>
                (new RowCondition().Equal("Weight", 2.5), rows => rows.GetColumn<byte>("Weight").All(k => k == 2)),
            "'Vector.a' between 1 and 2" => (new RowCondition().Between("Vector.a", 1, 2),
                rows => rows.GetColumn<float[]>("Vector").All(v => v[0] is >= 1 and <= 2)),
            _ => (new RowCondition().Between("Day", new DateTime(2024, 1, 5), new DateTime(2024, 1, 8)),
                rows => rows.GetColumn<DateTime>("Day").All(d => d.Day is >= 5 and <= 8)),
        });
        StringAssert.StartsWith(where.ToString(), kind);
        IDataView generated = model.Generate(1500, where: where);
        Assert.HasCount(1500, generated.GetColumn<bool>("Flag").ToArray());
        Assert.IsTrue(holds(generated));
        Assert.IsFalse(holds(model.Generate(1500)));

        static IEnumerable<string> Texts(IDataView rows) =>
            rows.GetColumn<ReadOnlyMemory<char>>("Text").Select(t => t.ToString());
    }

    [TestMethod]
    public void What_no_row_can_meet_is_refused_at_once_with_the_reason()
    {
        using TabularTransformer model = ShuffledTable.Fit(Data(), new PlainOptions
        {
            Constraints =
                [new TableConstraint.FixedCombinations("Text", "Key"), new TableConstraint.AtMost("Low", "High")],
        });
        Refused(new RowCondition().Equal("Nothing", 1), "'Nothing'", "not generated");
        Refused(new RowCondition().Equal("Text", "t9"), "'t9' was never seen", "'t1'");
        Refused(new RowCondition().Equal("Text", 1), "1 was never seen");
        Refused(new RowCondition().Equal("Key", "pink"), "'pink' was never seen", "'blue'");
        Refused(new RowCondition().Equal("Grade", 17), "17 was never seen");
        Refused(new RowCondition().Equal("Flag", "True"), "It holds Booleans, not texts.");
        Refused(new RowCondition().Equal("Number", "many"), "'Number' holds numbers");
        Refused(new RowCondition().Between("Text", 1, 2), "'Text' holds no numbers");
        Refused(new RowCondition().Between("Number", 1000, 2000), "from 0 to 99.9");
        Refused(new RowCondition().Between("Number", 20.11, 20.18), "rounded to 1 digits");
        Refused(new RowCondition().Missing("Number"), "no value of it was missing");
        Refused(new RowCondition().Missing("Flag"), "'Flag' missing");
        Refused(new RowCondition().Equal("Text", "t1").Equal("Text", "t2"), "contradict");
        Refused(new RowCondition().AtLeast("Number", 50).AtMost("Number", 40), "contradict");
        Refused(new RowCondition().Missing("Gaps").AtLeast("Gaps", 0), "contradict");
        Refused(new RowCondition().Equal("Text", "t1").Equal("Key", "blue"), "never occur together", "'Text', 'Key'");
        Refused(new RowCondition().AtLeast("Low", 45).AtMost("High", 40), "'Low' is never greater than 'High'");
        Assert.Throws<ArgumentException>(() => new RowCondition().Between("Number", 2, 1));
        Assert.Throws<ArgumentException>(() => new RowCondition().Between("Number", double.NaN, 1));
        Assert.Throws<ArgumentException>(() => new RowCondition().Equal("", 1));
        Assert.Throws<ArgumentException>(() => new RowCondition().OneOf("Text", Array.Empty<string>()));
        Assert.Throws<ArgumentException>(() => new RowCondition().Equal("Text", null!));

        void Refused(RowCondition where, params string[] said)
        {
            var error = Assert.Throws<ArgumentException>(() => model.Generate(10, where: where));
            foreach (string part in said)
                StringAssert.Contains(error.Message, part);
        }
    }

    [TestMethod]
    public void What_the_model_does_not_make_is_given_up_with_a_count()
    {
        using TabularTransformer model = ShuffledTable.Fit(Data());
        // Each of the two was seen, but never in one row.
        var where = new RowCondition().Equal("Text", "t1").Equal("Key", "blue");
        var error = Assert.Throws<InvalidOperationException>(() => model.Generate(10, where: where));
        StringAssert.Contains(error.Message, "by none of 102400 rows");
        Assert.AreEqual(0, model.Generate(0, where: where).GetRowCount());
    }

    [TestMethod]
    public void Few_rows_cost_few_and_a_rare_one_is_there_as_soon_as_it_was_made()
    {
        using TabularTransformer model = ShuffledTable.Fit(Data(), out ShuffledTable made);
        Assert.HasCount(2, ViewRows.Read(model.Generate(2)));
        Assert.AreEqual(2, made.Made);

        // One row in a thousand: the first is found among some thousands, not a thousand of them among a million.
        var rare = new RowCondition().Equal("Number", 77.7);
        IDataView rows = model.Generate(1_000_000, 5, rare);
        long before = made.Made;
        using (DataViewRowCursor cursor = rows.GetRowCursor(rows.Schema))
        {
            ValueGetter<float> getter = cursor.GetGetter<float>(rows.Schema["Number"]);
            float value = 0;
            Assert.IsTrue(cursor.MoveNext());
            getter(ref value);
            Assert.AreEqual(77.7f, value);
        }
        Assert.IsLessThan(20_000, made.Made - before);
        // The same rows, however many are read.
        string[] three = ViewRows.Read(model.Generate(3, 5, rare));
        CollectionAssert.AreEqual(three[..1], ViewRows.Read(model.Generate(1, 5, rare)));
    }

    [TestMethod]
    public void A_condition_that_is_met_too_rarely_is_given_up_with_the_share_that_was_met()
    {
        // One training row in 150,000 meets it: it may be found once in the rows that are tried, and then no more.
        TableView data = new TableView(150_000)
            .Add("A", NumberDataViewType.Int32, row => row)
            .Add("B", NumberDataViewType.Int32, row => row % 2 == 0 ? row : 150_001 - row);
        using TabularTransformer model = ShuffledTable.Fit(data, new PlainOptions
        {
            Identifiers = new() { ["A"] = IdentifierKind.None, ["B"] = IdentifierKind.None },
        });
        var where = new RowCondition().Between("A", 700, 700).Between("B", 700, 700);
        var error = Assert.Throws<InvalidOperationException>(
            () => ViewRows.Read(model.Generate(1000, where: where)));
        StringAssert.Matches(error.Message, new System.Text.RegularExpressions.Regex(@"by (none|\d+) of \d+ rows"));
        StringAssert.Contains(error.Message, "%)");
    }

    [TestMethod]
    public void Times_and_durations_are_named_as_people_read_them() => Assert.AreEqual(
        "'Day' between 2021-05-15T00:00:00 and 2021-05-16T12:00:00 and 'Span' between 01:00:00 and 1.02:00:00",
        new RowCondition().Between("Day", new DateTime(2021, 5, 15), new DateTime(2021, 5, 16, 12, 0, 0))
            .Between("Span", TimeSpan.FromHours(1), TimeSpan.FromHours(26)).ToString());

    [TestMethod]
    public void NaN_asks_for_missing_values_and_names_that_several_columns_have_are_refused()
    {
        using TabularTransformer model = ShuffledTable.Fit(Data(), limits: true);
        Assert.IsTrue(model.Generate(50, where: new RowCondition().Equal("Gaps", double.NaN))
            .GetColumn<double>("Gaps").All(double.IsNaN));
        using TabularTransformer few = ShuffledTable.Fit(
            new TableView(60).Add("Few", NumberDataViewType.Single, row => row % 3 == 0 ? float.NaN : row % 3));
        var either = new RowCondition().OneOf("Few", double.NaN, 2);
        float[] some = [.. few.Generate(50, where: either).GetColumn<float>("Few")];
        Assert.IsTrue(some.All(v => float.IsNaN(v) || v == 2) && some.Any(float.IsNaN) && some.Contains(2));
        TableView twice = new TableView(50)
            .Add("V.0", NumberDataViewType.Single, row => (float)row).AddVector("V", 1, row => [row]);
        using TabularTransformer ambiguous = ShuffledTable.Fit(twice);
        var error = Assert.Throws<ArgumentException>(
            () => ambiguous.Generate(5, where: new RowCondition().Equal("V.0", 3)));
        StringAssert.Contains(error.Message, "several columns");
    }

    [TestMethod]
    public void A_limit_of_a_greater_column_reaches_the_smaller_one_and_the_gap()
    {
        using TabularTransformer model = ShuffledTable.Fit(Data(), out ShuffledTable made, new PlainOptions
        {
            Constraints = [new TableConstraint.AtMost("Low", "High")],
        }, independent: true, limits: true);
        var where = new RowCondition().AtMost("High", 2);
        long before = made.Made;
        double[] high = [.. model.Generate(500, where: where).GetColumn<double>("High")];
        Assert.IsTrue(high.All(v => v <= 2));
        // One row in a thousand meets it by chance; of those whose smaller value and gap do, about half.
        Assert.IsLessThan(3000, made.Made - before);
    }

    [TestMethod]
    public void Conditions_reach_through_constraints()
    {
        using TabularTransformer model = ShuffledTable.Fit(Data(), new PlainOptions
        {
            Constraints =
                [new TableConstraint.FixedCombinations("Text", "Key"), new TableConstraint.AtMost("Low", "High")],
        }, independent: true, limits: true);
        IDataView rows = model.Generate(
            2000, where: new RowCondition().Equal("Key", "blue").Between("High", 40, 60).AtLeast("Low", 20));
        Assert.IsTrue(rows.GetColumn<uint>("Key").All(k => k == 3));
        double[] low = [.. rows.GetColumn<double>("Low")], high = [.. rows.GetColumn<double>("High")];
        Assert.HasCount(2000, low);
        for (int i = 0; i < low.Length; i++)
            Assert.IsTrue(low[i] >= 20 && low[i] <= high[i] && high[i] is >= 40 and <= 60, $"{low[i]} {high[i]}");
    }

    private static TableView Data() => new TableView(1000)
        .Add("Text", TextDataViewType.Instance, row => (row % 4 == 0 ? "" : $"t{row % 4}").AsMemory())
        .Add("Number", NumberDataViewType.Single, row => row / 10f)
        .Add("Flag", BooleanDataViewType.Instance, row => row / 4 % 2 == 0)
        .Add("Key", new KeyDataViewType(typeof(uint), 3), row => (uint)(row % 4),
            MixedTable.KeyValues("red", "green", "blue"))
        .Add("Weight", new KeyDataViewType(typeof(byte), 2), row => (byte)(1 + row % 2),
            MixedTable.KeyNumbers(0.5f, 2.5f))
        .Add("Grade", NumberDataViewType.Int32, row => row / 8 % 5)
        .Add("Gaps", NumberDataViewType.Double, row => row % 3 == 0 ? double.NaN : row * 7 % 1000)
        .Add("Free", NumberDataViewType.Int32, row => row / 2 % 2)
        .Add("Low", NumberDataViewType.Double, row => row * 0.05)
        .Add("High", NumberDataViewType.Double, row => row * 0.1)
        .Add("Day", DateTimeDataViewType.Instance, row => new DateTime(2024, 1, 1).AddDays(row % 300))
        .Add("Vector", new VectorDataViewType(NumberDataViewType.Single, 2),
            row => new VBuffer<float>(2, [row * 0.01f, 1]), MixedTable.SlotNames("a", "b"));
}
