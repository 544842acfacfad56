using Microsoft.ML;
using TorchSharp;

namespace GenerativeML;

/// <summary>Tokens of a source and of its target, without what ends them.</summary>
internal readonly record struct TokenPair(int[] Source, int[] Target);

/// <summary>Two columns of text of training rows, a source and a target in each.</summary>
internal sealed class TextPairColumns(IDataView data, string source, string target, string parameter, CancellationToken cancellation)
{
    private readonly TextColumn _sources = new(data, source, parameter, cancellation);
    private readonly TextColumn _targets = new(data, target, parameter, cancellation);

    /// <summary>The rows' pairs, in order, with the rows' numbers; those with an empty side are no pairs.</summary>
    public IEnumerable<(string Source, string Target, long Row)> Texts() => _sources.Texts().Zip(_targets.Texts())
        .Select((pair, row) => (pair.First, pair.Second, (long)row))
        .Where(pair => pair.First.Length > 0 && pair.Second.Length > 0);

    /// <summary>The texts of one side.</summary>
    public IEnumerable<string> Side(bool isSource) => Texts().Select(pair => isSource ? pair.Source : pair.Target);

    /// <summary>All pairs as tokens.</summary>
    /// <exception cref="InvalidOperationException">
    /// There are none; or a text has characters that the vocabulary cannot express, or is too long; or they need more memory.
    /// </exception>
    public List<TokenPair> Read(TokenWindowOf sources, TokenWindowOf targets, long budgetBytes)
    {
        List<TokenPair> pairs = [];
        long bytes = 0;
        foreach ((string from, string to, long row) in Texts())
        {
            pairs.Add(new(Encode(sources, from, source, row), Encode(targets, to, target, row)));
            bytes += sizeof(int) * (pairs[^1].Source.Length + (long)pairs[^1].Target.Length) + 64;
            if (bytes > budgetBytes && pairs.Count > 1)
                throw new InvalidOperationException(
                    $"The texts of the first {pairs.Count} pairs need more memory than option CacheBudgetBytes allows, "
                    + $"{budgetBytes}. Raise it, or train on fewer.");
        }
        return pairs.Count > 0 ? pairs : throw new InvalidOperationException(
            $"There is no pair to train on: no row has a text in both columns '{source}' and '{target}'.");
    }

    private static int[] Encode(TokenWindowOf window, string text, string column, long row)
    {
        try
        {
            return window.Encode(text);
        }
        catch (InvalidOperationException wrong)
        {
            throw new InvalidOperationException(
                $"Row {row} of column '{column}' (counted from 0) cannot be used. {wrong.Message}", wrong);
        }
    }
}

/// <summary>Turns texts into no more tokens than a window has; without one, into as many as there are.</summary>
internal sealed record TokenWindowOf(TokenCodec Codec, int? Most, LongTexts LongTexts, string Option)
{
    /// <summary>A text's tokens.</summary>
    /// <exception cref="InvalidOperationException">
    /// It has characters that the vocabulary cannot express, or is longer than the window, and that is an error.
    /// </exception>
    public int[] Encode(string text)
    {
        int[] tokens = Codec.Encode(text);
        if (Most is not int most || tokens.Length <= most)
            return tokens;
        return LongTexts == LongTexts.Cut ? tokens[..most] : throw new InvalidOperationException(
            $"It has {tokens.Length} tokens, and the window (option {Option}) is {most}. With LongTexts = Cut, the first "
            + $"{most} would be used.");
    }
}

/// <summary>
/// Pairs of sources and targets in batches of about the same length: source tokens and ones for those that count, both
/// (B, S), target tokens from the one that ends texts on, (B, T), and those that follow each, with
/// <see cref="SequenceToSequenceNetwork.Ignored"/> behind them, (B, T).
/// </summary>
internal sealed class TextPairData : TrainingData
{
    // Batches whose pairs are drawn together and then sorted by length: the more, the less padding, the less chance.
    private const int SortedBatches = 50;

    private readonly TokenPair[] _pairs, _held;
    private readonly int _sourceEnd, _targetEnd;

