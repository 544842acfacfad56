namespace GenerativeML;

/// <summary>How much two synthetic columns go together as the real ones do.</summary>
/// <param name="First">The one column's name.</param>
/// <param name="Second">The other column's name.</param>
/// <param name="Trend">
/// From 0 to 1, the more the better. Two columns of numbers: 1 − half the difference of their correlations. Otherwise:
/// 1 − the total variation distance of their joint shares, numbers in ten bins of equal width over the real range.
/// SDMetrics calls them CorrelationSimilarity and ContingencySimilarity.
/// </param>
public sealed record PairComparison(string First, string Second, double Trend);
