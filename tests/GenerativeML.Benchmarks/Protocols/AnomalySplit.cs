
namespace GenerativeML.Benchmarks;

/// <summary>How a detector is trained in a measurement.</summary>
internal enum AnomalyProtocol
{
    /// <summary>On normal rows only; the other normal rows and all anomalies test it.</summary>
    Semi,

    /// <summary>On all rows, without labels; the same rows test it.</summary>
    Unsup,
}

/// <summary>Which rows of a table train a detector and which test it, as numbers from zero.</summary>
/// <param name="Train">The rows to fit on, in the order in which they are given to the detector.</param>
/// <param name="Test">The rows to score.</param>
internal sealed record AnomalySplit(int[] Train, int[] Test)
{
    /// <summary>No more rows than this are fitted on.</summary>
    public const int MostTrainingRows = 10_000;

    /// <summary>No more rows than this are scored under <see cref="AnomalyProtocol.Semi"/>.</summary>
    public const int MostTestRows = 20_000;

    /// <summary>Splits rows by <paramref name="protocol"/> and <paramref name="seed"/>.</summary>
    public static AnomalySplit Create(AnomalyProtocol protocol, ReadOnlySpan<bool> isAnomaly, ulong seed) =>
        protocol == AnomalyProtocol.Semi ? Semi(isAnomaly, seed) : Unsup(isAnomaly.Length, seed);

    private static AnomalySplit Semi(ReadOnlySpan<bool> isAnomaly, ulong seed)
    {
        List<int> normal = [], anomalous = [];
        for (int row = 0; row < isAnomaly.Length; row++)
            (isAnomaly[row] ? anomalous : normal).Add(row);

        var random = new SplitMix64(seed);
        int[] shuffled = [.. normal];
        random.Shuffle<int>(shuffled);
        int trained = Math.Min(shuffled.Length / 2, MostTrainingRows);
        int[] test = [.. shuffled[trained..], .. anomalous];
        if (test.Length > MostTestRows)
        {
            random.Shuffle<int>(test);
            test = test[..MostTestRows];
        }
        return new AnomalySplit(shuffled[..trained], test);
    }

    private static AnomalySplit Unsup(int rows, ulong seed)
    {
        int[] all = [.. Enumerable.Range(0, rows)];
        if (rows <= MostTrainingRows)
            return new AnomalySplit(all, all);
        int[] shuffled = [.. all];
        new SplitMix64(seed).Shuffle<int>(shuffled);
        return new AnomalySplit(shuffled[..MostTrainingRows], all);
    }
}
