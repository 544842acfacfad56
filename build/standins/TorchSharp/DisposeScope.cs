namespace TorchSharp;

/// <summary>
/// Owns the tensors that are created on its thread while it is the innermost scope, and disposes them at its end,
/// unless they were detached or moved to another scope.
/// </summary>
public sealed class DisposeScope : IDisposable
{
    [ThreadStatic] private static DisposeScope? t_current;

    private readonly HashSet<IDisposable> _owned = new(ReferenceEqualityComparer.Instance);
    private DisposeScope? _outer;
    private bool _closed;

    internal DisposeScope()
    {
        _outer = t_current;
        t_current = this;
    }

    internal static DisposeScope? Current => t_current;

    public int DisposablesCount => _owned.Count;

    public T Detach<T>(T disposable) where T : IDisposable => Give(disposable, null);

    public T MoveToOuter<T>(T disposable) where T : IDisposable => Give(disposable, _outer);

    public void Dispose()
    {
        if (_closed)
            return;
        _closed = true;
        foreach (IDisposable disposable in _owned)
        {
            // So that the tensor does not come back to remove itself.
            if (disposable is torch.Tensor tensor)
                tensor.OwningDisposeScope = null;
            disposable.Dispose();
        }
        _owned.Clear();
        Leave();
    }

    internal void Register(torch.Tensor tensor) => _owned.Add(tensor);

    private T Give<T>(T disposable, DisposeScope? scope) where T : IDisposable
    {
        ObjectDisposedException.ThrowIf(_closed, this);
        if (!_owned.Remove(disposable))
            return disposable;
        scope?._owned.Add(disposable);
        if (disposable is torch.Tensor tensor)
            tensor.OwningDisposeScope = scope;
        return disposable;
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
