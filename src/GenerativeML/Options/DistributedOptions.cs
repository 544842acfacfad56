namespace GenerativeML;

/// <summary>
/// How several processes train one model together: each computes the gradients of its share of every batch's rows, and
/// all take the sum.
/// </summary>
/// <remarks>
/// <para>
/// All processes call the same Fit with the same options and the same data; what differs is named before training.
/// <see cref="TrainingOptions.BatchSize"/> is that of the whole batch, and a row has the same random numbers in whichever
/// process it is, so that the model is that of one process but for rounding. Only the first process reports progress and
/// writes checkpoints; all return the same model. A checkpoint goes on with any number of processes.
/// </para>
/// <para>
/// What some GANs compare between the rows of a batch, they compare between those of one process: batch normalisation, the
/// deviation within a batch, and CycleGAN's history of translations. There the model is another one, as good. Models that are
/// fitted without gradients are fitted by each process alike. A GAN's report is of the rows of its own process.
/// </para>
/// </remarks>
public sealed record DistributedOptions
{
    private readonly Func<TimeSpan, Exchange?> _connect;

    internal DistributedOptions(Func<TimeSpan, Exchange?> connect) => _connect = connect;

    /// <summary>
    /// The processes that an MPI launcher started, as <c>mpirun -np 8 dotnet app.dll</c> does; one alone where none did.
    /// It takes an MPI library: MPICH or one with its binary interface (Intel MPI, MVAPICH, Cray, MS-MPI), or Open MPI.
    /// </summary>
    public static DistributedOptions Mpi { get; } = new(MpiExchange.Connect);

    /// <summary>How the learning rate grows with the number of processes. Default: not at all.</summary>
    public LearningRateScaling LearningRateScaling { get; init; }

    /// <summary>
    /// Whether the training rows that <see cref="TrainingOptions.CacheBudgetBytes"/> allows to keep are kept by all processes
    /// together, every nth row by each, rather than all of them by each: the budget is that of all. What a batch needs is
    /// exchanged, which sends each row of tables, vectors, images and series once around in an epoch; the model is the same. Texts
    /// and sounds, and rows that are held back, are kept by each process. Models that are fitted without gradients need all
    /// rows, and are refused. Default false.
    /// </summary>
    public bool ShareRows { get; init; }

    /// <summary>
    /// Whether the optimizer's state, AdamW's moments and Muon's momentum, is divided among the processes, each of which makes
    /// the step of its part of the weights (stage 1 of ZeRO, Rajbhandari 2020): 4 or 8 bytes a weight, divided by their number,
    /// and as much sent as without. The model is the same, but for rounding. While a checkpoint is written or read, the first
    /// process has all of it. Default false.
    /// </summary>
    public bool ShardOptimizer { get; init; }

    /// <summary>
    /// How long a process waits for another that says nothing before Fit fails, naming it. It has to be longer than what
    /// the first process does alone, such as writing a checkpoint, and than what lies between the first call of Fit in one
    /// process and in another. After a failure the program cannot train on several processes again, and has to be started
    /// anew. At most 20 days. Default 5 minutes.
    /// </summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>The processes that train together; null where this one is alone.</summary>
    /// <exception cref="InvalidOperationException">There is no library to speak by, or one of another kind.</exception>
    internal Exchange? Connect() => _connect(Timeout) is { Size: > 1 } several ? several : null;

    internal double RateScale(int processes) => LearningRateScaling switch
    {
        LearningRateScaling.Linear => processes,
        LearningRateScaling.SquareRoot => Math.Sqrt(processes),
        _ => 1,
    };

    internal void Validate()
    {
        OptionChecks.Defined(LearningRateScaling, "Distributed.LearningRateScaling");
        OptionChecks.PositiveFinite(Timeout.TotalSeconds, "Distributed.Timeout");
        OptionChecks.Within(Timeout.TotalDays, 0, 20, "Distributed.Timeout"); // days: what timers can wait
    }
}

/// <summary>How the learning rate grows with the number of processes that train together.</summary>
public enum LearningRateScaling
{
    /// <summary>Not at all: the batch is the same, however many share it. The default.</summary>
    None,

    /// <summary>By their number (Goyal 2017), for a batch size that was made as much larger.</summary>
    Linear,

    /// <summary>By the square root of their number, which suits Adam better (Malladi 2022), for such a batch size.</summary>
    SquareRoot,
}
