namespace GenerativeML;

/// <summary>Numbers by which texts of a model are told from those of people, each of a whole text, higher for a model's.</summary>
public enum GeneratedTextStatistic
{
    /// <summary>
    /// How much likelier the text is than texts that the model itself would make of the same beginnings, in standard
    /// deviations: Σ(log p + H)/√ΣV, with entropy H and variance V of log p at each token (Bao 2024, Fast-DetectGPT,
    /// arXiv:2310.05130, the scoring model sampling, too).
    /// </summary>
    Curvature,

    /// <summary>The mean of log p (Solaiman 2019).</summary>
    LogProbability,

    /// <summary>The mean of −log rank (Mitchell 2023, DetectGPT).</summary>
    LogRank,

    /// <summary>The mean of −rank (Gehrmann 2019).</summary>
    Rank,

    /// <summary>The mean entropy of what the model expected (Gehrmann 2019).</summary>
    Entropy,

    /// <summary>
    /// The mean of −log p divided by that of log rank, but at least by 0.05 (Su 2023, DetectLLM-LRR, arXiv:2306.05540).
    /// </summary>
    LogRankRatio,
}

/// <summary>What a language model's expectations say of a whole text.</summary>
internal static class TokenEvidence
{
    private static readonly double[] s_levels = [0.05, 0.25, 0.5, 0.75, 0.95];

    // Where nearly all tokens are the first in rank, the ratio to the mean of log rank would say nothing but that.
    private const double LeastLogRank = 0.05;

    private static readonly int[] s_ranks = [1, 10, 100, 1000]; // the limits of GLTR's colours

    /// <summary>The names of the features, in order.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. Enum.GetNames<GeneratedTextStatistic>().Where(name => name != nameof(GeneratedTextStatistic.Rank)),
        "LogProbability.Deviation", "LogRank.Deviation", "Entropy.Deviation", "Surprise.Correlation",
        .. s_levels.Select(level => FormattableString.Invariant($"LogProbability.{level}")),
        .. s_levels.Select(level => FormattableString.Invariant($"Entropy.{level}")),
        .. s_ranks.Select(rank => FormattableString.Invariant($"Rank.{rank}")),
    ];

    /// <summary>A text's statistic; NaN where no token was expected.</summary>
    public static float Statistic(GeneratedTextStatistic statistic, ReadOnlySpan<TokenExpectation> tokens)
    {
        double log = 0, rank = 0, logRank = 0, entropy = 0, variance = 0;
        foreach (TokenExpectation token in tokens)
        {
            log += token.LogProbability;
            rank += token.Rank;
            logRank += Math.Log(token.Rank);
            entropy += token.Entropy;
            variance += token.Variance;
        }
        const double tiny = 1e-9; // a model that is certain of all
        double n = tokens.Length;
        return (float)(statistic switch
        {
            _ when n == 0 => double.NaN,
            GeneratedTextStatistic.Curvature => (log + entropy) / Math.Sqrt(variance + tiny),
            GeneratedTextStatistic.LogProbability => log / n,
            GeneratedTextStatistic.LogRank => -logRank / n,
            GeneratedTextStatistic.Rank => -rank / n,
            GeneratedTextStatistic.Entropy => entropy / n,
            _ => -log / Math.Max(logRank, LeastLogRank * n),
        });
    }

    /// <summary>Fills in a text's features; NaN where no token was expected.</summary>
    public static void Fill(ReadOnlySpan<TokenExpectation> tokens, Span<float> features)
    {
        if (tokens.IsEmpty)
        {
            features.Fill(float.NaN);
            return;
        }
        int next = 0;
        foreach (GeneratedTextStatistic statistic in Enum.GetValues<GeneratedTextStatistic>())
        {
            if (statistic != GeneratedTextStatistic.Rank) // a few rare tokens decide it
                features[next++] = Statistic(statistic, tokens);
        }
        double[] logs = new double[tokens.Length], ranks = new double[tokens.Length], entropies = new double[tokens.Length];
        for (int i = 0; i < tokens.Length; i++)
            (logs[i], ranks[i], entropies[i]) = (tokens[i].LogProbability, Math.Log(tokens[i].Rank), tokens[i].Entropy);
        features[next++] = (float)Math.Sqrt(Covariance(logs, logs));
        features[next++] = (float)Math.Sqrt(Covariance(ranks, ranks));
        features[next++] = (float)Math.Sqrt(Covariance(entropies, entropies));
        features[next++] = Correlation(logs.AsSpan(..^1), logs.AsSpan(1..));
        foreach (double[] values in (double[][])[logs, entropies])
        {
            Array.Sort(values);
            foreach (double level in s_levels)
                features[next++] = (float)values[(int)(level * (values.Length - 1))];
        }
        foreach (int rank in s_ranks)
        {
            int within = 0;
            foreach (TokenExpectation token in tokens)
                within += token.Rank <= rank ? 1 : 0;
            features[next++] = within / (float)tokens.Length;
        }
    }

    // Zero where one of them does not vary.
    private static float Correlation(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        double both = Covariance(x, x) * Covariance(y, y);
        return both > 0 ? (float)(Covariance(x, y) / Math.Sqrt(both)) : 0;
    }

    private static double Covariance(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        double sumX = 0, sumY = 0, sum = 0;
        for (int i = 0; i < x.Length; i++)
        {
            sumX += x[i];
            sumY += y[i];
        }
        for (int i = 0; i < x.Length; i++)
            sum += (x[i] - (sumX / x.Length)) * (y[i] - (sumY / x.Length));
        return x.Length == 0 ? 0 : sum / x.Length;
    }
}
