
namespace GenerativeML.Benchmarks;

/// <summary>Which rows of a table train a generator and which test it, as numbers from zero.</summary>
/// <param name="Train">The rows to learn, in the order in which they are given.</param>
/// <param name="Test">The others.</param>
internal sealed record TableSplit(int[] Train, int[] Test)
{
    /// <summary>Shuffles the rows by <paramref name="seed"/>; the share beside the test rows' trains.</summary>
    public static TableSplit Create(int rows, double testFraction, ulong seed)
    {
        int[] order = [.. Enumerable.Range(0, rows)];
        new SplitMix64(seed).Shuffle<int>(order);
        // 0.3 of 10 rows are 3, whatever is lost in rounding.
        int trained = (int)Math.Floor((1 - testFraction) * rows + 1e-9);
        return new TableSplit(order[..trained], order[trained..]);
    }
}
