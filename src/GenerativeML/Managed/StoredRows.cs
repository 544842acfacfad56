using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// What <see cref="RowMemory"/> does with tensors, in managed memory: how far rows are from the stored rows nearest to
/// them, slot by slot. A row gets the same bits alone and among others; of stored rows that are equally far, the first
/// count.
/// </summary>
internal sealed class StoredRows
{
    /// <summary>Stored rows that are compared together; among the first of them, many neighbours are looked for.</summary>
    public const int Group = Nearest.Block;

    private const int MostNear = 5;
    private const double FarShare = 0.2;

    private readonly float[] _rows; // (M × D)
    private readonly PackedWeights[] _groups; // of −2 times the rows
    private readonly float[][] _squares; // of each group's rows; infinite behind the last row
    private readonly int _near, _far;

    /// <param name="rows">(stored × width), kept as it is.</param>
    /// <param name="width">Slots of a row.</param>
    /// <param name="near">How many neighbours are looked for among all of them; fewer than there are, or none.</param>
    /// <param name="far">How many are looked for among the first <see cref="Group"/> of them.</param>
    public StoredRows(float[] rows, int width, int near, int far)
    {
        (_rows, Width, _near, _far) = (rows, width, near, far);
        Count = rows.Length / width;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(far, Math.Min(Group, Count));
        if (near > 0)
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(near, Count);
        int groups = near > 0 ? (Count + Group - 1) / Group : far > 0 ? 1 : 0;
        _groups = new PackedWeights[groups];
        _squares = new float[groups][];
        for (int g = 0; g < groups; g++)
            Pack(g);
    }

    /// <summary>
    /// How many neighbours to look at among all of so many stored rows: few, which see small gaps between training rows.
    /// </summary>
    public static int Near(long stored) => (int)Math.Min(MostNear, stored / 4);

    /// <summary>How many stored rows to look for many neighbours among.</summary>
    public static int Few(long stored) => (int)Math.Min(Group, stored);

    /// <summary>
    /// How many neighbours to look at among these few: many of them see past a cluster of anomalies in the training
    /// data, which each other's nearest rows would hide.
    /// </summary>
    public static int Far(long stored) => (int)Math.Ceiling(FarShare * Few(stored));

    /// <summary>How many rows are stored, M.</summary>
    public int Count { get; }

    /// <summary>Slots of a row, D.</summary>
    public int Width { get; }

    /// <summary>What a row costs.</summary>
    public long MultiplyAdds => (long)_groups.Length * Group * Width;

    /// <summary>Numbers of scratch memory that <see cref="Compare"/> needs for so many rows.</summary>
    public int ScratchLength(int rows) => rows * (Group + 2 * (_near + 1));

    /// <summary>
    /// The mean squared differences, slot by slot, between each row and its nearest stored rows: to a few among all,
    /// leaving out one that equals it, and to many among the first, without leaving out any.
    /// </summary>
    /// <param name="x">(rows × <paramref name="stride"/>), of which the first columns are the slots.</param>
    /// <param name="stride">From one row to the next, here and in the results.</param>
    /// <param name="rows">How many.</param>
    /// <param name="near">(rows × <paramref name="stride"/>); zero behind the slots, and without neighbours.</param>
    /// <param name="far">The same for the many.</param>
    /// <param name="scratch">Of <see cref="ScratchLength"/>.</param>
    public void Compare(
        ReadOnlySpan<float> x, int stride, int rows, Span<float> near, Span<float> far, Span<float> scratch)
    {
        near[..(rows * stride)].Clear();
        far[..(rows * stride)].Clear();
        int candidates = _near + 1;
        Span<float> products = scratch[..(rows * Group)];
        Span<float> least = scratch.Slice(products.Length, rows * candidates);
        Span<int> which = MemoryMarshal.Cast<float, int>(scratch.Slice(products.Length + least.Length, least.Length));
        least.Fill(float.PositiveInfinity);
        for (int i = 0; i < which.Length; i++)
            which[i] = i % candidates;

        for (int g = 0; g < _groups.Length; g++)
        {
            _groups[g].Multiply(x, stride, rows, products);
            for (int r = 0; r < rows; r++)
            {
                Span<float> product = products.Slice(r * Group, Group);
                int at = r * candidates;
                if (_near > 0)
                {
                    Nearest.Update(
                        product, _squares[g], g * Group, least.Slice(at, candidates), which.Slice(at, candidates));
                }
                if (g == 0 && _far > 0)
                    SetFar(x.Slice(r * stride, Width), product, far.Slice(r * stride, Width));
            }
        }
        for (int r = 0; r < rows && _near > 0; r++)
            SetNear(x.Slice(r * stride, Width), which.Slice(r * candidates, candidates), near.Slice(r * stride, Width));
    }

    private void Pack(int group)
    {
        int first = group * Group, count = Math.Min(Group, Count - first);
        float[] packed = new float[Group * Width];
        float[] squares = _squares[group] = new float[Group];
        Array.Fill(squares, float.PositiveInfinity);
        for (int i = 0; i < count; i++)
        {
            double square = 0;
            for (int j = 0; j < Width; j++)
            {
                float value = _rows[(first + i) * Width + j];
                packed[i * Width + j] = -2 * value;
                square += (double)value * value;
            }
            squares[i] = (float)square;
        }
        _groups[group] = new PackedWeights(packed, Group);
    }

    /// <summary>Leaves the farthest candidate out, or the nearest where it is the row itself.</summary>
    private void SetNear(ReadOnlySpan<float> row, Span<int> candidates, Span<float> residuals)
    {
        int first = 0, last = 0; // the nearest, the farthest
        float least = float.PositiveInfinity, most = float.NegativeInfinity;
        for (int c = 0; c < candidates.Length; c++)
        {
            float distance = SquaredDifference.Sum(row, _rows.AsSpan(candidates[c] * Width, Width));
            if (distance < least)
                (first, least) = (c, distance);
            if (distance >= most)
                (last, most) = (c, distance);
        }
        candidates[least < RowMemory.Same * Width ? first : last] = candidates[^1];
        SquaredDifference.Mean(row, _rows, candidates[..^1], _near, residuals);
    }

    [SkipLocalsInit]
    private void SetFar(ReadOnlySpan<float> row, Span<float> product, Span<float> residuals)
    {
        Span<int> chosen = stackalloc int[Group];
        VectorSum.AddTo(product, _squares[0]);
        int count = Nearest.Choose(product[..Math.Min(Group, Count)], _far, chosen);
        SquaredDifference.Mean(row, _rows, chosen[..count], _far, residuals);
    }
}
