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
        ("SLURM_PROCID", "SLURM_NTASKS", null),
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
    internal static DataPart? Here => Read([("OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", null), ("MPI_LOCALRANKID", "MPI_LOCALNRANKS", null)], null);

    /// <summary>What an MPI launcher says; null where none started this process.</summary>
    internal static DataPart? Launched => Read(Launchers, null);

    /// <summary>
    /// The part that this process is to do, as the environment says: of MPI launchers (<c>PMI_RANK</c>, <c>PMI_SIZE</c>;
    /// <c>OMPI_COMM_WORLD_RANK</c>, <c>OMPI_COMM_WORLD_SIZE</c>), torchrun (<c>RANK</c>, <c>WORLD_SIZE</c>), Slurm arrays
    /// (<c>SLURM_ARRAY_TASK_ID</c>, <c>_COUNT</c>, <c>_MIN</c>, <c>_STEP</c>) and tasks (<c>SLURM_PROCID</c>, <c>SLURM_NTASKS</c>), or an indexed job of Kubernetes
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
            if (Number(indexName) is not int index)
                continue;
            int first = firstName is null ? 0 : Number(firstName) ?? 0;
            int all = (countName is null ? null : Number(countName)) ?? count ?? throw new InvalidOperationException(
                $"The environment variable {indexName} names a part, and nothing says of how many: give the count.");
            int step = firstName is null ? 1 : Math.Max(1, Number("SLURM_ARRAY_TASK_STEP") ?? 1);
            if (all < 1 || index < first || (index - first) / step >= all)
                throw new InvalidOperationException($"The environment variable {indexName} is {index}, which is none of {all} parts.");
            return new DataPart((index - first) / step, all);
        }
        return null;

        static int? Number(string name)
        {
            string? text = Environment.GetEnvironmentVariable(name);
            if (string.IsNullOrEmpty(text))
                return null;
            return int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number)
                ? number
                : throw new InvalidOperationException($"The environment variable {name} is '{text}'; a number is expected.");
        }
    }
}
