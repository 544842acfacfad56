using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

[TestClass]
public class GaussianRingTests
{
    [TestMethod]
    public void A_sample_of_the_ring_hits_all_its_modes_and_lies_near_them()
    {
        var ring = new GaussianRing();
        (int modes, double near) = ring.Judge(ring.Sample(5000, seed: 1));
        Assert.AreEqual(8, modes);
        Assert.IsGreaterThan(0.998, near); // of a normal in the plane, exp(−8) lies beyond four deviations
    }

    [TestMethod]
    public void Modes_without_a_quarter_of_their_share_are_missed_and_rows_between_modes_are_not_near()
    {
        var ring = new GaussianRing(Modes: 4, Radius: 1, Deviation: 0.01);
        float[][] rows = [.. Enumerable.Repeat(new float[] { 1, 0 }, 90), .. Enumerable.Repeat(new float[] { 0, 1 }, 4),
            .. Enumerable.Repeat(new float[] { 0, 0 }, 6)];
        (int modes, double near) = ring.Judge(rows);
        Assert.AreEqual(1, modes);
        Assert.AreEqual(0.94, near, 1e-9);
    }
}
