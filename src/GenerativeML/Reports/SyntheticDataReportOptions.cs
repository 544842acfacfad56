using Microsoft.ML;

namespace GenerativeML;

/// <summary>The options of <see cref="SyntheticDataReport"/>.</summary>
public sealed class SyntheticDataReportOptions
{
    /// <summary>
    /// Real rows that the generator was not trained on, with the same columns. They say how far real rows are from one
    /// another, and test the classifiers. Default: none; the report then says nothing of privacy and use.
    /// </summary>
    public IDataView? HoldOut { get; init; }

    /// <summary>
    /// The column that classifiers are to predict, a scalar of any type with 2 to 100 different values; needs
    /// <see cref="HoldOut"/>. Default: none.
    /// </summary>
    public string? LabelColumnName { get; init; }

    /// <summary>
    /// At most this many rows of each table are compared, 10 at least, drawn at random where there are more: every row
    /// is read, and memory stays bounded. Default 50,000.
    /// </summary>
    public int MaximumRows { get; init; } = 50_000;

    /// <summary>Whether classifiers try to tell the rows apart, which takes the most time. Default true.</summary>
    public bool Detection { get; init; } = true;

    /// <summary>The seed of samples and folds: the same seed gives the same report. Default 0.</summary>
    public int Seed { get; init; }

    /// <summary>Stops the comparison. Default: never.</summary>
    public CancellationToken CancellationToken { get; init; }

    internal void Validate()
    {
        OptionChecks.AtLeast(MaximumRows, 10);
        if (LabelColumnName is not null && HoldOut is null)
        {
            throw new ArgumentException(
                $"Option {nameof(LabelColumnName)} is '{LabelColumnName}', but option {nameof(HoldOut)} is not set: "
                + "classifiers are tested on real rows that the generator was not trained on.",
                nameof(HoldOut));
        }
    }
}
