
namespace GenerativeML.Tests.Benchmarks;

/// <summary>The generator's check values, which every implementation of the measurement protocols shares.</summary>
[TestClass]
public sealed class SplitMix64Tests
{
    [TestMethod]
    public void First_draws_from_seed_zero_are_the_check_values()
    {
        var random = new SplitMix64(0);
        Assert.AreEqual(0xe220a8397b1dcdafUL, random.Next());
        Assert.AreEqual(0x6e789e6aa1b965f4UL, random.Next());
    }

    [TestMethod]
    [DataRow(0, new[] { 6, 3, 2, 9, 8, 1, 4, 7, 0, 5 })]
    [DataRow(1, new[] { 4, 2, 8, 1, 9, 3, 0, 6, 7, 5 })]
    public void Ten_numbers_shuffled_are_the_check_values(int seed, int[] expected)
    {
        int[] numbers = [.. Enumerable.Range(0, 10)];
        new SplitMix64((ulong)seed).Shuffle<int>(numbers);
        CollectionAssert.AreEqual(expected, numbers);
    }
}
