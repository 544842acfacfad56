using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Generation;

/// <summary>Generated rows that can be foretold: the row's number, and ten times it. Counts the blocks made.</summary>
internal sealed class CountingRows : IGeneratedRows
{
    private int _made;

    public CountingRows(int blockRows)
    {
        BlockRows = blockRows;
        var schema = new DataViewSchema.Builder();
        schema.AddColumn("Number", NumberDataViewType.Int64);
        schema.AddColumn("Tenfold", NumberDataViewType.Int64);
        Schema = schema.ToSchema();
    }

    public DataViewSchema Schema { get; }

    public int BlockRows { get; }

    /// <summary>Blocks made so far, by all cursors.</summary>
    public int Made => _made;

    /// <summary>What the next block fails with, once.</summary>
    public Exception? Failure { get; set; }

    public IGeneratedBlock Open() => new Block(this);

    private sealed class Block(CountingRows source) : IGeneratedBlock
    {
        private readonly long[] _numbers = new long[source.BlockRows];

        public int Compute(long number, int row, int wanted)
        {
            if (source.Failure is Exception failure)
            {
                source.Failure = null;
                throw failure;
            }
            Interlocked.Increment(ref source._made);
            for (int i = 0; i < _numbers.Length; i++)
                _numbers[i] = number * source.BlockRows + i;
            return _numbers.Length;
        }

        public Delegate Getter(int column, IBatchPosition at) =>
            (ValueGetter<long>)((ref long value) => value = _numbers[at.Row] * (column == 0 ? 1 : 10));
    }
}
