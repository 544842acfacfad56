using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The rows of a training run, as batches on the device: kept where they fit into the memory budget, otherwise read
/// anew, in the background, for each epoch. Its order follows from seed, epoch and rows, so that training can go on in
/// the middle.
/// </summary>
internal abstract class TrainingData(
    IReadOnlyList<RowField> fields, torch.Device device, int seed, IReadOnlyList<torch.Tensor>? validation)
    : IDisposable
{
    public IReadOnlyList<RowField> Fields => fields;

    /// <summary>Rows to train on.</summary>
    public long TrainingRows { get; set; }

    /// <summary>Rows held back.</summary>
    public long ValidationRows { get; set; }

    /// <summary>A hash of each field over all rows, by which checkpoints know their data; empty without.</summary>
    public virtual IReadOnlyList<string> Fingerprints { get; set; } = [];

    /// <summary>
    /// Which rows of a batch this process needs; epochs may give these alone, and then say which they are.
    /// </summary>
    public Func<int, RowRange> Share { get; set; } = rows => new RowRange(0, rows, rows);

    /// <summary>Whether processes have to exchange rows, so that all read alike.</summary>
    public virtual bool IsShared => false;

    /// <summary>Time that the consumer of <see cref="Epoch"/> waited for rows.</summary>
    public TimeSpan Waited { get; private protected set; }

    protected torch.Device Device => device;

    protected int Seed => seed;

    /// <summary>Reads all rows once and makes training data of them, as they are.</summary>
    public static TrainingData Prepare(
        IRowSource source, TrainingOptions options, int seed, torch.Device device,
        IEnumerable<IRowObserver> observers) =>
        new ObservedRows(source, options, seed, observers).ToData(device);

    /// <summary>The number of batches in an epoch.</summary>
    public long BatchesPerEpoch(int batchSize) => (TrainingRows + batchSize - 1) / batchSize;

    /// <summary>
    /// The batches of an epoch in its shuffled order, without the first ones of a resumed one. Their sizes differ by one
    /// at most: a last batch of the few rows that are left over would move the weights as far as a whole one, by noise.
    /// Their tensors are gone with the next batch.
    /// </summary>
    public abstract IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation);

    /// <summary>The validation rows in the source's order; the caller disposes their tensors.</summary>
    public virtual IEnumerable<Batch> Validation(int batchSize)
    {
        if (validation is null)
            yield break;
        for (long start = 0; start < ValidationRows; start += batchSize)
        {
            int n = (int)Math.Min(batchSize, ValidationRows - start);
            yield return new Batch([.. validation.Select(t => HostTensors.OnDevice(t.narrow(0, start, n), Device))], n);
        }
    }

    public virtual void Dispose()
    {
        foreach (torch.Tensor t in validation ?? [])
            t.Dispose();
    }

    /// <summary>The number of rows in an epoch before those of a batch.</summary>
    private protected long RowsBefore(long batch, int batchSize) => batch * TrainingRows / BatchesPerEpoch(batchSize);

    /// <summary>The batches of an epoch that are made one by one, from the first that is not to be left out.</summary>
    private protected IEnumerable<Batch> MakeEach(int batchSize, long skip, Func<long, Batch> make)
    {
        long batches = BatchesPerEpoch(batchSize);
        for (long number = skip; number < batches; number++)
        {
            using Batch batch = Timed(() => make(number));
            foreach (torch.Tensor field in batch.Fields)
                field.DetachFromDisposeScope();
            yield return batch;
        }
    }

    /// <summary>
    /// Makes fields in a dispose scope of their own: what a view was made of would otherwise stay in the run's.
    /// </summary>
    private protected static torch.Tensor[] InOwnScope(Func<torch.Tensor[]> make)
    {
        using DisposeScope scope = torch.NewDisposeScope();
        return [.. make().Select(field => field.MoveToOuterDisposeScope())];
    }

    /// <summary>Runs <paramref name="wait"/> and counts its time as waiting for data.</summary>
    private protected T Timed<T>(Func<T> wait)
    {
        long start = Stopwatch.GetTimestamp();
        T result = wait();
        Waited += Stopwatch.GetElapsedTime(start);
        return result;
    }
}

