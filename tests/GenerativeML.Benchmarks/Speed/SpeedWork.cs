namespace GenerativeML.Benchmarks;

/// <summary>A work that both sides do: a line of the table.</summary>
internal abstract class SpeedWork : IDisposable
{
    /// <summary>What it is called on the command line.</summary>
    public required string Name { get; init; }

    /// <summary>What it is, in a few words.</summary>
    public required string Title { get; init; }

    /// <summary>How many times as fast as PyTorch it ought to be, if anything is asked.</summary>
    public double? Wanted { get; init; }

    /// <summary>The same against PyTorch with bfloat16, where the processor is made for that.</summary>
    public double? WantedBFloat16 { get; init; }

    /// <summary>Operations of a unit, in floating point; null where nobody counts them.</summary>
    public double? Flops { get; init; }

    /// <summary>Whether the other side can do it in mixed precision.</summary>
    public virtual bool HasBFloat16 => false;

    /// <summary>Does it by this package.</summary>
    /// <param name="seed">The seed of everything random.</param>
    public abstract SpeedSample Ours(int seed);

    /// <summary>Does it in Python.</summary>
    /// <param name="peer">The program.</param>
    /// <param name="setting">How it is run.</param>
    /// <param name="seed">The seed of everything random.</param>
    /// <param name="bfloat16">Whether in mixed precision.</param>
    public abstract SpeedSample Theirs(SpeedPeer peer, PeerSetting setting, int seed, bool bfloat16);

    /// <summary>
    /// Seconds for a unit in Python, to find the best setting by; for less of it than is measured where that suffices.
    /// </summary>
    /// <inheritdoc cref="Theirs"/>
    public virtual double Probe(SpeedPeer peer, PeerSetting setting, bool bfloat16) =>
        Theirs(peer, setting, seed: 0, bfloat16).Seconds;

    /// <summary>What tells whether the two did the same.</summary>
    public virtual IReadOnlyList<Agreement> Compare(
        IReadOnlyList<SpeedSample> ours, IReadOnlyList<SpeedSample> theirs) =>
        [.. theirs[0].Losses.Keys.Select(name => Agreement.OfLosses(
            name, [.. ours.Select(s => s.Losses[name])], [.. theirs.Select(s => s.Losses[name])]))];

    public virtual void Dispose() => GC.SuppressFinalize(this);
}
