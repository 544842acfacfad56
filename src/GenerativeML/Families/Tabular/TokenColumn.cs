namespace GenerativeML;

/// <summary>
/// Between the values of a column and tokens: each value belongs to one of a bounded number of tokens, and each token
/// stands for one value or for several, of which it knows how often each occurs.
/// </summary>
internal abstract class TokenColumn
{
    /// <summary>The number of tokens; at least one.</summary>
    public abstract int Count { get; }

    /// <summary>Whether a value is a token and an offset from it.</summary>
    public virtual bool HasOffset => false;

    /// <summary>The token of a value.</summary>
    public abstract int Encode(TableBlock block, int column, int row);

    /// <summary>Where a value lies in its token, from −1 to 1.</summary>
    public virtual float Offset(TableBlock block, int column, int row, int token) => 0;

    /// <summary>The way back, for all values or for those that a limit allows.</summary>
    public abstract TokenValues Values(TableLimit? limit);

    /// <summary>All that it takes to make the tokens again, as numbers.</summary>
    public abstract IEnumerable<double> Save();
}

/// <summary>Draws the values of tokens.</summary>
internal abstract class TokenValues
{
    /// <summary>
    /// The share of each token's values that is allowed, (tokens); null where all are. A value of a token without any
    /// is not asked for.
    /// </summary>
    public float[]? Allowed { get; protected init; }

    /// <summary>
    /// Writes a random value of a token, as likely as it is among the token's values, or that of an offset.
    /// </summary>
    public abstract void Draw(
        int token, float offset, TableBlock block, int column, int row, ref SplitMix64 random);
}

/// <summary>
/// A token for each frequent category of a column, and one for all rare ones together, which are told apart by nothing
/// but how often they occur.
/// </summary>
internal sealed class CategoryTokens : TokenColumn
{
    private readonly int[] _tokenOf;
    private readonly int[] _frequent; // the category of each token but the last, which is for the rare ones
    private readonly int[] _rare;
    private readonly long[] _counts;
    private readonly Draws _any;

    /// <param name="counts">How often each category occurs.</param>
    /// <param name="max">The most categories, by frequency, that have tokens of their own.</param>
    public CategoryTokens(IReadOnlyList<long> counts, int max)
    {
        _counts = [.. counts];
        int[] order = [.. Enumerable.Range(0, counts.Count).OrderByDescending(code => counts[code])];
        // A token for a single rare one would be the same as its own.
        int own = counts.Count <= max + 1 ? counts.Count : max;
        _frequent = order[..own];
        _rare = order[own..];
        _tokenOf = new int[counts.Count];
        for (int i = 0; i < order.Length; i++)
            _tokenOf[order[i]] = Math.Min(i, own);
        _any = new Draws(this, null);
    }

    public override int Count => _frequent.Length + (_rare.Length > 0 ? 1 : 0);

    /// <summary>The tokens of a file.</summary>
    /// <exception cref="FormatException">They make no sense.</exception>
    public static CategoryTokens Load(ref TokenReader reader, int categories)
    {
        int max = reader.NextCount(categories);
        long[] counts = new long[categories];
        foreach (ref long count in counts.AsSpan())
            count = (long)reader.Next(value => value is >= 0 and <= 1L << 53 && value % 1 == 0);
        return new CategoryTokens(counts, max);
    }

    public override int Encode(TableBlock block, int column, int row) => _tokenOf[block.Codes(column)[row]];

    public override TokenValues Values(TableLimit? limit) =>
        limit is CategoryLimit categories ? new Draws(this, categories.Allowed) : _any;

    public override IEnumerable<double> Save() => [_frequent.Length, .. _counts.Select(count => (double)count)];

    private sealed class Draws : TokenValues
    {
        private readonly CategoryTokens _tokens;
        private readonly int[] _rare;
        private readonly double[] _upTo; // sums of the counts of the rare ones

        public Draws(CategoryTokens tokens, bool[]? allowed)
        {
            _tokens = tokens;
            _rare = allowed is null ? tokens._rare : [.. tokens._rare.Where(code => allowed[code])];
            _upTo = Cumulative.Sums(_rare.Select(code => (double)tokens._counts[code]));
            if (allowed is null)
                return;
            Allowed = new float[tokens.Count];
            for (int token = 0; token < tokens._frequent.Length; token++)
                Allowed[token] = allowed[tokens._frequent[token]] ? 1 : 0;
            if (_rare.Length > 0)
                Allowed[^1] = (float)(_upTo[^1] / tokens._rare.Sum(code => (double)tokens._counts[code]));
        }

        public override void Draw(
            int token, float offset, TableBlock block, int column, int row, ref SplitMix64 random) =>
            block.Codes(column)[row] = token < _tokens._frequent.Length
                ? _tokens._frequent[token]
                : _rare[Cumulative.Find(_upTo, random.NextDouble() * _upTo[^1])];
    }
}

/// <summary>Draws by running sums.</summary>
internal static class Cumulative
{
    /// <summary>The running sums of weights.</summary>
    public static double[] Sums(IEnumerable<double> weights)
    {
        double sum = 0;
        return [.. weights.Select(weight => sum += weight)];
    }

    /// <summary>
    /// The first of ascending sums that is greater than <paramref name="value"/>, or the last of all.
    /// </summary>
    public static int Find(ReadOnlySpan<double> upTo, double value)
    {
        int low = 0, high = upTo.Length - 1;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (upTo[middle] > value)
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }
}

/// <summary>Reads tokens from the numbers of a file.</summary>
internal ref struct TokenReader(ReadOnlySpan<double> values)
{
    private ReadOnlySpan<double> _rest = values;

    /// <summary>Whether all numbers were read.</summary>
    public readonly bool IsAtEnd => _rest.IsEmpty;

    /// <summary>The next number.</summary>
    /// <exception cref="FormatException">There is none, or none that makes sense.</exception>
    public double Next(Func<double, bool> isSound)
    {
        if (_rest.IsEmpty || !isSound(_rest[0]))
            throw Unsound();
        double value = _rest[0];
        _rest = _rest[1..];
        return value;
    }

    /// <summary>The next number, a whole one that is at most as large, nor larger than what is left to read.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public int NextCount(int max)
    {
        int most = Math.Min(max, _rest.Length);
        return (int)Next(value => value >= 0 && value <= most && value % 1 == 0);
    }

    /// <summary>The error of numbers that make no sense.</summary>
    public static FormatException Unsound() => new("The saved table generator's tokens are out of range.");
}
