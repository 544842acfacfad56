namespace GenerativeML;

/// <summary>The rows of a table as tokens: one field, with a token for each position.</summary>
internal sealed class TokenSource(ITableSource table, TokenTable tokens) : IRowSource
{
    /// <summary>The tokens of the table's columns.</summary>
    public TokenTable Tokens => tokens;

    /// <inheritdoc/>
    public IReadOnlyList<RowField> Fields { get; } = [new RowField("tokens", FieldKind.Int64, tokens.Columns.Count)];

    /// <inheritdoc/>
    public long? RowCount => table.RowCount;

    /// <inheritdoc/>
    public IRowReader Open() => new Reader(this, table.Open());

    /// <summary>A block with room for some rows: the one given, if it has.</summary>
    public TableBlock Room(TableBlock? block, int rows) =>
        block is not null && block.Capacity >= rows ? block : new TableBlock(tokens.Shape, rows);

    /// <summary>Writes the tokens of rows to the first field of a block.</summary>
    public void Encode(TableBlock rows, int count, RowBlock block, int start)
    {
        for (int row = 0; row < count; row++)
        {
            Span<long> to = block.Int64Row(0, start + row);
            for (int position = 0; position < to.Length; position++)
                to[position] = tokens.Columns[position].Encode(rows, tokens.Order[position], row);
        }
    }

    private sealed class Reader(TokenSource source, ITableReader rows) : IRowReader
    {
        private TableBlock? _block;

        public int Read(RowBlock block, int start, int count)
        {
            _block = source.Room(_block, count);
            int n = rows.Read(_block, 0, count);
            source.Encode(_block, n, block, start);
            return n;
        }

        public void Dispose() => rows.Dispose();
    }
}
