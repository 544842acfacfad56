namespace GenerativeML;

/// <summary>The tokens of all columns of a table, by position: in the order in which a row's are generated.</summary>
internal sealed record TokenTable(TableShape Shape, IReadOnlyList<TokenColumn> Columns)
{
    /// <summary>The most categories of a column that have tokens of their own.</summary>
    public const int MaxCategories = 256;

    /// <summary>About the most tokens of a column of numbers.</summary>
    public const int MaxNumbers = 64;

    /// <summary>The most tokens of a column in a file.</summary>
    public const int MaxTokens = 1 << 16;

    // What numbers are looked at to choose tokens: some memory, and rows enough even where they are wide.
    private const int SampledValues = 1 << 24;
    private const int MinSample = 1 << 10, MaxSample = 1 << 17;

    private const int ReadRows = 1024;

    /// <summary>The column of each position: the label comes last, when what it depends on is known.</summary>
    public IReadOnlyList<int> Order { get; } = OrderOf(Shape);

    /// <summary>The number of tokens of each position.</summary>
    public IReadOnlyList<int> Counts { get; } = [.. Columns.Select(c => c.Count)];

    /// <summary>Where the tokens of each position begin, counted over all; and at last how many there are.</summary>
    public IReadOnlyList<int> Starts { get; } =
        [0, .. Cumulative.Sums(Columns.Select(c => (double)c.Count)).Select(sum => (int)sum)];

    /// <summary>The number of positions whose values are a token and an offset.</summary>
    public int Offsets { get; } = Columns.Count(c => c.HasOffset);

    /// <summary>How often each token of each position occurs in training rows.</summary>
    public IReadOnlyList<long[]> Frequencies { get; init; } = [.. Columns.Select(c => new long[c.Count])];

    /// <summary>Chooses tokens by the rows of a table, those of numbers by a random sample of each column's.</summary>
    public static TokenTable Learn(
        ITableSource source, bool modes, int seed, CancellationToken cancellation,
        Func<TableColumn, NumberBins>? bins = null)
    {
        TableShape shape = source.Shape;
        int rows = Math.Clamp(SampledValues / shape.Columns.Count, MinSample, MaxSample);
        var sample = new TableBlock(shape, (int)Math.Min(rows, source.RowCount));
        long[][] counts = [.. shape.Columns.Select(c => new long[c.Categories])];
        int sampled = Sample(source, sample, counts, seed, cancellation);
        return new TokenTable(shape, [.. OrderOf(shape).Select(TokensOf)]);

        TokenColumn TokensOf(int c)
        {
            TableColumn column = shape.Columns[c];
            return column.Kind == TableColumnKind.Categorical ? new CategoryTokens(counts[c], MaxCategories)
                : modes ? NumberModes.Learn(column, sample[c].AsSpan(0, sampled))
                : NumberTokens.Learn(
                    column, sample[c].AsSpan(0, sampled), bins?.Invoke(column) ?? NumberBins.Default);
        }
    }

    /// <summary>The tokens that <see cref="Save"/> gave, or a <see cref="FormatException"/>.</summary>
    public static TokenTable Load(TableShape shape, ReadOnlySpan<double> values, bool modes)
    {
        var reader = new TokenReader(values);
        var columns = new List<TokenColumn>();
        foreach (int column in OrderOf(shape))
        {
            TableColumn known = shape.Columns[column];
            columns.Add(known.Kind == TableColumnKind.Categorical
                ? CategoryTokens.Load(ref reader, known.Categories)
                : modes ? NumberModes.Load(ref reader, known) : NumberTokens.Load(ref reader, known));
        }
        var frequencies = new List<long[]>();
        foreach (TokenColumn column in columns)
        {
            long[] counts = new long[column.Count];
            foreach (ref long count in counts.AsSpan())
                count = (long)reader.Next(value => value is >= 0 and <= 1L << 53);
            frequencies.Add(counts);
        }
        return reader.IsAtEnd
            ? new TokenTable(shape, columns) { Frequencies = frequencies }
            : throw TokenReader.Unsound();
    }

