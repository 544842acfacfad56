namespace GenerativeML;

/// <summary>
/// Between the values of a column and tokens: each value belongs to one of a bounded number of tokens, and each token
/// stands for one value or for several, of which it knows how often each occurs.
/// </summary>
internal abstract record TokenColumn
{
    /// <summary>The number of tokens; at least one.</summary>
    public abstract int Count { get; }

    /// <summary>Whether a value is a token and an offset from it.</summary>
    public virtual bool HasOffset => false;

    /// <summary>The share of each token's values that is allowed, (Count); null where all are.</summary>
    public float[]? Allowed { get; protected init; }

    /// <summary>The token of a number or code, in a row of this number.</summary>
    public abstract int Encode(double value, long row);

    /// <summary>Where a value lies in its token, from −1 to 1.</summary>
    public virtual float Offset(double value, int token) => 0;

    /// <summary>The same tokens for the values that a limit allows; for all of them if it is null.</summary>
    public abstract TokenColumn Limited(TableLimit? limit);

    /// <summary>A value of a token: a random one of those that are allowed, or that of an offset.</summary>
    public abstract double Draw(int token, float offset, ref SplitMix64 random);

    /// <summary>All that it takes to make the tokens again, as numbers.</summary>
    public abstract IEnumerable<double> Save();
}

/// <summary>A token for each frequent category of a column, and one for all rare ones together.</summary>
internal sealed record CategoryTokens : TokenColumn
{
    private readonly long[] _counts;
    private readonly int[] _tokenOf;
    private readonly int[] _frequent; // the category of each token but the last, which is for the rare ones

    /// <summary>Tokens of categories by their counts, of which at most so many have one of their own.</summary>
    public CategoryTokens(IReadOnlyList<long> counts, int max)
    {
        _counts = [.. counts];
        int[] order = [.. Enumerable.Range(0, counts.Count).OrderByDescending(code => counts[code])];
        // A token for a single rare one would be the same as its own.
        int own = counts.Count <= max + 1 ? counts.Count : max;
        _frequent = order[..own];
        Rare = order[own..];
        UpTo = SumsOf(Rare);
        Count = own + (Rare.Length > 0 ? 1 : 0);
        _tokenOf = new int[counts.Count];
        for (int i = 0; i < order.Length; i++)
            _tokenOf[order[i]] = Math.Min(i, own);
    }

    public override int Count { get; }

    private int[] Rare { get; init; } // those that are allowed

    private double[] UpTo { get; init; } // running sums of their counts

    /// <summary>The tokens of a file, or a <see cref="FormatException"/>.</summary>
    public static CategoryTokens Load(ref TokenReader reader, int categories)
    {
        int max = reader.NextCount(categories);
        long[] counts = new long[categories];
        foreach (ref long count in counts.AsSpan())
            count = (long)reader.Next(value => value is >= 0 and <= 1L << 53 && value % 1 == 0);
        return new CategoryTokens(counts, max);
    }

    public override int Encode(double value, long row) => _tokenOf[(int)value];

    public override TokenColumn Limited(TableLimit? limit)
    {
        if (limit is not CategoryLimit { Allowed: bool[] allowed })
            return this;
        int[] rare = [.. Rare.Where(code => allowed[code])];
        double[] upTo = SumsOf(rare);
        float[] shares = new float[Count];
        for (int token = 0; token < _frequent.Length; token++)
            shares[token] = allowed[_frequent[token]] ? 1 : 0;
        if (rare.Length > 0)
            shares[^1] = (float)(upTo[^1] / UpTo[^1]);
        return this with { Rare = rare, UpTo = upTo, Allowed = shares };
    }

    /// <summary>The codes of a token that are allowed, and the share of each among them.</summary>
    public IEnumerable<(int Code, double Share)> CodesOf(int token) => token < _frequent.Length
        ? [(_frequent[token], 1)]
        : Rare.Select(code => (code, _counts[code] / UpTo[^1]));

    public override double Draw(int token, float offset, ref SplitMix64 random) =>
        token < _frequent.Length ? _frequent[token] : Rare[Cumulative.Draw(UpTo, ref random)];

    public override IEnumerable<double> Save() => [_frequent.Length, .. _counts.Select(count => (double)count)];

    private double[] SumsOf(int[] codes) => Cumulative.Sums(codes.Select(code => (double)_counts[code]));
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

    /// <summary>An item, as likely as its weight is large, by the running sums of all.</summary>
    public static int Draw(ReadOnlySpan<double> upTo, ref SplitMix64 random)
    {
        double point = random.NextDouble() * upTo[^1];
        int low = 0, high = upTo.Length - 1; // where the first greater sum is
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (upTo[middle] > point)
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

    /// <summary>The next number, or a <see cref="FormatException"/>.</summary>
    public double Next(Func<double, bool> isSound)
    {
        if (_rest.IsEmpty || !isSound(_rest[0]))
            throw Unsound();
        double value = _rest[0];
        _rest = _rest[1..];
        return value;
    }

    /// <summary>The next number, a whole one that is at most as large, nor larger than what is left to read.</summary>
    public int NextCount(int max)
    {
        int most = Math.Min(max, _rest.Length);
        return (int)Next(value => value >= 0 && value <= most && value % 1 == 0);
    }

    /// <summary>The error of numbers that make no sense.</summary>
    public static FormatException Unsound() => new("The saved table generator's tokens are out of range.");
}
