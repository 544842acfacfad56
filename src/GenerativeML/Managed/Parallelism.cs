using System.Runtime.ExceptionServices;

namespace GenerativeML;

/// <summary>Splits loops among threads.</summary>
internal static class Parallelism
{
    /// <summary>
    /// Multiply-adds that a thread must have to do. Starting one costs some microseconds, in which another would have
    /// done about a tenth of this.
    /// </summary>
    private const long LeastWork = 1 << 20;

    /// <summary>Runs a body for the numbers from 0 to <paramref name="count"/>, each long work of its own.</summary>
    /// <param name="count">How often.</param>
    /// <param name="threads">The most threads.</param>
    /// <param name="body">What to run; its first exception is thrown as it is.</param>
    /// <param name="cancellationToken">Looked at before each.</param>
    public static void ForEach(
        int count, int threads, Action<int> body, CancellationToken cancellationToken = default)
    {
        if (count == 1 || threads == 1)
        {
            for (int i = 0; i < count; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                body(i);
            }
            return;
        }
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellationToken };
        try
        {
            Parallel.For(0, count, options, body);
        }
        catch (AggregateException several)
        {
            ExceptionDispatchInfo.Throw(several.Flatten().InnerExceptions[0]);
        }
    }

    /// <summary>How many threads pay for a loop.</summary>
    /// <param name="count">How often the loop runs.</param>
    /// <param name="cost">Multiply-adds of each run.</param>
    /// <param name="threads">The most threads.</param>
    public static int Parts(int count, long cost, int threads) =>
        (int)Math.Min(Math.Min(threads, count), 1 + count * cost / LeastWork);

    /// <summary>Runs a loop's body in parts, each on a thread.</summary>
    /// <param name="count">How often the loop runs.</param>
    /// <param name="parts">How many parts.</param>
    /// <param name="body">Does the runs from the first number up to, without, the second.</param>
    public static void For(int count, int parts, Action<int, int> body) => Parallel.For(
        0, parts, new ParallelOptions { MaxDegreeOfParallelism = parts },
        part => body((int)((long)count * part / parts), (int)((long)count * (part + 1) / parts)));
}
