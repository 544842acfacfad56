namespace GenerativeML;

/// <summary>
/// What the surroundings of a training run decide where its options leave it open: the <c>MLContext</c>'s seed and
/// device, and who hears of progress.
/// </summary>
internal sealed record TrainingContext
{
    /// <summary>The seed: the options' own, else the context's, else 0.</summary>
    public required int Seed { get; init; }

    /// <summary>The device: the options' own, else the context's.</summary>
    public required ComputeDevice Device { get; init; }

    /// <summary>Whether the CPU may stand in for a CUDA device that is not there.</summary>
    public required bool FallbackToCpu { get; init; }

    /// <summary>Hears of progress: the options' own listener and the log.</summary>
    public IProgress<TrainingProgress>? Progress { get; init; }

    /// <summary>The least time between two reports of progress.</summary>
    public TimeSpan ReportInterval { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Hears what the user should know although training goes on.</summary>
    public Action<string>? Warning { get; init; }
}
