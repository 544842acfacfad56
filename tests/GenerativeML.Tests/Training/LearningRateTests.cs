namespace GenerativeML.Tests;

[TestClass]
public class LearningRateTests
{
    [TestMethod]
    [DataRow(LearningRateSchedule.Constant, 1.0, 1.0)]
    [DataRow(LearningRateSchedule.Linear, 0.505, 0.01)]
    [DataRow(LearningRateSchedule.Cosine, 0.505, 0.01)]
    [DataRow(LearningRateSchedule.ConstantThenLinear, 1.0, 0.01)]
    public void The_rate_rises_to_its_peak_and_falls_to_its_floor(
        LearningRateSchedule schedule, double middle, double end)
    {
        var rate = new LearningRate(2, schedule, Steps: 111, WarmupSteps: 10);
        Assert.AreEqual(2.0 / 11, rate.At(0), 1e-12);
        Assert.AreEqual(20.0 / 11, rate.At(9), 1e-12);
        Assert.AreEqual(2, rate.At(10), 1e-12);
        Assert.AreEqual(2 * middle, rate.At(60), 1e-12);
        Assert.AreEqual(2 * end, rate.At(110), 1e-12);
        if (schedule == LearningRateSchedule.ConstantThenLinear)
            Assert.AreEqual(2 * 0.505, rate.At(85), 1e-12); // half of the fall
    }
}
