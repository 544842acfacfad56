using System.Globalization;
using Microsoft.ML;

namespace GenerativeML;

/// <summary>One of so many parts of some work that several processes or jobs share.</summary>
public readonly record struct DataPart
{
    // What launchers and schedulers say: the number of this process, that of all, and what numbers start with.
    private static readonly (string Index, string? Count, string? First)[] Launchers =
    [
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", null),
        ("PMI_RANK", "PMI_SIZE", null),
    ];

    private static readonly (string Index, string? Count, string? First)[] Schedulers =
    [
        ("RANK", "WORLD_SIZE", null),
        ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
        ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", null), // those of srun; a batch script by itself does the whole
        ("JOB_COMPLETION_INDEX", null, null),
    ];

    /// <summary>A part.</summary>
    /// <param name="index">Which, from zero.</param>
    /// <param name="count">Of how many.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such part.</exception>
    public DataPart(int index, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        if (index < 0 || index >= count)
            throw new ArgumentOutOfRangeException(nameof(index), index, $"The part is number {index}; of {count} parts, 0 to {count - 1} are expected.");
        (Index, Count) = (index, count);
    }

    /// <summary>Which part, from zero.</summary>
    public int Index { get; }

    /// <summary>Of how many.</summary>
    public int Count { get; }

    /// <summary>What it says of this machine alone.</summary>
    internal static DataPart? Here => Read([("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", null), ("MPI_LOCALRANKID", "MPI_LOCALNRANKS", null)], null)
        ?? (Number("SLURM_LOCALID") is int local && TasksHere() is int tasks && local < tasks ? new DataPart(local, tasks) : null);

    /// <summary>What an MPI launcher says; null where none started this process.</summary>
    internal static DataPart? Launched => Read(Launchers, null);

    /// <summary>A variable by which a launcher says that there are several processes, though not which one this is.</summary>
    internal static string? LaunchedUnheard => Environment.GetEnvironmentVariable("PMIX_RANK") is not null ? "PMIX_RANK"
        : Number("SLURM_STEP_NUM_TASKS") > 1 ? "SLURM_STEP_NUM_TASKS" : null;

    /// <summary>
    /// The part that this process is to do, as the environment says: of MPI launchers (<c>PMI_RANK</c>, <c>PMI_SIZE</c>;
    /// <c>OMPI_COMM_WORLD_RANK</c>, <c>OMPI_COMM_WORLD_SIZE</c>), torchrun (<c>RANK</c>, <c>WORLD_SIZE</c>), Slurm arrays
    /// (<c>SLURM_ARRAY_TASK_ID</c>, <c>_COUNT</c>, <c>_MIN</c>, <c>_STEP</c>) and tasks of srun (<c>SLURM_PROCID</c>, <c>SLURM_STEP_NUM_TASKS</c>), or an indexed job of Kubernetes
    /// (<c>JOB_COMPLETION_INDEX</c>, where <paramref name="count"/> has to say how many completions there are).
    /// </summary>
    /// <param name="count">How many parts there are, where the environment does not say.</param>
    /// <returns>The part; the whole, 0 of 1, where the environment names none.</returns>
    /// <exception cref="InvalidOperationException">A variable is no number, or out of its range, or the count is not known.</exception>
    public static DataPart FromEnvironment(int? count = null)
    {
        if (count is int given)
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(given, nameof(count));
        return Read([.. Launchers, .. Schedulers], count) ?? (count is null or 1
            ? new DataPart(0, 1)
            : throw new InvalidOperationException($"Which of the {count} parts to do is in no environment variable."));
    }

    /// <summary>As <c>2 of 7</c>, counted from one.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Index + 1} of {Count}");

    private static DataPart? Read(IEnumerable<(string Index, string? Count, string? First)> variables, int? count)
    {
        foreach ((string indexName, string? countName, string? firstName) in variables)
        {
            if (Number(indexName) is not int index || indexName is "RANK" or "SLURM_PROCID" && Number(countName!) is null)
                continue;
            int first = firstName is null ? 0 : Number(firstName) ?? 0;
            int all = (countName is null ? null : Number(countName)) ?? count ?? throw new InvalidOperationException(
                $"The environment variable {indexName} names a part, and nothing says of how many: give the count.");
            if (countName is not null && count is int given && given != all)
                throw new InvalidOperationException($"There are {given} parts by the count given, and {all} by the environment variable {countName}.");
            int step = firstName is null ? 1 : Math.Max(1, Number("SLURM_ARRAY_TASK_STEP") ?? 1);
            if (all < 1 || index < first || (index - first) / step >= all)
                throw new InvalidOperationException($"The environment variable {indexName} is {index}, which is none of {all} parts.");
            return new DataPart((index - first) / step, all);
        }
        return null;
    }

    private static int? Number(string name)
    {
        string? text = Environment.GetEnvironmentVariable(name);
        if (string.IsNullOrEmpty(text))
            return null;
        return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new InvalidOperationException($"The environment variable {name} is '{text}'; a number is expected.");
    }

    // Slurm's tasks of a step by node, such as 4(x2),1: of this one, by the node's number.
    private static int? TasksHere()
    {
        int node = Number("SLURM_NODEID") ?? 0;
        foreach (string part in (Environment.GetEnvironmentVariable("SLURM_STEP_TASKS_PER_NODE") ?? "").Split(','))
        {
            string[] words = part.Split("(x");
            if (!int.TryParse(words[0], NumberStyles.None, CultureInfo.InvariantCulture, out int tasks))
                return null;
            int nodes = words.Length > 1 && int.TryParse(words[1].TrimEnd(')'), NumberStyles.None, CultureInfo.InvariantCulture, out int times) ? times : 1;
            if (node < nodes)
                return tasks;
            node -= nodes;
        }
        return null;
    }
}
