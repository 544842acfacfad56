using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

/// <summary>Standard units by the training rows.</summary>
[TestClass]
public sealed class StandardisationTests
{
    [TestMethod]
    public void Mean_and_population_deviation_are_those_of_the_training_rows()
    {
        // 1 and 5: mean 3, population deviation 2.
        var standard = new Standardisation([[1], [5]]);
        CollectionAssert.AreEqual(new[] { -1f }, standard.Apply([1]));
        CollectionAssert.AreEqual(new[] { 3.5f }, standard.Apply([10]));
    }

    [TestMethod]
    public void A_column_constant_in_training_is_zero_everywhere()
    {
        var standard = new Standardisation([[0.1], [0.1], [0.1]]);
        CollectionAssert.AreEqual(new[] { 0f }, standard.Apply([0.1]));
        CollectionAssert.AreEqual(new[] { 0f }, standard.Apply([7]));
    }
}
