using TorchSharp;

namespace GenerativeML;

/// <summary>A copy of a network's parameters and buffers, to come back to.</summary>
internal sealed class WeightSnapshot : IDisposable
{
    private readonly torch.nn.Module _network;
    private readonly Dictionary<string, torch.Tensor> _copies = [];

    public WeightSnapshot(torch.nn.Module network)
    {
        _network = network;
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in network.NamedTensors())
            _copies[name] = value.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>The copies, by the names of the state dict.</summary>
    public IReadOnlyDictionary<string, torch.Tensor> Values => _copies;

    /// <summary>Takes the network's values as they are now.</summary>
    public void Take()
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in _network.NamedTensors())
            _copies[name].copy_(value);
    }

    /// <summary>Gives the network the values taken last.</summary>
    public void Restore()
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in _network.NamedTensors())
            value.copy_(_copies[name]);
    }

    public void Dispose()
    {
        foreach (torch.Tensor t in _copies.Values)
            t.Dispose();
    }
}
