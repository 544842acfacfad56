namespace GenerativeML.Benchmarks;

/// <summary>A line of the table: a work against another side.</summary>
internal sealed record SpeedResult
{
    /// <summary>The work's name.</summary>
    public required string Work { get; init; }

    /// <summary>What it is.</summary>
    public required string Title { get; init; }

    /// <summary>The other side: <c>TorchSharp</c>, <c>PyTorch</c>, or <c>PyTorch bf16</c> under autocast.</summary>
    public required string Against { get; init; }

    /// <summary>How the other was run: the setting that was fastest.</summary>
    public required string PeerSetting { get; init; }

    /// <summary>Whether the two did the same; no ratio is given otherwise.</summary>
    public bool Agree => Agreements.All(a => a.Holds);

    /// <summary>By what that was judged.</summary>
    public required IReadOnlyList<Agreement> Agreements { get; init; }

    /// <summary>Our seconds for a unit.</summary>
    public required Spread Ours { get; init; }

    /// <summary>The other's.</summary>
    public required Spread Theirs { get; init; }

    /// <summary>The other's time over ours; null where they do not agree.</summary>
    public required Spread? Ratio { get; init; }

    /// <summary>What the ratio ought to be, if anything.</summary>
    public required double? Wanted { get; init; }

    /// <summary>Our billions of operations a second, in matrix products alone.</summary>
    public required double? Gflops { get; init; }
}
