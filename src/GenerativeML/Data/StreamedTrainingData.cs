using System.Threading.Channels;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// Training rows that are read anew for each epoch by a background thread, which shuffles them through a buffer and
/// keeps a few batches ahead of the device.
/// </summary>
internal sealed class StreamedTrainingData : TrainingData
{
    private const int BatchesAhead = 4;
    private const int ReadRows = 256;

    private readonly IRowSource _source;
    private readonly double _validationFraction;
    private readonly long _mostValidation;
    private readonly int _bufferRows;
    private readonly RowTransform? _transform;

    public StreamedTrainingData(
        IRowSource source, TrainingOptions options, torch.Device device, int seed, long mostValidation, long rowBytes,
        IReadOnlyList<torch.Tensor>? validation, RowTransform? transform = null)
        : base(source.Fields, device, seed, validation)
    {
        _transform = transform;
        _source = source;
        _validationFraction = options.ValidationFraction;
        _mostValidation = mostValidation;
        _bufferRows = (int)Math.Clamp(options.CacheBudgetBytes / rowBytes, 1, options.ShuffleBufferRows);
    }

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var ready = Channel.CreateBounded<(RowBlock Block, int Rows)>(BatchesAhead);
        var spent = Channel.CreateUnbounded<RowBlock>(); // blocks to fill again
        Task reading = Task.Factory.StartNew(
            () => Read(epoch, batchSize, skip, ready.Writer, spent.Reader, stop.Token),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            while (Timed(() => Wait(ready.Reader, cancellation)))
            {
                if (!ready.Reader.TryRead(out (RowBlock Block, int Rows) next))
                    continue;
                Batch batch = HostTensors.ToBatch(next.Block, next.Rows, Device);
                foreach (torch.Tensor t in batch.Fields)
                    t.DetachFromDisposeScope();
                spent.Writer.TryWrite(next.Block);
                try
                {
                    yield return batch;
                }
                finally
                {
                    foreach (torch.Tensor t in batch.Fields)
                        t.Dispose();
                }
            }
        }
        finally
        {
            stop.Cancel();
            reading.ContinueWith(_ => { }, TaskScheduler.Default).Wait(CancellationToken.None);
        }
        reading.GetAwaiter().GetResult(); // an error of the source, as it was thrown
    }

    private static bool Wait(ChannelReader<(RowBlock, int)> ready, CancellationToken cancellation)
    {
        try
        {
            return ready.WaitToReadAsync(cancellation).AsTask().GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            return false; // the loop sees the token itself, and decides what a cancelled run gives
        }
    }

    private void Read(
        int epoch, int batchSize, long skip, ChannelWriter<(RowBlock, int)> ready, ChannelReader<RowBlock> spent,
        CancellationToken stop)
    {
        try
        {
            var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch));
            var held = new ValidationRows(_validationFraction, Seed, _mostValidation);
            var buffer = new RowBlock(Fields, _bufferRows);
            var output = new BatchWriter(this, ready, spent, batchSize, skip, stop);
            int filled = 0;
            long row = 0;
            using IRowReader reader = _source.Open();
            var block = new RowBlock(Fields, ReadRows);
            for (int n; (n = reader.Read(block, 0, ReadRows)) > 0;)
            {
                stop.ThrowIfCancellationRequested();
                for (int i = 0; i < n; i++)
                {
                    if (held.Contains(row++))
                        continue;
                    if (filled < _bufferRows)
                    {
                        block.CopyRow(i, buffer, filled++);
                        continue;
                    }
                    // A full buffer gives a random row and takes the new one in its place.
                    int j = random.Next(_bufferRows);
                    output.Add(buffer, j);
                    block.CopyRow(i, buffer, j);
                }
            }
            int[] rest = [.. Enumerable.Range(0, filled)];
            random.Shuffle<int>(rest);
            foreach (int j in rest)
                output.Add(buffer, j);
            output.Complete();
            ready.Complete();
        }
        catch (OperationCanceledException)
        {
            ready.TryComplete();
        }
        catch (Exception)
        {
            ready.TryComplete();
            throw;
        }
    }

    /// <summary>
    /// Collects rows into batches and hands each full one on; the first ones of a resumed epoch are dropped.
    /// </summary>
    private sealed class BatchWriter(
        StreamedTrainingData data, ChannelWriter<(RowBlock, int)> ready, ChannelReader<RowBlock> spent, int batchSize,
        long skip, CancellationToken stop)
    {
        private RowBlock _batch = new(data.Fields, batchSize);
        private int _rows;
        private long _skipRows = skip * batchSize;

        public void Add(RowBlock source, int row)
        {
            if (_skipRows > 0)
            {
                _skipRows--;
                return;
            }
            source.CopyRow(row, _batch, _rows++);
            if (_rows == batchSize)
                Complete();
        }

        public void Complete()
        {
            if (_rows == 0)
                return;
            _batch.Apply(data._transform, _rows);
            ready.WriteAsync((_batch, _rows), stop).AsTask().GetAwaiter().GetResult();
            _batch = spent.TryRead(out RowBlock? used) ? used : new RowBlock(data.Fields, batchSize);
            _rows = 0;
        }
    }
}
