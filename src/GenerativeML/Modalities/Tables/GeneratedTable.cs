using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>The rows of one call of Generate: one seed, one condition.</summary>
/// <exception cref="ArgumentException">No row can meet the condition.</exception>
internal sealed class GeneratedTable(
    ITableGenerator generator, TableSchema table, DataViewSchema schema, TableMapping mapping, int seed,
    RowCondition? where) : IGeneratedRows
{
    private const int Rows = 1024;

    // Under a condition, so many rows are tried at first, then twice as many, so that the first is there soon.
    private const int FirstTries = 32;

    // So many rows are tried for one that meets a condition before it is given up.
    private const int MaxTries = 100 * Rows;

    private readonly TableQuery? _query =
        where is { Columns.Length: > 0 } ? new ConditionResolver(table, mapping).Resolve(where) : null;

    public DataViewSchema Schema => schema;

    public int BlockRows => Rows;

    public IGeneratedBlock Open() => new Block(this, mapping);

    /// <summary>Makes sure that a row of many meets the condition.</summary>
    public void CheckPossible()
    {
        if (_query is not null)
            new Block(this, mapping).Compute(0, 0, 1);
    }

    private void Draw(TableBlock model, TableBlock data, int count, long block, long first)
    {
        // Each row of a block is drawn by itself: which ones are drawn together makes no difference.
        generator.Fill(
            model, count, SplitMix64.Derive(seed, RandomPurpose.Generation, block), first, _query?.Model);
        mapping.Decode(model, data, count);
    }

    private Delegate Getter(TableBlock data, int column, IBatchPosition at)
    {
        int first = table.Columns.Take(column).Sum(c => c.Fields.Count);
        TableSchemaColumn wanted = table.Columns[column];
        double[] numbers = data[first];
        if (wanted.Fields is [{ Identifier: { Kind: not IdentifierKind.Sequence } identifier }])
        {
            return (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) =>
            {
                int row = at.Row;
                value = identifier.Text(seed, (long)numbers[row]).AsMemory();
            });
        }
        return TableItem.Named(wanted.Type.Item).Getter(
            wanted.Fields.Select((field, i) => (field, data[first + i])), wanted.Type.Dimensions is not null, at);
    }

    // Identifiers are numbers of a sequence, or the numbers of rows, which become texts when they are read.
    private void Identify(TableBlock data, int start, int end, long block)
    {
        foreach ((int f, TableField field) in table.Fields.Index())
        {
            if (field.Identifier is not Identifier identifier)
                continue;
            for (int row = start; row < end; row++)
            {
                long number = block * Rows + row;
                data[f][row] = identifier.Kind == IdentifierKind.Sequence ? identifier.Number(seed, number) : number;
            }
        }
    }

    private InvalidOperationException TooRare(int met, long tried) => new(string.Create(CultureInfo.InvariantCulture,
        $"The condition {where} is met too rarely: by {(met == 0 ? "none" : met)} of {tried} rows that the model made"
        + $" ({(double)met / tried:P3}). Ask for less, or learn from rows that meet it more often."));

    private sealed class Block(GeneratedTable rows, TableMapping mapping) : IGeneratedBlock
    {
        private readonly TableBlock _model = new(mapping.Model, Rows), _data = new(mapping.Data, Rows);
        private readonly TableBlock? _tries = rows._query is null ? null : new(mapping.Data, Rows);
        private long _number = -1, _tried;
        private int _made;

        public int Compute(long number, int row, int wanted)
        {
            if (_number != number)
                (_number, _made, _tried) = (number, 0, 0);
            if (_tries is null)
            {
                rows.Draw(_model, _data, wanted, number, 0);
                rows.Identify(_data, 0, wanted, number);
                return wanted;
            }
            int known = _made;
            long inVain = 0;
            for (int count = FirstTries; _made <= row; count = Math.Min(2 * count, Rows))
            {
                count = (int)Math.Min(count, MaxTries - inVain);
                rows.Draw(_model, _tries, count, number, _tried);
                _tried += count;
                int before = _made;
                for (int i = 0; i < count && _made < Rows; i++)
                {
                    if (rows._query!.Data.Holds(_tries, i))
                        _tries.CopyRow(i, _data, _made++);
                }
                inVain = _made > before ? 0 : inVain + count;
                if (inVain >= MaxTries)
                {
                    _number = -1;
                    throw rows.TooRare(_made, _tried);
                }
            }
            rows.Identify(_data, known, _made, number);
            return _made;
        }

        public Delegate Getter(int column, IBatchPosition at) => rows.Getter(_data, column, at);
    }
}
