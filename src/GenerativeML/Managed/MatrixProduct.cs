using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

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
                    bool adds = add || from > 0;
                    if (used > TLanes.Count)
                    {
                        Panel<TLanes, TVector, WholePanel>(
                            left, aRow, aColumn == 1 ? null : gathered, right, count, to, cRow, height, used, adds, edge);
                    }
                    else
                    {
                        Panel<TLanes, TVector, HalfPanel>(
                            left, aRow, aColumn == 1 ? null : gathered, right, count, to, cRow, height, used, adds, edge);
                    }
                }
            }
        }
    }

    /// <summary>Some rows of A, or what was gathered of them, with a panel of B.</summary>
    private static void Panel<TLanes, TVector, TPart>(
        float* a, nint aRow, float* gathered, float* b, int depth, float* c, nint cRow, int rows, int columns, bool adds,
        float* edge)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TPart : struct, IPanelPart
    {
        int width = 2 * TLanes.Count;
        bool whole = columns == (TPart.IsHalf ? TLanes.Count : width);
        for (int row = 0; row < rows;)
        {
            int tile = TileOf<TLanes, TVector>(rows - row);
            (nint step, nint next) = gathered == null ? (aRow, 1) : (1, LargeTile);
            float* first = gathered == null
                ? a + row * aRow
                : gathered + (row - row % LargeTile) * depth + row % LargeTile;
            Tile<TLanes, TVector, TPart>(
                tile, first, step, next, b, depth, whole ? c + row * cRow : edge, whole ? cRow : width, whole && adds);
            if (!whole)
                CopyEdge(edge, width, c + row * cRow, cRow, tile, columns, adds);
            row += tile;
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
    private static void Tile<TLanes, TVector, TPart>(
        int rows, float* a, nint aRow, nint aColumn, float* b, int depth, float* c, nint cRow, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TPart : struct, IPanelPart
    {
        if (rows == LargeTile)
            Twelve<TLanes, TVector, TPart>(a, aRow, aColumn, b, depth, c, cRow, adds);
        else if (rows == SmallTile)
            Four<TLanes, TVector, TPart>(a, aRow, aColumn, b, depth, c, cRow, adds);
        else
            One<TLanes, TVector, TPart>(a, aColumn, b, depth, c, adds);
    }

    // Addresses are a pointer and an index, so that twelve rows need five registers and not twelve.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Twelve<TLanes, TVector, TPart>(
        float* a, nint aRow, nint aColumn, float* b, int depth, float* c, nint cRow, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TPart : struct, IPanelPart
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
            c01 = TPart.Second<TLanes, TVector>(x, b1, c01);
            x = TLanes.All(a + aRow);
            c10 = TLanes.MultiplyAdd(x, b0, c10);
            c11 = TPart.Second<TLanes, TVector>(x, b1, c11);
            x = TLanes.All(a + 2 * aRow);
            c20 = TLanes.MultiplyAdd(x, b0, c20);
            c21 = TPart.Second<TLanes, TVector>(x, b1, c21);
            x = TLanes.All(a3);
            c30 = TLanes.MultiplyAdd(x, b0, c30);
            c31 = TPart.Second<TLanes, TVector>(x, b1, c31);
            x = TLanes.All(a3 + aRow);
            c40 = TLanes.MultiplyAdd(x, b0, c40);
            c41 = TPart.Second<TLanes, TVector>(x, b1, c41);
            x = TLanes.All(a3 + 2 * aRow);
            c50 = TLanes.MultiplyAdd(x, b0, c50);
            c51 = TPart.Second<TLanes, TVector>(x, b1, c51);
            x = TLanes.All(a6);
            c60 = TLanes.MultiplyAdd(x, b0, c60);
            c61 = TPart.Second<TLanes, TVector>(x, b1, c61);
            x = TLanes.All(a6 + aRow);
            c70 = TLanes.MultiplyAdd(x, b0, c70);
            c71 = TPart.Second<TLanes, TVector>(x, b1, c71);
            x = TLanes.All(a6 + 2 * aRow);
            c80 = TLanes.MultiplyAdd(x, b0, c80);
            c81 = TPart.Second<TLanes, TVector>(x, b1, c81);
            x = TLanes.All(a9);
            c90 = TLanes.MultiplyAdd(x, b0, c90);
            c91 = TPart.Second<TLanes, TVector>(x, b1, c91);
            x = TLanes.All(a9 + aRow);
            cA0 = TLanes.MultiplyAdd(x, b0, cA0);
            cA1 = TPart.Second<TLanes, TVector>(x, b1, cA1);
            x = TLanes.All(a9 + 2 * aRow);
            cB0 = TLanes.MultiplyAdd(x, b0, cB0);
            cB1 = TPart.Second<TLanes, TVector>(x, b1, cB1);
            a += aColumn;
            a3 += aColumn;
            a6 += aColumn;
            a9 += aColumn;
            b += 2 * TLanes.Count;
        }
        Store<TLanes, TVector, TPart>(c00, c01, c, adds);
        Store<TLanes, TVector, TPart>(c10, c11, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c20, c21, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c30, c31, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c40, c41, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c50, c51, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c60, c61, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c70, c71, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c80, c81, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c90, c91, c += cRow, adds);
        Store<TLanes, TVector, TPart>(cA0, cA1, c += cRow, adds);
        Store<TLanes, TVector, TPart>(cB0, cB1, c + cRow, adds);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Four<TLanes, TVector, TPart>(
        float* a, nint aRow, nint aColumn, float* b, int depth, float* c, nint cRow, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TPart : struct, IPanelPart
    {
        TVector c00 = default, c01 = default, c10 = default, c11 = default;
        TVector c20 = default, c21 = default, c30 = default, c31 = default;
        float* a2 = a + 2 * aRow;
        for (int i = 0; i < depth; i++)
        {
            TVector b0 = TLanes.Load(b), b1 = TLanes.Load(b + TLanes.Count);
            TVector x = TLanes.All(a);
            c00 = TLanes.MultiplyAdd(x, b0, c00);
            c01 = TPart.Second<TLanes, TVector>(x, b1, c01);
            x = TLanes.All(a + aRow);
            c10 = TLanes.MultiplyAdd(x, b0, c10);
            c11 = TPart.Second<TLanes, TVector>(x, b1, c11);
            x = TLanes.All(a2);
            c20 = TLanes.MultiplyAdd(x, b0, c20);
            c21 = TPart.Second<TLanes, TVector>(x, b1, c21);
            x = TLanes.All(a2 + aRow);
            c30 = TLanes.MultiplyAdd(x, b0, c30);
            c31 = TPart.Second<TLanes, TVector>(x, b1, c31);
            a += aColumn;
            a2 += aColumn;
            b += 2 * TLanes.Count;
        }
        Store<TLanes, TVector, TPart>(c00, c01, c, adds);
        Store<TLanes, TVector, TPart>(c10, c11, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c20, c21, c += cRow, adds);
        Store<TLanes, TVector, TPart>(c30, c31, c + cRow, adds);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<TLanes, TVector, TPart>(float* a, nint aColumn, float* b, int depth, float* c, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TPart : struct, IPanelPart
    {
        TVector c0 = default, c1 = default;
        for (int i = 0; i < depth; i++, a += aColumn, b += 2 * TLanes.Count)
        {
            TVector x = TLanes.All(a);
            c0 = TLanes.MultiplyAdd(x, TLanes.Load(b), c0);
            c1 = TPart.Second<TLanes, TVector>(x, TLanes.Load(b + TLanes.Count), c1);
        }
        Store<TLanes, TVector, TPart>(c0, c1, c, adds);
    }

    /// <summary>Writes two neighbouring vectors of C, or adds them to what is there.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Store<TLanes, TVector, TPart>(TVector first, TVector second, float* to, bool adds)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TPart : struct, IPanelPart
    {
        if (adds)
        {
            first = TLanes.Add(first, TLanes.Load(to));
            if (!TPart.IsHalf)
                second = TLanes.Add(second, TLanes.Load(to + TLanes.Count));
        }
        TLanes.Store(first, to);
        if (!TPart.IsHalf)
            TLanes.Store(second, to + TLanes.Count);
    }
}

/// <summary>How much of a panel of B is used: the last one may be used by half.</summary>
internal interface IPanelPart
{
    /// <summary>Whether the second vector of each row is left out.</summary>
    static abstract bool IsHalf { get; }

    /// <summary>a·b + c for the second vector; c where that is left out.</summary>
    static abstract TVector Second<TLanes, TVector>(TVector a, TVector b, TVector c)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct;
}

/// <summary>Both vectors.</summary>
internal readonly struct WholePanel : IPanelPart
{
    public static bool IsHalf => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Second<TLanes, TVector>(TVector a, TVector b, TVector c)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => TLanes.MultiplyAdd(a, b, c);
}

/// <summary>The first one.</summary>
internal readonly struct HalfPanel : IPanelPart
{
    public static bool IsHalf => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static TVector Second<TLanes, TVector>(TVector a, TVector b, TVector c)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct => c;
}
