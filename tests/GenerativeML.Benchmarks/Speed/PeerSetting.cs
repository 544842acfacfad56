namespace GenerativeML.Benchmarks;

/// <summary>How PyTorch is run. What is best depends on the work: each is tried, and the best is measured.</summary>
/// <param name="Threads">Its threads.</param>
/// <param name="Waiting">The value of <c>OMP_WAIT_POLICY</c>, or null for OpenMP's own.</param>
internal sealed record PeerSetting(int Threads, string? Waiting)
{
    /// <summary>
    /// All threads or one, and with threads that wait for the next product by spinning for a while or by sleeping.
    /// Those that spin for ever would take the processor from the other side.
    /// </summary>
    public static IReadOnlyList<PeerSetting> All(int threads) => threads == 1
        ? [new(1, null)]
        : [new(threads, null), new(threads, "passive"), new(1, null)];

    /// <inheritdoc />
    public override string ToString() =>
        $"{Threads} thread{(Threads > 1 ? "s" : "")}{(Waiting is null ? "" : $", OMP_WAIT_POLICY={Waiting}")}";
}
