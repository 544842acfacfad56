namespace GenerativeML.Benchmarks;

/// <summary>
/// Whether two sides did the same work, by what came out of it. Times are compared only where it is so.
/// </summary>
/// <param name="What">What was compared.</param>
/// <param name="Ours">Our mean.</param>
/// <param name="Theirs">Theirs.</param>
/// <param name="Difference">How far apart the two are.</param>
/// <param name="Allowed">How far they may be.</param>
internal sealed record Agreement(string What, double Ours, double Theirs, double Difference, double Allowed)
{
    // Beyond four standard errors two equal works differ once in some hundred times with five rounds of each.
    private const double StandardErrors = 4;

    // Where rounds hardly differ, so much is left for what the standard error does not see: how many steps the mean is
    // taken over, and bfloat16.
    private const double LossShare = 0.005;

    // Sums of a few hundred products in float32 agree to five digits in whatever order; scores are sums of those.
    private const double ScoreShare = 1e-4;

    /// <summary>Whether the two are as close as they have to be. NaN is not.</summary>
    public bool Holds => Difference <= Allowed;

    /// <summary>
    /// Losses of rounds, each from other initial weights and in another order: their means may differ by four standard
    /// errors, which the rounds themselves tell, and by half a percent.
    /// </summary>
    /// <exception cref="ArgumentException">There are fewer than two rounds of one side.</exception>
    public static Agreement OfLosses(string what, IReadOnlyList<double> ours, IReadOnlyList<double> theirs)
    {
        if (ours.Count < 2 || theirs.Count < 2)
            throw new ArgumentException("One round does not tell how much rounds differ.", nameof(ours));
        double our = ours.Average(), their = theirs.Average();
        double error = Math.Sqrt(Variance(ours) / ours.Count + Variance(theirs) / theirs.Count);
        double size = Math.Max(Math.Abs(our), Math.Abs(their));
        return new Agreement(what, our, their, Math.Abs(our - their), StandardErrors * error + LossShare * size);
    }

    /// <summary>
    /// Scores of the same rows by the same weights: the largest difference may be a small share of the score's size,
    /// and of the mean score's where a score is nearly nothing.
    /// </summary>
    /// <exception cref="ArgumentException">The two have not scored the same number of rows.</exception>
    public static Agreement OfScores(string what, IReadOnlyList<double> ours, IReadOnlyList<double> theirs)
    {
        if (ours.Count != theirs.Count || ours.Count == 0)
            throw new ArgumentException($"{ours.Count} scores of ours, and {theirs.Count} of theirs.", nameof(theirs));
        double usual = theirs.Average(Math.Abs);
        double worst = 0;
        foreach ((double our, double their) in ours.Zip(theirs))
        {
            double size = Math.Max(Math.Abs(their), usual);
            double difference = size > 0 ? Math.Abs(our - their) / size : Math.Abs(our - their);
            worst = double.IsNaN(difference) ? double.NaN : Math.Max(worst, difference); // Max keeps a NaN
        }
        return new Agreement(what, ours.Average(), theirs.Average(), worst, ScoreShare);
    }

    private static double Variance(IReadOnlyList<double> values)
    {
        double mean = values.Average();
        return values.Sum(v => (v - mean) * (v - mean)) / (values.Count - 1);
    }
}
