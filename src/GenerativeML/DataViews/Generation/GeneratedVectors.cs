using System.Numerics;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>The rows of one call of Generate on a generator of vectors: one seed, one condition.</summary>
internal sealed class GeneratedVectors : IGeneratedRows
{
    private const int MostRows = 1024;
    private const int LeastRows = 16;
    private const int MostValues = 1 << 20;

    private readonly VectorGeneration _generate;
    private readonly VectorSchema _columns;
    private readonly IReadOnlyList<RowField> _fields;
    private readonly int _seed;
    private readonly float[] _where;

    /// <param name="generate">Makes rows.</param>
    /// <param name="columns">Its columns.</param>
    /// <param name="schema">The same as ML.NET sees them.</param>
    /// <param name="fields">What the generator knows of them.</param>
    /// <param name="seed">The seed of all rows.</param>
    /// <param name="where">The conditions that all rows have, NaN where they are free; empty for none.</param>
    public GeneratedVectors(
        VectorGeneration generate, VectorSchema columns, DataViewSchema schema,
        IReadOnlyList<RowField> fields, int seed, float[] where)
    {
        _generate = generate;
        _columns = columns;
        Schema = schema;
        _fields = fields;
        _seed = seed;
        _where = where;
        BlockRows = Math.Clamp(MostValues / fields.Sum(f => f.Width), LeastRows, MostRows);
    }

    /// <inheritdoc/>
    public DataViewSchema Schema { get; }

    /// <inheritdoc/>
    public int BlockRows { get; }

    /// <inheritdoc/>
    public IGeneratedBlock Open(bool[] active) => new Block(this);

    private sealed class Block(GeneratedVectors source) : IGeneratedBlock
    {
        private readonly int _conditionWidth = source._fields.Skip(1).Sum(f => f.Width);
        private readonly float[] _rows = new float[source.BlockRows * source._fields[0].Width];
        private readonly float[] _conditions =
            new float[source.BlockRows * source._fields.Skip(1).Sum(f => f.Width)];

        public void Compute(long number) => source._generate(
            _rows, _conditions, source.BlockRows,
            SplitMix64.Derive(source._seed, RandomPurpose.Generation, number), source._where);

        public Delegate Getter(int column, IBatchPosition at)
        {
            int field = source._columns.Order[column];
            int width = source._fields[field].Width;
            if (field == 0)
            {
                return (ValueGetter<VBuffer<float>>)((ref VBuffer<float> value) =>
                {
                    VBufferEditor<float> editor = VBufferEditor.Create(ref value, width);
                    _rows.AsSpan(at.Row * width, width).CopyTo(editor.Values);
                    value = editor.Commit();
                });
            }
            int first = source._fields.Skip(1).Take(field - 1).Sum(f => f.Width);
            return source.Schema[column].Type switch
            {
                BooleanDataViewType => (ValueGetter<bool>)((ref bool value) => value = Slots()[0] >= 0.5f),
                KeyDataViewType key when key.RawType == typeof(byte) => Key<byte>(),
                KeyDataViewType key when key.RawType == typeof(ushort) => Key<ushort>(),
                KeyDataViewType key when key.RawType == typeof(uint) => Key<uint>(),
                KeyDataViewType => Key<ulong>(),
                _ when source._fields[field].Categories is { } categories => (ValueGetter<float>)((ref float value) =>
                    value = Slots().IndexOf(1f) is >= 0 and int category ? categories[category] : float.NaN),
                _ => (ValueGetter<float>)((ref float value) => value = Slots()[0]),
            };

            ReadOnlySpan<float> Slots() => _conditions.AsSpan(at.Row * _conditionWidth + first, width);

            ValueGetter<T> Key<T>()
                where T : struct, IBinaryInteger<T> =>
                (ref T value) => value = T.CreateTruncating(Slots().IndexOf(1f) + 1); // zero is a missing key
        }
    }
}

/// <summary>
/// Makes rows (count × D) and their conditions (count × C), the same for the same seed, number and condition.
/// </summary>
internal delegate void VectorGeneration(
    Memory<float> rows, Memory<float> conditions, int count, ulong seed, float[] where);
