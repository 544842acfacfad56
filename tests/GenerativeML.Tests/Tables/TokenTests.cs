namespace GenerativeML.Tests;

[TestClass]
public sealed class TokenTests
{
    [TestMethod]
    public void A_value_drawn_for_a_token_has_that_token()
    {
        double[] values = Spiky(3000, decimals: 4);
        TableColumn column = ArrayTable.Number("x", values, 4);
        NumberTokens tokens = NumberTokens.Learn(column, values, NumberBins.Default);
        TokenColumn draws = tokens.Limited(null);
        var random = new SplitMix64(1);
        int away = 0;
        for (int i = 0; i < 5000; i++)
        {
            int token = i % tokens.Count;
            double value = draws.Draw(token, 0, ref random);
            Assert.AreEqual(token == tokens.Count - 1, double.IsNaN(value));
            Assert.IsTrue(double.IsNaN(value) || value >= column.Min && value <= column.Max);
            Assert.IsTrue(double.IsNaN(value) || Math.Abs(value - Math.Round(value, 4)) < 1e-12);
            away += tokens.Encode(value, 0) == token ? 0 : 1;
        }
        Assert.IsLessThan(50, away); // rounding may bring a value onto a frequent one's, or over an interval's end
    }

    [TestMethod]
    public void Values_drawn_for_the_tokens_of_rows_are_distributed_as_the_rows()
    {
        double[] values = Spiky(4000, decimals: 2);
        TableColumn column = ArrayTable.Number("x", values, 2);
        NumberTokens tokens = NumberTokens.Learn(column, values, NumberBins.Default);
        TokenColumn draws = tokens.Limited(null);
        var random = new SplitMix64(2);
        double[] drawn = Array.ConvertAll(values, value => draws.Draw(tokens.Encode(value, 0), 0, ref random));
        Assert.AreEqual(values.Count(double.IsNaN), drawn.Count(double.IsNaN));
        Assert.AreEqual(values.Count(v => v == 0), drawn.Count(v => v == 0), 5);
        // Values keep their intervals, so the two can differ by no more than one interval's share.
        foreach (double at in values.Where(v => !double.IsNaN(v)).Distinct())
            Assert.AreEqual(values.Count(v => v <= at), drawn.Count(v => v <= at), 4000 * 0.03);
    }

    [TestMethod]
    [DataRow(0.0, 0.0)]
    [DataRow(1.2, 1.9)]
    [DataRow(-3.0, 0.05)]
    [DataRow(1.31, 1.31)]
    public void A_range_is_kept_exactly(double min, double max)
    {
        double[] values = Spiky(4000, decimals: 2);
        TableColumn column = ArrayTable.Number("x", values, 2);
        NumberTokens tokens = NumberTokens.Learn(column, values, NumberBins.Default);
        var limit = new NumberLimit(0, min, max, Missing: false);
        TokenColumn draws = tokens.Limited(limit);
        var random = new SplitMix64(3);
        Assert.AreEqual(0, draws.Allowed![tokens.Count - 1]); // missing
        Assert.IsGreaterThan(0, draws.Allowed.Max());
        for (int token = 0; token < tokens.Count; token++)
        {
            for (int i = 0; i < 20 && draws.Allowed[token] > 0; i++)
            {
                double value = draws.Draw(token, 0, ref random);
                Assert.IsTrue(limit.Allows(value), $"{value} is not within {min} and {max}");
            }
        }
    }

    [TestMethod]
    public void Rare_categories_are_drawn_as_often_as_they_occur()
    {
        long[] counts = [.. Enumerable.Range(0, 10_000).Select(i => i == 5 ? 50_000L : 1 + i % 3)];
        var tokens = new CategoryTokens(counts, 256);
        Assert.AreEqual(257, tokens.Count);
        Assert.AreEqual(0, tokens.Encode(5, 0));

        var random = new SplitMix64(4);
        int[] seen = new int[counts.Length];
        TokenColumn draws = tokens.Limited(null);
        for (int i = 0; i < 60_000; i++)
        {
            seen[(int)draws.Draw(256, 0, ref random)]++;
        }
        double ofThree = 0, ofOne = 0;
        for (int i = 0; i < counts.Length; i++)
        {
            ofThree += i != 5 && counts[i] == 3 ? seen[i] : 0;
            ofOne += counts[i] == 1 ? seen[i] : 0;
        }
        // Some of those that occur three times have tokens of their own.
        Assert.AreEqual((3333 - 256) * 3.0 / 3334, ofThree / ofOne, 0.1);
    }

    [TestMethod]
    public void A_condition_on_categories_leaves_only_them()
    {
        var tokens = new CategoryTokens([.. Enumerable.Range(0, 600).Select(i => 1000L - i)], 256);
        bool[] allowed = new bool[600];
        allowed[3] = allowed[500] = allowed[501] = true;
        TokenColumn draws = tokens.Limited(new CategoryLimit(0, allowed));
        Assert.AreEqual(2, draws.Allowed!.Count(share => share > 0));
        var random = new SplitMix64(5);
        for (int i = 0; i < 100; i++)
        {
            Assert.IsTrue(draws.Draw(256, 0, ref random) is 500 or 501);
        }
    }

    [TestMethod]
    public void Modes_and_offsets_give_values_back()
    {
        double[] values = [.. Spiky(2000, decimals: 3).Where(v => !double.IsNaN(v))];
        TableColumn column = ArrayTable.Number("x", values, 3);
        NumberModes modes = NumberModes.Learn(column, values);
        TokenColumn draws = modes.Limited(null);
        var random = new SplitMix64(6);
        int close = 0;
        for (int i = 0; i < values.Length; i++)
        {
            int token = modes.Encode(values[i], i);
            double back = draws.Draw(token, modes.Offset(values[i], token), ref random);
            close += Math.Abs(back - values[i]) <= 1e-3 ? 1 : 0;
        }
        // All but those beyond four deviations of their mode, and some in a mode of mostly whole numbers, here zeros.
        Assert.IsGreaterThanOrEqualTo(0.9 * values.Length, close);
    }

