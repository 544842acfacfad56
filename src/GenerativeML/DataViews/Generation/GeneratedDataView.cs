using Microsoft.ML;

namespace GenerativeML;

/// <summary>
/// Rows that exist only while somebody reads them: made block by block as a cursor moves, always the same ones.
/// </summary>
/// <remarks>
/// Shuffled cursors read the blocks in another order, and the rows within each; nothing is held for it.
/// </remarks>
internal sealed class GeneratedDataView : IDataView
{
    private readonly IGeneratedRows _source;
    private readonly long _rows;

    /// <exception cref="ArgumentOutOfRangeException"><paramref name="rows"/> is negative.</exception>
    public GeneratedDataView(IGeneratedRows source, long rows)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        _source = source;
        _rows = rows;
    }

    /// <inheritdoc/>
    public bool CanShuffle => true;

    /// <inheritdoc/>
    public DataViewSchema Schema => _source.Schema;

    /// <inheritdoc/>
    public long? GetRowCount() => _rows;

    /// <inheritdoc/>
    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        GetRowCursorSet(columnsNeeded, 1, rand)[0];

    /// <inheritdoc/>
    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        var order = new GeneratedOrder(_rows, _source.BlockRows, rand);
        int cursors = (int)Math.Clamp(order.Blocks, 1, n);
        return [.. Enumerable.Range(0, cursors).Select(k => new GeneratedCursor(_source, order, active, k, cursors))];
    }
}