/// <summary>What a first pass over all rows leaves, before it is known how networks see them.</summary>
internal sealed class ObservedRows
{
    private const int ReadRows = 1024;

    private readonly IRowSource _source;
    private readonly TrainingOptions _options;
    private readonly int _seed;
    private readonly KeptRows _kept, _heldBack;
    private readonly long _rowBytes, _budgetRows, _mostValidation;
    private readonly RowFingerprint? _fingerprint;
    private readonly Exchange? _holders; // the processes that keep every nth row each; null where this one keeps all

    /// <summary>
    /// Reads all rows once: counts them, shows the training rows to the observers, keeps what fits into the budget.
    /// </summary>
    /// <exception cref="InvalidOperationException">There are no rows to train on.</exception>
    public ObservedRows(IRowSource source, TrainingOptions options, int seed, IEnumerable<IRowObserver> observers)
    {
        (_source, _options, _seed) = (source, options, seed);
        _holders = options.Distributed is { ShareRows: true } distributed ? distributed.Connect() : null;
        (_kept, _heldBack) = (new(source.Fields), new(source.Fields));
        _rowBytes = source.Fields.Sum(f => (long)f.Width * (f.Kind == FieldKind.Single ? 4 : 8));
        // A kept row also has a place in the epoch's order, which is an array.
        _budgetRows = Math.Min(options.CacheBudgetBytes / (_rowBytes + sizeof(long)), Array.MaxLength);
        // Validation rows are always kept, so they may not take more than their share of the budget.
        _mostValidation = Math.Max(1, _budgetRows / 4);
        _fingerprint = !options.IsDataKnown ? null : new RowFingerprint(source.Fields);
        IRowObserver[] watching = [.. observers];
        var held = new ValidationRows(options.ValidationFraction, seed, _mostValidation);
        long rows = 0;
        using (IRowReader reader = source.Open())
        {
            var block = new RowBlock(source.Fields, ReadRows);
            for (int n; (n = reader.Read(block, 0, ReadRows)) > 0;)
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                _fingerprint?.Add(block, n);
                for (int i = 0; i < n; i++)
                {
                    if (held.Contains(rows++))
                        _heldBack.Add(block, i);
                    else
                        Train(block, i);
                }
            }
        }
        if (TrainingRows == 0)
        {
            throw new InvalidOperationException(
                "There are no rows to train on: "
                + (rows == 0 ? "the input is empty." : $"of {rows} rows, all are held back for validation."));
        }

        void Train(RowBlock block, int row)
        {
            foreach (IRowObserver observer in watching)
                observer.Observe(block, row);
            if (++TrainingRows > _budgetRows)
                _kept.Clear();
            else if (_holders is null || (TrainingRows - 1) % _holders.Size == _holders.Rank)
                _kept.Add(block, row);
        }
    }

    /// <summary>Rows to train on.</summary>
    public long TrainingRows { get; private set; }

    /// <summary>The training data, once: rows as a transform makes them, or as they are.</summary>
    public TrainingData ToData(torch.Device device, RowTransform? transform = null)
    {
        IReadOnlyList<torch.Tensor>? validation = _heldBack.Rows > 0 ? _heldBack.ToTensors(device, transform) : null;
        TrainingData data = TrainingRows <= _budgetRows
            ? new CachedTrainingData(_source.Fields, device, _seed, _kept.ToTensors(device, transform), validation, _source.Strata, _holders)
            : new StreamedTrainingData(
                _source, _options, device, _seed, _mostValidation, _rowBytes, validation, transform);
        data.TrainingRows = TrainingRows;
        data.ValidationRows = _heldBack.Rows;
        data.Fingerprints = _fingerprint?.Values ?? [];
        return data;
    }
}

