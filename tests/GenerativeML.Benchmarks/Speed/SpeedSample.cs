namespace GenerativeML.Benchmarks;

/// <summary>What one side did in one round.</summary>
/// <param name="Seconds">Seconds for a unit of the work: a step, an epoch, a row, a token.</param>
/// <param name="Losses">Of training, the mean of each loss over the last steps, by name.</param>
/// <param name="Scores">Of scoring, the scores of the first rows.</param>
internal sealed record SpeedSample(
    double Seconds, IReadOnlyDictionary<string, double> Losses, IReadOnlyList<double> Scores)
{
    /// <summary>Of work that gives nothing to compare.</summary>
    public static SpeedSample Of(double seconds) => new(seconds, new Dictionary<string, double>(), []);
}
