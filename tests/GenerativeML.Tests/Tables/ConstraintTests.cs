using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Tables;

/// <summary>Constraints hold even where the generator knows nothing of what belongs together.</summary>
[TestClass]
public sealed class ConstraintTests
{
    [TestMethod]
    public void Only_combinations_that_were_seen_are_generated()
    {
        TableView data = new TableView(300)
            .Add("City", TextDataViewType.Instance, row => $"c{row % 12}".AsMemory())
            .Add("Noise", NumberDataViewType.Single, row => row % 17 * 0.37f)
            .Add("Country", new KeyDataViewType(typeof(uint), 4), row => (uint)(row % 12 / 3))
            .Add("Code", NumberDataViewType.Double, row => row % 12 == 5 ? double.NaN : row % 12 * 1e9);
        PlainOptions options = new()
        {
            LabelColumnName = "Country",
            Constraints = [new TableConstraint.FixedCombinations("Country", "City", "Code")],
        };
        string[] columns = ["City", "Country", "Code"];
        HashSet<string> seen = [.. ViewRows.Read(data, columns)];
        using TabularTransformer model = ShuffledTable.Fit(data, options, independent: true);
        CollectionAssert.AreEqual(ViewRows.Describe(data.Schema), ViewRows.Describe(model.GeneratedSchema));
        HashSet<string> generated = [.. ViewRows.Read(model.Generate(3000), columns)];
        Assert.IsTrue(generated.SetEquals(seen), $"{generated.Count} combinations of {seen.Count}");

        using TabularTransformer free = ShuffledTable.Fit(data, independent: true);
        Assert.IsGreaterThan(seen.Count, ViewRows.Read(free.Generate(3000), columns).Distinct().Count());
    }

    [TestMethod]
    public void A_smaller_column_is_never_greater_whatever_the_types_and_what_is_missing()
    {
        var random = new Random(5);
        (double A, float B, double C, int D)[] rows =
        [
            .. Enumerable.Range(0, 500).Select(i =>
            {
                double a = random.NextDouble() * 10, c = Math.Round(a + random.NextDouble() * 3 + 0.1, 1);
                float b = MathF.BitIncrement((float)(a + random.NextDouble()));
                int d = (int)Math.Ceiling(Math.Max(b, c)) + random.Next(3);
                return (i % 11 == 0 ? double.NaN : a, i % 7 == 0 ? float.NaN : b, c, d);
            }),
        ];
        TableView data = new TableView(rows.Length)
            .Add("A", NumberDataViewType.Double, row => rows[row].A)
            .Add("B", NumberDataViewType.Single, row => rows[row].B)
            .Add("C", NumberDataViewType.Double, row => rows[row].C)
            .Add("D", NumberDataViewType.Int32, row => rows[row].D);
        using TabularTransformer model = ShuffledTable.Fit(data, new PlainOptions
        {
            Constraints =
            [
                new TableConstraint.AtMost("C", "D"), new TableConstraint.AtMost("A", "B"),
                new TableConstraint.AtMost("B", "D"), new TableConstraint.AtMost("A", "C"),
            ],
        }, independent: true);
        IDataView generated = model.Generate(20_000);
        double[] a = [.. generated.GetColumn<double>("A")], c = [.. generated.GetColumn<double>("C")];
        float[] b = [.. generated.GetColumn<float>("B")];
        int[] d = [.. generated.GetColumn<int>("D")];
        for (int i = 0; i < a.Length; i++)
        {
            bool broken = a[i] > b[i] || a[i] > c[i] || b[i] > d[i] || c[i] > d[i];
            Assert.IsFalse(broken, $"{a[i]:R} {b[i]:R} {c[i]:R} {d[i]}");
            Assert.AreEqual(Math.Round(c[i], 1), c[i]);
        }
        Assert.IsTrue(d.Max() <= rows.Max(r => r.D) && b.Max() <= rows.Max(r => r.B), "the range of the data was left");
        Assert.AreEqual(1.0 / 11, a.Count(double.IsNaN) / 20_000.0, 0.01);
        Assert.AreEqual(1.0 / 7, b.Count(float.IsNaN) / 20_000.0, 0.02);
        Assert.IsGreaterThan(0.4, c.Zip(a).Count(p => p.First > p.Second + 0.5) / 20_000.0);
    }

