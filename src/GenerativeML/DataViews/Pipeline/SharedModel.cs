namespace GenerativeML;

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
        using Lease lease = Borrow();
        use(lease.Model);
    }

    /// <summary>Lends the network; it stays there, unchanged, until it is given back on the same thread.</summary>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    public Lease Borrow()
    {
        _lock.EnterReadLock();
        if (!_disposed)
            return new Lease(model, _lock);
        _lock.ExitReadLock();
        throw new ObjectDisposedException(model.GetType().Name);
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

    /// <summary>A network on loan.</summary>
    public readonly ref struct Lease(T model, ReaderWriterLockSlim held) : IDisposable
    {
        /// <summary>The network.</summary>
        public T Model => model;

        /// <summary>Gives it back.</summary>
        public void Dispose() => held.ExitReadLock();
    }
}
