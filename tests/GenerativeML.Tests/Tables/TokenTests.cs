namespace GenerativeML.Tests;

[TestClass]
public sealed class TokenTests
{
    [TestMethod]
    public void A_value_drawn_for_a_token_has_that_token()
    {
        double[] values = Spiky(3000, decimals: 4);
        TableColumn column = ArrayTable.Number("x", values, 4);
        NumberTokens tokens = NumberTokenBuilder.Build(column, values, 64);
        TokenValues draws = tokens.Values(null);
        var block = new TableBlock(new TableShape([column]), 1);
        var random = new SplitMix64(1);
        int away = 0;
        for (int i = 0; i < 5000; i++)
        {
            int token = i % tokens.Count;
            draws.Draw(token, block, 0, 0, ref random);
            double value = block.Numbers(0)[0];
            Assert.AreEqual(token == tokens.Count - 1, double.IsNaN(value));
            Assert.IsTrue(double.IsNaN(value) || value >= column.Min && value <= column.Max);
            Assert.IsTrue(double.IsNaN(value) || Math.Abs(value - Math.Round(value, 4)) < 1e-12);
            away += tokens.Encode(value) == token ? 0 : 1;
        }
        Assert.IsLessThan(50, away); // rounding may bring a value onto a frequent one's, or over an interval's end
    }

    [TestMethod]
    public void Values_drawn_for_the_tokens_of_rows_are_distributed_as_the_rows()
    {
        double[] values = Spiky(4000, decimals: 2);
        TableColumn column = ArrayTable.Number("x", values, 2);
        NumberTokens tokens = NumberTokenBuilder.Build(column, values, 64);
        TokenValues draws = tokens.Values(null);
        var block = new TableBlock(new TableShape([column]), values.Length);
        var random = new SplitMix64(2);
        for (int i = 0; i < values.Length; i++)
            draws.Draw(tokens.Encode(values[i]), block, 0, i, ref random);
        double[] drawn = block.Numbers(0);
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
    public void A_range_is_kept_exactly(double least, double most)
    {
        double[] values = Spiky(4000, decimals: 2);
        TableColumn column = ArrayTable.Number("x", values, 2);
        NumberTokens tokens = NumberTokenBuilder.Build(column, values, 64);
        var limit = new NumberLimit(0, least, most, Missing: false);
        TokenValues draws = tokens.Values(limit);
        var block = new TableBlock(new TableShape([column]), 1);
        var random = new SplitMix64(3);
        Assert.AreEqual(0, draws.Allowed![tokens.Count - 1]); // missing
        Assert.IsGreaterThan(0, draws.Allowed.Max());
        for (int token = 0; token < tokens.Count; token++)
        {
            for (int i = 0; i < 20 && draws.Allowed[token] > 0; i++)
            {
                draws.Draw(token, block, 0, 0, ref random);
                Assert.IsTrue(limit.Allows(block, 0), $"{block.Numbers(0)[0]} is not within {least} and {most}");
            }
        }
    }

    [TestMethod]
    public void Rare_categories_are_drawn_as_often_as_they_occur()
    {
        long[] counts = [.. Enumerable.Range(0, 10_000).Select(i => i == 5 ? 50_000L : 1 + i % 3)];
        var tokens = new CategoryTokens(counts, 256);
        Assert.AreEqual(257, tokens.Count);
        var block = new TableBlock(new TableShape([ArrayTable.Category("c", counts.Length)]), 1);
        block.Codes(0)[0] = 5;
        Assert.AreEqual(0, tokens.Encode(block, 0, 0));

        var random = new SplitMix64(4);
        int[] seen = new int[counts.Length];
        TokenValues draws = tokens.Values(null);
        for (int i = 0; i < 60_000; i++)
        {
            draws.Draw(256, block, 0, 0, ref random);
            seen[block.Codes(0)[0]]++;
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
        TokenValues draws = tokens.Values(new CategoryLimit(0, allowed));
        Assert.AreEqual(2, draws.Allowed!.Count(share => share > 0));
        var block = new TableBlock(new TableShape([ArrayTable.Category("c", 600)]), 1);
        var random = new SplitMix64(5);
        for (int i = 0; i < 100; i++)
        {
            draws.Draw(256, block, 0, 0, ref random);
            Assert.IsTrue(block.Codes(0)[0] is 500 or 501);
        }
    }

    [TestMethod]
    public void Modes_and_offsets_give_values_back()
    {
        double[] values = [.. Spiky(2000, decimals: 3).Where(v => !double.IsNaN(v))];
        TableColumn column = ArrayTable.Number("x", values, 3);
        NumberModes modes = NumberModes.Learn(column, values);
        var block = new TableBlock(new TableShape([column]), values.Length);
        values.CopyTo(block.Numbers(0), 0);
        int close = 0;
        for (int i = 0; i < values.Length; i++)
        {
            int token = modes.Encode(block, 0, i);
            double back = modes.Value(token, modes.Offset(values[i], token));
            close += Math.Abs(back - values[i]) <= 1e-3 ? 1 : 0;
        }
        // All but those beyond four deviations of their mode.
        Assert.IsGreaterThanOrEqualTo(0.99 * values.Length, close);
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
