using TorchSharp;

namespace GenerativeML.Torch;

/// <summary>A growing number of rows in host memory, turned into tensors at the end.</summary>
internal sealed class KeptRows(IReadOnlyList<RowField> fields) : IDisposable
{
    private const int MostChunkRows = 4096;
    private const long ChunkElements = 1 << 20;

    private readonly int _chunkRows = (int)Math.Clamp(ChunkElements / fields.Sum(f => (long)f.Width), 1, MostChunkRows);
    private readonly List<RowBlock> _chunks = [];

    public long Rows { get; private set; }

    public void Add(RowBlock block, int start, int count)
    {
        for (int i = 0; i < count; i++)
        {
            int at = (int)(Rows % _chunkRows);
            if (at == 0)
                _chunks.Add(new RowBlock(fields, _chunkRows));
            block.CopyRow(start + i, _chunks[^1], at);
            Rows++;
        }
    }

    public void Clear()
    {
        _chunks.Clear();
        Rows = 0;
    }

    /// <summary>One tensor (Rows, Width) for each field, detached from any dispose scope.</summary>
    public IReadOnlyList<torch.Tensor> ToTensors(torch.Device device)
    {
        var tensors = new torch.Tensor[fields.Count];
        for (int f = 0; f < tensors.Length; f++)
        {
            torch.Tensor host = HostTensors.Empty(fields[f], Rows);
            for (int c = 0; c < _chunks.Count; c++)
            {
                long at = (long)c * _chunkRows;
                HostTensors.Write(_chunks[c], f, 0, (int)Math.Min(_chunkRows, Rows - at), host, at);
            }
            tensors[f] = HostTensors.OnDevice(host, device).DetachFromDisposeScope();
        }
        return tensors;
    }

    public void Dispose() => Clear();
}