/// <summary>
/// Training rows that fit into memory, or into that of several processes: each epoch is a full random permutation of them.
/// </summary>
internal sealed class CachedTrainingData(
    IReadOnlyList<RowField> fields, torch.Device device, int seed, IReadOnlyList<torch.Tensor> rows,
    IReadOnlyList<torch.Tensor>? validation, int strata = 1, Exchange? holders = null) : TrainingData(fields, device, seed, validation)
{
    // Gathering rows for several batches at once costs one operator call instead of one for each batch.
    private const int GatheredRows = 16_384;

    // What is exchanged at once is in memory beside what is kept.
    private const int ExchangedBytes = 1 << 24;

    public override bool IsShared => holders is not null;

    /// <summary>The rows that this process keeps.</summary>
    public long HeldRows => rows[0].shape[0];

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        long[] order = new long[TrainingRows];
        var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch));
        for (int stratum = 0; stratum < strata; stratum++)
        {
            long[] turns = new long[(TrainingRows - stratum + strata - 1) / strata];
            for (long i = 0; i < turns.LongLength; i++)
                turns[i] = i * strata + stratum;
            random.Shuffle(turns.AsSpan());
            for (long i = 0; i < turns.LongLength; i++)
                order[i * strata + stratum] = turns[i];
        }

        long most = GatheredRows;
        if (holders is not null)
        {
            long rowBytes = rows.Sum(t => t.shape[1..].Aggregate(t.element_size(), (a, b) => a * b));
            CheckExchanged(Math.Min(batchSize, TrainingRows), rowBytes);
            most = Math.Min(GatheredRows, ExchangedBytes / rowBytes);
        }
        long batches = BatchesPerEpoch(batchSize), gathered = Math.Max(1, most / batchSize);
        for (long number = skip; number < batches; number += gathered)
        {
            long end = Math.Min(number + gathered, batches);
            var ranges = new List<RowRange>();
            int before = (int)RowsBefore(number, batchSize);
            var wanted = new List<int>(); // among the rows of these batches
            for (long i = number; i < end; i++)
            {
                long first = RowsBefore(i, batchSize);
                RowRange range = Share((int)(RowsBefore(i + 1, batchSize) - first));
                ranges.Add(range);
                wanted.AddRange(Enumerable.Range((int)first - before + range.First, range.Count));
            }
            ReadOnlyMemory<long> all = order.AsMemory(before..(int)RowsBefore(end, batchSize));
            using Batch many = Timed(() => Gather(all.Span, wanted));
            int start = 0;
            foreach (RowRange range in ranges)
            {
                using var batch = new Batch(
                    [.. many.Fields.Select(t => t.narrow(0, start, range.Count).DetachFromDisposeScope())], range.Count)
                {
                    Range = range,
                };
                start += range.Count;
                yield return batch;
            }
        }
    }

    public override void Dispose()
    {
        foreach (torch.Tensor t in rows)
            t.Dispose();
        base.Dispose();
    }

    /// <summary>Checks that the rows of a batch, of which all processes have a part, can be exchanged.</summary>
    /// <exception cref="InvalidOperationException">They have more bytes than one array.</exception>
    public static void CheckExchanged(long rows, long rowBytes)
    {
        if (rows * rowBytes > Array.MaxLength)
            throw new InvalidOperationException(FormattableString.Invariant(
                $"Of shared rows (option {nameof(DistributedOptions.ShareRows)}) a batch can have {Array.MaxLength:N0} bytes, and {rows:N0} rows of {rowBytes:N0} are more. Lower option {nameof(TrainingOptions.BatchSize)}, or leave {nameof(DistributedOptions.ShareRows)} out."));
    }

    private Batch Gather(ReadOnlySpan<long> numbers, List<int> wanted)
    {
        long[] places = new long[wanted.Count];
        if (holders is null)
        {
            for (int i = 0; i < places.Length; i++)
                places[i] = numbers[wanted[i]];
            return Pick(rows, places);
        }
        // Each process gives what it holds of the rows of all, one process's rows behind another's.
        int n = holders.Size, count = numbers.Length;
        int[] ends = new int[n];
        foreach (long number in numbers)
            ends[number % n]++;
        for (int r = 1; r < n; r++)
            ends[r] += ends[r - 1];
        int[] next = [0, .. ends[..^1]];
        long[] at = new long[count];
        var own = new List<long>();
        for (int i = 0; i < count; i++)
        {
            at[i] = next[numbers[i] % n]++;
            if (numbers[i] % n == holders.Rank)
                own.Add(numbers[i] / n);
        }
        for (int i = 0; i < places.Length; i++)
            places[i] = at[wanted[i]];
        using DisposeScope scope = torch.NewDisposeScope();
        using torch.Tensor index = HostTensors.Index(CollectionsMarshal.AsSpan(own), rows[0].device);
        torch.Tensor[] joined = [.. rows.Select(t => torch.empty([count, .. t.shape[1..]], t.dtype))];
        for (int f = 0; f < joined.Length; f++)
        {
            joined[f].narrow(0, ends[holders.Rank] - own.Count, own.Count).copy_(rows[f].index_select(0, index));
            Span<byte> bytes = joined[f].bytes;
            int each = bytes.Length / count;
            holders.AllGatherByRank(bytes, Array.ConvertAll(ends, end => end * each));
        }
        return Pick(joined, places);
    }

    private Batch Pick(IReadOnlyList<torch.Tensor> from, ReadOnlySpan<long> places)
    {
        using torch.Tensor index = HostTensors.Index(places, from[0].device);
        return new Batch(
            [.. from.Select(t => HostTensors.OnDevice(t.index_select(0, index), Device).DetachFromDisposeScope())],
            places.Length);
    }
}

