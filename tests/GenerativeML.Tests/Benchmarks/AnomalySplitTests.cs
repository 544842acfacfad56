using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>The rows that train and test a detector in the measurement protocols.</summary>
[TestClass]
public sealed class AnomalySplitTests
{
    [TestMethod]
    public void Semi_trains_on_the_first_half_of_the_shuffled_normal_rows()
    {
        // Rows 3, 7 and 12 are anomalies; normal rows number 0…9 are 0 1 2 4 5 6 8 9 10 11, shuffled by seed 0 to
        // numbers 6 3 2 9 8 1 4 7 0 5.
        bool[] isAnomaly = [.. Enumerable.Range(0, 13).Select(row => row is 3 or 7 or 12)];
        AnomalySplit split = AnomalySplit.Create(AnomalyProtocol.Semi, isAnomaly, seed: 0);
        CollectionAssert.AreEqual(new[] { 8, 4, 2, 11, 10 }, split.Train);
        CollectionAssert.AreEqual(new[] { 1, 5, 9, 0, 6, 3, 7, 12 }, split.Test);
    }

    [TestMethod]
    public void Semi_gives_the_odd_row_to_the_test()
    {
        AnomalySplit split = AnomalySplit.Create(AnomalyProtocol.Semi, [false, false, false, true], seed: 5);
        Assert.HasCount(1, split.Train);
        Assert.HasCount(3, split.Test);
    }

    [TestMethod]
    public void Semi_shuffles_a_large_test_with_the_same_generator_and_keeps_twenty_thousand()
    {
        bool[] isAnomaly = [.. Enumerable.Range(0, 31_500).Select(row => row % 21 == 0)]; // 1500 of them
        AnomalySplit split = AnomalySplit.Create(AnomalyProtocol.Semi, isAnomaly, seed: 3);

        var random = new SplitMix64(3);
        int[] normal = [.. Enumerable.Range(0, 31_500).Where(row => row % 21 != 0)];
        random.Shuffle<int>(normal);
        int[] test = [.. normal[10_000..], .. Enumerable.Range(0, 1500).Select(i => i * 21)];
        random.Shuffle<int>(test);
        CollectionAssert.AreEqual(normal[..10_000], split.Train);
        CollectionAssert.AreEqual(test[..20_000], split.Test);
        Assert.IsEmpty(split.Train.Intersect(split.Test));
    }

    [TestMethod]
    public void Unsup_fits_and_scores_all_rows_in_file_order()
    {
        AnomalySplit split = AnomalySplit.Create(AnomalyProtocol.Unsup, [false, true, false], seed: 9);
        CollectionAssert.AreEqual(new[] { 0, 1, 2 }, split.Train);
        CollectionAssert.AreEqual(new[] { 0, 1, 2 }, split.Test);
    }

    [TestMethod]
    public void Unsup_fits_on_ten_thousand_shuffled_rows_where_there_are_more()
    {
        AnomalySplit split = AnomalySplit.Create(AnomalyProtocol.Unsup, new bool[10_001], seed: 2);
        int[] shuffled = [.. Enumerable.Range(0, 10_001)];
        new SplitMix64(2).Shuffle<int>(shuffled);
        CollectionAssert.AreEqual(shuffled[..10_000], split.Train);
        Assert.HasCount(10_001, split.Test);
    }
}
