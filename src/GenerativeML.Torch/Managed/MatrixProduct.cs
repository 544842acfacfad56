using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML.Torch;

/// <summary>
/// Products of matrices of any size, on one thread: C = A·B or C += A·B. A is read where it lies, by rows or by
/// columns; B is a <see cref="PackedFactor"/>. Whoever has several threads gives each some rows of C.
/// </summary>
/// <remarks>
/// The result of an element does not depend on which rows are computed with it: each is a sum in the order of the inner
/// dimension, in blocks of <see cref="Block"/>.
/// </remarks>
internal static unsafe class MatrixProduct
{
    /// <summary>
    /// Sums so long are kept in registers: shorter ones mean more reading and writing of C, longer ones leave the cache.
    /// </summary>
    public const int Block = 512;

    // So many rows of A, in such a block, stay in the second cache while they meet all panels of B; fewer where they
    // have to be gathered, which takes memory.
    private const int RowBlock = 192;
    private const int GatheredRows = 96;

    private const int LargeTile = 12;
    private const int SmallTile = 4;

    /// <summary>Columns of B in a panel: two vectors.</summary>
    public static int PanelWidth { get; } = 2 * VectorMatrix.Lanes;

    /// <summary>Whether this processor multiplies fast enough to do without a native library.</summary>
    public static bool IsFast { get; } = Avx512F.IsSupported || Fma.IsSupported;

    /// <summary>C = A·B, or C += A·B.</summary>
    /// <param name="a">The first element of A, (rows × depth).</param>
    /// <param name="aRow">From one row of A to the next.</param>
    /// <param name="aColumn">From one column of A to the next: 1 for rows in one piece, or a transposed matrix.</param>
    /// <param name="b">The first panel of B, (depth × columns), as <see cref="PackedFactor"/> lays it out.</param>
    /// <param name="panel">From one panel of B to the next.</param>
    /// <param name="c">The first element of C, (rows × columns).</param>
    /// <param name="cRow">From one row of C to the next.</param>
    /// <param name="rows">Rows of A and C.</param>
    /// <param name="columns">Columns of B and C.</param>
    /// <param name="depth">Columns of A that count, and rows of B.</param>
    /// <param name="add">Whether the product is added to C.</param>
    public static void Multiply(
        float* a, nint aRow, nint aColumn, float* b, nint panel, float* c, nint cRow, int rows, int columns, int depth,
        bool add)
    {
        if (Avx512F.IsSupported)
            Blocks<Lanes512, Vector512<float>>(a, aRow, aColumn, b, panel, c, cRow, rows, columns, depth, add);
        else if (Vector256.IsHardwareAccelerated)
            Blocks<Lanes256, Vector256<float>>(a, aRow, aColumn, b, panel, c, cRow, rows, columns, depth, add);
        else
            Blocks<Lanes128, Vector128<float>>(a, aRow, aColumn, b, panel, c, cRow, rows, columns, depth, add);
    }

