namespace GenerativeML;

/// <summary>
/// A token for each frequent category of a column, and one for all rare ones together, which are told apart by nothing
/// but how often they occur.
/// </summary>
internal sealed class CategoryTokens : DrawnTokens
{
    private readonly int[] _tokenOf;
    private readonly int[] _frequent; // the category of each token but the last, which is for the rare ones
    private readonly int[] _rare;
    private readonly long[] _counts;
    private readonly TokenValues _any;

    /// <param name="counts">How often each category occurs.</param>
    /// <param name="most">The most frequent categories that have tokens of their own.</param>
    public CategoryTokens(IReadOnlyList<long> counts, int most)
    {
        _counts = [.. counts];
        int[] order = [.. Enumerable.Range(0, counts.Count).OrderByDescending(code => counts[code])];
        // A token for a single rare one would be the same as its own.
        int own = counts.Count <= most + 1 ? counts.Count : most;
        _frequent = order[..own];
        _rare = order[own..];
        _tokenOf = new int[counts.Count];
        for (int i = 0; i < order.Length; i++)
            _tokenOf[order[i]] = Math.Min(i, own);
        _any = new Draws(this, null);
    }

    /// <summary>How often each category occurs.</summary>
    public IReadOnlyList<long> CategoryCounts => _counts;

    /// <inheritdoc/>
    public override int Count => _frequent.Length + (_rare.Length > 0 ? 1 : 0);

    /// <inheritdoc/>
    public override int Encode(TableBlock block, int column, int row) => _tokenOf[block.Codes(column)[row]];

    /// <inheritdoc/>
    public override TokenValues Values(TableLimit? limit) =>
        limit is CategoryLimit categories ? new Draws(this, categories.Allowed) : _any;

    private sealed class Draws : TokenValues
    {
        private readonly CategoryTokens _tokens;
        private readonly int[] _rare;
        private readonly double[] _upTo; // sums of the counts of the rare ones

        public Draws(CategoryTokens tokens, bool[]? allowed)
        {
            _tokens = tokens;
            _rare = allowed is null ? tokens._rare : [.. tokens._rare.Where(code => allowed[code])];
            _upTo = new double[_rare.Length];
            double sum = 0;
            for (int i = 0; i < _rare.Length; i++)
                _upTo[i] = sum += tokens._counts[_rare[i]];
            if (allowed is null)
                return;
            Allowed = new float[tokens.Count];
            for (int token = 0; token < tokens._frequent.Length; token++)
                Allowed[token] = allowed[tokens._frequent[token]] ? 1 : 0;
            if (tokens._rare.Length > 0)
                Allowed[^1] = (float)(sum / tokens._rare.Sum(code => (double)tokens._counts[code]));
        }

        public override void Draw(int token, TableBlock block, int column, int row, ref SplitMix64 random) =>
            block.Codes(column)[row] = token < _tokens._frequent.Length
                ? _tokens._frequent[token]
                : _rare[Cumulative.Find(_upTo, random.NextDouble() * _upTo[^1])];
    }
}
