namespace GenerativeML.Tests;

/// <summary>Rows of several Single fields, computed from row and slot, which are counted over all fields.</summary>
internal sealed class FieldRows(long count, int[] widths, Func<long, int, float> value, ImageFormat? image = null) : IRowSource
{
    public IReadOnlyList<RowField> Fields { get; } =
        [.. widths.Select((w, f) => new RowField($"field {f}", FieldKind.Single, w) { Image = f == 0 ? image : null })];

    public long? RowCount => count;

    public IRowReader Open() => new Reader(this);

    private sealed class Reader(FieldRows rows) : IRowReader
    {
        private long _next;

        public int Read(RowBlock block, int start, int count)
        {
            int n = 0;
            for (; n < count && _next < rows.RowCount; n++, _next++)
            {
                int slot = 0;
                for (int f = 0; f < rows.Fields.Count; f++)
                {
                    foreach (ref float x in block.SingleRow(f, start + n))
                        x = rows.Value(_next, slot++);
                }
            }
            return n;
        }

        public void Dispose()
        {
        }
    }

    private float Value(long row, int slot) => value(row, slot);
}