/// <summary>
/// Training rows that are read anew for each epoch by a background thread, which shuffles them through a buffer and
/// keeps a few batches ahead of the device.
/// </summary>
internal sealed class StreamedTrainingData(
    IRowSource source, TrainingOptions options, torch.Device device, int seed, long mostValidation, long rowBytes,
    IReadOnlyList<torch.Tensor>? validation, RowTransform? transform)
    : TrainingData(source.Fields, device, seed, validation)
{
    private const int BatchesAhead = 4;
    private const int ReadRows = 256;

    private readonly int _bufferRows =
        (int)Math.Clamp(options.CacheBudgetBytes / rowBytes, 1, options.ShuffleBufferRows);

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var ready = new BlockingCollection<(RowBlock Block, RowRange Rows)>(BatchesAhead);
        Task reading = Task.Factory.StartNew(
            () => Read(Batches(epoch, batchSize, skip, stop.Token), ready, stop.Token),
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
        try
        {
            // A cancelled run ends the reading; what that gives, the loop decides, which sees the token itself.
            (RowBlock? Block, RowRange Rows) next = default;
            while (Timed(() => ready.TryTake(out next!, Timeout.Infinite)))
            {
                using Batch batch = HostTensors.ToBatch(next.Block!, next.Rows, Device);
                foreach (torch.Tensor t in batch.Fields)
                    t.DetachFromDisposeScope();
                yield return batch;
            }
        }
        finally
        {
            stop.Cancel();
            reading.ContinueWith(_ => { }, TaskScheduler.Default).Wait(CancellationToken.None);
        }
        reading.GetAwaiter().GetResult(); // an error of the source, as it was thrown
    }

    private static void Read(
        IEnumerable<(RowBlock, RowRange)> batches, BlockingCollection<(RowBlock, RowRange)> ready, CancellationToken stop)
    {
        try
        {
            foreach ((RowBlock, RowRange) batch in batches)
                ready.Add(batch, stop);
        }
        catch (OperationCanceledException)
        {
            // Nobody waits for more.
        }
        finally
        {
            ready.CompleteAdding();
        }
    }

    /// <summary>The epoch's batches, but for the first ones of a resumed one; their memory is used in turns.</summary>
    private IEnumerable<(RowBlock Block, RowRange Rows)> Batches(
        int epoch, int batchSize, long skip, CancellationToken stop)
    {
        // Some are ready, one before them is being taken over, and one behind them is being filled.
        var blocks = new RowBlock?[BatchesAhead + 2];
        long skipRows = RowsBefore(skip, batchSize), number = skip;
        int turn = 0, rows = 0;
        RowRange range = default;
        foreach ((RowBlock from, int row) in Shuffled(epoch, stop))
        {
            if (skipRows-- > 0)
                continue;
            RowBlock block = blocks[turn] ??= new RowBlock(Fields, batchSize);
            int size = (int)(RowsBefore(number + 1, batchSize) - RowsBefore(number, batchSize));
            if (rows == 0)
                range = Share(size);
            if (rows >= range.First && rows < range.First + range.Count)
                from.CopyRow(row, block, rows - range.First);
            if (++rows < size)
                continue;
            block.Apply(transform, range.Count);
            yield return (block, range);
            turn = (turn + 1) % blocks.Length;
            rows = 0;
            number++;
        }
    }

    /// <summary>The training rows in the epoch's order, each as a row of the block that it is in for now.</summary>
    private IEnumerable<(RowBlock Block, int Row)> Shuffled(int epoch, CancellationToken stop)
    {
        var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch));
        var held = new ValidationRows(options.ValidationFraction, Seed, mostValidation);
        RowBlock buffer = new(Fields, Math.Max(_bufferRows, source.Strata)), block = new(Fields, ReadRows);
        int filled = 0, strata = source.Strata, turns = Math.Max(1, _bufferRows / strata);
        long row = 0;
        using IRowReader reader = source.Open();
        for (int n; (n = reader.Read(block, 0, ReadRows)) > 0;)
        {
            stop.ThrowIfCancellationRequested();
            for (int i = 0; i < n; i++)
            {
                if (held.Contains(row++))
                    continue;
                int place = filled;
                if (filled < turns * strata)
                {
                    filled++;
                }
                else
                {
                    // A full buffer gives a random row, of the same kind, and takes the new one in its place.
                    place = random.Next(turns) * strata + (int)((row - 1) % strata);
                    yield return (buffer, place);
                }
                block.CopyRow(i, buffer, place);
            }
        }
        int[][] rest = [.. Enumerable.Range(0, strata).Select(stratum =>
        {
            int[] places = [.. Enumerable.Range(0, filled).Where(place => place % strata == stratum)];
            random.Shuffle<int>(places);
            return places;
        })];
        for (int i = 0; i < filled; i++)
            yield return (buffer, rest[i % strata][i / strata]);
    }
}

/// <summary>A growing number of rows in host memory, to read again or to turn into tensors at the end.</summary>
internal sealed class KeptRows(IReadOnlyList<RowField> fields) : IRowSource
{
    private const int MaxChunkRows = 4096;
    private const long ChunkElements = 1 << 20;

    private readonly int _chunkRows = (int)Math.Clamp(ChunkElements / fields.Sum(f => (long)f.Width), 1, MaxChunkRows);
    private readonly List<RowBlock?> _chunks = [];

    public IReadOnlyList<RowField> Fields => fields;

    public long Rows { get; private set; }

    public IRowReader Open() => new Reader(this);

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

    private sealed class Reader(KeptRows kept) : IRowReader
    {
        private long _next;

        public int Read(RowBlock block, int start, int count)
        {
            int read = (int)Math.Min(count, kept.Rows - _next);
            for (int i = 0; i < read; i++)
            {
                (long chunk, long row) = Math.DivRem(_next++, kept._chunkRows);
                kept._chunks[(int)chunk]!.CopyRow((int)row, block, start + i);
            }
            return read;
        }

        public void Dispose()
        {
        }
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
