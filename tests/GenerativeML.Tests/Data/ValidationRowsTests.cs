namespace GenerativeML.Tests;

[TestClass]
public class ValidationRowsTests
{
    private static long[] Chosen(double fraction, int seed, long rows, long most = long.MaxValue)
    {
        var held = new ValidationRows(fraction, seed, most);
        return [.. Enumerable.Range(0, (int)rows).Select(i => (long)i).Where(held.Contains)];
    }

    [TestMethod]
    [DataRow(0.1)]
    [DataRow(0.25)]
    [DataRow(0.3)]
    [DataRow(0.5)]
    public void The_share_is_kept_in_every_stretch_of_rows(double fraction)
    {
        // Exact where 1/fraction is whole. Otherwise neighbouring stretches share a row, which both may draw: 1 in 75
        // at 0.3.
        double allowed = 1 / fraction % 1 == 0 ? 0 : 10;
        long[] chosen = Chosen(fraction, 5, 10_000);
        for (int start = 0; start < 10_000; start += 1000)
            Assert.AreEqual(fraction * 1000, chosen.Count(i => i >= start && i < start + 1000), allowed);
        CollectionAssert.AllItemsAreUnique(chosen);
    }

    [TestMethod]
    public void A_fraction_of_zero_holds_nothing_back() => Assert.IsEmpty(Chosen(0, 1, 1000));

    [TestMethod]
    public void Another_seed_holds_back_other_rows()
    {
        CollectionAssert.AreEqual(Chosen(0.1, 1, 1000), Chosen(0.1, 1, 1000));
        CollectionAssert.AreNotEqual(Chosen(0.1, 1, 1000), Chosen(0.1, 2, 1000));
    }

    [TestMethod]
    public void No_more_than_the_most_are_held_back() => Assert.HasCount(7, Chosen(0.5, 1, 1000, most: 7));
}
