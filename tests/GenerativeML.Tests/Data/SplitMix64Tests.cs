namespace GenerativeML.Tests;

[TestClass]
public class SplitMix64Tests
{
    [TestMethod]
    public void First_draws_from_seed_zero_are_the_published_ones()
    {
        var random = new SplitMix64(0);
        Assert.AreEqual(0xe220a8397b1dcdafUL, random.Next());
        Assert.AreEqual(0x6e789e6aa1b965f4UL, random.Next());
    }

    [TestMethod]
    [DataRow(0UL, "6 3 2 9 8 1 4 7 0 5")]
    [DataRow(1UL, "4 2 8 1 9 3 0 6 7 5")]
    public void Shuffle_gives_the_protocols_order(ulong seed, string expected)
    {
        int[] items = [.. Enumerable.Range(0, 10)];
        new SplitMix64(seed).Shuffle(items.AsSpan());
        Assert.AreEqual(expected, string.Join(' ', items));
    }

    [TestMethod]
    public void Seeds_differ_by_seed_purpose_and_number()
    {
        var seeds = new HashSet<ulong>();
        for (int seed = -3; seed <= 3; seed++)
            foreach (RandomPurpose purpose in Enum.GetValues<RandomPurpose>())
                for (long number = 0; number < 100; number++)
                    Assert.IsTrue(seeds.Add(SplitMix64.Derive(seed, purpose, number)));
    }
}
