using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Generated rows each of which is made from random numbers of its own, which follow from the seed and the row's number.
/// </summary>
/// <param name="schema">The columns.</param>
/// <param name="blockRows">How many are worth making together.</param>
/// <param name="seed">The seed.</param>
/// <param name="make">Makes as many items as there are sources of random numbers.</param>
/// <param name="getter">A getter of a column, by its number, for the item that the function returns.</param>
internal sealed class GeneratedItems<T>(
    DataViewSchema schema, int blockRows, int seed, Func<SplitMix64[], T[]> make, Func<int, Func<T>, Delegate> getter) : IGeneratedRows
{
    public DataViewSchema Schema => schema;

    public int BlockRows => blockRows;

    public IGeneratedBlock Open() => new Block(blockRows, seed, make, getter);

    private sealed class Block(int blockRows, int seed, Func<SplitMix64[], T[]> make, Func<int, Func<T>, Delegate> getter) : IGeneratedBlock
    {
        private T[] _items = [];

        public int Compute(long number, int row, int wanted)
        {
            _items = make([.. Enumerable.Range(0, wanted).Select(i => RowRandom.Of(seed, number * blockRows + i))]);
            return wanted;
        }

        public Delegate Getter(int column, IBatchPosition at) => getter(column, () =>
        {
            int row = at.Row; // makes the items
            return _items[row];
        });
    }
}

/// <summary>Random numbers of generated rows.</summary>
internal static class RowRandom
{
    /// <summary>What row number so many, of all that are drawn by a seed, takes its random numbers from.</summary>
    public static SplitMix64 Of(int seed, long row) => new(SplitMix64.Derive(seed, RandomPurpose.Generation, row));
}

/// <summary>Getters of columns of generated items.</summary>
internal static class ItemGetters
{
    /// <summary>Of a column of text.</summary>
    public static Delegate Text(Func<string> text) =>
        (ValueGetter<ReadOnlyMemory<char>>)((ref ReadOnlyMemory<char> value) => value = text().AsMemory());

    /// <summary>Of a column of vectors.</summary>
    public static Delegate Vector(Func<float[]> numbers) => (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
    {
        float[] made = numbers();
        VBuffer<float>.Copy(made, 0, ref value, made.Length);
    });
}
