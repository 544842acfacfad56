using System.Globalization;

namespace GenerativeML;

/// <summary>Where a training run stands, reported while it goes on and once at its end.</summary>
public sealed record TrainingProgress
{
    /// <summary>Optimizer steps done, over all epochs.</summary>
    public required long Step { get; init; }

    /// <summary>
    /// Optimizer steps of the whole run, if nothing stops it early. Detectors of few rows train ten more models, which
    /// tell what ordinary rows score: these count, too.
    /// </summary>
    public required long Steps { get; init; }

    /// <summary>The epoch that is being trained, of the model at hand, counted from one.</summary>
    public required int Epoch { get; init; }

    /// <summary>Epochs of a model, if nothing stops it early.</summary>
    public required int Epochs { get; init; }

    /// <summary>
    /// The mean of each loss over the steps since the last report, by name; <c>loss</c> is what the optimizer
    /// minimises. Where no step was made since then, as in a last report, what that one said.
    /// </summary>
    public required IReadOnlyDictionary<string, double> Losses { get; init; }

    /// <summary>
    /// The losses of the newest validation, by name; empty before the first and without validation rows.
    /// </summary>
    public required IReadOnlyDictionary<string, double> Validation { get; init; }

    /// <summary>The learning rate of the newest step.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Training rows per second since the last report.</summary>
    public required double RowsPerSecond { get; init; }

    /// <summary>Time since training began, in this process.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Estimated time until the last step, at the pace since the first, which takes longer.</summary>
    public required TimeSpan Remaining { get; init; }

    /// <summary>How much of <see cref="Elapsed"/> the training loop waited for rows to be read.</summary>
    public required TimeSpan DataWait { get; init; }

    /// <summary>
    /// The most memory used so far, in bytes: on the CPU that of the whole process; null on CUDA, where TorchSharp does
    /// not tell.
    /// </summary>
    public long? PeakDeviceBytes { get; init; }

    /// <summary>Whether this is the last report of the run.</summary>
    public bool IsLast { get; init; }

    /// <summary>
    /// A line for people: <c>Epoch 3/10, step 120/400: error 0.1234, loss 0.1234, validation loss 0.15; 20000 rows/s,
    /// 12 s left</c>.
    /// </summary>
    public override string ToString()
    {
        CultureInfo plain = CultureInfo.InvariantCulture;
        IEnumerable<string> losses = [.. Words(Losses, ""), .. Words(Validation, "validation ")];
        string time = IsLast
            ? string.Create(plain, $"done in {Elapsed.TotalSeconds:F1} s")
            : string.Create(plain, $"{RowsPerSecond:F0} rows/s, {Remaining.TotalSeconds:F0} s left");
        return string.Create(
            plain, $"Epoch {Epoch}/{Epochs}, step {Step}/{Steps}: {string.Join(", ", losses)}; {time}");

        IEnumerable<string> Words(IReadOnlyDictionary<string, double> values, string kind) =>
            values.Select(v => string.Create(plain, $"{kind}{v.Key} {v.Value:G4}"));
    }
}
