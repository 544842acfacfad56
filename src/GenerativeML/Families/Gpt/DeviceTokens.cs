using TorchSharp;

namespace GenerativeML;

/// <summary>Keys and values of a sequence's tokens on a device: for each layer (1, T, C).</summary>
internal sealed class DeviceCache : ISequenceCache
{
    public DeviceCache(GptShape shape, torch.Device device)
    {
        Keys = [.. Layers()];
        Values = [.. Layers()];

        IEnumerable<torch.Tensor> Layers()
        {
            for (int layer = 0; layer < shape.Layers; layer++)
                yield return torch.zeros(
                    [1, shape.ContextLength, shape.Width], torch.ScalarType.Float32, device).DetachFromDisposeScope();
        }
    }

    public IReadOnlyList<torch.Tensor> Keys { get; }

    public IReadOnlyList<torch.Tensor> Values { get; }

    public void Dispose()
    {
        foreach (torch.Tensor tensor in Keys.Concat(Values))
            tensor.Dispose();
    }
}

/// <summary>
/// Tokens that follow on cached ones: as many of each of several sequences, in one block of positions each. Lives in
/// the dispose scope of who makes it.
/// </summary>
internal sealed class DeviceTokens
{
    private readonly DecoderRow[] _firsts;
    private readonly int _each;
    private readonly int _seen;

    /// <param name="rows">The tokens, sequence by sequence.</param>
    /// <param name="each">Tokens of each sequence.</param>
    /// <param name="device">Where they are run.</param>
    public DeviceTokens(ReadOnlySpan<DecoderRow> rows, int each, torch.Device device)
    {
        _each = each;
        _firsts = new DecoderRow[rows.Length / each];
        var tokens = new long[rows.Length];
        var positions = new long[rows.Length];
        for (int i = 0; i < rows.Length; i++)
        {
            (tokens[i], positions[i]) = (rows[i].Token, rows[i].Position);
            _seen = Math.Max(_seen, rows[i].Position + 1);
            if (i % each == 0)
                _firsts[i / each] = rows[i];
        }
        Tokens = HostTensors.Index(tokens, device);
        Positions = HostTensors.Index(positions, device);

        var hidden = new float[rows.Length * _seen];
        for (int i = 0; i < rows.Length; i++)
            hidden.AsSpan(i * _seen, _seen)[(rows[i].Position + 1)..].Fill(float.NegativeInfinity);
        Hidden = HostTensors.FromRows(hidden, rows.Length, _seen, device).view(Sequences, 1, each, _seen);
    }

    /// <summary>How many sequences, B.</summary>
    public int Sequences => _firsts.Length;

    /// <summary>(B·n): their numbers.</summary>
    public torch.Tensor Tokens { get; }

    /// <summary>(B·n): where in its window each stands.</summary>
    public torch.Tensor Positions { get; }

    /// <summary>(B, 1, n, P): −∞ where a token does not see a position, otherwise 0.</summary>
    public torch.Tensor Hidden { get; }

    /// <summary>Stores keys and values (B, n, C) and gives those of all positions that are seen, (B, P, C).</summary>
    public (torch.Tensor Keys, torch.Tensor Values) Extend(int layer, torch.Tensor keys, torch.Tensor values) =>
        (Extend(cache => cache.Keys[layer], keys), Extend(cache => cache.Values[layer], values));

    private torch.Tensor Extend(Func<DeviceCache, torch.Tensor> stored, torch.Tensor added)
    {
        List<torch.Tensor> seen = [];
        for (int i = 0; i < _firsts.Length; i++)
        {
            torch.Tensor all = stored((DeviceCache)_firsts[i].Cache);
            all.narrow(1, _firsts[i].Position, _each).copy_(added.narrow(0, i, 1));
            seen.Add(all.narrow(1, 0, _seen));
        }
        return seen.Count == 1 ? seen[0] : torch.cat(seen, 0);
    }
}
