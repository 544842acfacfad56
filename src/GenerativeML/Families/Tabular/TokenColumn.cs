namespace GenerativeML;

/// <summary>
/// Between the values of a column and tokens: each value belongs to one of a bounded number of tokens, and each token
/// stands for one value or for several, of which it knows how often each occurs.
/// </summary>
internal abstract class TokenColumn
{
    /// <summary>The number of tokens; at least one.</summary>
    public abstract int Count { get; }

    /// <summary>The token of a value.</summary>
    public abstract int Encode(TableBlock block, int column, int row);
}

/// <summary>Tokens that know how their values are distributed.</summary>
internal abstract class DrawnTokens : TokenColumn
{
    /// <summary>The way back, for all values or for those that a limit allows.</summary>
    public abstract TokenValues Values(TableLimit? limit);
}

/// <summary>Draws the values of tokens.</summary>
internal abstract class TokenValues
{
    /// <summary>
    /// The share of each token's values that is allowed, (tokens); null where all are. A value of a token without any
    /// is not asked for.
    /// </summary>
    public float[]? Allowed { get; protected init; }

    /// <summary>Writes a random value of a token, as likely as it is among the token's values.</summary>
    public abstract void Draw(int token, TableBlock block, int column, int row, ref SplitMix64 random);
}
