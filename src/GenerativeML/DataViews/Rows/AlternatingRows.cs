namespace GenerativeML;

/// <summary>
/// Rows of two domains in turns, one of each: a pass is over all rows of the larger, and begins the smaller anew as often
/// as it takes.
/// </summary>
internal sealed class AlternatingRows : IRowSource
{
    private const int MinRows = 2; // of each set: a single image has nothing in common with others of its set

    private static readonly string[] s_names = ["first", "second"];

    private readonly DataViewRowSource _rows;
    private readonly int _domain;
    private readonly long _count;

    /// <summary>Rows whose domain is told by a field: a truth value, or a category or a key of two values.</summary>
    /// <exception cref="InvalidOperationException">There are other domains than two, rows of none, or too few of one.</exception>
    public AlternatingRows(DataViewRowSource rows, int domain, bool drops)
    {
        (_rows, _domain) = (rows, domain);
        string column = rows.Fields[domain].Name;
        if (rows.Fields[domain].Width > 2)
            throw new InvalidOperationException(
                $"Column '{column}' has {rows.Fields[domain].Width} values: two are expected, one for each set of images.");
        long[] counts = new long[2];
        long none = 0;
        foreach (float[] values in rows.Read(domain))
        {
            if (DomainOf(values) is int of and >= 0)
                counts[of]++;
            else
                none++;
        }
        if (none + counts.Sum() == 0)
            throw new InvalidOperationException($"There are no rows to train on: column '{rows.Fields[0].Name}' is empty.");
        if (none > 0 && !drops)
            throw new InvalidOperationException(
                $"Column '{column}' does not say in {none} of {none + counts.Sum()} rows which of two sets the image is from.");
        if (counts.Contains(0) && !rows.IsOfTwoViews)
            throw new InvalidOperationException(
                $"Column '{column}' has {counts.Count(c => c > 0)} value in {counts.Sum()} rows: images of two sets are needed.");
        CheckCount(counts[0], 0);
        CheckCount(counts[1], 1);
        _count = 2 * counts.Max();
    }

    public IReadOnlyList<RowField> Fields => _rows.Fields;

    public int Strata => 2;

    public IRowReader Open() => new Reader(this);

    /// <summary>Zero for the first domain, one for the second; −1 for none.</summary>
    public static int DomainOf(ReadOnlySpan<float> values) => values switch
    {
        [0] or [1, 0] => 0,
        [1] or [0, 1] => 1,
        _ => -1,
    };

    private void CheckCount(long count, int of)
    {
        if (count < MinRows)
            throw new InvalidOperationException(
                $"The {s_names[of]} {(_rows.IsOfTwoViews ? "view" : $"set of images that column '{Fields[_domain].Name}' tells apart")} "
                + $"has {count} to train on: at least {MinRows} are needed of each.");
    }

    private sealed class Reader(AlternatingRows rows) : IRowReader
    {
        private readonly IRowReader?[] _readers = new IRowReader?[2];
        private readonly long[] _since = new long[2]; // rows of each set since its reader began
        private long _read;

        public int Read(RowBlock block, int start, int count)
        {
            int read = 0;
            for (; read < count && _read < rows._count; read++, _read++)
            {
                int of = (int)(_read % 2);
                while (!ReadNext(of, block, start + read))
                {
                    // Some may have been left out.
                    rows.CheckCount(_since[of], of);
                    _since[of] = 0;
                }
            }
            // At their end, readers say what was wrong with rows; where they are not, what they read is no part of the pass.
            if (_read == rows._count && read > 0)
            {
                var none = new RowBlock(rows.Fields, 1);
                for (int of = 0; of < 2; of++)
                    _readers[of]?.Read(none, 0, 1);
            }
            return read;
        }

        public void Dispose()
        {
            foreach (IRowReader? reader in _readers)
                reader?.Dispose();
        }

        // Where there are no more rows, the next call begins anew.
        private bool ReadNext(int of, RowBlock block, int row)
        {
            _readers[of] ??= rows._rows.Open(
                rows._domain, values => DomainOf(values) == of, rows._rows.IsOfTwoViews ? s_names[of] : null);
            if (_readers[of]!.Read(block, row, 1) == 1)
            {
                _since[of]++;
                return true;
            }
            _readers[of]!.Dispose();
            _readers[of] = null;
            return false;
        }
    }
}
