using System.Numerics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Rows in blocks of a fixed size, any of which can be made at any time, on any number of threads at once.
/// </summary>
internal interface IGeneratedRows
{
    /// <summary>The columns; always the same object, since ML.NET compares schemas by reference.</summary>
    DataViewSchema Schema { get; }

    /// <summary>Rows of a block, always the same number.</summary>
    int BlockRows { get; }

    /// <summary>Memory for one block.</summary>
    IGeneratedBlock Open();
}

/// <summary>One block of generated rows at a time; belongs to one cursor, and so to one thread at a time.</summary>
internal interface IGeneratedBlock
{
    /// <summary>
    /// Makes rows of block <paramref name="number"/>, from the first at least to <paramref name="row"/>; those that it
    /// has made already stay. They have the same bits however many are made at once, and in views of any length.
    /// </summary>
    /// <param name="number">The number of the block.</param>
    /// <param name="row">The row that is wanted now.</param>
    /// <param name="wanted">The rows of the block that will be wanted, from the first.</param>
    /// <returns>How many rows there are now, from the first.</returns>
    int Compute(long number, int row, int wanted);

    /// <summary>
    /// A getter for a column, by its number in the schema, of the row of the block where a reader stands.
    /// </summary>
    Delegate Getter(int column, IBatchPosition at);
}

/// <summary>
/// Rows that exist only while somebody reads them: made block by block as a cursor moves, always the same.
/// </summary>
internal sealed class GeneratedDataView : IDataView
{
    private readonly IGeneratedRows _source;
    private readonly long _rows;

    /// <summary>So many rows of a source; negative numbers are an error.</summary>
    public GeneratedDataView(IGeneratedRows source, long rows)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        _source = source;
        _rows = rows;
    }

    public bool CanShuffle => true;

    public DataViewSchema Schema => _source.Schema;

    public long? GetRowCount() => _rows;

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        GetRowCursorSet(columnsNeeded, 1, rand)[0];

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

/// <summary>
/// Moves through generated rows, every so-many-th block of them from the first on. A block is made when the first of
/// its values is asked for, so that skipping rows costs nothing.
/// </summary>
internal sealed class GeneratedCursor(
    IGeneratedRows source, GeneratedOrder order, bool[] active, int first, int cursors)
    : RowCursor(source.Schema, active), IBatchPosition
{
    private readonly IGeneratedBlock? _values = active.Contains(true) ? source.Open() : null;
    private long _place = first - cursors, _block, _computed = -1;
    private int _ready; // rows of the computed block
    private int[] _rows = [];
    private int _at = -1;

    public override long Batch => Position < 0 ? 0 : _place;

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

    private int CurrentRow => Position >= 0 ? _rows[_at] : throw NoRow;

    /// <remarks>A row's id is its number in the unshuffled view.</remarks>
    public override ValueGetter<DataViewRowId> GetIdGetter() => (ref DataViewRowId value) =>
        value = new DataViewRowId((ulong)_block * (ulong)source.BlockRows + (ulong)CurrentRow, 0);

    protected override bool Advance()
    {
        if (++_at < _rows.Length)
            return true;
        _place += cursors;
        if (_place >= order.Blocks)
            return false;
        _block = order.Block(_place);
        _rows = order.Rows(_block);
        _at = 0;
        return true;
    }

    protected override Delegate Getter<TValue>(int column) => _values!.Getter(column, this);
}

/// <summary>
/// The order in which blocks, of which the last may be shorter, and their rows are read: as they are, or shuffled by a
/// permutation that is computed and not held, whatever the number of rows.
/// </summary>
internal sealed class GeneratedOrder
{
    private const int Rounds = 4;

    private readonly long _rows;
    private readonly int _blockRows;
    private readonly int _seed;
    private readonly bool _shuffled;
    private readonly int _halfBits;

    public GeneratedOrder(long rows, int blockRows, Random? shuffle)
    {
        _rows = rows;
        _blockRows = blockRows;
        Blocks = rows / blockRows + (rows % blockRows > 0 ? 1 : 0);
        _shuffled = shuffle is not null;
        _seed = shuffle?.Next() ?? 0;
        _halfBits = (64 - BitOperations.LeadingZeroCount((ulong)Math.Max(Blocks - 1, 1)) + 1) / 2;
    }

    /// <summary>The number of blocks.</summary>
    public long Blocks { get; }

    /// <summary>The block that is read in place <paramref name="place"/>.</summary>
    public long Block(long place)
    {
        if (!_shuffled)
            return place;
        // A Feistel network permutes the next power of four; what falls outside goes round again, and so comes back in.
        ulong block = (ulong)place;
        do
            block = Permute(block);
        while (block >= (ulong)Blocks);
        return (long)block;
    }

    /// <summary>The rows of a block in the order in which they are read.</summary>
    public int[] Rows(long block)
    {
        int[] rows = [.. Enumerable.Range(0, (int)Math.Min(_blockRows, _rows - block * _blockRows))];
        if (_shuffled)
            new SplitMix64(SplitMix64.Derive(_seed, RandomPurpose.Order, block)).Shuffle(rows.AsSpan());
        return rows;
    }

    private ulong Permute(ulong block)
    {
        ulong mask = (1UL << _halfBits) - 1;
        ulong left = block >> _halfBits, right = block & mask;
        for (int round = 0; round < Rounds; round++)
        {
            ulong mixed = SplitMix64.Derive(_seed, RandomPurpose.Order, (long)(right * Rounds) + round) & mask;
            (left, right) = (right, left ^ mixed);
        }
        return left << _halfBits | right;
    }
}