    [TestMethod]
    public void Where_columns_go_together_an_inequality_changes_nothing()
    {
        TableView data = new TableView(200)
            .Add("Start", DateTimeDataViewType.Instance, row => new DateTime(2024, 1, 1).AddDays(row % 90))
            .Add("End", DateTimeDataViewType.Instance,
                row => new DateTime(2024, 1, 1).AddDays(row % 90).AddHours(row * 5 % 49))
            .Add("Low", NumberDataViewType.Single, row => row % 13 == 0 ? float.NaN : row * 0.1f)
            .Add("High", NumberDataViewType.Single, row => row % 13 == 0 ? 100 : (row * 0.1f) + (row % 3));
        using TabularTransformer model = ShuffledTable.Fit(data, new PlainOptions
        {
            Constraints = [new TableConstraint.AtMost("Start", "End"), new TableConstraint.AtMost("Low", "High")],
        });
        HashSet<string> known = [.. ViewRows.Read(data)];
        foreach (string row in ViewRows.Read(model.Generate(2000)))
            Assert.IsTrue(known.Contains(row), row);
    }

    [TestMethod]
    public void Data_that_breaks_a_constraint_is_refused_with_the_number_of_its_rows()
    {
        TableView data = new TableView(40)
            .Add("Low", NumberDataViewType.Single, row => row == 3 ? float.NaN : row)
            .Add("High", NumberDataViewType.Single, row => row < 5 ? row - 1f : row);
        string message = Assert.Throws<InvalidOperationException>(() => ShuffledTable.Fit(data, new PlainOptions
        {
            Constraints =
            [
                new TableConstraint.AtMost("Low", "High"), new TableConstraint.InRange("High", 0, 37),
                new TableConstraint.InRange("Low", 0, 39),
            ],
        })).Message;
        StringAssert.Contains(message, "4 of 40 rows break the constraint Low ≤ High");
        StringAssert.Contains(message, "3 of 40 rows break the constraint High in [0, 37]");
        Assert.IsFalse(message.Contains("Low in", StringComparison.Ordinal), message);
    }

    [TestMethod]
    public void Contradictory_constraints_are_refused_before_any_data_is_seen()
    {
        Refused("circle", AtMost("A", "B"), AtMost("B", "C"), AtMost("C", "A"));
        Refused("'A' is within all of its ranges", InRange("A", 0, 1), InRange("A", 2, 3));
        Refused("'B' at most 5", InRange("A", 10, 20), AtMost("A", "B"), InRange("B", 0, 5));
        Refused("'C' at most 5", AtMost("B", "C"), InRange("C", 0, 5), InRange("A", 10, 20), AtMost("A", "B"));
        Refused("in two combinations", Fixed("A", "B"), Fixed("B", "C"));
        Refused("is in a combination", Fixed("A", "B"), AtMost("B", "C"));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TableConstraint.InRange("A", 2, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => new TableConstraint.InRange("A", double.NaN, 1));
        Assert.Throws<ArgumentException>(() => new TableConstraint.AtMost("A", "A"));
        Assert.Throws<ArgumentException>(() => new TableConstraint.FixedCombinations("A"));
        new PlainOptions { Constraints = [InRange("A", 0, 5), AtMost("A", "B"), InRange("B", 5, 9)] }.Validate();

        static TableConstraint AtMost(string lower, string upper) => new TableConstraint.AtMost(lower, upper);

        static TableConstraint InRange(string column, double least, double most) =>
            new TableConstraint.InRange(column, least, most);

        static TableConstraint Fixed(params string[] columns) => new TableConstraint.FixedCombinations(columns);

        static void Refused(string said, params TableConstraint[] constraints)
        {
            PlainOptions options = new() { Constraints = constraints };
            var error = Assert.Throws<ArgumentException>(options.Validate);
            StringAssert.Contains(error.Message, said);
        }
    }

    [TestMethod]
    public void Times_are_not_compared_with_numbers_nor_categories_with_anything()
    {
        TableView data = new TableView(20)
            .Add("Day", DateTimeDataViewType.Instance, row => new DateTime(2024, 1, 1).AddDays(row))
            .Add("Number", NumberDataViewType.Single, row => (float)row)
            .Add("None", NumberDataViewType.Single, _ => float.NaN);
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => Fit("Day", "Number")).Message, "times with numbers");
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => Fit("None", "Number")).Message, "'None'");
        Assert.Throws<ArgumentException>(() => ShuffledTable.Fit(data, new PlainOptions
        {
            CategoricalColumnNames = ["Number"], Constraints = [new TableConstraint.AtMost("Number", "None")],
        }));

        void Fit(string lower, string upper) =>
            ShuffledTable.Fit(data, new PlainOptions { Constraints = [new TableConstraint.AtMost(lower, upper)] });
    }
}