    [SkipLocalsInit]
    internal static void Blocks<TLanes, TVector>(
        float* a, nint aRow, nint aColumn, float* b, nint panel, float* c, nint cRow, int rows, int columns, int depth,
        bool add)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int width = 2 * TLanes.Count;
        float* edge = stackalloc float[LargeTile * width];
        // Columns of A are gathered first: with steps of many cache lines, few of them would stay in the cache.
        float* gathered = stackalloc float[aColumn == 1 ? 0 : GatheredRows * Block];
        int most = aColumn == 1 ? RowBlock : GatheredRows;
        for (int top = 0; top < rows; top += most)
        {
            int height = Math.Min(most, rows - top);
            for (int from = 0; from < depth || from == 0; from += Block)
            {
                int count = Math.Min(Block, depth - from);
                float* left = a + top * aRow + from * aColumn;
                if (aColumn != 1)
                    Gather(left, aRow, aColumn, height, count, gathered);
                for (int column = 0; column < columns; column += width)
                {
                    float* right = b + column / width * panel + (nint)from * width;
                    float* to = c + top * cRow + column;
                    int used = Math.Min(width, columns - column);
                    for (int row = 0; row < height;)
                    {
                        int tile = TileOf<TLanes, TVector>(height - row);
                        (nint step, nint next) = aColumn == 1 ? (aRow, 1) : (1, LargeTile);
                        float* first = aColumn == 1
                            ? left + row * aRow
                            : gathered + (row - row % LargeTile) * count + row % LargeTile;
                        bool adds = add || from > 0, whole = used == width;
                        Tile<TLanes, TVector>(
                            tile, first, step, next, right, count, whole ? to + row * cRow : edge, whole ? cRow : width,
                            whole && adds);
                        if (!whole)
                            CopyEdge(edge, width, to + row * cRow, cRow, tile, used, adds);
                        row += tile;
                    }
                }
            }
        }
    }

    private static int TileOf<TLanes, TVector>(int rows)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct =>
        TLanes.HasManyRegisters && rows >= LargeTile ? LargeTile : rows >= SmallTile ? SmallTile : 1;

    /// <summary>Copies a part of A: groups of twelve rows, in a group column by column.</summary>
    private static void Gather(float* a, nint aRow, nint aColumn, int rows, int depth, float* to)
    {
        for (int row = 0; row < rows; row += LargeTile, to += (nint)LargeTile * depth)
        {
            int used = Math.Min(LargeTile, rows - row);
            float* from = a + row * aRow;
            for (int i = 0; i < depth; i++, from += aColumn)
            {
                float* place = to + i * LargeTile;
                if (aRow == 1 && used == LargeTile)
                {
                    Vector256.Store(Vector256.Load(from), place);
                    Vector128.Store(Vector128.Load(from + 8), place + 8);
                    continue;
                }
                for (int r = 0; r < used; r++)
                    place[r] = from[r * aRow];
            }
        }
    }

    private static void CopyEdge(float* from, int width, float* to, nint toRow, int rows, int columns, bool add)
    {
        for (int row = 0; row < rows; row++, from += width, to += toRow)
        {
            for (int i = 0; i < columns; i++)
                to[i] = add ? to[i] + from[i] : from[i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Tile<TLanes, TVector>(
        int rows, float* a, nint aRow, nint aColumn, float* b, int depth, float* c, nint cRow, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        if (rows == LargeTile)
            Twelve<TLanes, TVector>(a, aRow, aColumn, b, depth, c, cRow, adds);
        else if (rows == SmallTile)
            Four<TLanes, TVector>(a, aRow, aColumn, b, depth, c, cRow, adds);
        else
            One<TLanes, TVector>(a, aColumn, b, depth, c, adds);
    }

    // Addresses are a pointer and an index, so that twelve rows need five registers and not twelve.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Twelve<TLanes, TVector>(
        float* a, nint aRow, nint aColumn, float* b, int depth, float* c, nint cRow, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        TVector c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        TVector c60 = default, c61 = default, c70 = default, c71 = default, c80 = default, c81 = default;
        TVector c90 = default, c91 = default, cA0 = default, cA1 = default, cB0 = default, cB1 = default;
        float* a3 = a + 3 * aRow, a6 = a + 6 * aRow, a9 = a + 9 * aRow;
        for (int i = 0; i < depth; i++)
        {
            TVector b0 = TLanes.Load(b), b1 = TLanes.Load(b + TLanes.Count);
            TVector x = TLanes.All(a);
            c00 = TLanes.MultiplyAdd(x, b0, c00);
            c01 = TLanes.MultiplyAdd(x, b1, c01);
            x = TLanes.All(a + aRow);
            c10 = TLanes.MultiplyAdd(x, b0, c10);
            c11 = TLanes.MultiplyAdd(x, b1, c11);
            x = TLanes.All(a + 2 * aRow);
            c20 = TLanes.MultiplyAdd(x, b0, c20);
            c21 = TLanes.MultiplyAdd(x, b1, c21);
            x = TLanes.All(a3);
            c30 = TLanes.MultiplyAdd(x, b0, c30);
            c31 = TLanes.MultiplyAdd(x, b1, c31);
            x = TLanes.All(a3 + aRow);
            c40 = TLanes.MultiplyAdd(x, b0, c40);
            c41 = TLanes.MultiplyAdd(x, b1, c41);
            x = TLanes.All(a3 + 2 * aRow);
            c50 = TLanes.MultiplyAdd(x, b0, c50);
            c51 = TLanes.MultiplyAdd(x, b1, c51);
            x = TLanes.All(a6);
            c60 = TLanes.MultiplyAdd(x, b0, c60);
            c61 = TLanes.MultiplyAdd(x, b1, c61);
            x = TLanes.All(a6 + aRow);
            c70 = TLanes.MultiplyAdd(x, b0, c70);
            c71 = TLanes.MultiplyAdd(x, b1, c71);
            x = TLanes.All(a6 + 2 * aRow);
            c80 = TLanes.MultiplyAdd(x, b0, c80);
            c81 = TLanes.MultiplyAdd(x, b1, c81);
            x = TLanes.All(a9);
            c90 = TLanes.MultiplyAdd(x, b0, c90);
            c91 = TLanes.MultiplyAdd(x, b1, c91);
            x = TLanes.All(a9 + aRow);
            cA0 = TLanes.MultiplyAdd(x, b0, cA0);
            cA1 = TLanes.MultiplyAdd(x, b1, cA1);
            x = TLanes.All(a9 + 2 * aRow);
            cB0 = TLanes.MultiplyAdd(x, b0, cB0);
            cB1 = TLanes.MultiplyAdd(x, b1, cB1);
            a += aColumn;
            a3 += aColumn;
            a6 += aColumn;
            a9 += aColumn;
            b += 2 * TLanes.Count;
        }
        Store<TLanes, TVector>(c00, c01, c, adds);
        Store<TLanes, TVector>(c10, c11, c += cRow, adds);
        Store<TLanes, TVector>(c20, c21, c += cRow, adds);
        Store<TLanes, TVector>(c30, c31, c += cRow, adds);
        Store<TLanes, TVector>(c40, c41, c += cRow, adds);
        Store<TLanes, TVector>(c50, c51, c += cRow, adds);
        Store<TLanes, TVector>(c60, c61, c += cRow, adds);
        Store<TLanes, TVector>(c70, c71, c += cRow, adds);
        Store<TLanes, TVector>(c80, c81, c += cRow, adds);
        Store<TLanes, TVector>(c90, c91, c += cRow, adds);
        Store<TLanes, TVector>(cA0, cA1, c += cRow, adds);
        Store<TLanes, TVector>(cB0, cB1, c + cRow, adds);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<TLanes, TVector>(
        float* a, nint aRow, nint aColumn, float* b, int depth, float* c, nint cRow, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector c00 = default, c01 = default, c10 = default, c11 = default;
        TVector c20 = default, c21 = default, c30 = default, c31 = default;
        float* a2 = a + 2 * aRow;
        for (int i = 0; i < depth; i++)
        {
            TVector b0 = TLanes.Load(b), b1 = TLanes.Load(b + TLanes.Count);
            TVector x = TLanes.All(a);
            c00 = TLanes.MultiplyAdd(x, b0, c00);
            c01 = TLanes.MultiplyAdd(x, b1, c01);
            x = TLanes.All(a + aRow);
            c10 = TLanes.MultiplyAdd(x, b0, c10);
            c11 = TLanes.MultiplyAdd(x, b1, c11);
            x = TLanes.All(a2);
            c20 = TLanes.MultiplyAdd(x, b0, c20);
            c21 = TLanes.MultiplyAdd(x, b1, c21);
            x = TLanes.All(a2 + aRow);
            c30 = TLanes.MultiplyAdd(x, b0, c30);
            c31 = TLanes.MultiplyAdd(x, b1, c31);
            a += aColumn;
            a2 += aColumn;
            b += 2 * TLanes.Count;
        }
        Store<TLanes, TVector>(c00, c01, c, adds);
        Store<TLanes, TVector>(c10, c11, c += cRow, adds);
        Store<TLanes, TVector>(c20, c21, c += cRow, adds);
        Store<TLanes, TVector>(c30, c31, c + cRow, adds);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<TLanes, TVector>(float* a, nint aColumn, float* b, int depth, float* c, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        TVector c0 = default, c1 = default;
        for (int i = 0; i < depth; i++, a += aColumn, b += 2 * TLanes.Count)
        {
            TVector x = TLanes.All(a);
            c0 = TLanes.MultiplyAdd(x, TLanes.Load(b), c0);
            c1 = TLanes.MultiplyAdd(x, TLanes.Load(b + TLanes.Count), c1);
        }
        Store<TLanes, TVector>(c0, c1, c, adds);
    }

    /// <summary>Writes two neighbouring vectors of C, or adds them to what is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Store<TLanes, TVector>(TVector first, TVector second, float* to, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        if (adds)
        {
            first = TLanes.Add(first, TLanes.Load(to));
            second = TLanes.Add(second, TLanes.Load(to + TLanes.Count));
        }
        TLanes.Store(first, to);
        TLanes.Store(second, to + TLanes.Count);
    }
}
