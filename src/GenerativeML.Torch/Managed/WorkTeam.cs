using System.Runtime.ExceptionServices;

namespace GenerativeML.Torch;

/// <summary>
/// Threads that compute something together: each runs the same body with a number of its own, and within it they can
/// wait for one another. Cheaper than starting each part of a computation anew where there are many small ones.
/// </summary>
internal sealed class WorkTeam : IDisposable
{
    private readonly Barrier _barrier;
    private readonly Thread[] _threads;
    private readonly SemaphoreSlim[] _starts;
    private readonly CountdownEvent _done;
    private Action<int>? _body;
    private Exception? _error;

    /// <param name="size">How many, the caller of <see cref="Run"/> included.</param>
    public WorkTeam(int size)
    {
        Size = size;
        _barrier = new Barrier(size);
        _done = new CountdownEvent(size - 1);
        _starts = [.. Enumerable.Range(1, size - 1).Select(_ => new SemaphoreSlim(0))];
        _threads = [.. Enumerable.Range(1, size - 1).Select(
            worker => new Thread(() => Work(worker)) { IsBackground = true, Name = $"GenerativeML worker {worker}" })];
        foreach (Thread thread in _threads)
            thread.Start();
    }

    /// <summary>How many threads there are.</summary>
    public int Size { get; }

    /// <summary>
    /// Runs a body on all threads, with the numbers from 0 on, and returns when all are done. One call at a time.
    /// </summary>
    /// <param name="body">
    /// What each does. The first exception that it throws is thrown here, and after that the team can only be disposed.
    /// </param>
    public void Run(Action<int> body)
    {
        if (Size == 1)
        {
            body(0);
            return;
        }
        _body = body;
        _done.Reset();
        foreach (SemaphoreSlim start in _starts)
            start.Release();
        Do(0);
        _done.Wait();
        if (_error is not null)
            ExceptionDispatchInfo.Throw(_error);
    }

    /// <summary>Within a body: returns when all threads have called it.</summary>
    public void Wait()
    {
        if (Size > 1)
            _barrier.SignalAndWait();
    }

    /// <summary>A thread's share of so many things: from the first number up to, without, the second.</summary>
    /// <param name="count">How many things.</param>
    /// <param name="worker">The thread.</param>
    /// <param name="group">Things that are better not parted.</param>
    public (int First, int End) Share(int count, int worker, int group = 1)
    {
        int groups = (count + group - 1) / group;
        return (
            (int)Math.Min(count, (long)groups * worker / Size * group),
            (int)Math.Min(count, (long)groups * (worker + 1) / Size * group));
    }

    public void Dispose()
    {
        _body = null;
        foreach (SemaphoreSlim start in _starts)
            start.Release();
        foreach (Thread thread in _threads)
            thread.Join();
        foreach (SemaphoreSlim start in _starts)
            start.Dispose();
        _done.Dispose();
        _barrier.Dispose();
    }

    private void Work(int worker)
    {
        while (true)
        {
            _starts[worker - 1].Wait();
            if (_body is null)
                return;
            Do(worker);
        }
    }

    private void Do(int worker)
    {
        try
        {
            _body!(worker);
        }
        catch (Exception e)
        {
            Interlocked.CompareExchange(ref _error, e, null);
            _barrier.RemoveParticipant(); // the others are not to wait for it
        }
        if (worker > 0)
            _done.Signal();
    }
}
