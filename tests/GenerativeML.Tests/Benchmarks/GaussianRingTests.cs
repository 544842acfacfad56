using GenerativeML.Benchmarks;
using Microsoft.ML;

namespace GenerativeML.Tests.Benchmarks;

[TestClass]
[DoNotParallelize]
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

    /// <summary>The small version of <c>bench.sh ring</c>: fewer and wider modes, smaller networks, fewer steps.</summary>
    [TestMethod]
    [DataRow(GanObjective.Minimax, 60, 64, 0.75)]
    [DataRow(GanObjective.NonSaturating, 60, 64, 0.75)]
    [DataRow(GanObjective.LeastSquares, 60, 64, 0.75)]
    [DataRow(GanObjective.Wasserstein, 600, 128, 0.6)]
    [DataRow(GanObjective.WassersteinGradientPenalty, 60, 64, 0.75)]
    [DataRow(GanObjective.Hinge, 200, 64, 0.75)]
    public void Every_objective_finds_all_modes_of_a_small_ring(
        GanObjective objective, int epochs, int width, double least)
    {
        var ring = new GaussianRing(Modes: 4, Radius: 2, Deviation: 0.3);
        var ml = new MLContext(seed: 1);
        var options = new GanOptions
        {
            Objective = objective, GeneratorLayers = [width, width], DiscriminatorLayers = [width, width], Epochs = epochs,
        };
        var source = new DataViewRowSource(
            VectorRows.View(ml, ring.Sample(4000, seed: 1), width: 2), ["Features"], options.NonFiniteValues);
        using TrainedGan gan = GanFit.Fit(
            source, options, new TrainingContext { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false });
        float[] made = new float[2 * 2000];
        gan.Generate(made, default, 2000, seed: 3, []);
        (int modes, double near) = ring.Judge([.. made.Chunk(2)]);
        Assert.AreEqual(4, modes, $"{near:P0} near; {gan.Report}");
        Assert.IsGreaterThan(least, near, gan.Report.ToString());
        Assert.IsFalse(gan.Report.ModeCollapse, gan.Report.ToString());
    }
}
