using TorchSharp;

namespace GenerativeML;

/// <summary>Means of losses by name, read back from the device only now and then.</summary>
internal sealed class LossMeans : IDisposable
{
    private const int MostUnread = 256;

    private readonly Dictionary<string, Sum> _sums = []; // in the order of first appearance

    /// <summary>Adds the terms of a batch that counts <paramref name="weight"/> times.</summary>
    public void Add(IReadOnlyList<LossTerm> terms, double weight = 1)
    {
        foreach ((string name, torch.Tensor value) in terms)
        {
            if (!_sums.TryGetValue(name, out Sum? sum))
                _sums[name] = sum = new Sum();
            sum.Add(value, weight);
        }
    }

    /// <summary>The means so far; with several terms, their sum as <c>loss</c> too.</summary>
    public IReadOnlyDictionary<string, double> Means()
    {
        Dictionary<string, double> means = _sums.ToDictionary(s => s.Key, s => s.Value.Mean());
        if (means.Count > 0)
            means.TryAdd("loss", means.Values.Sum());
        return means;
    }

    /// <summary>The same since the last call.</summary>
    public IReadOnlyDictionary<string, double> Read()
    {
        IReadOnlyDictionary<string, double> means = Means();
        Dispose();
        return means;
    }

    public void Dispose()
    {
        foreach (Sum sum in _sums.Values)
            sum.Dispose();
        _sums.Clear();
    }

    private sealed class Sum : IDisposable
    {
        private readonly List<(torch.Tensor Value, double Weight)> _unread = [];
        private double _sum, _weight;

        public void Add(torch.Tensor value, double weight)
        {
            _unread.Add((value.detach().DetachFromDisposeScope(), weight));
            if (_unread.Count == MostUnread)
                ReadBack();
        }

        public double Mean()
        {
            ReadBack();
            return _sum / _weight;
        }

        public void Dispose()
        {
            foreach ((torch.Tensor value, _) in _unread)
                value.Dispose();
            _unread.Clear();
        }

        private void ReadBack()
        {
            if (_unread.Count == 0)
                return;
            using IDisposable noGradient = torch.no_grad();
            using torch.Tensor all = torch.stack([.. _unread.Select(u => u.Value)]);
            var values = new float[_unread.Count];
            HostTensors.CopyTo(all, values);
            for (int i = 0; i < values.Length; i++)
            {
                _sum += values[i] * _unread[i].Weight;
                _weight += _unread[i].Weight;
            }
            Dispose();
        }
    }
}
