namespace GenerativeML;

/// <summary>What a column of a table holds.</summary>
internal enum TableColumnKind
{
    /// <summary>Numbers; NaN where a value is missing.</summary>
    Continuous,

    /// <summary>One of a number of categories, by its code; a missing value is a category of its own.</summary>
    Categorical,
}

/// <summary>What is known of a column of a table after one pass over the training rows.</summary>
/// <param name="Name">What errors call it.</param>
/// <param name="Kind">Numbers or categories.</param>
internal sealed record TableColumn(string Name, TableColumnKind Kind)
{
    /// <summary>The most categories that a column may have.</summary>
    public const int MostCategories = 1 << 20;

    /// <summary>
    /// Categorical: codes run from 0 to this − 1, and each occurs in the training rows. Zero for numbers.
    /// </summary>
    public int Categories { get; init; }

    /// <summary>Continuous: whether values are missing in training rows. Generated rows have NaN only then.</summary>
    public bool HasMissing { get; init; }

    /// <summary>Continuous: the least value in the training rows; generated ones are never below it.</summary>
    public double Min { get; init; }

    /// <summary>Continuous: the greatest value in the training rows; generated ones are never above it.</summary>
    public double Max { get; init; }

    /// <summary>
    /// Continuous: digits after the decimal point, to which generated values are rounded: 0 for whole numbers. Null: no
    /// rounding.
    /// </summary>
    public int? Decimals { get; init; }

    /// <summary>Checks a column that came from a file.</summary>
    /// <exception cref="FormatException">A number is out of every sensible range.</exception>
    public void Check()
    {
        bool sound = Kind switch
        {
            TableColumnKind.Categorical => Categories is >= 1 and <= MostCategories,
            TableColumnKind.Continuous =>
                Categories == 0 && double.IsFinite(Min) && double.IsFinite(Max) && Min <= Max
                && Decimals is null or (>= 0 and <= 15),
            _ => false,
        };
        if (!sound)
            throw new FormatException($"The saved table's column {TensorSpec.Quote(Name)} is out of range.");
    }
}
