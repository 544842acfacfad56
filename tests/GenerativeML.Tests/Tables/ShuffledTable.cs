using Microsoft.ML;

namespace GenerativeML.Tests.Tables;

/// <summary>
/// A generator that can be foretold: it draws training rows at random, or each column from a row of its own, so that
/// columns are independent. It limits nothing to what is asked for unless told to.
/// </summary>
internal sealed class ShuffledTable : ITableGenerator
{
    private readonly TableBlock _rows;
    private readonly bool _independent;
    private readonly bool _limits;

    public ShuffledTable(ITableSource source, bool independent, bool limits)
    {
        _rows = new TableBlock(source.Shape, (int)source.RowCount);
        _independent = independent;
        _limits = limits;
        using ITableReader reader = source.Open();
        Assert.AreEqual(_rows.Capacity, reader.Read(_rows, _rows.Capacity));
        Assert.AreEqual(0, reader.Read(_rows, 1));
    }

    /// <summary>Rows made so far.</summary>
    public long Made { get; private set; }

    public TableShape Shape => _rows.Shape;

    public TabularOptions Options => throw new NotSupportedException();

    /// <summary>A transformer that generates by drawing from what it was fitted on.</summary>
    public static TabularTransformer Fit(
        IDataView data, TabularOptions? options = null, bool independent = false, bool limits = false,
        Action<string>? warn = null) => Fit(data, out _, options, independent, limits, warn);

    /// <summary>The same, with the generator.</summary>
    public static TabularTransformer Fit(
        IDataView data, out ShuffledTable made, TabularOptions? options = null, bool independent = false,
        bool limits = false, Action<string>? warn = null)
    {
        options ??= new PlainOptions();
        options.Validate();
        var table = new TrainingTable(data, new TableBinding(data.Schema, options, "input"), options, warn);
        made = new ShuffledTable(table, independent, limits);
        return new TabularTransformer(made, table.Schema, table.Mapping);
    }

    public void Fill(TableBlock block, int count, ulong seed, long first, TableCondition? where)
    {
        Made += count;
        for (int row = 0; row < count; row++)
        {
            var random = new SplitMix64(new SplitMix64(seed + (ulong)(first + row)).Next());
            int from = random.Next(_rows.Capacity);
            for (int c = 0; c < Shape.Columns.Count; c++)
            {
                if (_independent)
                    from = random.Next(_rows.Capacity);
                TableLimit? limit = _limits ? where?.Limits.FirstOrDefault(l => l.Column == c) : null;
                while (limit?.Allows(_rows[c][from]) == false)
                    from = random.Next(_rows.Capacity);
                block[c][row] = _rows[c][from];
            }
        }
    }

    public void Save(Stream stream) => throw new NotSupportedException();

    public void Dispose()
    {
    }
}

/// <summary>Options of no particular generator.</summary>
internal sealed record PlainOptions : TabularOptions
{
    internal override bool UsesModes => false;

    internal override TableNetwork CreateNetwork(TokenTable tokens) => throw new NotSupportedException();

    internal override (TabularOptions Options, long? Steps) Resolve(long trainingRows, int columns) => (this, null);
}
