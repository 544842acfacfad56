using System.Globalization;
using Microsoft.ML;

namespace GenerativeML;

/// <summary>The rows of one call of Generate: one seed, one condition.</summary>
internal sealed class GeneratedTable : IGeneratedRows
{
    // The more rows at once, the cheaper each; a whole block is made even where few rows are wanted.
    private const int Rows = 1024;

    // A condition that no row of so many drawn blocks meets is given up: the error says so.
    private const int MostVainDraws = 100;
    private const long MostDraws = (long)MostVainDraws * Rows; // where one row is found just in time, again and again

    private readonly SharedModel<ITableGenerator> _generator;
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
        SharedModel<ITableGenerator> generator,
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

    /// <summary>Makes sure that some of many rows meet the condition.</summary>
    /// <exception cref="InvalidOperationException">None does.</exception>
    public void CheckPossible()
    {
        if (_query is not null && !new Block(this).FindsAny())
            throw TooRare();
    }

    private sealed class Block : IGeneratedBlock
    {
        private readonly GeneratedTable _table;
        private readonly TableBlock _model;
        private readonly TableBlock _candidates;
        private readonly TableBlock _data;

        public Block(GeneratedTable table)
        {
            _table = table;
            _model = new TableBlock(table._mapping.Model, Rows);
            _data = new TableBlock(table._mapping.Data, Rows);
            _candidates = table._query is null ? _data : new TableBlock(table._mapping.Data, Rows);
        }

        public void Compute(long number)
        {
            int rows = 0, vain = 0;
            for (long draw = 0; rows < Rows; draw++)
            {
                Draw(number, draw);
                int found = _table._query is TableQuery query ? Choose(query.Data, rows) : Rows;
                vain = found > rows ? 0 : vain + 1;
                rows = found;
                if (vain == MostVainDraws)
                    throw _table.TooRare();
            }
        }

        public bool FindsAny()
        {
            for (long draw = 0; draw < MostVainDraws; draw++)
            {
                Draw(0, draw);
                if (Choose(_table._query!.Data, 0) > 0)
                    return true;
            }
            return false;
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

        // Seeds of draws lie far apart, so that blocks do not share them.
        private void Draw(long number, long draw)
        {
            ulong seed = SplitMix64.Derive(_table._seed, RandomPurpose.Generation, number * MostDraws + draw);
            _table._generator.Use(generator => generator.Fill(_model, seed, _table._query?.Model));
            _table._mapping.Decode(_model, _candidates, Rows);
        }

        private int Choose(TableCondition condition, int rows)
        {
            for (int row = 0; row < Rows && rows < Rows; row++)
            {
                if (condition.Holds(_candidates, row))
                    _candidates.CopyRow(row, _data, rows++);
            }
            return rows;
        }
    }

    private InvalidOperationException TooRare() => new(string.Create(CultureInfo.InvariantCulture,
        $"The condition {_where} is met too rarely: by none of {MostVainDraws * Rows} rows that the model made."));
}
