using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
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

    /// <summary>Passes over the training rows. Default: by the family's own rule for the number of rows.</summary>
    public int? Epochs { get; init; }

    /// <summary>
    /// Rows in an optimizer step. Default: by the family's own rule. With fewer rows than that, a batch holds them all.
    /// Where several processes train together, they share these rows.
    /// </summary>
    public int? BatchSize { get; init; }

    /// <summary>
    /// In how many parts an optimizer step's rows are computed, one after the other: the same step in less memory, where no
    /// layer looks at several rows (batch normalisation sees those of a part, and what StyleGAN and CycleGAN remember of
    /// rows moves in each). From 1 to 2²⁰; more parts than rows are as many as rows. Default 1. More is refused where a
    /// step needs all its rows at once (series, sketches, SPIRAL, free bits, masked language models that contrast windows), and
    /// where the chains of a Boltzmann machine would move in each part. Models that are fitted without gradients take no notice of it.
    /// </summary>
    public int GradientAccumulation { get; init; } = 1;

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
    /// How much of the weights' running mean an update keeps; the trained model has these mean weights, which are
    /// smoother than the last ones (Yazıcı 2019). Of a GAN they are the generator's. Zero: the last weights themselves.
    /// In [0, 1). Default: 0.999 for VAEs, Boltzmann machines and GANs of vectors, 0.995 for VAEs and 0.99 for GANs of tables,
    /// 0.99 for GANs of images, otherwise 0.
    /// </summary>
    public double WeightAverageDecay { get; init; }

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

    /// <summary>
    /// Whether several processes train the model together, and how they speak with each other. Default: each process
    /// trains its own.
    /// </summary>
    [JsonIgnore]
    public DistributedOptions? Distributed { get; init; }

    /// <summary>Whether the data's values are compared with those of another run or process.</summary>
    [JsonIgnore]
    internal bool IsDataKnown => Checkpoint is not null || Distributed is not null;

    /// <summary>How many of a step's rows, or of what they consist of, are computed at a time.</summary>
    internal long AtOnce(long rows) => (rows + GradientAccumulation - 1) / GradientAccumulation;

    /// <summary>Checks every option against its range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it.</exception>
    public virtual void Validate()
    {
        if (Epochs is int epochs)
            OptionChecks.AtLeast(epochs, 1, nameof(Epochs));
        OptionChecks.Within(BatchSize, 1, 1 << 20);
        OptionChecks.Within(GradientAccumulation, 1, 1 << 20);
        if (LearningRate is double rate)
            OptionChecks.PositiveFinite(rate, nameof(LearningRate));
        OptionChecks.NonNegativeFinite(WeightDecay);
        OptionChecks.Defined(Schedule);
        OptionChecks.WithinHalfOpen(WarmupFraction, 0, 1);
        OptionChecks.WithinHalfOpen(WeightAverageDecay, 0, 1);
        OptionChecks.NonNegativeFinite(GradientClipNorm);
        OptionChecks.Within(ValidationFraction, 0, 0.5);
        OptionChecks.AtLeast(EarlyStoppingPatience, 0);
        OptionChecks.Defined(Precision);
        OptionChecks.Defined(NonFiniteValues);
        OptionChecks.AtLeast(CacheBudgetBytes, 0);
        OptionChecks.AtLeast(ShuffleBufferRows, 1);
        OptionChecks.Defined(CancellationBehavior);
        Checkpoint?.Validate();
        Distributed?.Validate();
    }
}

/// <summary>How the learning rate moves from its peak over the steps of a training run.</summary>
public enum LearningRateSchedule
{
    /// <summary>It stays at its peak.</summary>
    Constant,

    /// <summary>
    /// It falls in a straight line to a hundredth of its peak, or of a language model to
    /// <see cref="TextModelOptions.FinalRateShare"/> of it, by default zero.
    /// </summary>
    Linear,

    /// <summary>It falls along half a cosine (Loshchilov and Hutter 2017), as far as with <see cref="Linear"/>.</summary>
    Cosine,

