using System.Text.Json.Serialization;

namespace GenerativeML;

/// <summary>
/// What every trainer of this package can be told. Immutable; checked once, when the trainer is made.
/// </summary>
public abstract record TrainingOptions
{
    /// <summary>
    /// The seed of everything random in training. Default: the seed of the <c>MLContext</c>, or 0 where that has none,
    /// so that the same call gives the same model.
    /// </summary>
    public int? Seed { get; init; }

    /// <summary>
    /// Passes over the training rows. Default: as many as the family's own rule gives for the number of rows.
    /// </summary>
    public int? Epochs { get; init; }

    /// <summary>
    /// Rows in an optimizer step. Default: by the family's own rule. With fewer rows than that, a batch holds them all.
    /// </summary>
    public int? BatchSize { get; init; }

    /// <summary>The peak learning rate of AdamW (Loshchilov and Hutter 2019). Default: the family's own.</summary>
    public double? LearningRate { get; init; }

    /// <summary>
    /// How the learning rate falls from its peak. Default: <see cref="LearningRateSchedule.Cosine"/>.
    /// </summary>
    public LearningRateSchedule Schedule { get; init; } = LearningRateSchedule.Cosine;

    /// <summary>
    /// The share of all steps over which the learning rate first rises from zero to its peak. Default 0.05.
    /// </summary>
    public double WarmupFraction { get; init; } = 0.05;

    /// <summary>
    /// Decoupled weight decay, in shares of the learning rate per step; biases and scales are spared. Default: the
    /// family's own.
    /// </summary>
    public double? WeightDecay { get; init; }

    /// <summary>
    /// The largest norm of all gradients together; larger ones are scaled down to it. Zero: no limit. Default 5.
    /// </summary>
    public double GradientClipNorm { get; init; } = 5;

    /// <summary>
    /// The share of rows held back from training to measure the loss on after each epoch, chosen evenly over the data.
    /// Default 0: none, and no early stopping. At most 0.5.
    /// </summary>
    public double ValidationFraction { get; init; }

    /// <summary>
    /// With validation rows: training stops when this many epochs have passed without a lower validation loss, and the
    /// weights of the best epoch are kept. Zero: never stop early, though the best weights are still kept. Default 10.
    /// </summary>
    public int EarlyStoppingPatience { get; init; } = 10;

    /// <summary>Where to compute. Default: what <c>MLContext.GpuDeviceId</c> says.</summary>
    [JsonIgnore]
    public ComputeDevice? Device { get; init; }

    /// <summary>
    /// Whether the CPU may stand in for a CUDA device that is not there; otherwise that is an error. Default: what
    /// <c>MLContext.FallbackToCpu</c> says.
    /// </summary>
    [JsonIgnore]
    public bool? FallbackToCpu { get; init; }

    /// <summary>The number format of matrix products. Default <see cref="Precision.Auto"/>.</summary>
    public Precision Precision { get; init; }

    /// <summary>What to do with rows that hold NaN or infinity. Default <see cref="NonFiniteValues.Error"/>.</summary>
    public NonFiniteValues NonFiniteValues { get; init; }

    /// <summary>
    /// How much memory may hold training rows, in bytes. Rows that fit are read once and kept, on the device if there
    /// is room; more are read anew, in the background, for each epoch. Default 1 GiB.
    /// </summary>
    public long CacheBudgetBytes { get; init; } = 1L << 30;

    /// <summary>
    /// Rows that are read anew for each epoch are shuffled through a buffer of this many rows. Default 65,536, or fewer
    /// where that many do not fit into <see cref="CacheBudgetBytes"/>.
    /// </summary>
    public int ShuffleBufferRows { get; init; } = 65_536;

    /// <summary>Told how training goes, a few times a second; called on the thread that trains.</summary>
    [JsonIgnore]
    public IProgress<TrainingProgress>? Progress { get; init; }

    /// <summary>Stops training within one optimizer step.</summary>
    [JsonIgnore]
    public CancellationToken CancellationToken { get; init; }

    /// <summary>What a cancelled Fit does. Default <see cref="CancellationBehavior.Throw"/>.</summary>
    [JsonIgnore]
    public CancellationBehavior CancellationBehavior { get; init; }

    /// <summary>Where to keep checkpoints. Default: none are written.</summary>
    [JsonIgnore]
    public CheckpointOptions? Checkpoint { get; init; }

    /// <summary>Checks every option against its range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public virtual void Validate()
    {
        if (Epochs is int epochs)
            OptionChecks.AtLeast(epochs, 1, nameof(Epochs));
        OptionChecks.Within(BatchSize, 1, 1 << 20);
        if (LearningRate is double rate)
            OptionChecks.PositiveFinite(rate, nameof(LearningRate));
        OptionChecks.NonNegativeFinite(WeightDecay);
        OptionChecks.Defined(Schedule);
        OptionChecks.WithinHalfOpen(WarmupFraction, 0, 1);
        OptionChecks.NonNegativeFinite(GradientClipNorm);
        OptionChecks.Within(ValidationFraction, 0, 0.5);
        OptionChecks.AtLeast(EarlyStoppingPatience, 0);
        OptionChecks.Defined(Precision);
        OptionChecks.Defined(NonFiniteValues);
        OptionChecks.AtLeast(CacheBudgetBytes, 0);
        OptionChecks.AtLeast(ShuffleBufferRows, 1);
        OptionChecks.Defined(CancellationBehavior);
        Checkpoint?.Validate();
    }
}
