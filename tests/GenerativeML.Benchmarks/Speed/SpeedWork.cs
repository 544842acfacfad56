namespace GenerativeML.Benchmarks;

/// <summary>A work that all sides do: a line of the table.</summary>
internal abstract class SpeedWork : IDisposable
{
    /// <summary>What it is called on the command line.</summary>
    public required string Name { get; init; }

    /// <summary>What it is, in a few words.</summary>
    public required string Title { get; init; }

    /// <summary>How many times as fast as another side it ought to be, by the other's name; where anything is asked.</summary>
    public required IReadOnlyDictionary<string, double> Wanted { get; init; }

    /// <summary>Operations of a unit, in floating point; null where nobody counts them.</summary>
    public double? Flops { get; init; }

    /// <summary>Whether the peer in Python knows it.</summary>
    public bool HasPython { get; init; } = true;

    /// <summary>Whether PyTorch can do it in mixed precision.</summary>
    public virtual bool HasBFloat16 => false;

    /// <summary>Does it by this package.</summary>
    /// <param name="seed">The seed of everything random.</param>
    public abstract SpeedSample Ours(int seed);

    /// <summary>Has it done by another side.</summary>
    /// <param name="peer">The other side.</param>
    /// <param name="setting">How it is run.</param>
    /// <param name="seed">The seed of everything random.</param>
    public abstract SpeedSample Theirs(SpeedPeer peer, PeerSetting setting, int seed);

    /// <summary>
    /// Another side's seconds for a unit, to find the best setting by; for less of it than is measured where that
    /// suffices.
    /// </summary>
    /// <inheritdoc cref="Theirs"/>
    public virtual double Probe(SpeedPeer peer, PeerSetting setting) => Theirs(peer, setting, seed: 0).Seconds;

    /// <summary>What tells whether the two did the same.</summary>
    public virtual IReadOnlyList<Agreement> Compare(
        IReadOnlyList<SpeedSample> ours, IReadOnlyList<SpeedSample> theirs) =>
        [.. theirs[0].Losses.Keys.Select(name => Agreement.OfLosses(
            name, [.. ours.Select(s => s.Losses[name])], [.. theirs.Select(s => s.Losses[name])]))];

    public virtual void Dispose() => GC.SuppressFinalize(this);
}
