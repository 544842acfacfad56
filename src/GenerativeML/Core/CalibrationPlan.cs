namespace GenerativeML;

/// <summary>
/// Which rows a detector is calibrated by. A score of rows that were trained on is lower than that of others, so that a
/// threshold taken from it would flag far more ordinary rows than it should (conformal prediction, Vovk 2005). Of many
/// rows some are held back; few are divided into folds, each scored by a model that was trained on the others. Few are
/// read once, and held in memory for all these models.
/// </summary>
internal sealed class CalibrationPlan
{
    private const int FewRows = 2000;
    private const int MaxFolds = 10;
    private const int MinFoldedRows = 10; // of fewer there is too little left to train on
    private const double HeldBackShare = 0.2;
    private const int MaxHeldBack = 4000;

    /// <summary>Of fewer rows nobody knows what ordinary ones score.</summary>
    public const int MinRows = 10;

    private readonly int _seed;
    private readonly double _share;
    private readonly Dictionary<ulong, int> _folds = []; // of each of few rows, by what is in it

    /// <summary>A plan for the rows of a source, of which at most so many bytes are held in memory.</summary>
    public CalibrationPlan(IRowSource source, int seed, long budgetBytes, CancellationToken cancellation)
    {
        _seed = seed;
        long rows = 0, rowBytes = sizeof(float) * source.Fields.Sum(f => (long)f.Width);
        var found = new HashSet<ulong>();
        KeptRows? held = new(source.Fields);
        ForEach(source, (block, row) =>
        {
            held = ++rows < FewRows && rows * rowBytes <= budgetBytes ? held : null;
            held?.Add(block, row);
            if (found.Count < FewRows)
                found.Add(Hash(block, row));
        }, cancellation);
        if (rows < MinRows)
            throw TooFew(rows);
        Source = held ?? source;
        _share = Math.Min(HeldBackShare, MaxHeldBack / (double)Math.Max(1, rows));
        if (rows >= FewRows)
        {
            // Rows that are equal are held back together. Of few different ones, all or none might be; what new rows score
            // can then be told by those that were trained on, which new ones will equal.
            Folds = found.Count >= FewRows || found.Count * _share >= MinFoldedRows ? 1 : 0;
            return;
        }
        Folds = found.Count >= MinFoldedRows ? MaxFolds : 0;
        // Rows that are equal go together: one of two would not be new to a model that has seen the other.
        ulong[] distinct = [.. found];
        new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Calibration)).Shuffle(distinct.AsSpan());
        for (int i = 0; i < distinct.Length; i++)
            _folds[distinct[i]] = i % MaxFolds;
    }

    /// <summary>All rows: the source, or what was held of it.</summary>
    public IRowSource Source { get; }

    /// <summary>Models that calibrate: one, whose rows are held back for good; several; or none.</summary>
    public int Folds { get; }

    /// <summary>The rows that the model of a fold is trained on.</summary>
    public IRowSource Training(int fold) => new Part(Source, hash => FoldOf(hash) != fold);

    /// <summary>The rows that it is not.</summary>
    public IRowSource HeldBack(int fold) => new Part(Source, hash => FoldOf(hash) == fold);

    /// <summary>The error where there are too few rows for a detector.</summary>
    public static InvalidOperationException TooFew(long rows) => new(
        $"The training data has {rows} row{(rows == 1 ? "" : "s")}; a detector needs at least {MinRows}, some of which "
        + "tell what ordinary ones score.");

    /// <summary>Fills samples of a source's fields.</summary>
    public static RowSample[] Read(IRowSource source, RowSample[] samples, CancellationToken cancellation)
    {
        ForEach(source, (block, row) =>
        {
            foreach (RowSample sample in samples)
                sample.Observe(block, row);
        }, cancellation);
        return samples;
    }

    // The fold that holds a row back. Rows that were not there at first are trained on, where that is noticed.
    private int FoldOf(ulong hash)
    {
        if (Folds > 1)
            return _folds.GetValueOrDefault(hash, -1);
        return new SplitMix64(hash ^ SplitMix64.Derive(_seed, RandomPurpose.Calibration)).NextDouble() < _share ? 0 : -1;
    }

    private static ulong Hash(RowBlock block, int row)
    {
        ulong hash = 0;
        for (int f = 0; f < block.Fields.Count; f++)
        {
            foreach (float value in block.SingleRow(f, row))
                hash = new SplitMix64(hash ^ BitConverter.SingleToUInt32Bits(value)).Next();
        }
        return hash;
    }

    private static void ForEach(IRowSource source, Action<RowBlock, int> action, CancellationToken cancellation)
    {
        var block = new RowBlock(source.Fields, 256);
        using IRowReader reader = source.Open();
        for (int count; (count = reader.Read(block, 0, block.Capacity)) > 0;)
        {
            cancellation.ThrowIfCancellationRequested();
            for (int row = 0; row < count; row++)
                action(block, row);
        }
    }

    /// <summary>Some of the rows of a source, by the hash of what is in them.</summary>
    private sealed class Part(IRowSource source, Func<ulong, bool> contains) : IRowSource
    {
        public IReadOnlyList<RowField> Fields => source.Fields;

        public IRowReader Open() => new Reader(source, contains);
    }

    private sealed class Reader(IRowSource source, Func<ulong, bool> contains) : IRowReader
    {
        private readonly IRowReader _reader = source.Open();

        public int Read(RowBlock block, int start, int count)
        {
            int found = 0;
            // Each row is read to where it would go; the next one goes over one that is not wanted.
            while (found < count && _reader.Read(block, start + found, 1) > 0)
                found += contains(Hash(block, start + found)) ? 1 : 0;
            return found;
        }

        public void Dispose() => _reader.Dispose();
    }
}

/// <summary>What ordinary rows score that are new to the model that scores them. NaN does not count.</summary>
internal sealed class CalibrationScores(IEnumerable<float> scores)
{
    /// <summary>In ascending order; finite, so that JSON can hold them.</summary>
    public IReadOnlyList<float> Sorted { get; } =
        [.. scores.Where(s => !float.IsNaN(s)).Select(s => Math.Clamp(s, float.MinValue, float.MaxValue)).Order()];

    /// <summary>What a model's file holds of them, which it has to where there is a column of p-values.</summary>
    /// <exception cref="FormatException">It does not.</exception>
    public static CalibrationScores? Load(IReadOnlyList<float>? saved, string? column)
    {
        if (column is not null && saved is null)
            throw new FormatException($"The saved model has no calibration scores to know the p-values of column '{column}' by.");
        return saved is null ? null : new(saved);
    }

    /// <summary>The threshold that a share of fresh ordinary rows lies above in the mean (Papadopoulos 2002).</summary>
    public float Threshold(double share)
    {
        int place = (int)Math.Ceiling((Sorted.Count + 1) * (1 - share)) - 1;
        return Sorted.Count == 0 ? float.PositiveInfinity : Sorted[Math.Clamp(place, 0, Sorted.Count - 1)];
    }

    /// <summary>
    /// The share of ordinary rows, this one among them, with at least such a score: uniform in (0, 1] for fresh ordinary
    /// rows (Vovk 2005). NaN for NaN.
    /// </summary>
    public float PValue(float score)
    {
        if (float.IsNaN(score))
            return float.NaN;
        int below = 0, end = Sorted.Count;
        while (below < end)
        {
            int middle = (below + end) / 2;
            (below, end) = Sorted[middle] < score ? (middle + 1, end) : (below, middle);
        }
        return (1f + Sorted.Count - below) / (Sorted.Count + 1);
    }
}
