using System.Globalization;
using Microsoft.ML;

namespace GenerativeML;

/// <summary>The rows of one call of Generate: one seed, one condition.</summary>
internal sealed class GeneratedTable : IGeneratedRows
{
    private const int Rows = 1024;

    // Under a condition, so many rows are tried at first, then twice as many, so that the first is there soon.
    private const int FirstTries = 32;

    // So many rows are tried for one that meets a condition before it is given up.
    private const int MaxTries = 100 * Rows;

    private readonly ITableGenerator _generator;
    private readonly TableSchema _table;
    private readonly TableMapping _mapping;
    private readonly int _seed;
    private readonly TableQuery? _query;
    private readonly RowCondition? _where;

    /// <param name="generator">What makes rows.</param>
    /// <param name="table">The columns as ML.NET sees them.</param>
    /// <param name="schema">The same, built.</param>
    /// <param name="mapping">Between them and the generator's columns.</param>
    /// <param name="seed">The seed of the rows.</param>
    /// <param name="where">What they are asked for, or null.</param>
    /// <exception cref="ArgumentException">No row can meet the condition.</exception>
    public GeneratedTable(
        ITableGenerator generator,
        TableSchema table,
        DataViewSchema schema,
        TableMapping mapping,
        int seed,
        RowCondition? where)
    {
        _generator = generator;
        _table = table;
        _mapping = mapping;
        _seed = seed;
        _where = where;
        if (where is not null && where.Columns.Length > 0)
            _query = new ConditionResolver(table, mapping).Resolve(where);
        Schema = schema;
    }

    /// <inheritdoc/>
    public DataViewSchema Schema { get; }

    /// <inheritdoc/>
    public int BlockRows => Rows;

    /// <inheritdoc/>
    public IGeneratedBlock Open(bool[] active) => new Block(this);

    /// <summary>Makes sure that a row meets the condition.</summary>
    /// <exception cref="InvalidOperationException">None of many does.</exception>
    public void CheckPossible()
    {
        if (_query is not null)
            new Block(this).Compute(0, 0, 1);
    }

    private sealed class Block : IGeneratedBlock
    {
        private readonly GeneratedTable _table;
        private readonly TableBlock _model;
        private readonly TableBlock _candidates;
        private readonly TableBlock _data;
        private long _number = -1;
        private int _made;
        private long _tried;

        public Block(GeneratedTable table)
        {
            _table = table;
            _model = new TableBlock(table._mapping.Model, Rows);
            _data = new TableBlock(table._mapping.Data, Rows);
            _candidates = table._query is null ? _data : new TableBlock(table._mapping.Data, Rows);
        }

        public int Compute(long number, int row, int rows)
        {
            if (_number != number)
                (_number, _made, _tried) = (number, 0, 0);
            if (_table._query is not TableQuery query)
            {
                Draw(rows);
                return rows;
            }
            long inVain = 0;
            for (int count = FirstTries; _made <= row; count = Math.Min(2 * count, Rows))
            {
                count = (int)Math.Min(count, MaxTries - inVain);
                Draw(count);
                _tried += count;
                int before = _made;
                for (int i = 0; i < count && _made < Rows; i++)
                {
                    if (query.Data.Holds(_candidates, i))
                        _candidates.CopyRow(i, _data, _made++);
                }
                inVain = _made > before ? 0 : inVain + count;
                if (inVain < MaxTries)
                    continue;
                (long tried, _number) = (_tried, -1);
                throw _table.TooRare(_made, tried);
            }
            return _made;
        }

        public Delegate Getter(int column, IBatchPosition at)
        {
            IReadOnlyList<TableSchemaColumn> columns = _table._table.Columns;
            int first = columns.Take(column).Sum(c => c.Fields.Count);
            TableSchemaColumn wanted = columns[column];
            return TableItem.Named(wanted.Type.Item).Getter(
                [.. wanted.Fields.Select((field, i) => new DecodedField(field, _data, first + i))],
                wanted.Type.Dimensions is not null,
                at);
        }

        // Each row of a block is drawn by itself: which ones are drawn together makes no difference.
        private void Draw(int count)
        {
            ulong seed = SplitMix64.Derive(_table._seed, RandomPurpose.Generation, _number);
            _table._generator.Fill(_model, count, seed, _tried, _table._query?.Model);
            _table._mapping.Decode(_model, _candidates, count);
        }
    }

    private InvalidOperationException TooRare(int met, long tried) => new(string.Create(CultureInfo.InvariantCulture,
        $"The condition {_where} is met too rarely: by {(met == 0 ? "none" : met)} of {tried} rows that the model made"
        + $" ({(double)met / tried:P3}). Ask for less, or learn from rows that meet it more often."));
}
