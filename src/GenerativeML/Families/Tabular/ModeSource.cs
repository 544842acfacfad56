namespace GenerativeML;

/// <summary>
/// The rows of a table as tokens and offsets: a field with a token for each position, and where there are numbers, one
/// with the offset of each.
/// </summary>
internal sealed class ModeSource(ITableSource table, TokenTable tokens) : IRowSource
{
    private readonly int[] _numbers =
        [.. Enumerable.Range(0, tokens.Columns.Count).Where(p => tokens.Columns[p] is NumberModes)];

    private readonly TokenSource _tokens = new(table, tokens);

    /// <inheritdoc/>
    public IReadOnlyList<RowField> Fields =>
    [
        .. _tokens.Fields,
        .. _numbers.Length > 0 ? new[] { new RowField("offsets", FieldKind.Single, _numbers.Length) } : [],
    ];

    /// <inheritdoc/>
    public long? RowCount => table.RowCount;

    /// <inheritdoc/>
    public IRowReader Open() => new Reader(this, table.Open());

    private sealed class Reader(ModeSource source, ITableReader rows) : IRowReader
    {
        private TableBlock? _block;

        public int Read(RowBlock block, int start, int count)
        {
            _block = source._tokens.Room(_block, count);
            int n = rows.Read(_block, 0, count);
            source._tokens.Encode(_block, n, block, start);
            TokenTable tokens = source._tokens.Tokens;
            for (int i = 0; i < source._numbers.Length; i++)
            {
                int position = source._numbers[i];
                var modes = (NumberModes)tokens.Columns[position];
                double[] values = _block.Numbers(tokens.Order[position]);
                for (int row = 0; row < n; row++)
                {
                    int token = (int)block.Int64Row(0, start + row)[position];
                    block.SingleRow(1, start + row)[i] = modes.Offset(values[row], token);
                }
            }
            return n;
        }

        public void Dispose() => rows.Dispose();
    }
}
