namespace GenerativeML.Pipeline;

/// <summary>
/// A trained network in the hands of many: used from several threads at once, and freed when it has been disposed and
/// the last of them has let go of it.
/// </summary>
internal sealed class SharedModel<T>(T model) : IDisposable
    where T : class, IDisposable
{
    private readonly Lock _lock = new();
    private int _users;
    private bool _disposed;

    /// <summary>Uses the network; it stays there until <paramref name="use"/> returns.</summary>
    /// <exception cref="ObjectDisposedException">It has been disposed.</exception>
    public void Use(Action<T> use)
    {
        Enter();
        try
        {
            use(model);
        }
        finally
        {
            Leave();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
                return;
            _disposed = true;
            if (_users > 0)
                return;
        }
        model.Dispose();
    }

    private void Enter()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, model);
            _users++;
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            if (--_users > 0 || !_disposed)
                return;
        }
        model.Dispose();
    }
}
