using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>Tables are split as the protocol says.</summary>
[TestClass]
public sealed class TableSplitTests
{
    [TestMethod]
    public void The_first_rows_of_the_shuffled_ones_train()
    {
        TableSplit split = TableSplit.Create(10, 0.2, seed: 0);
        CollectionAssert.AreEqual(new[] { 6, 3, 2, 9, 8, 1, 4, 7 }, split.Train);
        CollectionAssert.AreEqual(new[] { 0, 5 }, split.Test);
    }

    [TestMethod]
    [DataRow(32561, 0.2, 26048)]
    [DataRow(10, 0.3, 7)]
    [DataRow(20, 0.35, 13)]
    [DataRow(344, 0.2, 275)]
    public void The_number_that_trains_is_rounded_down(int rows, double testFraction, int expected) =>
        Assert.HasCount(expected, TableSplit.Create(rows, testFraction, seed: 1).Train);
}