    [TestMethod]
    [DataRow(0.5, 0.75)]
    [DataRow(2.0, 2.0)]
    public void A_range_of_modes_is_kept_exactly(double min, double max)
    {
        double[] values = Spiky(2000, decimals: 2);
        TableColumn column = ArrayTable.Number("x", values, 2);
        NumberModes modes = NumberModes.Learn(column, values);
        var limit = new NumberLimit(0, min, max, Missing: false);
        TokenColumn draws = modes.Limited(limit);
        var random = new SplitMix64(3);
        Assert.AreEqual(0, draws.Allowed![^1]); // missing
        for (int token = 0; token < modes.Count; token++)
        {
            for (int i = 0; i < 20 && draws.Allowed[token] > 0; i++)
            {
                double value = draws.Draw(token, -0.9f + 0.09f * i, ref random);
                Assert.IsTrue(limit.Allows(value), $"{value} is not within {min} and {max}");
            }
        }
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void What_is_mostly_whole_stays_so(bool modes)
    {
        var draw = new SplitMix64(12);
        double[] values =
        [
            .. Enumerable.Range(0, 4000).Select(
                i => draw.Next(5000) + (i % 20 == 0 ? Math.Round(draw.NextDouble(), 2) : 0)),
        ];
        TableColumn column = ArrayTable.Number("x", values, 2);
        TokenColumn tokens = modes ? NumberModes.Learn(column, values) : NumberTokens.Learn(column, values, NumberBins.Default);
        TokenColumn draws = tokens.Limited(null);
        double[] drawn = new double[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            int token = tokens.Encode(values[i], i);
            drawn[i] = draws.Draw(token, (float)(draw.NextDouble() - 0.5), ref draw);
        }
        Assert.AreEqual(values.Count(v => v % 1 == 0) / 4000.0, drawn.Count(v => v % 1 == 0) / 4000.0, 0.02);
        Assert.IsTrue(drawn.All(v => Math.Round(v, 2) == v));
        // 4000 draws of 5000 whole numbers hold some 2750; fewer than half of those would be values repeated.
        Assert.IsGreaterThan(2750 / 2, drawn.Distinct().Count());
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Numbers_that_are_too_rare_for_a_sample_of_rows_are_learned(bool modes)
    {
        double[] x = new double[2_000_000];
        Array.Fill(x, double.NaN);
        x[1_000_000] = 3;
        x[1_900_000] = 5;
        var shape = new TableShape([ArrayTable.Category("a", 1), ArrayTable.Number("x", x, 0)]);
        TokenColumn tokens = TokenTable.Learn(new ArrayTable(shape, [new byte[x.Length], x]), modes, 1, default).Columns[1];
        Assert.IsGreaterThan(1, tokens.Count);
        Assert.AreEqual(tokens.Count - 1, tokens.Encode(double.NaN, 0));
        foreach (double value in new[] { 3.0, 5 })
        {
            int token = tokens.Encode(value, 0);
            var random = new SplitMix64(1);
            Assert.IsTrue(tokens.Draw(token, tokens.Offset(value, token), ref random) is 3 or 5);
        }
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Rows_have_the_same_tokens_in_blocks_of_any_size(bool modes)
    {
        ArrayTable table = ArrayTable.Known(3000, 3);
        var source = new TokenSource(table, TokenTable.Learn(table, modes, 1, default));
        long[] Read(int atOnce)
        {
            var read = new List<long>();
            var block = new RowBlock(source.Fields, atOnce);
            using IRowReader reader = source.Open();
            for (int n; (n = reader.Read(block, 0, atOnce)) > 0;)
                read.AddRange(block.Int64s(0)[..(n * source.Fields[0].Width)].ToArray());
            return [.. read];
        }

        long[] expected = Read(1024);
        CollectionAssert.AreEqual(expected, Read(256));
        CollectionAssert.AreEqual(expected, Read(1));
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Tokens_come_back_from_the_numbers_that_are_saved_and_others_are_refused(bool modes)
    {
        ArrayTable table = ArrayTable.Known(500, 3);
        TokenTable tokens = TokenTable.Learn(table, modes, 1, default);
        double[] saved = tokens.Save();
        CollectionAssert.AreEqual(saved, TokenTable.Load(table.Shape, saved, modes).Save());
        var random = new SplitMix64(4);
        int refused = 0;
        for (int i = 0; i < 2000; i++)
        {
            double[] damaged = [.. saved];
            damaged[random.Next(damaged.Length)] = random.Next(5) switch
            {
                0 => double.NaN, 1 => -1, 2 => 1e300, 3 => random.Next(100), _ => random.NextDouble(),
            };
            try
            {
                TokenTable.Load(table.Shape, i % 3 == 0 ? damaged[..random.Next(damaged.Length)] : damaged, modes);
            }
            catch (FormatException)
            {
                refused++;
            }
        }
        Assert.IsGreaterThan(1000, refused);
    }

    /// <summary>Missing values, zeros, and a long tail.</summary>
    private static double[] Spiky(int rows, int decimals)
    {
        var random = new SplitMix64(11);
        return
        [
            .. Enumerable.Range(0, rows).Select(_ =>
            {
                double u = random.NextDouble();
                return u < 0.1 ? double.NaN : u < 0.4 ? 0 : Math.Round(-Math.Log(1 - random.NextDouble()), decimals);
            }),
        ];
    }
}
