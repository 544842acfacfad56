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
    private bool _disposed;

    public ShuffledTable(ITableSource source, bool independent, bool limits)
    {
        _rows = new TableBlock(source.Shape, (int)source.RowCount);
        _independent = independent;
        _limits = limits;
        using ITableReader reader = source.Open();
        Assert.AreEqual(_rows.Capacity, reader.Read(_rows, 0, _rows.Capacity));
        Assert.AreEqual(0, reader.Read(_rows, 0, 1));
    }

    /// <summary>Blocks made so far.</summary>
    public int Blocks { get; private set; }

    public TableShape Shape => _rows.Shape;

    public TableModelShape ModelShape => throw new NotSupportedException();

    /// <summary>A transformer that generates by drawing from what it was fitted on.</summary>
    public static TabularTransformer Fit(
        IDataView data, TabularOptions? options = null, bool independent = false, bool limits = false,
        Action<string>? warn = null)
    {
        options ??= new PlainOptions();
        options.Validate();
        var table = new TrainingTable(data, new TableBinding(data.Schema, options, "input"), options, warn);
        return new TabularTransformer(new ShuffledTable(table, independent, limits), table.Schema, table.Mapping);
    }

    public void Fill(TableBlock block, ulong seed, TableCondition? where)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        Blocks++;
        var random = new SplitMix64(seed);
        for (int row = 0; row < block.Capacity; row++)
        {
            int from = random.Next(_rows.Capacity);
            for (int c = 0; c < Shape.Columns.Count; c++)
            {
                if (_independent)
                    from = random.Next(_rows.Capacity);
                TableLimit? limit = _limits ? where?.Limits.FirstOrDefault(l => l.Column == c) : null;
                while (limit?.Allows(_rows, from) == false)
                    from = random.Next(_rows.Capacity);
                if (Shape.Columns[c].Kind == TableColumnKind.Continuous)
                    block.Numbers(c)[row] = _rows.Numbers(c)[from];
                else
                    block.Codes(c)[row] = _rows.Codes(c)[from];
            }
        }
    }

    public void Save(Stream stream) => throw new NotSupportedException();

    public void Dispose() => _disposed = true;
}

/// <summary>Options of no particular generator.</summary>
internal sealed record PlainOptions : TabularOptions;