    /// <summary>It stays at its peak for half of the steps, then falls as with <see cref="Linear"/> (Zhu 2017).</summary>
    ConstantThenLinear,
}

/// <summary>The number format of matrix products while training.</summary>
public enum Precision
{
    /// <summary>
    /// <see cref="BFloat16"/> where such products are clearly faster on this device, as CPUs with AMX and a probe made
    /// once per process tell, and the network's are large enough to gain by it; <see cref="Float32"/> otherwise. The
    /// default.
    /// </summary>
    Auto,

    /// <summary>32-bit floating point throughout.</summary>
    Float32,

    /// <summary>
    /// Matrix products in bfloat16 (8 bits of exponent, 8 of precision), with weights, sums, losses and optimizer state
    /// in 32 bits. Fast on CPUs with AMX and on recent GPUs, slower than 32 bits elsewhere.
    /// </summary>
    BFloat16,
}

/// <summary>What Fit does with a row that holds NaN or infinity.</summary>
public enum NonFiniteValues
{
    /// <summary>Refuse the data, saying how many such rows there are and which is the first. The default.</summary>
    Error,

    /// <summary>
    /// Replace NaN by the median of the column's finite values, and ±infinity by its largest or smallest finite value.
    /// The same is done when scoring.
    /// </summary>
    Replace,

    /// <summary>Leave the row out of training. When scoring, such a row gets the score NaN.</summary>
    DropRow,
}

/// <summary>What Fit does when its <see cref="CancellationToken"/> is cancelled.</summary>
public enum CancellationBehavior
{
    /// <summary>
    /// Write a checkpoint, if checkpoints are on, and throw <see cref="OperationCanceledException"/>. The default.
    /// </summary>
    Throw,

    /// <summary>Return the best model so far; before the first step there is none, and Fit throws.</summary>
    ReturnModel,
}

/// <summary>Where and how often a run writes down what it needs to go on after it was stopped or killed.</summary>
/// <remarks>
/// The same Fit call with the same folder continues from the newest checkpoint there and, on a CPU, ends with the same
/// bits as a run that was never interrupted. A checkpoint of other options or of other data is refused,
/// and none is written of a run whose loss or weights are no longer finite. A folder that nothing can be written to is an
/// <see cref="IOException"/>, before the first step.
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

/// <summary>Where a network is trained and evaluated.</summary>
/// <remarks>
/// Without a device in the options, <c>MLContext.GpuDeviceId</c> decides, as it does for ML.NET's own trainers: a
/// number means that CUDA device, null means the CPU.
/// </remarks>
public readonly record struct ComputeDevice
{
    // Zero means the CPU, so that it is what default gives; −1 means auto, other numbers are one more than the index.
    private readonly int _number;

    private ComputeDevice(int number) => _number = number;

    /// <summary>The CPU.</summary>
    public static ComputeDevice Cpu => default;

    /// <summary>The first CUDA device if this process has one, otherwise the CPU.</summary>
    public static ComputeDevice Auto => new(-1);

    /// <summary>A CUDA device.</summary>
    /// <param name="index">Its number, counted from zero.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="index"/> is negative.</exception>
    public static ComputeDevice Cuda(int index = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        return new(index + 1);
    }

    /// <summary><c>cpu</c>, <c>cuda</c> or <c>auto</c>.</summary>
    public string Kind => _number switch { 0 => "cpu", < 0 => "auto", _ => "cuda" };

    /// <summary>The number of the CUDA device; −1 where there is none to name.</summary>
    public int Index => _number > 0 ? _number - 1 : -1;

    /// <summary><c>cpu</c>, <c>auto</c> or <c>cuda:0</c>, as torch writes it.</summary>
    public override string ToString() =>
        Index < 0 ? Kind : string.Create(CultureInfo.InvariantCulture, $"{Kind}:{Index}");
}

