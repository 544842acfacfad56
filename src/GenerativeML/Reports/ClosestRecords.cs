namespace GenerativeML;

/// <summary>
/// How near synthetic rows come to real training rows, and held-out real rows for comparison. Numbers are measured in
/// deviations of the training rows; two different categories are one apart.
/// </summary>
/// <param name="Synthetic">The median distance of 2,000 synthetic rows to their closest training row.</param>
/// <param name="HoldOut">The same for 2,000 held-out rows.</param>
/// <param name="SyntheticCopies">The share of synthetic rows that equal a training row.</param>
/// <param name="HoldOutCopies">The share of held-out rows that equal a training row.</param>
public sealed record ClosestRecords(double Synthetic, double HoldOut, double SyntheticCopies, double HoldOutCopies)
{
    /// <summary>
    /// <see cref="Synthetic"/> by <see cref="HoldOut"/>: below 1, the synthetic rows are nearer to the training rows
    /// than other real rows are. NaN where held-out rows are mostly copies and synthetic ones are not.
    /// </summary>
    public double Ratio => HoldOut > 1e-6 ? Synthetic / HoldOut : Synthetic <= 1e-6 ? 1 : double.NaN;
}
