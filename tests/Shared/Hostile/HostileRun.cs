using System.Diagnostics;

namespace GenerativeML.Tests.Hostile;

/// <summary>What came of loading damaged files.</summary>
/// <param name="Subject">What was loaded.</param>
/// <param name="Files">How many files there were.</param>
/// <param name="Loaded">How many were loaded, as the damage left them sound.</param>
/// <param name="Refused">How many were refused with the exception that is meant for it.</param>
/// <param name="Failures">The others, each with its number and what happened.</param>
/// <param name="MostAllocated">The most bytes that a load allocated beyond its share for each byte of the file.</param>
/// <param name="Slowest">The longest load.</param>
internal sealed record HostileReport(
    string Subject, int Files, int Loaded, int Refused, IReadOnlyList<string> Failures, long MostAllocated,
    TimeSpan Slowest)
{
    /// <inheritdoc />
    public override string ToString() =>
        $"{Subject}: {Files} damaged files, {Loaded} still sound and loaded, {Refused} refused, {Failures.Count} failed; " +
        $"fixed allocation at most {MostAllocated / 1024} KiB, slowest {Slowest.TotalMilliseconds:F1} ms" +
        string.Concat(Failures.Take(10).Select(f => Environment.NewLine + f));
}

/// <summary>Loads damaged files, many of them: each must load, or be refused with the one exception.</summary>
/// <param name="subject">What is loaded.</param>
/// <param name="damage">Gives the file of a number, as <see cref="FileMutator.Damage"/> does.</param>
/// <param name="load">Loads a file, and uses what was loaded.</param>
internal sealed class HostileRun(string subject, Func<int, byte[]> damage, Action<byte[]> load)
{
    /// <summary>
    /// Whether an exception is the one that is meant for a damaged file; <see cref="FormatException"/>.
    /// </summary>
    public Func<Exception, bool> IsRefusal { get; init; } = e => e is FormatException;

    /// <summary>How many bytes of managed memory a load may allocate for each byte of the file.</summary>
    public int AllocationPerByte { get; init; } = 1;

    /// <summary>How many bytes it may allocate beside that.</summary>
    public long FixedAllocation { get; init; } = 64L << 20;

    /// <summary>Loads the files of the numbers from zero to <paramref name="count"/> − 1.</summary>
    public HostileReport Run(int count)
    {
        int loaded = 0;
        int refused = 0;
        long most = 0;
        TimeSpan slowest = TimeSpan.Zero;
        List<string> failures = [];
        for (int number = 0; number < count; number++)
        {
            byte[] file = damage(number);
            long before = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            try
            {
                load(file);
                loaded++;
            }
            catch (Exception e) when (IsRefusal(e))
            {
                refused++;
            }
            catch (Exception e)
            {
                failures.Add($"file {number}: {e}");
            }

            TimeSpan time = Stopwatch.GetElapsedTime(start);
            long beyond = GC.GetAllocatedBytesForCurrentThread() - before - ((long)file.Length * AllocationPerByte);
            if (beyond > FixedAllocation)
                failures.Add($"file {number}: its {file.Length} bytes took {beyond} beyond their share");
            most = Math.Max(most, beyond);
            slowest = time > slowest ? time : slowest;
        }

        return new HostileReport(subject, count, loaded, refused, failures, most, slowest);
    }
}