/// <summary>The range checks of options: each error names the option, the range and the value.</summary>
internal static class OptionChecks
{
    /// <summary>The widest hidden layer or latent vector.</summary>
    public const int MaxWidth = 1 << 16;

    public static void AtLeast<T>(T value, T least, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T> => Require(value >= least, option, value, $"at least {least}");

    /// <summary>Both ends belong to the range.</summary>
    public static void Within<T>(
        T value, T least, T most, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T> =>
        Require(value >= least && value <= most, option, value, $"between {least} and {most}");

    /// <summary>The same of an option that may be left open.</summary>
    public static void Within<T>(
        T? value, T least, T most, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, INumber<T> => Within(value ?? least, least, most, option);

    /// <summary>Zero does not belong to the range. Null: left open.</summary>
    public static void AboveZero<T>(
        T? value, T most, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, INumber<T> =>
        Require(!(value <= T.Zero) && !(value > most) && !T.IsNaN(value ?? most), option, value, $"above 0 and at most {most}");

    /// <summary>The widths of hidden layers: at most 64 layers, each of 1 to 65,536 units. Null: left open.</summary>
    public static void Layers(
        IReadOnlyList<int>? widths, [CallerArgumentExpression(nameof(widths))] string option = "")
    {
        Within(widths?.Count ?? 0, 0, 64, option + ".Count");
        foreach (int width in widths ?? [])
            Within(width, 1, MaxWidth, option);
    }

    /// <summary>Heads of attention, which share a width evenly.</summary>
    public static void Heads(int heads, int width)
    {
        Within(heads, 1, width, nameof(Heads));
        Require(width % heads == 0, nameof(Heads), heads, $"a divisor of Width, {width}");
    }

    /// <summary>A threshold that is set on a trained model, which has to be a number.</summary>
    public static float Threshold(float value) => float.IsNaN(value)
        ? throw new ArgumentOutOfRangeException(nameof(value), value, "The threshold is NaN; a number is expected.")
        : value;

    /// <summary>The lower end belongs to the range, the upper does not.</summary>
    public static void WithinHalfOpen<T>(
        T value, T least, T below, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : INumber<T> =>
        Require(value >= least && value < below, option, value, $"at least {least} and below {below}");

    /// <summary>The same of an option that may be left open.</summary>
    public static void WithinHalfOpen<T>(
        T? value, T least, T below, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, INumber<T> => WithinHalfOpen(value ?? least, least, below, option);

    /// <summary>How long training takes: by one of the two options at most.</summary>
    public static void StepsOrEpochs(int? steps, int? epochs)
    {
        AtLeast(steps ?? 1, 1, "Steps");
        if (steps is not null && epochs is not null)
            throw new ArgumentException("Option Steps and option Epochs exclude each other, but both are set.");
    }

    /// <summary>What logits are divided by where something is drawn.</summary>
    public static double Temperature(double value)
    {
        AboveZero<double>(value, 10, nameof(Temperature));
        return value;
    }

    public static void PositiveFinite(double value, [CallerArgumentExpression(nameof(value))] string option = "") =>
        Require(value > 0 && double.IsFinite(value), option, value, $"positive and finite");

    /// <summary>Null: left open.</summary>
    public static void NonNegativeFinite(double? value, [CallerArgumentExpression(nameof(value))] string option = "") =>
        Require(value is null || value >= 0 && double.IsFinite(value.Value), option, value, $"zero or positive, and finite");

    public static void Defined<T>(T value, [CallerArgumentExpression(nameof(value))] string option = "")
        where T : struct, Enum =>
        Require(Enum.IsDefined(value), option, value, $"one of {string.Join(", ", Enum.GetNames<T>())}");

    // The range is formattable for the same reason as the rest: 0.5 is written so in every culture.
    private static void Require(bool fits, string option, object? value, FormattableString range)
    {
        if (fits)
            return;
        string wanted = FormattableString.Invariant(range);
        throw new ArgumentOutOfRangeException(
            option, value, FormattableString.Invariant($"Option {option} must be {wanted}, but is {value}."));
    }
}
