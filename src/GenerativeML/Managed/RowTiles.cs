namespace GenerativeML;

/// <summary>Work on a batch of rows, some of them at a time.</summary>
internal interface IRowWork
{
    /// <summary>Numbers of the widest intermediate result of a row.</summary>
    int Width { get; }

    /// <summary>What a row costs.</summary>
    long MultiplyAdds { get; }

    /// <summary>Computes some rows from a number on; at the same time as others.</summary>
    void Compute(int first, int rows);
}

/// <summary>Does work on a batch of rows in tiles, on as many threads as pay.</summary>
internal static class RowTiles
{
    // Rows that share each reading of the weights; fewer where they are so wide that memory counts.
    private const int MostRows = 48;
    private const int MostValues = 1 << 20;

    // Where many batches are computed, other threads have some of their own: to split a small one disturbs more than it
    // gains, and a thread must have so many times as much to do as elsewhere.
    private const int Reluctance = 4;

    /// <summary>Does the work. On one thread, nothing is allocated.</summary>
    public static void Run<TWork>(TWork work, int count, int threads)
        where TWork : struct, IRowWork
    {
        int tile = Math.Clamp(MostValues / work.Width, 1, MostRows), tiles = (count + tile - 1) / tile;
        int parts = Parallelism.Parts(tiles, tile * work.MultiplyAdds / Reluctance, threads);
        if (parts > 1)
        {
            InParallel(work, count, tile, tiles, parts);
            return;
        }
        for (int first = 0; first < count; first += tile)
            work.Compute(first, Math.Min(tile, count - first));
    }

    // Apart, for what a lambda captures is allocated wherever it stands.
    private static void InParallel<TWork>(TWork work, int count, int tile, int tiles, int threads)
        where TWork : struct, IRowWork => Parallelism.ForEach(
            tiles, threads, t => work.Compute(t * tile, Math.Min(tile, count - t * tile)));
}
