namespace GenerativeML;

/// <summary>
/// Where and how often a training run writes down all that it needs to go on after it was stopped or killed.
/// </summary>
/// <remarks>
/// The same Fit call with the same folder continues from the newest checkpoint there and, on a CPU, ends with the same
/// bits as a run that was never interrupted. A checkpoint of other options or of other data is refused,
/// and none is written of a run whose loss or weights are no longer finite.
/// </remarks>
public sealed class CheckpointOptions
{
    /// <summary>Checkpoints in <paramref name="folder"/>, which is made if it does not exist.</summary>
    /// <exception cref="ArgumentException"><paramref name="folder"/> is empty.</exception>
    public CheckpointOptions(string folder)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        Folder = folder;
    }

    /// <summary>The folder; one training run to a folder.</summary>
    public string Folder { get; }

    /// <summary>Optimizer steps between two checkpoints. Default 500.</summary>
    public int Every { get; init; } = 500;

    /// <summary>
    /// How many of the newest checkpoints stay. Older ones are deleted only after a newer one is safely on disk.
    /// Default 2.
    /// </summary>
    public int Keep { get; init; } = 2;

    internal void Validate()
    {
        OptionChecks.AtLeast(Every, 1, "Checkpoint.Every");
        OptionChecks.AtLeast(Keep, 1, "Checkpoint.Keep");
    }
}
