using AnomalyDetection;

namespace GenerativeML.Tests.Samples;

/// <summary>The data that the anomaly sample makes itself.</summary>
[TestClass]
public sealed class PumpSimulationTests
{
    [TestMethod]
    public void The_same_seed_gives_the_same_file_and_another_seed_another()
    {
        string first = Write(1);
        Assert.AreEqual(first, Write(1));
        Assert.AreNotEqual(first, Write(2));
    }

    [TestMethod]
    public void Every_fault_comes_four_times_and_few_rows_are_faulty()
    {
        string[] lines = Write(3).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        string[] faults = [.. lines.Skip(1).Select(line => line.Split(',')[^1])];
        Assert.HasCount(4320, faults);
        var episodes = faults.Zip(faults.Skip(1))
            .Where(pair => pair.First == "none" && pair.Second != "none")
            .CountBy(pair => pair.Second)
            .ToList();
        Assert.HasCount(5, episodes);
        Assert.IsTrue(episodes.All(episode => episode.Value is 3 or 4), "the first may begin with the file");
        Assert.IsInRange(0.03, 0.08, faults.Count(fault => fault != "none") / (double)faults.Length);
    }

    private static string Write(int seed)
    {
        string path = Path.GetTempFileName();
        try
        {
            new PumpSimulation(seed).Write(path);
            return File.ReadAllText(path);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
