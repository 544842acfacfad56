using GenerativeML.Tests.Rows;
using GenerativeML.Tests.Tables;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Reports;

/// <summary>What the report says of tables whose likeness is known.</summary>
[TestClass]
public sealed class SyntheticDataReportTests
{
    [TestMethod]
    public void A_table_is_just_like_itself()
    {
        IDataView table = Made(400, seed: 1);
        SyntheticDataReport report = SyntheticDataReport.Compare(table, table, new() { HoldOut = table });
        Assert.AreEqual(1, report.MeanShape, 1e-12);
        Assert.AreEqual(1, report.MeanTrend, 1e-12);
        Assert.AreEqual(1, report.MeanCoverage, 1e-12);
        Assert.AreEqual(0, report.NewRowShare);
        Assert.AreEqual(0, report.ClosestRecords!.Synthetic);
        Assert.AreEqual(1, report.ClosestRecords.SyntheticCopies);
        Assert.AreEqual(1, report.ClosestRecords.Ratio);
    }

    [TestMethod]
    public void Shapes_and_coverage_are_those_of_a_hand_count()
    {
        double[] real = [1, 2, 3, 4], synthetic = [2, 3, 3, double.NaN];
        string[] realTexts = ["a", "a", "b", "c"], syntheticTexts = ["a", "b", "b", "d"];
        SyntheticDataReport report = SyntheticDataReport.Compare(
            Table(real, realTexts), Table(synthetic, syntheticTexts), new() { Detection = false });
        // At 1, a quarter of the real numbers is reached and none of the synthetic ones; at 3, three quarters and all.
        Assert.AreEqual(0.75, report.Columns[0].Shape, 1e-12);
        Assert.AreEqual(1 - 2.0 / 3, report.Columns[0].Coverage, 1e-12);
        Assert.AreEqual(0.25, report.Columns[0].SyntheticMissing);
        // |1/2 − 1/4| + |1/4 − 1/2| + |1/4 − 0| + |0 − 1/4| is 1, and half of it is left to 1.
        Assert.AreEqual(0.5, report.Columns[1].Shape, 1e-12);
        Assert.AreEqual(2.0 / 3, report.Columns[1].Coverage, 1e-12);
        Assert.IsTrue(report.Columns[0].IsNumeric);
        Assert.IsFalse(report.Columns[1].IsNumeric);
    }

    [TestMethod]
    public void Empty_columns_hide_nothing_and_missing_values_are_a_figure_of_their_own()
    {
        IDataView real = Wide(row => row), synthetic = Wide(row => row % 2 == 0 ? 100 : double.NaN);
        SyntheticDataReport report = SyntheticDataReport.Compare(real, synthetic, new() { Detection = false });
        Assert.AreEqual(0, report.MeanShape); // of the one column that has values
        Assert.IsTrue(double.IsNaN(report.Columns[1].Shape));
        Assert.IsEmpty(report.Pairs);
        Assert.AreEqual(0.5, report.Columns[0].MissingSimilarity);
        Assert.AreEqual((0.5 + 9) / 10, report.MeanMissingSimilarity, 1e-12);
        ReportVerdict missing = report.Verdicts.Single(v => v.Topic == "Missing values");
        Assert.AreEqual(VerdictLevel.Poor, missing.Level);
        StringAssert.Contains(missing.Text, "'value'");
        StringAssert.Contains(report.Verdicts.Single(v => v.Topic == "Empty columns").Text, "'empty 1', 'empty 2'");
        StringAssert.Contains(report.ToString(), "Poor: Missing values. ");

        static TableView Wide(Func<int, double> value)
        {
            TableView table = new TableView(20).Add("value", NumberDataViewType.Double, value);
            for (int i = 1; i < 10; i++)
                table.Add($"empty {i}", NumberDataViewType.Double, _ => double.NaN);
            return table;
        }
    }

