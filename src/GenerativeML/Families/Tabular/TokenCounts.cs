namespace GenerativeML;

/// <summary>How often each token occurs in training rows.</summary>
internal sealed class TokenCounts(IReadOnlyList<int> tokens) : IRowObserver
{
    private readonly long[][] _counts = [.. tokens.Select(n => new long[n])];
    private long _rows;

    /// <summary>How often each token of a position occurs.</summary>
    public IReadOnlyList<long> Of(int position) => _counts[position];

    /// <inheritdoc/>
    public void Observe(RowBlock block, int start, int count)
    {
        for (int row = start; row < start + count; row++)
        {
            ReadOnlySpan<long> values = block.Int64Row(0, row);
            for (int position = 0; position < values.Length; position++)
                _counts[position][values[position]]++;
        }
        _rows += count;
    }

    /// <summary>
    /// The logarithms of the tokens' shares, position after position; those that do not occur count as a tenth of a
    /// row.
    /// </summary>
    public float[] LogShares() =>
    [
        .. _counts.SelectMany(position => position.Select(
            n => (float)Math.Log((n + 0.1) / (_rows + 0.1 * position.Length)))),
    ];
}
