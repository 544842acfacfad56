namespace TorchSharp;

/// <summary>
/// Owns the tensors that are created on its thread while it is the innermost scope, and disposes them at its end,
/// unless they were detached or moved to another scope.
/// </summary>
public sealed class DisposeScope : IDisposable
{
    [ThreadStatic] private static DisposeScope? t_current;

    private HashSet<IDisposable> _owned = new(ReferenceEqualityComparer.Instance);
    private DisposeScope? _outer;
    private bool _closed;

    internal DisposeScope()
    {
        _outer = t_current;
        t_current = this;
    }

    internal static DisposeScope? Current => t_current;

    public int DisposablesCount => _owned.Count;

    public bool Contains(IDisposable disposable) => _owned.Contains(disposable);

    public void Attach(IDisposable disposable) => Give(disposable, this);

    public T Detach<T>(T disposable) where T : IDisposable => MoveToOther(null, disposable);

    public T MoveToOuter<T>(T disposable) where T : IDisposable => MoveToOther(_outer, disposable);

    public T MoveToOther<T>(DisposeScope? scope, T disposable) where T : IDisposable
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        if (_owned.Remove(disposable))
            Give(disposable, scope);
        return disposable;
    }

    public void DisposeEverything() => DisposeEverythingBut();

    public void DisposeEverythingBut(params IDisposable[] keep)
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        HashSet<IDisposable> before = _owned;
        _owned = new(keep, ReferenceEqualityComparer.Instance);
        foreach (IDisposable disposable in before)
        {
            if (_owned.Contains(disposable))
                continue;
            // So that the tensor does not come back to remove itself.
            if (disposable is torch.Tensor tensor)
                tensor.OwningDisposeScope = null;
            disposable.Dispose();
        }
    }

    public void MarkAsDisposed(IDisposable disposable) => MoveToOther(null, disposable);

    public void Dispose()
    {
        if (_closed)
            return;
        DisposeEverything();
        _closed = true;
        Leave();
    }

    internal void Register(torch.Tensor tensor) => _owned.Add(tensor);

    private static void Give(IDisposable disposable, DisposeScope? scope)
    {
        scope?._owned.Add(disposable);
        if (disposable is torch.Tensor tensor)
            tensor.OwningDisposeScope = scope;
    }

    // Scopes may end out of order: one that is not the innermost is taken out of the chain.
    private void Leave()
    {
        if (t_current == this)
        {
            t_current = _outer;
            return;
        }
        for (DisposeScope? scope = t_current; scope is not null; scope = scope._outer)
        {
            if (scope._outer == this)
                scope._outer = _outer;
        }
    }
}
