using GenerativeML.Tests.Hostile;

namespace GenerativeML.Tests.Weights;

/// <summary>
/// Damaged files by the thousand; <c>build/bench.sh hostile</c> does it by the hundred thousand.
/// </summary>
[TestClass]
public sealed class SafetensorsHostileTests
{
    private const int Files = 5000;

    [TestMethod]
    [Timeout(600_000)]
    public void A_damaged_file_loads_or_is_refused_and_takes_no_memory_that_it_does_not_fill()
    {
        HostileReport report = HostileSafetensors.Reader().Run(Files);

        Assert.IsEmpty(report.Failures, report.ToString());
        // Damage that is always, or never, noticed would try little of the reader.
        Assert.IsGreaterThan(Files / 100, report.Loaded, report.ToString());
        Assert.IsGreaterThan(Files / 2, report.Refused, report.ToString());
    }

    [TestMethod]
    [Timeout(600_000)]
    public void Weights_that_are_refused_leave_the_network_as_it_was()
    {
        using var network = new HostileTensorFile();

        HostileReport report = network.Loading().Run(Files);

        Assert.IsEmpty(report.Failures, report.ToString());
        Assert.IsGreaterThan(Files / 100, report.Loaded, report.ToString());
        Assert.IsGreaterThan(Files / 2, report.Refused, report.ToString());
    }

    [TestMethod]
    public void The_same_number_gives_the_same_damage()
    {
        byte[][] once = [.. Enumerable.Range(0, 200).Select(HostileSafetensors.Mutator().Damage)];
        byte[][] again = [.. Enumerable.Range(0, 200).Reverse().Select(HostileSafetensors.Mutator().Damage).Reverse()];

        for (int i = 0; i < once.Length; i++)
            CollectionAssert.AreEqual(once[i], again[i]);
    }
}
