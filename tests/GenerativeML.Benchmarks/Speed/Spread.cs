namespace GenerativeML.Benchmarks;

/// <summary>What several rounds gave.</summary>
/// <param name="Median">The middle one, or the mean of the two in the middle.</param>
/// <param name="Least">The smallest.</param>
/// <param name="Most">The largest.</param>
internal sealed record Spread(double Median, double Least, double Most)
{
    /// <summary>Of at least one figure.</summary>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static Spread Of(IEnumerable<double> figures)
    {
        double[] sorted = [.. figures.Order()];
        if (sorted.Length == 0)
            throw new ArgumentException("There are no figures.", nameof(figures));
        int middle = sorted.Length / 2;
        double median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Spread(median, sorted[0], sorted[^1]);
    }

    /// <summary>
    /// How many times as long theirs took as ours: of the medians, and the least and most of any one round, in which
    /// the two ran one right after the other.
    /// </summary>
    /// <exception cref="ArgumentException">The two have not run in the same rounds.</exception>
    public static Spread Ratio(IReadOnlyList<double> ours, IReadOnlyList<double> theirs)
    {
        if (ours.Count != theirs.Count)
            throw new ArgumentException($"{ours.Count} rounds of ours, and {theirs.Count} of theirs.", nameof(theirs));
        Spread rounds = Of(ours.Zip(theirs, (our, their) => their / our));
        return rounds with { Median = Of(theirs).Median / Of(ours).Median };
    }
}
