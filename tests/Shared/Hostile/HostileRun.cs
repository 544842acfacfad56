using System.Diagnostics;

namespace GenerativeML.Tests.Hostile;

/// <summary>What came of loading damaged files.</summary>
/// <param name="Files">How many there were.</param>
/// <param name="Loaded">How many were loaded, as the damage left them sound.</param>
/// <param name="Refused">How many were refused with the exception that is meant for it.</param>
/// <param name="Failures">The others, each with its number and what happened.</param>
/// <param name="MostAllocated">The most bytes of managed memory that a load took beyond what the file's size allows.</param>
/// <param name="Slowest">The longest load.</param>
internal sealed record HostileReport(
    int Files, int Loaded, int Refused, IReadOnlyList<string> Failures, long MostAllocated, TimeSpan Slowest)
{
    /// <inheritdoc />
    public override string ToString() =>
        $"{Files} damaged files: {Loaded} still sound and loaded, {Refused} refused, {Failures.Count} failed; " +
        $"at most {MostAllocated / 1024} KiB beyond the allowance per byte, slowest {Slowest.TotalMilliseconds:F1} ms" +
        string.Concat(Failures.Take(10).Select(f => Environment.NewLine + f));
}

/// <summary>Loads damaged files, many of them: each must load, or be refused with the one exception.</summary>
internal static class HostileRun
{
    /// <param name="count">How many files.</param>
    /// <param name="damage">Gives the file of a number, as <see cref="FileMutator.Damage"/> does.</param>
    /// <param name="load">Loads a file, and uses what was loaded.</param>
    /// <param name="isRefusal">Whether an exception is the one that is meant for a damaged file.</param>
    /// <param name="allocationPerByte">How many bytes a load may allocate for each byte of the file.</param>
    public static HostileReport Run(
        int count, Func<int, byte[]> damage, Action<byte[]> load, Func<Exception, bool> isRefusal,
        int allocationPerByte = 1)
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
            catch (Exception e) when (isRefusal(e))
            {
                refused++;
            }
            catch (Exception e)
            {
                failures.Add($"file {number}: {e}");
            }

            TimeSpan time = Stopwatch.GetElapsedTime(start);
            slowest = time > slowest ? time : slowest;
            long beyond = GC.GetAllocatedBytesForCurrentThread() - before - ((long)file.Length * allocationPerByte);
            most = Math.Max(most, beyond);
        }

        return new HostileReport(count, loaded, refused, failures, most, slowest);
    }
}
