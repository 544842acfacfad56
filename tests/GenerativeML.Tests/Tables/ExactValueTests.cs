using System.Globalization;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Tables;

/// <summary>Values that a detour by doubles could change are kept exactly, or refused by name.</summary>
[TestClass]
public sealed class ExactValueTests
{
    [TestMethod]
    public void Singles_with_one_decimal_are_made_and_asked_for_by_name()
    {
        // 0.1, 0.2, … 40.0, each once: the intervals between them are drawn from, and rounded.
        TableView data = new TableView(400).Add("V", NumberDataViewType.Single, row => (row + 1) / 10f);
        HashSet<float> known = [.. Enumerable.Range(1, 400).Select(i => i / 10f)];
        using TabularTransformer model = Drawn(data);
        float[] made = [.. model.Generate(20_000).GetColumn<float>("V")];
        Assert.IsTrue(made.All(known.Contains), $"{made.FirstOrDefault(v => !known.Contains(v)):R}");
        Assert.IsTrue(made.Contains(0.1f) && made.Contains(40f));
        foreach (double asked in new double[] { 0.1f, 0.1, 40, 39.9f })
        {
            IDataView rows = model.Generate(20, where: new RowCondition().Equal("V", asked));
            Assert.IsTrue(rows.GetColumn<float>("V").All(v => v == (float)asked));
        }
    }

    [TestMethod]
    public void Ranges_and_inequalities_of_Singles_are_compared_as_Singles()
    {
        TableView data = new TableView(300)
            .Add("Single", NumberDataViewType.Single, row => (row % 10 + 1) / 10f)
            .Add("Double", NumberDataViewType.Double, row => (row % 10 + 1 + row / 10 % 3) / 10.0);
        // As doubles, 0.1f is above 0.1, and 0.7f below 0.7.
        using TabularTransformer model = ShuffledTable.Fit(data, new PlainOptions
        {
            Constraints =
            [
                new TableConstraint.AtMost("Single", "Double"), new TableConstraint.InRange("Single", 0.1, 1),
                new TableConstraint.InRange("Double", 0.1, 1.2),
            ],
        }, independent: true);
        IDataView rows = model.Generate(3000);
        float[] single = [.. rows.GetColumn<float>("Single")];
        double[] number = [.. rows.GetColumn<double>("Double")];
        for (int i = 0; i < single.Length; i++)
        {
            Assert.IsLessThanOrEqualTo((float)number[i], single[i]);
            Assert.AreEqual(Math.Round(number[i], 1), number[i]);
        }
        Assert.IsGreaterThan(500, single.Zip(number).Count(p => p.First == (float)p.Second));
    }

    [TestMethod]
    public void Each_time_keeps_its_own_step_under_an_inequality()
    {
        TableView data = new TableView(500)
            .Add("Day", DateTimeDataViewType.Instance, row => new DateTime(2024, 1, 1).AddDays(row % 90))
            .Add("Moment", DateTimeDataViewType.Instance,
                row => new DateTime(2024, 1, 1).AddDays(row % 90).AddMinutes(row * 37 % 4000))
            .Add("Due", DateTimeDataViewType.Instance, row => new DateTime(2024, 1, 5).AddDays(row % 90 + row % 3));
        using TabularTransformer model = ShuffledTable.Fit(data, new PlainOptions
        {
            Constraints = [new TableConstraint.AtMost("Day", "Moment"), new TableConstraint.AtMost("Moment", "Due")],
        }, independent: true);
        IDataView rows = model.Generate(3000);
        DateTime[] day = [.. rows.GetColumn<DateTime>("Day")], moment = [.. rows.GetColumn<DateTime>("Moment")];
        DateTime[] due = [.. rows.GetColumn<DateTime>("Due")];
        for (int i = 0; i < day.Length; i++)
        {
            Assert.IsTrue(day[i] <= moment[i] && moment[i] <= due[i], $"{day[i]} {moment[i]} {due[i]}");
            Assert.IsTrue(day[i].TimeOfDay == default && due[i].TimeOfDay == default, "a midnight was lost");
            Assert.AreEqual(0, moment[i].Ticks % TimeSpan.TicksPerMinute);
        }
        Assert.IsGreaterThan(0.8, moment.Count(m => m.TimeOfDay != default) / 3000.0);
    }

