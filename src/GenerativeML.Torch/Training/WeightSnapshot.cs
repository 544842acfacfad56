using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>A copy of a network's parameters and buffers, to come back to.</summary>
internal sealed class WeightSnapshot : IDisposable
{
    private readonly torch.nn.Module _network;
    private readonly Dictionary<string, torch.Tensor> _copies = [];

    public WeightSnapshot(torch.nn.Module network)
    {
        _network = network;
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in Tensors(network))
            _copies[name] = value.detach().clone().DetachFromDisposeScope();
    }

    /// <summary>The copies, by the names of the state dict.</summary>
    public IReadOnlyDictionary<string, torch.Tensor> Values => _copies;

    /// <summary>Takes the network's values as they are now.</summary>
    public void Take()
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in Tensors(_network))
            _copies[name].copy_(value);
    }

    /// <summary>Gives the network the values taken last.</summary>
    public void Restore()
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in Tensors(_network))
            value.copy_(_copies[name]);
    }

    public void Dispose()
    {
        foreach (torch.Tensor t in _copies.Values)
            t.Dispose();
    }

    /// <summary>A network's parameters and buffers, by the names of its state dict.</summary>
    public static IEnumerable<(string Name, torch.Tensor Value)> Tensors(torch.nn.Module network) =>
        [.. network.named_parameters().Select(p => (p.Item1, (torch.Tensor)p.Item2)), .. network.named_buffers()];
}
