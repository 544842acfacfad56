using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>A trained network on its device, for use from several threads, with the way to files and back.</summary>
internal abstract class TrainedModel<TModel> : IDisposable
    where TModel : torch.nn.Module
{
    private readonly Lock? _deviceGate;
    private volatile bool _disposed;

    protected TrainedModel(TModel model, torch.Device device)
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

    /// <summary>Writes all tensors of the model as safetensors.</summary>
    public void Save(Stream stream)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        TensorFile.Save(stream, Model.NamedTensors());
    }

    /// <summary>Writes the networks' weights as safetensors, named and shaped as PyTorch's own layers have them.</summary>
    public void ExportWeights(Stream stream)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        using DisposeScope scope = torch.NewDisposeScope();
        TensorFile.Save(stream, Exported());
    }

    /// <summary>Takes the networks' weights from such a file; all else stays.</summary>
    /// <exception cref="FormatException">
    /// The file does not hold exactly the weights of networks of this shape.
    /// </exception>
    public void ImportWeights(Stream stream)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        using DisposeScope scope = torch.NewDisposeScope();
        TensorFile.Load(stream, Exported());
    }

    /// <summary>Frees the network. A second call does nothing.</summary>
    public void Dispose()
    {
        if (_disposed)
            return;
        _disposed = true;
        Model.Dispose();
    }

    /// <summary>The networks' tensors, or views of them, as they are exchanged with PyTorch.</summary>
    protected abstract IReadOnlyList<(string Name, torch.Tensor Value)> Exported();

    /// <summary>
    /// Begins a computation: the model is there, the device is this thread's, nothing is recorded for gradients, and
    /// tensors made until the result is disposed go with it.
    /// </summary>
    /// <exception cref="ObjectDisposedException">The model has been disposed.</exception>
    protected IDisposable Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new Computation(_deviceGate);
    }

    /// <summary>Builds a model and reads its tensors.</summary>
    /// <param name="name">What errors call it.</param>
    /// <param name="elements">
    /// How many numbers its tensors hold: the file must be long enough for them before anything is allocated.
    /// </param>
    /// <param name="weights">The file.</param>
    /// <param name="device">Where it will compute.</param>
    /// <param name="build">Builds the model, with weights of no meaning.</param>
    /// <exception cref="FormatException">The file does not hold exactly the model's tensors.</exception>
    protected static TModel Read(
        string name, long elements, Stream weights, torch.Device device, Func<SeededRandom, TModel> build)
    {
        if (elements > (weights.Length - weights.Position) / sizeof(float))
        {
            throw new FormatException(
                $"The saved {name}'s weights are fewer than its shape needs: the file is truncated or altered.");
        }
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(device);
        TModel model = build(random).OutliveScope();
        try
        {
            TensorFile.Load(weights, model.NamedTensors());
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
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
