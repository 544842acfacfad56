using TorchSharp;

namespace GenerativeML;

/// <summary>Means of losses by name, summed up on the device and read back only when somebody asks.</summary>
internal sealed class LossMeans : IDisposable
{
    private readonly Dictionary<string, (torch.Tensor Sum, double Weight)> _sums = [];
    private readonly List<string> _names = []; // in the order of first appearance

    /// <summary>Adds the terms of a batch that counts <paramref name="weight"/> times.</summary>
    public void Add(IReadOnlyList<LossTerm> terms, double weight = 1)
    {
        using IDisposable noGradient = torch.no_grad();
        foreach ((string name, torch.Tensor value) in terms)
        {
            using torch.Tensor loss = value.detach();
            if (_sums.TryGetValue(name, out (torch.Tensor Sum, double Weight) entry))
            {
                entry.Sum.add_(loss, weight);
                _sums[name] = (entry.Sum, entry.Weight + weight);
            }
            else
            {
                _sums[name] = (loss.mul(weight).DetachFromDisposeScope(), weight);
                _names.Add(name);
            }
        }
    }

    /// <summary>The means since the last call; with several terms, their sum as <c>loss</c> too.</summary>
    public IReadOnlyDictionary<string, double> Read()
    {
        var means = new Dictionary<string, double>();
        foreach (string name in _names)
        {
            (torch.Tensor sum, double weight) = _sums[name];
            means[name] = sum.item<float>() / weight;
        }
        if (means.Count > 0)
            means.TryAdd("loss", means.Values.Sum());
        Dispose();
        return means;
    }

    public void Dispose()
    {
        foreach ((torch.Tensor sum, _) in _sums.Values)
            sum.Dispose();
        _sums.Clear();
        _names.Clear();
    }
}
