using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;

namespace GenerativeML.Tests;

/// <summary>
/// Threads that exchange as processes do, so that all but the MPI library is tested where there is none.
/// </summary>
internal sealed class ThreadRing(int size, TimeSpan? timeout = null, bool isOneMachine = false)
{
    private readonly BlockingCollection<byte[]>[] _incoming = [.. Enumerable.Range(0, size).Select(_ => new BlockingCollection<byte[]>())];
    private readonly string?[] _failures = new string?[size];
    private readonly bool _isOneMachine = isOneMachine;
    private readonly TimeSpan _timeout = timeout ?? TimeSpan.FromSeconds(60);

    /// <summary>The ends of the ring, one for each thread.</summary>
    public Exchange[] Ends => [.. Enumerable.Range(0, size).Select(rank => new End(this, rank))];

    /// <summary>Runs something on as many threads, each with options to train with the others, and gives what each made.</summary>
    public static T[] Run<T>(int size, Func<DistributedOptions, int, T> work, TimeSpan? timeout = null, bool isOneMachine = false)
    {
        (T? Made, Exception? Error)[] ends = Try(size, work, timeout, isOneMachine);
        if (ends.FirstOrDefault(e => e.Error is not null).Error is { } error)
            ExceptionDispatchInfo.Throw(error);
        return [.. ends.Select(e => e.Made!)];
    }

    /// <summary>The same where some of them fail.</summary>
    public static (T? Made, Exception? Error)[] Try<T>(
        int size, Func<DistributedOptions, int, T> work, TimeSpan? timeout = null, bool isOneMachine = false)
    {
        Exchange[] ends = new ThreadRing(size, timeout, isOneMachine).Ends;
        var made = new (T?, Exception?)[size];
        Thread[] threads =
        [
            .. ends.Select((end, rank) => new Thread(() =>
            {
                try
                {
                    made[rank] = (work(new DistributedOptions(_ => end), rank), null);
                }
                catch (Exception e)
                {
                    made[rank] = (default, e);
                }
            })),
        ];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        return made;
    }

    private sealed class End(ThreadRing ring, int rank) : Exchange
    {
        public override int Rank => rank;

        public override int Size => ring._incoming.Length;

        public override int ProcessesHere => ring._isOneMachine ? Size : 1;

        protected override void Fail(string reason) => ring._failures[rank] ??= reason;

        protected override void Transfer(ReadOnlySpan<byte> toNext, Span<byte> fromPrevious)
        {
            if (!toNext.IsEmpty)
                ring._incoming[(rank + 1) % Size].Add(toNext.ToArray());
            if (fromPrevious.IsEmpty)
                return;
            byte[]? received;
            DateTime until = DateTime.UtcNow + ring._timeout;
            while (!ring._incoming[rank].TryTake(out received, 20))
            {
                if (Array.Find(ring._failures, f => f is not null) is string failure)
                    throw new DistributedException(failure, isHeard: true);
                if (DateTime.UtcNow > until)
                    throw new DistributedException($"Process {rank} has waited for process {(rank + Size - 1) % Size}.");
            }
            Assert.HasCount(fromPrevious.Length, received);
            received.CopyTo(fromPrevious);
        }
    }
}