    /// <summary>All that it takes to make the tokens again, as numbers.</summary>
    public double[] Save() =>
    [
        .. Columns.SelectMany(c => c.Save()), .. Frequencies.SelectMany(counts => counts).Select(n => (double)n),
    ];

    /// <summary>The column of each position.</summary>
    private static int[] OrderOf(TableShape shape) =>
    [
        .. Enumerable.Range(0, shape.Columns.Count).Where(c => c != shape.Label),
        .. shape.Label is int label ? new[] { label } : [],
    ];

    // Of each column a random sample of the numbers that are there, each equally likely (Vitter's algorithm R 1985), in
    // order where it holds them all, and NaN behind them; and how often each category occurs in all rows.
    private static int Sample(
        ITableSource source, TableBlock sample, long[][] counts, int seed, CancellationToken cancellation)
    {
        var random = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Sample));
        long seen = 0;
        long[] known = new long[counts.Length];
        int[] numbers = [.. Enumerable.Range(0, counts.Length).Where(c => counts[c].Length == 0)];
        foreach (int c in numbers)
            Array.Fill(sample[c], double.NaN);
        var block = new TableBlock(source.Shape, ReadRows);
        using ITableReader reader = source.Open();
        for (int n; (n = reader.Read(block, ReadRows)) > 0;)
        {
            cancellation.ThrowIfCancellationRequested();
            for (int row = 0; row < n; row++, seen++)
            {
                ulong draw = seen < sample.Capacity ? 0 : random.Next();
                foreach (int c in numbers)
                {
                    if (double.IsNaN(block[c][row]))
                        continue;
                    long before = known[c]++;
                    ulong at = before < sample.Capacity ? (ulong)before : draw % (ulong)(before + 1);
                    if (at < (ulong)sample.Capacity)
                        sample[c][(int)at] = block[c][row];
                }
            }
            for (int c = 0; c < counts.Length; c++)
            {
                for (int row = 0; row < n && counts[c].Length > 0; row++)
                    counts[c][(int)block[c][row]]++;
            }
        }
        return (int)Math.Min(seen, sample.Capacity);
    }
}

/// <summary>The rows of a table as tokens, and offsets if there are any; counts how often tokens occur.</summary>
internal sealed class TokenSource(ITableSource table, TokenTable tokens) : IRowSource, IRowObserver
{
    public IReadOnlyList<RowField> Fields { get; } =
    [
        new RowField("tokens", FieldKind.Int64, tokens.Columns.Count),
        .. tokens.Offsets > 0 ? new[] { new RowField("offsets", FieldKind.Single, tokens.Offsets) } : [],
    ];

    /// <summary>How often each token of each position was seen.</summary>
    public IReadOnlyList<long[]> Frequencies { get; } = [.. tokens.Counts.Select(n => new long[n])];

    public IRowReader Open() => new Reader(tokens, table.Open());

    public void Observe(RowBlock block, int row)
    {
        ReadOnlySpan<long> values = block.Int64Row(0, row);
        for (int position = 0; position < values.Length; position++)
            Frequencies[position][values[position]]++;
    }

    private sealed class Reader(TokenTable tokens, ITableReader rows) : IRowReader
    {
        private TableBlock? _block;
        private long _first; // the number of the next row

        public int Read(RowBlock block, int start, int count)
        {
            if (_block is null || _block.Capacity < count)
                _block = new TableBlock(tokens.Shape, count);
            int n = rows.Read(_block, count);
            for (int row = 0; row < n; row++)
            {
                Span<long> to = block.Int64Row(0, start + row);
                for (int p = 0, next = 0; p < to.Length; p++)
                {
                    double value = _block[tokens.Order[p]][row];
                    to[p] = tokens.Columns[p].Encode(value, _first + row);
                    if (tokens.Columns[p].HasOffset)
                        block.SingleRow(1, start + row)[next++] = tokens.Columns[p].Offset(value, (int)to[p]);
                }
            }
            _first += n;
            return n;
        }

        public void Dispose() => rows.Dispose();
    }
}
