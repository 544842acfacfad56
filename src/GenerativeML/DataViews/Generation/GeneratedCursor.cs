using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Moves through generated rows, every so-many-th block of them. A block is made when the first of its values is asked
/// for, so that skipping rows costs nothing.
/// </summary>
internal sealed class GeneratedCursor : DataViewRowCursor, IBatchPosition
{
    private readonly IGeneratedRows _source;
    private readonly GeneratedOrder _order;
    private readonly bool[] _active;
    private readonly int _cursors;
    private readonly IGeneratedBlock? _values;
    private long _place;
    private long _block;
    private long _computed = -1;
    private int _ready; // rows of that block
    private int[] _rows = [];
    private int _at = -1;
    private long _position = -1;
    private bool _ended;

    /// <summary>Reads the blocks in places <paramref name="first"/>, that plus <paramref name="cursors"/>, …</summary>
    public GeneratedCursor(IGeneratedRows source, GeneratedOrder order, bool[] active, int first, int cursors)
    {
        _source = source;
        _order = order;
        _active = active;
        _cursors = cursors;
        _place = first - cursors;
        _values = Array.IndexOf(active, true) < 0 ? null : source.Open(active);
    }

    /// <inheritdoc/>
    public override DataViewSchema Schema => _source.Schema;

    /// <inheritdoc/>
    public override long Position => _position;

    /// <inheritdoc/>
    public override long Batch => _position < 0 ? 0 : _place;

    /// <inheritdoc/>
    public int Row
    {
        get
        {
            int row = CurrentRow;
            if (_computed != _block || row >= _ready)
            {
                _computed = -1; // a failed computation must not leave half a block behind
                _ready = _values!.Compute(_block, row, _rows.Length);
                _computed = _block;
            }
            return row;
        }
    }

    private int CurrentRow => _position >= 0
        ? _rows[_at]
        : throw new InvalidOperationException("The cursor stands on no row: MoveNext was not called or gave false.");

    /// <inheritdoc/>
    public override bool MoveNext()
    {
        if (_ended)
            return false;
        if (++_at >= _rows.Length)
        {
            _place += _cursors;
            if (_place >= _order.Blocks)
            {
                End();
                return false;
            }
            _block = _order.Block(_place);
            _rows = _order.Rows(_block);
            _at = 0;
        }
        _position++;
        return true;
    }

    /// <inheritdoc/>
    public override bool IsColumnActive(DataViewSchema.Column column) =>
        column.Index < _active.Length && _active[column.Index];

    /// <inheritdoc/>
    /// <remarks>A row's id is its number in the unshuffled view.</remarks>
    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) =>
        value = new DataViewRowId((ulong)_block * (ulong)_source.BlockRows + (ulong)CurrentRow, 0);

    /// <inheritdoc/>
    public override ValueGetter<TValue> GetGetter<TValue>(DataViewSchema.Column column) => IsColumnActive(column)
        ? ActiveColumns.Cast<TValue>(_values!.Getter(column.Index, this), Schema[column.Index])
        : throw ActiveColumns.Inactive(column);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            End();
        base.Dispose(disposing);
    }

    private void End()
    {
        _ended = true;
        _position = -1;
    }
}
