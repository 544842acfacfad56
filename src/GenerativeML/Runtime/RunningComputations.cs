namespace GenerativeML;

/// <summary>
/// The threads in native code. A process that ended meanwhile would crash, so that its end waits until each has come to
/// a place where it can stop, and there it stays.
/// </summary>
internal static class RunningComputations
{
    // A step may take long; whoever ends a process will not wait for ever.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    // One for all, as rows are scored one by one, too.
    private static readonly OnDispose s_end = new(() =>
    {
        if (t_depth > 0 && --t_depth == 0)
            Interlocked.Decrement(ref s_threads);
    });

    private static int s_threads;
    private static volatile bool s_exiting;

    [ThreadStatic]
    private static int t_depth;

    static RunningComputations() => AppDomain.CurrentDomain.ProcessExit += (_, _) => Drain();

    /// <summary>
    /// This thread computes until the result is disposed, and calls <see cref="StopIfExiting"/> meanwhile.
    /// </summary>
    /// <exception cref="OperationCanceledException">The process is about to end.</exception>
    public static IDisposable Enter()
    {
        StopIfExiting();
        if (t_depth++ == 0)
            Interlocked.Increment(ref s_threads);
        return s_end;
    }

    /// <summary>Does nothing, unless the process is about to end: then the thread waits for that.</summary>
    /// <exception cref="OperationCanceledException">
    /// The process has not ended: somebody who hears of its end waits for this thread.
    /// </exception>
    public static void StopIfExiting()
    {
        if (!s_exiting)
            return;
        // Not an error at once: nobody could handle it, and while a thread unwinds it gives back native memory.
        Leave();
        Thread.Sleep(Patience);
        throw new OperationCanceledException("The process is ending.");
    }

    private static void Leave()
    {
        if (t_depth > 0)
            Interlocked.Decrement(ref s_threads);
        t_depth = 0;
    }

    private static void Drain()
    {
        s_exiting = true;
        Leave(); // the process may be ended by the thread that computes
        SpinWait.SpinUntil(() => Volatile.Read(ref s_threads) == 0, Patience);
    }
}

/// <summary>Does something when it is disposed.</summary>
internal sealed class OnDispose(Action action) : IDisposable
{
    public void Dispose() => action();
}
