using System.Numerics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>Rows in blocks of a fixed size, any of which can be made at any time, on any thread.</summary>
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
    /// Makes rows of a block, from the first at least to the one that is wanted now, and says how many there are; those
    /// that it has made stay. They have the same bits however many are made at once, and in views of any length.
    /// </summary>
    int Compute(long number, int row, int wanted);

    /// <summary>A getter for a column, by its number, of the row of the block where a reader stands.</summary>
    Delegate Getter(int column, IBatchPosition at);
}

/// <summary>
/// Rows that exist only while somebody reads them: made block by block, always the same; some of so many, or all.
/// </summary>
internal sealed class GeneratedDataView(IGeneratedRows source, long rows, long first = 0) : IDataView
{
    private readonly long _rows = rows >= 0 ? rows : throw new ArgumentOutOfRangeException(
        nameof(rows), rows, $"The number of rows is {rows}; zero or more is expected.");

    public bool CanShuffle => true;

    public DataViewSchema Schema => source.Schema;

    public long? GetRowCount() => _rows;

    /// <summary>One of so many parts of these rows: in whole blocks, unless there are fewer than parts.</summary>
    public GeneratedDataView Part(DataPart part)
    {
        long unit = (first + _rows) / source.BlockRows - (first / source.BlockRows) >= part.Count ? source.BlockRows : 1;
        long start = Start(part.Index);
        return new GeneratedDataView(source, Start(part.Index + 1) - start, start);

        long Start(int number)
        {
            if (number == 0 || number == part.Count)
                return first + (number == 0 ? 0 : _rows);
            return (first + (long)((Int128)_rows * number / part.Count)) / unit * unit;
        }
    }

    public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
        GetRowCursorSet(columnsNeeded, 1, rand)[0];

    public DataViewRowCursor[] GetRowCursorSet(
        IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(n);
        bool[] active = ActiveColumns.Of(Schema, columnsNeeded);
        var order = new GeneratedOrder(_rows, source.BlockRows, rand, first);
        int cursors = (int)Math.Clamp(order.Blocks, 1, n);
        return [.. Enumerable.Range(0, cursors).Select(k => new GeneratedCursor(source, order, active, k, cursors))];
    }
}

/// <summary>Reads every so-many-th block, each made when its first value is asked for.</summary>
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
                _ready = _values!.Compute(_block, row, order.LastRow(_block) + 1);
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

/// <summary>The order of blocks and of the rows in each: their own, or shuffled without being held.</summary>
internal sealed class GeneratedOrder(long rows, int blockRows, Random? shuffle, long first = 0)
{
    private const int Rounds = 4;

    private readonly int? _seed = shuffle?.Next();
    private readonly long _firstBlock = first / blockRows;

    /// <summary>The number of blocks.</summary>
    public long Blocks { get; } = rows == 0 ? 0 : (first + rows - 1) / blockRows - first / blockRows + 1;

    /// <summary>The block that is read in place <paramref name="place"/>.</summary>
    public long Block(long place)
    {
        return _firstBlock + (_seed is int seed ? (long)Permuted((ulong)place, (ulong)Blocks, seed) : place);
    }

    /// <summary>The number at a place where the first so many are permuted.</summary>
    public static ulong Permuted(ulong place, ulong count, int seed)
    {
        // A Feistel network permutes the next power of four; what falls outside goes round again, and so comes back in.
        int halfBits = (64 - BitOperations.LeadingZeroCount(Math.Max(count, 2) - 1) + 1) / 2;
        do
            place = Permute(place, halfBits, seed);
        while (place >= count);
        return place;
    }

    /// <summary>The rows of a block in the order in which they are read.</summary>
    public int[] Rows(long block)
    {
        int begin = (int)Math.Max(0, first - block * blockRows);
        int[] order = [.. Enumerable.Range(begin, LastRow(block) + 1 - begin)];
        if (_seed is int seed)
            new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Order, block)).Shuffle(order.AsSpan());
        return order;
    }

    /// <summary>The last row of a block that is read.</summary>
    public int LastRow(long block) => (int)Math.Min(blockRows, first + rows - block * blockRows) - 1;

    private static ulong Permute(ulong block, int halfBits, int seed)
    {
        ulong mask = (1UL << halfBits) - 1;
        ulong left = block >> halfBits, right = block & mask;
        for (int round = 0; round < Rounds; round++)
        {
            ulong mixed = SplitMix64.Derive(seed, RandomPurpose.Order, (long)(right * Rounds) + round) & mask;
            (left, right) = (right, left ^ mixed);
        }
        return left << halfBits | right;
    }
}
