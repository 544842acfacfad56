namespace GenerativeML;

/// <summary>What Fit does when its <see cref="CancellationToken"/> is cancelled.</summary>
public enum CancellationBehavior
{
    /// <summary>
    /// Write a checkpoint, if checkpoints are on, and throw <see cref="OperationCanceledException"/>. The default.
    /// </summary>
    Throw,

    /// <summary>
    /// Return a model with the best weights so far; before the first step there are none, and Fit throws.
    /// </summary>
    ReturnModel,
}
