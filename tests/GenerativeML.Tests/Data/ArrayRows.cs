namespace GenerativeML.Tests;

/// <summary>Rows of one Single field, computed from their number.</summary>
internal sealed class ArrayRows(long count, int width, Func<long, int, float> value) : IRowSource
{
    /// <summary>Rows whose every slot holds the row's number.</summary>
    public static ArrayRows Numbered(long count, int width = 1) => new(count, width, (i, _) => i);

    public IReadOnlyList<RowField> Fields => [new RowField("x", FieldKind.Single, width) { Image = Image }];

    /// <summary>Of rows that are images: how.</summary>
    public ImageFormat? Image { get; init; }

    public long? RowCount => count;

    /// <summary>Passes begun so far.</summary>
    public int Opened { get; private set; }

    /// <summary>Fails at this row of every pass after the first.</summary>
    public long FailAt { get; init; } = -1;

    public IRowReader Open() => new Reader(this, Opened++ > 0 ? FailAt : -1);

    private sealed class Reader(ArrayRows rows, long failAt) : IRowReader
    {
        private long _next;

        public int Read(RowBlock block, int start, int count)
        {
            int n = 0;
            for (; n < count && _next < rows.RowCount; n++, _next++)
            {
                if (_next == failAt)
                    throw new IOException("the disk is gone");
                Span<float> row = block.SingleRow(0, start + n);
                for (int j = 0; j < row.Length; j++)
                    row[j] = rows.Value(_next, j);
            }
            return n;
        }

        public void Dispose()
        {
        }
    }

    private float Value(long row, int slot) => value(row, slot);
}
