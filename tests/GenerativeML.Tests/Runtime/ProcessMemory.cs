using System.Globalization;

namespace GenerativeML.Tests;

/// <summary>
/// Watches the memory of this process while something trains: as its listener of progress, best with
/// <see cref="TrainingContext.ReportInterval"/> zero, or told of each step by itself. Then <see cref="AssertFlat"/>.
/// </summary>
/// <param name="warmUp">
/// From this step on memory is to stay as it is: code is compiled by then, and every size has been allocated.
/// </param>
internal sealed class ProcessMemory(long warmUp = 20) : IProgress<TrainingProgress>
{
    /// <summary>
    /// What memory may grow by, in bytes: the garbage collector lets its youngest generation grow by some megabytes,
    /// and free blocks of the native heap take some 10 MB to settle. One tensor of 256 kB that is not given back in
    /// each of 300 steps grows by 50 MB.
    /// </summary>
    private const long MostGrowth = 32 << 20;

    private readonly List<long> _resident = [];

    /// <summary>The physical memory that this process has in use, in bytes.</summary>
    public static long Resident
    {
        get
        {
            string pages = File.ReadAllText("/proc/self/statm").Split(' ')[1];
            return long.Parse(pages, CultureInfo.InvariantCulture) * Environment.SystemPageSize;
        }
    }

    /// <inheritdoc />
    public void Report(TrainingProgress value) => Observe(value.Step);

    /// <summary>Looks after a step.</summary>
    public void Observe(long step)
    {
        if (step >= warmUp && OperatingSystem.IsLinux())
            _resident.Add(Resident);
    }

    /// <summary>
    /// Fails where memory grew between the first and the last third of the steps after the warm-up, by their medians.
    /// </summary>
    public void AssertFlat()
    {
        if (!OperatingSystem.IsLinux())
            Assert.Inconclusive("Only Linux tells a process's memory in a file.");
        Assert.IsGreaterThanOrEqualTo(6, _resident.Count, "too few reports after the warm-up to compare");
        int third = _resident.Count / 3;
        long growth = Median(_resident[^third..]) - Median(_resident[..third]);
        string megabytes = string.Join(", ", _resident.Where((_, i) => i % Math.Max(1, third / 5) == 0).Select(r => r >> 20));
        Assert.IsLessThan(MostGrowth, growth, $"bytes of growth; in use, in MB: {megabytes}");
    }

    private static long Median(List<long> values) => values.Order().ElementAt(values.Count / 2);
}
