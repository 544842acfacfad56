namespace GenerativeML;

/// <summary>
/// A trained network in the hands of many threads: any number may use it at once; changing it, and freeing what
/// it holds of a device, waits until none does.
/// </summary>
internal sealed class SharedModel<T>(T model) : IDisposable
    where T : class, IDisposable
{
    private readonly ReaderWriterLockSlim _lock = new();

    /// <summary>Uses the network; it stays there, unchanged, until <paramref name="use"/> returns.</summary>
    public void Use(Action<T> use)
    {
        using Lease lease = Borrow();
        use(lease.Model);
    }

    /// <summary>Lends the network; it stays there, unchanged, until it is given back on the same thread.</summary>
    public Lease Borrow()
    {
        _lock.EnterReadLock();
        return new Lease(model, _lock);
    }

    /// <summary>Changes the network while nobody uses it.</summary>
    public void Change(Action<T> change)
    {
        _lock.EnterWriteLock();
        try
        {
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
            model.Dispose();
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
