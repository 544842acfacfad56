using System.Diagnostics;
using TorchSharp;

namespace GenerativeML;

/// <summary>
/// The rows of a training run, as batches on the device: read once and kept where they fit into the memory budget,
/// otherwise read anew, in the background, for each epoch. The order of an epoch depends only on the seed, the epoch's
/// number and the rows, so that training can go on in the middle of one.
/// </summary>
internal abstract class TrainingData : IDisposable
{
    private const int ReadRows = 1024;

    private protected TrainingData(
        IReadOnlyList<RowField> fields, torch.Device device, int seed, IReadOnlyList<torch.Tensor>? validation)
    {
        Fields = fields;
        Device = device;
        Seed = seed;
        _validation = validation;
    }

    private readonly IReadOnlyList<torch.Tensor>? _validation;

    public IReadOnlyList<RowField> Fields { get; }

    /// <summary>Rows to train on.</summary>
    public long TrainingRows { get; private protected set; }

    /// <summary>Rows held back.</summary>
    public long ValidationRows { get; private protected set; }

    /// <summary>
    /// A hash of each field's values over all rows, by which a checkpoint knows its data again; empty for runs without
    /// checkpoints.
    /// </summary>
    public virtual IReadOnlyList<string> Fingerprints { get; private set; } = [];

    /// <summary>Time that the consumer of <see cref="Epoch"/> waited for rows.</summary>
    public TimeSpan Waited { get; private protected set; }

    protected torch.Device Device { get; }

    protected int Seed { get; }

    /// <summary>
    /// Reads all rows once: counts them, shows the training rows to the observers, keeps what fits into the budget.
    /// </summary>
    /// <param name="source">The rows.</param>
    /// <param name="options">The budget, and the share of rows that is held back.</param>
    /// <param name="seed">The seed of the choice of rows that are held back, and of their order.</param>
    /// <param name="device">Where batches are wanted.</param>
    /// <param name="observers">See the training rows as the source has them.</param>
    /// <param name="transform">
    /// Given the number of training rows after the first pass, says how rows become what networks see. Default: they
    /// stay as they are.
    /// </param>
    /// <exception cref="InvalidOperationException">There are no rows.</exception>
    public static TrainingData Prepare(
        IRowSource source, TrainingOptions options, int seed, torch.Device device, IEnumerable<IRowObserver> observers,
        Func<long, RowTransform>? transform = null)
    {
        long rowBytes = source.Fields.Sum(f => (long)f.Width * (f.Kind == FieldKind.Single ? 4 : 8));
        // A kept row also has a place in the epoch's order, which is an array.
        long budgetRows = Math.Min(options.CacheBudgetBytes / (rowBytes + sizeof(long)), Array.MaxLength);
        IRowObserver[] watching = [.. observers];

        // Validation rows are always kept, so they may not take more than their share of the budget.
        long mostValidation = Math.Max(1, budgetRows / 4);
        var held = new ValidationRows(options.ValidationFraction, seed, mostValidation);
        using var kept = new KeptRows(source.Fields);
        using var heldBack = new KeptRows(source.Fields);
        bool fits = true;
        long rows = 0, training = 0;
        RowFingerprint? fingerprint = options.Checkpoint is null ? null : new RowFingerprint(source.Fields);

        using (IRowReader reader = source.Open())
        {
            var block = new RowBlock(source.Fields, ReadRows);
            for (int n; (n = reader.Read(block, 0, ReadRows)) > 0;)
            {
                options.CancellationToken.ThrowIfCancellationRequested();
                fingerprint?.Add(block, n);
                int from = 0; // the rows [from, i) train and are not yet handed on
                for (int i = 0; i <= n; i++)
                {
                    if (i < n && !held.Contains(rows + i))
                        continue;
                    if (i > from)
                        Train(block, from, i - from);
                    if (i < n)
                        heldBack.Add(block, i, 1);
                    from = i + 1;
                }
                rows += n;
            }
        }
        if (training == 0)
        {
            throw new InvalidOperationException(
                "There are no rows to train on: "
                + (rows == 0 ? "the input is empty." : $"of {rows} rows, all are held back for validation."));
        }

        RowTransform? apply = transform?.Invoke(training);
        IReadOnlyList<torch.Tensor>? validation = heldBack.Rows > 0 ? heldBack.ToTensors(device, apply) : null;
        TrainingData data = fits
            ? new CachedTrainingData(source.Fields, device, seed, kept.ToTensors(device, apply), validation)
            : new StreamedTrainingData(source, options, device, seed, mostValidation, rowBytes, validation, apply);
        data.TrainingRows = training;
        data.ValidationRows = heldBack.Rows;
        data.Fingerprints = fingerprint?.Values ?? [];
        return data;

        void Train(RowBlock block, int start, int count)
        {
            foreach (IRowObserver observer in watching)
                observer.Observe(block, start, count);
            training += count;
            if (fits && training > budgetRows)
            {
                fits = false;
                kept.Clear();
            }
            if (fits)
                kept.Add(block, start, count);
        }
    }

    /// <summary>The number of batches in an epoch.</summary>
    public long BatchesPerEpoch(int batchSize) => (TrainingRows + batchSize - 1) / batchSize;

    /// <summary>The epochs after which at least so many rows were presented, within limits.</summary>
    public int EpochsFor(long presented, int least, int most) =>
        (int)Math.Clamp((presented + TrainingRows - 1) / TrainingRows, least, most);

    /// <summary>
    /// The batches of an epoch in its shuffled order, from batch number <paramref name="skip"/> on. A batch's tensors
    /// belong to this object, or to the dispose scope that is open when it is fetched: they are gone with the next one.
    /// </summary>
    public abstract IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation);

    /// <summary>
    /// The validation rows in the source's order; their tensors are views or copies that the caller disposes.
    /// </summary>
    public virtual IEnumerable<Batch> Validation(int batchSize)
    {
        if (_validation is null)
            yield break;
        for (long start = 0; start < ValidationRows; start += batchSize)
        {
            int n = (int)Math.Min(batchSize, ValidationRows - start);
            yield return new Batch([.. _validation.Select(t => HostTensors.OnDevice(t.narrow(0, start, n), Device))], n);
        }
    }

    public virtual void Dispose()
    {
        foreach (torch.Tensor t in _validation ?? [])
            t.Dispose();
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

/// <summary>Turns rows of a Single field, (rows × width), into what networks see of them, in place.</summary>
internal delegate void RowTransform(int field, Span<float> rows);
