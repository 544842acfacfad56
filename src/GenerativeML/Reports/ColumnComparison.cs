namespace GenerativeML;

/// <summary>How much a synthetic column is like the real one.</summary>
/// <param name="Name">The column's name; for a slot of a vector, the column's and the slot's.</param>
/// <param name="IsNumeric">Whether it is compared as numbers, or as categories.</param>
/// <param name="Shape">
/// From 0 to 1, the more the better. Numbers: 1 − the Kolmogorov–Smirnov statistic, missing ones left out. Categories:
/// 1 − the total variation distance of their shares. SDMetrics calls them KSComplement and TVComplement.
/// </param>
/// <param name="Coverage">
/// From 0 to 1: the share of the real range of numbers, or of the real categories, that occurs in the synthetic column.
/// </param>
/// <param name="RealMissing">The share of real rows in which a number is missing, or a category empty.</param>
/// <param name="SyntheticMissing">The same share of the synthetic rows.</param>
public sealed record ColumnComparison(
    string Name, bool IsNumeric, double Shape, double Coverage, double RealMissing, double SyntheticMissing);