    public TextPairData(
        IReadOnlyList<TokenPair> pairs, int sourceEnd, int targetEnd, SequenceToSequenceOptions options, torch.Device device)
        : base(
            [new RowField(options.SourceColumnName, FieldKind.Int64, 1), new RowField(options.TargetColumnName, FieldKind.Int64, 1)],
            device, options.Seed!.Value, null)
    {
        (_sourceEnd, _targetEnd) = (sourceEnd, targetEnd);
        var held = new ValidationRows(options.ValidationFraction, options.Seed!.Value, pairs.Count - 1);
        ILookup<bool, TokenPair> parts = pairs.Select((pair, i) => (pair, IsHeld: held.Contains(i)))
            .ToLookup(p => p.IsHeld, p => p.pair);
        // Sorted once: validation is a mean over all of them.
        (_pairs, _held) = ([.. parts[false]], [.. parts[true].OrderBy(p => p.Target.Length).ThenBy(p => p.Source.Length)]);
        (TrainingRows, ValidationRows) = (_pairs.Length, _held.Length);
    }

    public override IReadOnlyList<string> Fingerprints =>
        [Of(pair => pair.Source), Of(pair => pair.Target)];

    public override IEnumerable<Batch> Epoch(int epoch, int batchSize, long skip, CancellationToken cancellation)
    {
        var random = new SplitMix64(SplitMix64.Derive(Seed, RandomPurpose.Order, epoch));
        int[] order = [.. Enumerable.Range(0, _pairs.Length)];
        random.Shuffle<int>(order);
        long batches = BatchesPerEpoch(batchSize);
        for (long first = 0; first < batches; first += SortedBatches)
        {
            int start = (int)RowsBefore(first, batchSize), end = (int)RowsBefore(Math.Min(first + SortedBatches, batches), batchSize);
            int[] sorted = [.. order[start..end].OrderBy(i => _pairs[i].Target.Length).ThenBy(i => _pairs[i].Source.Length)];
            sorted.CopyTo(order, start);
        }
        long[] turns = [.. Enumerable.Range(0, (int)batches).Select(i => (long)i)];
        random.Shuffle<long>(turns);
        return MakeEach(batchSize, skip, number =>
        {
            (int start, int end) = ((int)RowsBefore(turns[number], batchSize), (int)RowsBefore(turns[number] + 1, batchSize));
            return ToBatch([.. order[start..end].Select(i => _pairs[i])]);
        });
    }

    public override IEnumerable<Batch> Validation(int batchSize) => _held.Chunk(batchSize).Select(ToBatch);

    private Batch ToBatch(TokenPair[] pairs)
    {
        int rows = pairs.Length, source = pairs.Max(p => p.Source.Length) + 1, target = pairs.Max(p => p.Target.Length) + 1;
        long[] from = new long[rows * source], to = new long[rows * target], following = new long[rows * target];
        float[] counts = new float[rows * source];
        Array.Fill(from, _sourceEnd);
        Array.Fill(to, _targetEnd);
        Array.Fill(following, SequenceToSequenceNetwork.Ignored);
        for (int row = 0; row < rows; row++)
        {
            (int[] read, int[] written) = (pairs[row].Source, pairs[row].Target);
            for (int i = 0; i < read.Length; i++)
                from[row * source + i] = read[i];
            counts.AsSpan(row * source, read.Length + 1).Fill(1);
            for (int i = 0; i < written.Length; i++)
                to[row * target + i + 1] = following[row * target + i] = written[i];
            following[row * target + written.Length] = _targetEnd;
        }
        torch.Tensor[] fields = InOwnScope(() =>
        [
            HostTensors.Index(from, Device).view(rows, source), HostTensors.FromRows(counts, rows, source, Device),
            HostTensors.Index(to, Device).view(rows, target), HostTensors.Index(following, Device).view(rows, target),
        ]);
        return new(fields, rows, Array.ConvertAll(pairs, p => p.Target.Length + 1.0));
    }

    private string Of(Func<TokenPair, int[]> side)
    {
        var fingerprint = new Fingerprint();
        foreach (TokenPair pair in _pairs.Concat(_held))
        {
            fingerprint.Add((ulong)side(pair).Length);
            fingerprint.Add([.. side(pair).Select(token => (long)token)]);
        }
        return fingerprint.ToString();
    }
}