    [TestMethod]
    public void Dates_that_are_written_as_numbers_stay_dates()
    {
        static int Number(DateTime date) => date.Year * 10000 + date.Month * 100 + date.Day;
        static bool IsDate(int number) => DateTime.TryParseExact(
            number.ToString("D8", CultureInfo.InvariantCulture), "yyyyMMdd", CultureInfo.InvariantCulture,
            DateTimeStyles.None, out _);
        var first = new DateTime(2019, 1, 1);
        TableView data = new TableView(1461)
            .Add("Born", NumberDataViewType.Int32, row => Number(first.AddDays(row * 7 % 1461)))
            .Add("Start", NumberDataViewType.Int32, row => Number(first.AddDays(row)))
            .Add("End", NumberDataViewType.Int32, row => Number(first.AddDays(row + row % 40)))
            .Add("Amount", NumberDataViewType.Int32, row => 20190100 + row);
        using TabularTransformer model = Drawn(data, new TableConstraint.AtMost("Start", "End"));
        IDataView rows = model.Generate(20_000);
        int[] born = [.. rows.GetColumn<int>("Born")], start = [.. rows.GetColumn<int>("Start")], end = [.. rows.GetColumn<int>("End")];
        CollectionAssert.AreEqual(Array.Empty<int>(), born.Concat(start).Concat(end).Where(n => !IsDate(n)).ToArray());
        Assert.IsTrue(start.Zip(end).All(pair => pair.First <= pair.Second));
        Assert.IsFalse(rows.GetColumn<int>("Amount").All(IsDate), "numbers that are not all dates are numbers");
        // Seven months of the year have a 31st: 28 of 1461 days, without what lies between the months.
        Assert.AreEqual(28 / 1461.0, born.Count(b => b % 100 == 31) / 20_000.0, 0.005);

        born = [.. model.Generate(2000, where: new RowCondition().Between("Born", 20200200, 20200304.5)).GetColumn<int>("Born")];
        Assert.IsTrue(born.All(b => b is >= 20200201 and <= 20200304 && IsDate(b)));
        Assert.Contains(20200229, born);
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => model.Generate(1, where: new RowCondition().Equal("Born", 20210229))).Message,
            "dates");
    }

    [TestMethod]
    public void Ticks_and_offsets_of_times_come_back()
    {
        TableView data = new TableView(60)
            .Add("Tick", DateTimeDataViewType.Instance, row => new DateTime(2025, 3, 1).AddTicks(row * 12_345_677L))
            .Add("Old", DateTimeDataViewType.Instance, row => new DateTime(1850, 3, 1).AddMilliseconds(row * 7))
            .Add("Span", TimeSpanDataViewType.Instance, row => TimeSpan.FromTicks(row * 11L))
            .Add("Moment", DateTimeOffsetDataViewType.Instance,
                row => new DateTimeOffset(2024, 1, 1, 0, row, 0, TimeSpan.FromMinutes(-210)))
            .Add("Choice", DateTimeOffsetDataViewType.Instance,
                row => new DateTimeOffset(2024, 1, 1 + row % 3, 0, 0, 0, TimeSpan.FromHours(2)));
        using TabularTransformer model = ShuffledTable.Fit(data);
        HashSet<string> known = [.. ViewRows.Read(data)];
        IDataView rows = model.Generate(500);
        Assert.IsTrue(ViewRows.Read(rows).All(known.Contains));
        Assert.IsTrue(rows.GetColumn<DateTimeOffset>("Moment").All(m => m.Offset == TimeSpan.FromMinutes(-210)));
        Assert.IsTrue(rows.GetColumn<DateTimeOffset>("Choice").All(m => m.Offset == TimeSpan.FromHours(2)));
    }

    [TestMethod]
    public void Keys_of_moments_keep_their_offsets()
    {
        DateTimeOffset[] moments =
            [new(2024, 1, 1, 0, 0, 0, TimeSpan.FromHours(1)), new(2024, 1, 1, 0, 0, 0, TimeSpan.FromMinutes(-210))];
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add("KeyValues", new VectorDataViewType(DateTimeOffsetDataViewType.Instance, 2),
            (ref VBuffer<DateTimeOffset> v) => VBuffer<DateTimeOffset>.Copy(moments, 0, ref v, 2));
        using TabularTransformer model = ShuffledTable.Fit(new TableView(9).Add(
            "Key", new KeyDataViewType(typeof(uint), 2), row => (uint)(1 + row % 2), builder.ToAnnotations()));
        VBuffer<DateTimeOffset> kept = default;
        model.Generate(1).Schema["Key"].GetKeyValues(ref kept);
        Assert.IsTrue(moments.Zip(kept.DenseValues()).All(pair => pair.First.EqualsExact(pair.Second)));
    }

    [TestMethod]
    public void Texts_that_are_no_Unicode_are_refused_by_name()
    {
        // Not as rows of data, whose texts the test's host would mend.
        foreach (string text in (string[])["half \ud800 of a pair", "\udc00", "\ud83d\ud83d\ude00"])
        {
            var error = Assert.Throws<InvalidOperationException>(() => ShuffledTable.Fit(Data(text)));
            StringAssert.Contains(error.Message, "'T'");
            StringAssert.Contains(error.Message, "Unicode");
        }
        ShuffledTable.Fit(Data("fine \ud83d\ude00")).Dispose();

        static TableView Data(string text) =>
            new TableView(9).Add("T", TextDataViewType.Instance, row => (row == 5 ? text : "other").AsMemory());
    }

    [TestMethod]
    public void What_cannot_be_kept_exactly_is_refused_by_name()
    {
        Refused("'Long'", new TableView(9).Add("Long", NumberDataViewType.Int64, row => (1L << 53) + 1 + row));
        Refused("'Negative'", new TableView(9).Add("Negative", NumberDataViewType.Int64, row => -(1L << 53) - 1 - row));
        Refused("'Unsigned'", new TableView(9).Add(
            "Unsigned", NumberDataViewType.UInt64, row => ulong.MaxValue - (ulong)row - 1));
        Refused("'Ticks'", new TableView(9).Add(
            "Ticks", DateTimeDataViewType.Instance, row => new DateTime(1700, 1, 1).AddTicks(2 * row + 1)));
        Refused("'Zones'", new TableView(9).Add(
            "Zones", DateTimeOffsetDataViewType.Instance,
            row => new DateTimeOffset(2024, 1, 1, 0, 0, 0, TimeSpan.FromHours(row))));
        var builder = new DataViewSchema.Annotations.Builder();
        builder.Add("KeyValues", new VectorDataViewType(NumberDataViewType.Int64, 2),
            (ref VBuffer<long> v) => VBuffer<long>.Copy([long.MaxValue - 1, 5], 0, ref v, 2));
        DataViewSchema.Annotations values = builder.ToAnnotations();
        TableView keys = new TableView(9).Add(
            "Key", new KeyDataViewType(typeof(uint), 2), row => (uint)(1 + row % 2), values);
        Refused("'KeyValues' of column 'Key'", keys);

        // Whole numbers that doubles hold are no matter, however large.
        using TabularTransformer large = ShuffledTable.Fit(
            new TableView(9).Add("Long", NumberDataViewType.Int64, row => (1L << 60) + ((long)row << 20)));
        Assert.IsTrue(large.Generate(9).GetColumn<long>("Long").All(v => (v & ((1 << 20) - 1)) == 0));

        static void Refused(string name, TableView data) => StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => ShuffledTable.Fit(data)).Message, name);
    }

    /// <summary>
    /// A generator that draws each number anew within its token, as trained ones do.
    /// </summary>
    private static TabularTransformer Drawn(IDataView data, params TableConstraint[] constraints)
    {
        PlainOptions options = new() { Constraints = constraints };
        var table = new TrainingTable(data, new TableBinding(data.Schema, options, "input"), options, null);
        TokenTable tokens = TokenTable.Learn(table, modes: false, 1, default);
        return new TabularTransformer(new TokenDraws(tokens), table.Schema, table.Mapping);
    }

    private sealed class TokenDraws(TokenTable tokens) : ITableGenerator
    {
        public TableShape Shape => tokens.Shape;

        public TabularOptions Options => throw new NotSupportedException();

        public void Fill(TableBlock block, int count, ulong seed, long first, TableCondition? where)
        {
            for (int p = 0; p < tokens.Columns.Count; p++)
            {
                TokenColumn values = tokens.Columns[p].Limited(
                    where?.Limits.FirstOrDefault(l => l.Column == tokens.Order[p]));
                int[] allowed =
                    [.. Enumerable.Range(0, tokens.Counts[p]).Where(t => values.Allowed?[t] is not 0)];
                for (int row = 0; row < count; row++)
                {
                    var random = new SplitMix64(new SplitMix64(seed + (ulong)(first + row)).Next());
                    int token = allowed[random.Next(allowed.Length)];
                    block[tokens.Order[p]][row] = values.Draw(token, 0, ref random);
                }
            }
        }

        public void Save(Stream stream) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
