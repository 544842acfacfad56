namespace GenerativeML.Pipeline;

/// <summary>
/// A trained network in the hands of many threads: any number may use it at once; changing and freeing it waits until
/// none does.
/// </summary>
internal sealed class SharedModel<T>(T model) : IDisposable
    where T : class, IDisposable
{
    private readonly ReaderWriterLockSlim _lock = new();
    private bool _disposed;

    /// <summary>Uses the network; it stays there, unchanged, until <paramref name="use"/> returns.</summary>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    public void Use(Action<T> use)
    {
        _lock.EnterReadLock();
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, model);
            use(model);
        }
        finally
        {
            _lock.ExitReadLock();
        }
    }

    /// <summary>Changes the network while nobody uses it.</summary>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    public void Change(Action<T> change)
    {
        _lock.EnterWriteLock();
        try
        {
            ObjectDisposedException.ThrowIf(_disposed, model);
            change(model);
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _lock.EnterWriteLock();
        try
        {
            if (!_disposed)
                model.Dispose();
            _disposed = true;
        }
        finally
        {
            _lock.ExitWriteLock();
        }
    }
}
