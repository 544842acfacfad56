using System.Numerics;

namespace GenerativeML;

/// <summary>
/// The order in which blocks are read, and the rows within each: as they are, or shuffled by a permutation that is
/// computed and not held, whatever the number of rows.
/// </summary>
internal sealed class GeneratedOrder
{
    private const int Rounds = 4;

    private readonly long _rows;
    private readonly int _blockRows;
    private readonly int _seed;
    private readonly bool _shuffled;
    private readonly int _halfBits;

    /// <param name="rows">The number of rows.</param>
    /// <param name="blockRows">Rows of a block; the last one may have fewer.</param>
    /// <param name="shuffle">Where the shuffled order comes from, or null for the rows' own.</param>
    public GeneratedOrder(long rows, int blockRows, Random? shuffle)
    {
        _rows = rows;
        _blockRows = blockRows;
        Blocks = rows / blockRows + (rows % blockRows > 0 ? 1 : 0);
        _shuffled = shuffle is not null;
        _seed = shuffle?.Next() ?? 0;
        _halfBits = (64 - BitOperations.LeadingZeroCount((ulong)Math.Max(Blocks - 1, 1)) + 1) / 2;
    }

    /// <summary>The number of blocks.</summary>
    public long Blocks { get; }

    /// <summary>The block that is read in place <paramref name="place"/>.</summary>
    public long Block(long place)
    {
        if (!_shuffled)
            return place;
        // A Feistel network permutes the next power of four; what falls outside goes round again, and so comes back in.
        ulong block = (ulong)place;
        do
            block = Permute(block);
        while (block >= (ulong)Blocks);
        return (long)block;
    }

    /// <summary>The rows of a block in the order in which they are read.</summary>
    public int[] Rows(long block)
    {
        int[] rows = [.. Enumerable.Range(0, (int)Math.Min(_blockRows, _rows - block * _blockRows))];
        if (_shuffled)
            new SplitMix64(SplitMix64.Derive(_seed, RandomPurpose.Order, block)).Shuffle(rows.AsSpan());
        return rows;
    }

    private ulong Permute(ulong block)
    {
        ulong mask = (1UL << _halfBits) - 1;
        ulong left = block >> _halfBits, right = block & mask;
        for (int round = 0; round < Rounds; round++)
        {
            ulong mixed = SplitMix64.Derive(_seed, RandomPurpose.Order, (long)(right * Rounds) + round) & mask;
            (left, right) = (right, left ^ mixed);
        }
        return left << _halfBits | right;
    }
}
