using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>A growing number of rows in host memory, turned into tensors at the end.</summary>
internal sealed class KeptRows(IReadOnlyList<RowField> fields)
{
    private const int MostChunkRows = 4096;
    private const long ChunkElements = 1 << 20;

    private readonly int _chunkRows = (int)Math.Clamp(ChunkElements / fields.Sum(f => (long)f.Width), 1, MostChunkRows);
    private readonly List<RowBlock?> _chunks = [];

    public long Rows { get; private set; }

    public void Add(RowBlock block, int row)
    {
        int at = (int)(Rows++ % _chunkRows);
        if (at == 0)
            _chunks.Add(new RowBlock(fields, _chunkRows));
        block.CopyRow(row, _chunks[^1]!, at);
    }

    /// <summary>Gives the rows up.</summary>
    public void Clear() => _chunks.Clear();

    /// <summary>
    /// One tensor (Rows, Width) for each field, in no dispose scope: on the device if there is room, otherwise on the
    /// CPU. The rows are given up on the way.
    /// </summary>
    public IReadOnlyList<torch.Tensor> ToTensors(torch.Device device, RowTransform? transform)
    {
        torch.Tensor[] tensors = [.. fields.Select(f => HostTensors.Empty(f, Rows).DetachFromDisposeScope())];
        for (int c = 0; c < _chunks.Count; c++)
        {
            long at = (long)c * _chunkRows;
            int count = (int)Math.Min(_chunkRows, Rows - at);
            _chunks[c]!.Apply(transform, count);
            for (int f = 0; f < tensors.Length; f++)
                HostTensors.Write(_chunks[c]!, f, count, tensors[f], at);
            _chunks[c] = null;
        }
        return device.type == DeviceType.CPU ? tensors : Moved(tensors, device);
    }

    private static torch.Tensor[] Moved(torch.Tensor[] host, torch.Device device)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        try
        {
            torch.Tensor[] moved = [.. host.Select(t => t.to(device))];
            Array.ForEach(host, t => t.Dispose());
            return Array.ConvertAll(moved, t => t.DetachFromDisposeScope());
        }
        catch (ExternalException)
        {
            return host; // the device's memory is full: each batch is moved when its turn comes
        }
    }
}

/// <summary>
/// Which rows are held back from training: of every 1/fraction rows one, drawn at random, so that the choice is spread
/// evenly and follows from the seed and the row's number; at most so many.
/// </summary>
internal sealed class ValidationRows(double fraction, int seed, long most)
{
    private readonly double _stride = 1 / fraction;
    private long _block, _next = -1, _taken;

    /// <summary>Whether a row is held back. Rows are asked for in ascending order.</summary>
    public bool Contains(long row)
    {
        if (fraction == 0 || _taken >= most)
            return false;
        while (_next < row)
            _next = Math.Max(_next, Draw(_block++)); // two neighbouring draws can fall on one row
        if (_next > row)
            return false;
        _taken++;
        return true;
    }

    private long Draw(long block)
    {
        double u = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Validation, block)).NextDouble();
        return (long)((block + u) * _stride);
    }
}
