using TorchSharp;

namespace GenerativeML;

/// <summary>Training rows that fit into memory: each epoch is a full random permutation of them.</summary>
internal sealed class CachedTrainingData(
    IReadOnlyList<RowField> fields,
    torch.Device device,
    int seed,
    IReadOnlyList<torch.Tensor> rows,
    IReadOnlyList<torch.Tensor>? validation) : TrainingData(fields, device, seed, validation)
{
    // Gathering rows for several batches at once costs one operator call instead of one for each batch.
    private const int GatheredRows = 16_384;

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        long[] order = new long[TrainingRows];
        for (long i = 0; i < order.LongLength; i++)
            order[i] = i;
        new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch)).Shuffle(order.AsSpan());

        long gather = Math.Max(1, GatheredRows / batchSize) * (long)batchSize;
        for (long chunk = skip * batchSize; chunk < TrainingRows; chunk += gather)
        {
            long size = Math.Min(gather, TrainingRows - chunk);
            torch.Tensor[] gathered = Timed(() => Gather(order, chunk, size));
            try
            {
                for (long start = 0; start < size; start += batchSize)
                {
                    int n = (int)Math.Min(batchSize, size - start);
                    var views = new torch.Tensor[gathered.Length];
                    for (int f = 0; f < views.Length; f++)
                        views[f] = gathered[f].narrow(0, start, n).DetachFromDisposeScope();
                    try
                    {
                        yield return new Batch(views, n);
                    }
                    finally
                    {
                        foreach (torch.Tensor view in views)
                            view.Dispose();
                    }
                }
            }
            finally
            {
                foreach (torch.Tensor t in gathered)
                    t.Dispose();
            }
        }
    }

    public override void Dispose()
    {
        foreach (torch.Tensor t in rows)
            t.Dispose();
        base.Dispose();
    }

    private torch.Tensor[] Gather(long[] order, long start, long size)
    {
        using torch.Tensor index = HostTensors.Index(order.AsSpan((int)start, (int)size), rows[0].device);
        return [.. rows.Select(
            t => HostTensors.OnDevice(t.index_select(0, index), Device).DetachFromDisposeScope())];
    }
}
