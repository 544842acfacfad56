namespace GenerativeML;

/// <summary>How many synthetic rows <see cref="AugmentingEstimator{TTransformer}"/> adds.</summary>
public sealed class AugmentationOptions
{
    /// <summary>
    /// Synthetic rows for each real one, above zero. Default 1, where <see cref="BalancedColumnName"/> names no column;
    /// only one of the two can be set.
    /// </summary>
    public double? Ratio { get; init; }

    /// <summary>
    /// A column of text, keys, Booleans or numbers, usually the label: each of its values gets as many synthetic rows
    /// as it takes to occur as often as the most frequent one. Missing values are left as they are. Default: none.
    /// </summary>
    public string? BalancedColumnName { get; init; }

    /// <summary>The seed of the synthetic rows; the same seed gives the same ones. Default 0.</summary>
    public int Seed { get; init; }

    internal void Validate()
    {
        if (Ratio is double ratio)
            OptionChecks.PositiveFinite(ratio, nameof(Ratio));
        if (BalancedColumnName is not null && string.IsNullOrWhiteSpace(BalancedColumnName))
            throw new ArgumentException($"Option {nameof(BalancedColumnName)} is empty.");
        if (Ratio is not null && BalancedColumnName is not null)
        {
            throw new ArgumentException(
                $"Options {nameof(Ratio)} ({Ratio}) and {nameof(BalancedColumnName)} ('{BalancedColumnName}') are both "
                + "set: the number of synthetic rows follows from one of them.");
        }
    }
}
