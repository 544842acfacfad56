namespace GenerativeML;

/// <summary>The tokens of all columns of a table, in the order in which a row's are generated.</summary>
/// <param name="Shape">The table.</param>
/// <param name="Columns">The tokens of each position.</param>
internal sealed record TokenTable(TableShape Shape, IReadOnlyList<TokenColumn> Columns)
{
    /// <summary>The most categories of a column that have tokens of their own.</summary>
    public const int MostCategories = 256;

    /// <summary>About the most tokens of a column of numbers.</summary>
    public const int MostNumbers = 64;

    // What numbers are looked at to choose tokens: some memory, and rows enough even where they are wide.
    private const int SampledValues = 1 << 24;
    private const int LeastSample = 1 << 10, MostSample = 1 << 17;

    /// <summary>
    /// The column of each position: those of the table in their order, but the label last, so that what it depends on
    /// is known when it is drawn.
    /// </summary>
    public IReadOnlyList<int> Order { get; } = OrderOf(Shape);

    /// <summary>The number of tokens of each position.</summary>
    public IReadOnlyList<int> Counts { get; } = [.. Columns.Select(c => c.Count)];

    /// <summary>Chooses tokens by the rows of a table.</summary>
    /// <param name="source">The table.</param>
    /// <param name="numbers">Chooses those of a column of numbers by a sample of its values.</param>
    /// <param name="seed">The seed of the sample.</param>
    /// <param name="cancellation">Stops it.</param>
    public static TokenTable Learn(
        ITableSource source, Func<TableColumn, double[], TokenColumn> numbers, int seed, CancellationToken cancellation)
    {
        TableShape shape = source.Shape;
        int rows = Math.Clamp(SampledValues / shape.Columns.Count, LeastSample, MostSample);
        TableSample sample = TableSample.Take(source, rows, seed, cancellation);
        return new TokenTable(shape, [.. OrderOf(shape).Select(c => shape.Columns[c].Kind == TableColumnKind.Continuous
            ? numbers(shape.Columns[c], sample.Numbers(c).ToArray())
            : new CategoryTokens(sample.Counts(c), MostCategories))]);
    }

    /// <summary>The column of each position.</summary>
    public static IReadOnlyList<int> OrderOf(TableShape shape) =>
    [
        .. Enumerable.Range(0, shape.Columns.Count).Where(c => c != shape.Label),
        .. shape.Label is int label ? new[] { label } : [],
    ];
}