    [TestMethod]
    [DataRow(0, 1.0)]
    [DataRow(200, 0.5)]
    [DataRow(400, 0.0)]
    public void Identifiers_count_in_no_likeness_and_copied_ones_are_no_good(int first, double copied)
    {
        IDataView real = IdentifierTests.Customers(400), synthetic = IdentifierTests.Customers(400, first);
        foreach (IDataView? holdOut in new[] { null, IdentifierTests.Customers(400, 1000) })
        {
            SyntheticDataReport report = SyntheticDataReport.Compare(
                real, synthetic, new() { HoldOut = holdOut, Detection = false });
            CollectionAssert.AreEqual(new[] { true, true, false }, report.Columns.Select(c => c.IsIdentifier).ToArray());
            Assert.AreEqual(copied, report.Columns[0].RealValueShare, 1e-12);
            Assert.AreEqual(copied, report.Columns[1].RealValueShare, 1e-12);
            Assert.AreEqual(1, report.Columns[2].RealValueShare); // ages come again and again
            Assert.AreEqual(1, report.MeanShape, 1e-12);
            Assert.IsEmpty(report.Pairs);
            Assert.AreEqual(0, report.NewRowShare); // the ages alone are compared
            Assert.AreEqual(
                copied > 0 ? VerdictLevel.Poor : VerdictLevel.Good,
                report.Verdicts.Single(v => v.Topic == "Identifiers").Level);
            ReportVerdict copies = report.Verdicts.Single(v => v.Topic is "Copies" or "New rows");
            Assert.AreEqual(
                copied > 0 ? VerdictLevel.Poor : holdOut is null ? VerdictLevel.Fair : VerdictLevel.Good, copies.Level);
        }
        SyntheticDataReport none = SyntheticDataReport.Compare(
            real, synthetic, new() { IdentifierColumnNames = ["Name"], Detection = false });
        Assert.IsFalse(none.Columns[0].IsIdentifier);
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(
                () => SyntheticDataReport.Compare(real, synthetic, new() { IdentifierColumnNames = ["Nobody"] })).Message,
            "'Nobody'");
    }

    [TestMethod]
    public void One_column_that_is_covered_badly_is_not_hidden_by_many_that_are_well()
    {
        SyntheticDataReport report = SyntheticDataReport.Compare(Wide(100), Wide(71), new() { Detection = false });
        Assert.AreEqual((0.71 + 9) / 10, report.MeanCoverage, 1e-12);
        ReportVerdict coverage = report.Verdicts.Single(v => v.Topic == "Coverage");
        Assert.AreEqual(VerdictLevel.Fair, coverage.Level);
        StringAssert.Contains(coverage.Text, "of 'value', 71.0");

        static TableView Wide(double most)
        {
            TableView table = new TableView(101).Add("value", NumberDataViewType.Double, row => Math.Min(row, most));
            for (int i = 1; i < 10; i++)
                table.Add($"other {i}", NumberDataViewType.Double, row => row / 3.0);
            return table;
        }
    }

    [TestMethod]
    public void The_page_says_what_a_cut_histogram_leaves_out_and_how_colours_are_scaled()
    {
        double[] numbers = [.. Enumerable.Range(0, 1000).Select(i => i == 999 ? 5e6 : i / 10.0)];
        string[] texts = [.. Enumerable.Range(0, 1000).Select(i => i % 2 == 0 ? "even" : "odd")];
        IDataView table = Table(numbers, texts);
        SyntheticDataReport report = SyntheticDataReport.Compare(table, table, new() { Detection = false });
        string page = new ReportPage(report, "t").Write();
        StringAssert.Contains(page, "0.5 to 99.4; beyond the ends 0 to 5,000,000");
        StringAssert.Contains(page, "<p class=\"faint scale\">−1 <span></span> 1.");
        Assert.IsTrue(new ReportPage(SyntheticDataReport.Compare(
            IdentifierTests.Customers(50), IdentifierTests.Customers(50), new() { Detection = false }), "t").Write()
            .Contains("tells rows apart: 100.0", StringComparison.Ordinal));
    }

    [TestMethod]
    public void Trends_of_numbers_are_by_correlation_and_others_by_joint_shares()
    {
        double[] up = [1, 2, 3, 4], down = [4, 3, 2, 1];
        string[] texts = ["a", "a", "b", "b"], swapped = ["b", "b", "a", "a"];
        SyntheticDataReport report = SyntheticDataReport.Compare(
            Pairs(up, up, texts), Pairs(up, down, swapped), new() { Detection = false });
        // From a correlation of 1 to one of −1; and no number goes with the same text as before.
        Assert.AreEqual(0, report.Pairs.Single(p => p.First == "x" && p.Second == "y").Trend, 1e-12);
        Assert.AreEqual(0, report.Pairs.Single(p => p.First == "x" && p.Second == "t").Trend, 1e-12);
        Assert.AreEqual(1, report.Pairs.Single(p => p.First == "y" && p.Second == "t").Trend, 1e-12);
    }

    [TestMethod]
    public void Columns_of_all_types_are_read_and_keys_go_by_their_values()
    {
        var first = new TableView(3)
            .Add("key", new KeyDataViewType(typeof(uint), 2), i => (uint)i, KeyNames("low", "high"))
            .Add("long", NumberDataViewType.Int64, i => (long)i)
            .Add("flag", BooleanDataViewType.Instance, i => i == 1)
            .AddVector("vector", 2, i => [i, float.NaN]);
        var second = new TableView(3)
            .AddVector("vector", 2, _ => [5, float.NaN])
            .Add("flag", BooleanDataViewType.Instance, i => i == 1)
            .Add("long", NumberDataViewType.Int64, i => (long)i)
            .Add(
                "key",
                new KeyDataViewType(typeof(uint), 3),
                i => (uint)(i == 0 ? 0 : 3 - i),
                KeyNames("high", "low", "new"));
        SyntheticDataReport report = SyntheticDataReport.Compare(first, second);
        CollectionAssert.AreEqual(
            new[] { "key", "long", "flag", "vector.0", "vector.1" }, report.Columns.Select(c => c.Name).ToArray());
        Assert.AreEqual(1, report.Columns[0].Shape, 1e-12);
        Assert.AreEqual(1.0 / 3, report.Columns[0].RealMissing, 1e-12);
        Assert.AreEqual(0, report.Columns[3].Shape, 1e-12);
        Assert.AreEqual(double.NaN, report.Columns[4].Shape); // nothing there to be like
        Assert.IsNull(report.DetectionAuroc);
    }

    [TestMethod]
    public void Real_rows_are_not_told_from_real_ones_and_broken_pairs_are()
    {
        IDataView real = Made(1500, seed: 1);
        double same = SyntheticDataReport.Compare(real, Made(1500, seed: 2)).DetectionAuroc!.Value;
        // Each column by itself is as before: only how they go together is not.
        double broken = SyntheticDataReport.Compare(real, Made(1500, seed: 2, together: false)).DetectionAuroc!.Value;
        Assert.AreEqual(0.5, same, 0.06);
        Assert.IsGreaterThan(0.8, broken);
    }

    [TestMethod]
    public void Rows_are_worth_as_much_as_they_say_of_the_label()
    {
        IDataView real = Made(800, seed: 1), test = Made(800, seed: 3);
        SyntheticDataReportOptions options = new() { HoldOut = test, LabelColumnName = "t", Detection = false };
        LabelUtility good = SyntheticDataReport.Compare(real, Made(800, seed: 2), options).Utility!;
        LabelUtility bad = SyntheticDataReport.Compare(real, Made(800, seed: 2, together: false), options).Utility!;
        Assert.AreEqual(good.Real.Auroc, good.Synthetic.Auroc, 0.03);
        Assert.IsGreaterThan(0.85, good.Real.Auroc);
        Assert.IsLessThan(0.65, bad.Synthetic.Auroc);
        Assert.AreEqual(good.Real, bad.Real);
        Assert.IsGreaterThan(bad.Synthetic.Auroc, bad.Both.Auroc);
    }

    [TestMethod]
    public void Samples_are_bounded_and_by_the_seed()
    {
        IDataView real = Made(3000, seed: 1), synthetic = Made(2000, seed: 2);
        SyntheticDataReport Compare(int seed) => SyntheticDataReport.Compare(
            real, synthetic, new() { MaximumRows = 500, Detection = false, Seed = seed });
        SyntheticDataReport report = Compare(1);
        Assert.AreEqual(3000, report.RealRows);
        Assert.AreEqual(500, report.Real.Rows);
        Assert.AreEqual(report.MeanTrend, Compare(1).MeanTrend);
        Assert.AreNotEqual(report.MeanTrend, Compare(2).MeanTrend);
        // Every row is equally likely, the first and the last: the mean of a column is that of all rows.
        Assert.AreEqual(0, report.Real.Values(0).ToArray().Average(), 0.2);
    }

    [TestMethod]
    public void Copies_that_chance_explains_are_no_copies()
    {
        // Of so few values most rows come again, and how many is chance.
        IDataView Narrow(int rows, int seed)
        {
            var random = new Random(seed);
            (float Age, string Kind)[] all = [.. Enumerable.Range(0, rows).Select(_ => (
                MathF.Floor(60 * random.NextSingle() * random.NextSingle()), $"k{(int)(9 * random.NextDouble() * random.NextDouble())}"))];
            return new TableView(rows)
                .Add("Age", NumberDataViewType.Single, row => all[row].Age).Add("Kind", TextDataViewType.Instance, row => all[row].Kind.AsMemory());
        }
        IDataView real = Narrow(800, 1), test = Narrow(400, 2);
        SyntheticDataReport[] fresh =
        [
            .. Enumerable.Range(3, 8).Select(seed => SyntheticDataReport.Compare(
                real, Narrow(800, seed), new() { HoldOut = test, Detection = false })),
        ];
        Assert.Contains(report => report.ClosestRecords!.SyntheticCopies - report.ClosestRecords.HoldOutCopies > 0.01, fresh);
        foreach (SyntheticDataReport report in fresh)
            Assert.AreNotEqual(VerdictLevel.Poor, report.Verdicts.Single(v => v.Topic == "Copies").Level, $"{report.ClosestRecords}");
        SyntheticDataReport copied = SyntheticDataReport.Compare(real, real, new() { HoldOut = test, Detection = false });
        Assert.AreEqual(VerdictLevel.Poor, copied.Verdicts.Single(v => v.Topic == "Copies").Level);
    }

    [TestMethod]
    public void Verdicts_follow_the_figures()
    {
        IDataView real = Made(800, seed: 1), test = Made(800, seed: 3);
        SyntheticDataReportOptions options = new() { HoldOut = test, LabelColumnName = "t" };
        IReadOnlyList<ReportVerdict> good = SyntheticDataReport.Compare(real, Made(800, seed: 2), options).Verdicts;
        Assert.IsTrue(good.All(v => v.Level == VerdictLevel.Good), string.Join("\n", good));
        IReadOnlyList<ReportVerdict> copied = SyntheticDataReport.Compare(real, real, options).Verdicts;
        Assert.AreEqual(VerdictLevel.Poor, copied.Single(v => v.Topic == "Privacy").Level);
        Assert.AreEqual(VerdictLevel.Poor, copied.Single(v => v.Topic == "Copies").Level);
    }

    [TestMethod]
    public void The_page_is_whole_in_itself_and_text_stays_text()
    {
        IDataView table = new TableView(40)
            .Add("<b>&name", TextDataViewType.Instance, i => (i % 2 == 0 ? "<script>" : "\"x\"").AsMemory())
            .Add("n", NumberDataViewType.Single, i => (float)i);
        string path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid()}.html");
        try
        {
            SyntheticDataReport.Compare(table, table).SaveHtml(path, "A <title>");
            string page = File.ReadAllText(path);
            StringAssert.Contains(page, "A &lt;title&gt;");
            StringAssert.Contains(page, "&lt;b&gt;&amp;name");
            OnePage.AssertWhole(page);
            Assert.AreEqual(2, page.Split("<svg").Length - 1);
            Assert.IsFalse(File.Exists(path + AtomicFile.TemporarySuffix));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void What_cannot_be_compared_is_refused_by_name()
    {
        IDataView real = Made(50, seed: 1), many = Made(120, seed: 1);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => SyntheticDataReport.Compare(real, new TableView(3).Add("x", NumberDataViewType.Double, i => 1.0)))
                .Message,
            "'y' is missing");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => SyntheticDataReport.Compare(real, Pairs([1f], [1], ["a"]))).Message,
            "'x' is of the wrong type: expected Double");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => SyntheticDataReport.Compare(real, real, new() { HoldOut = real, LabelColumnName = "none" }))
                .Message,
            "Label column 'none' is missing");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => SyntheticDataReport.Compare(real, real, new() { LabelColumnName = "t" })).Message,
            "HoldOut");
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(
                () => SyntheticDataReport.Compare(many, many, new() { HoldOut = many, LabelColumnName = "x" })).Message,
            "Label column 'x' has 120 different values");
        Assert.ThrowsExactly<ArgumentException>(() => SyntheticDataReport.Compare(real, Made(0, seed: 1)));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => SyntheticDataReport.Compare(real, real, new() { MaximumRows = 9 }));
        Assert.ThrowsExactly<OperationCanceledException>(
            () => SyntheticDataReport.Compare(real, real, new() { CancellationToken = new(canceled: true) }));
    }

    /// <summary>Two numbers and a text that go together, or by themselves as before and not together.</summary>
    private static TableView Made(int rows, int seed, bool together = true)
    {
        SplitMix64 random = new((ulong)seed);
        double Normal() =>
            Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        var drawn = new (double X, double Y, string Text)[rows];
        for (int i = 0; i < rows; i++)
        {
            double x = Normal(), y = Math.Abs(together ? x : Normal()) + 0.1 * Normal();
            double z = (together ? x : Normal()) + 0.5 * Normal();
            drawn[i] = (x, y, z < -0.5 ? "low" : "high");
        }
        return Pairs([.. drawn.Select(r => r.X)], [.. drawn.Select(r => r.Y)], [.. drawn.Select(r => r.Text)]);
    }

    private static TableView Pairs(double[] x, double[] y, string[] texts) => new TableView(x.Length)
        .Add("x", NumberDataViewType.Double, i => x[i])
        .Add("y", NumberDataViewType.Double, i => y[i])
        .Add("t", TextDataViewType.Instance, i => texts[i].AsMemory());

    private static TableView Pairs(float[] x, double[] y, string[] texts) => new TableView(x.Length)
        .Add("x", NumberDataViewType.Single, i => x[i])
        .Add("y", NumberDataViewType.Double, i => y[i])
        .Add("t", TextDataViewType.Instance, i => texts[i].AsMemory());

    private static TableView Table(double[] numbers, string[] texts) => new TableView(numbers.Length)
        .Add("n", NumberDataViewType.Double, i => numbers[i])
        .Add("t", TextDataViewType.Instance, i => texts[i].AsMemory());

    private static DataViewSchema.Annotations KeyNames(params string[] names)
    {
        ReadOnlyMemory<char>[] values = [.. names.Select(name => name.AsMemory())];
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add(
            "KeyValues",
            new VectorDataViewType(TextDataViewType.Instance, values.Length),
            (ref VBuffer<ReadOnlyMemory<char>> value) =>
                VBuffer<ReadOnlyMemory<char>>.Copy(values, 0, ref value, values.Length));
        return builder.ToAnnotations();
    }
}
