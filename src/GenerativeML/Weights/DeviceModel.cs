using TorchSharp;

namespace GenerativeML;

/// <summary>A trained network on its device, for use from several threads.</summary>
internal abstract class DeviceModel<TModel> : IDisposable
    where TModel : torch.nn.Module
{
    private readonly Lock? _deviceGate;
    private volatile bool _disposed;

    protected DeviceModel(TModel model, torch.Device device)
    {
        Model = model;
        Model.eval();
        Device = device;
        _deviceGate = device.type == DeviceType.CPU ? null : new Lock();
    }

    /// <summary>The network with all that belongs to it.</summary>
    protected TModel Model { get; }

    /// <summary>Where it computes.</summary>
    protected torch.Device Device { get; }

    /// <summary>Frees the network. A second call does nothing.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        Model.Dispose();
    }

    /// <summary>Does nothing as long as the model is there.</summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    protected void CheckAlive() => ObjectDisposedException.ThrowIf(_disposed, this);

    /// <summary>
    /// Begins a computation: the model is there, the device is this thread's, nothing is recorded for gradients, and
    /// tensors made until the result is disposed go with it.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    protected IDisposable Enter()
    {
        CheckAlive();
        return new Computation(_deviceGate);
    }

    private sealed class Computation : IDisposable
    {
        private readonly Lock? _gate;
        private readonly DisposeScope _scope;
        private readonly IDisposable _noGradient;

        public Computation(Lock? gate)
        {
            _gate = gate;
            _gate?.Enter();
            _scope = torch.NewDisposeScope();
            _noGradient = torch.no_grad();
        }

        public void Dispose()
        {
            _noGradient.Dispose();
            _scope.Dispose();
            _gate?.Exit();
        }
    }
}
