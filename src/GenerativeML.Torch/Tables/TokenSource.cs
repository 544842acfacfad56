namespace GenerativeML.Torch;

/// <summary>The rows of a table as tokens: one field, with a token for each position.</summary>
internal sealed class TokenSource(ITableSource table, TokenTable tokens) : IRowSource
{
    /// <inheritdoc/>
    public IReadOnlyList<RowField> Fields { get; } = [new RowField("tokens", FieldKind.Int64, tokens.Columns.Count)];

    /// <inheritdoc/>
    public long? RowCount => table.RowCount;

    /// <inheritdoc/>
    public IRowReader Open() => new Reader(table.Open(), tokens);

    private sealed class Reader(ITableReader rows, TokenTable tokens) : IRowReader
    {
        private TableBlock? _block;

        public int Read(RowBlock block, int start, int count)
        {
            if (_block is null || _block.Capacity < count)
                _block = new TableBlock(tokens.Shape, count);
            int n = rows.Read(_block, 0, count);
            for (int row = 0; row < n; row++)
            {
                Span<long> to = block.Int64Row(0, start + row);
                for (int position = 0; position < to.Length; position++)
                    to[position] = tokens.Columns[position].Encode(_block, tokens.Order[position], row);
            }
            return n;
        }

        public void Dispose() => rows.Dispose();
    }
}
