using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>
/// Products of rows with a matrix whose columns lie side by side: y[j] = Σᵢ x[i]·m[i, j]. Every y[j] is one chain of
/// multiply-adds in the order of i, in a lane of its own, however many rows and columns are computed together. So a row
/// gets the same bits alone and among others.
/// </summary>
internal static class VectorMatrix
{
    /// <summary>Rows that share each load of the matrix.</summary>
    private const int RowTile = 3;

    /// <summary>Vectors side by side: enough independent chains to hide a multiply-add's latency.</summary>
    private const int VectorTile = 4;

    /// <summary>Numbers in one vector of this processor.</summary>
    /// <remarks>
    /// Vector512 does not count as accelerated where wide vectors lower the clock. Chains of multiply-adds gain by them
    /// all the same.
    /// </remarks>
    public static int Lanes { get; } =
        Avx512F.IsSupported ? Lanes512.Count
        : Vector256.IsHardwareAccelerated ? Lanes256.Count
        : Lanes128.Count;

    /// <summary>Columns that are computed together at best.</summary>
    public static int TileWidth { get; } = VectorTile * Lanes;

    /// <summary>The next multiple of <see cref="Lanes"/>.</summary>
    public static int PadToLanes(int count) => (count + Lanes - 1) / Lanes * Lanes;

    /// <summary>y = x·m for one row.</summary>
    /// <param name="x">(depth).</param>
    /// <param name="matrix">(depth × stride), of which the first <paramref name="width"/> columns count.</param>
    /// <param name="stride">From one row of the matrix to the next.</param>
    /// <param name="width">Columns; a multiple of <see cref="Lanes"/>.</param>
    /// <param name="y">(width): overwritten.</param>
    public static void Multiply(
        ReadOnlySpan<float> x, ReadOnlySpan<float> matrix, int stride, int width, Span<float> y) =>
        Multiply(x, x.Length, x.Length, 1, matrix, stride, width, y, width);

    /// <summary>y = x·m for several rows.</summary>
    /// <param name="x">(rows × <paramref name="xStride"/>), of which the first columns count.</param>
    /// <param name="xStride">From one row of x to the next.</param>
    /// <param name="depth">Numbers in a row of x that count; the matrix has as many rows.</param>
    /// <param name="rows">How many rows.</param>
    /// <param name="matrix">(depth × stride), of which the first <paramref name="width"/> columns count.</param>
    /// <param name="stride">From one row of the matrix to the next.</param>
    /// <param name="width">Columns; a multiple of <see cref="Lanes"/>.</param>
    /// <param name="y">(rows × <paramref name="yStride"/>): the first columns are overwritten.</param>
    /// <param name="yStride">From one row of y to the next.</param>
    /// <typeparam name="TWeight">Single, or UInt16 for bfloat16.</typeparam>
    public static void Multiply<TWeight>(
        ReadOnlySpan<float> x, int xStride, int depth, int rows, ReadOnlySpan<TWeight> matrix, int stride, int width,
        Span<float> y, int yStride)
        where TWeight : unmanaged
    {
        if (rows == 0 || width == 0)
            return;
        // The kernels read and write without further checks.
        if (width % Lanes != 0 || width > stride || width > yStride || depth > xStride
            || x.Length < (rows - 1L) * xStride + depth
            || depth > 0 && matrix.Length < (depth - 1L) * stride + width
            || y.Length < (rows - 1L) * yStride + width)
        {
            throw new ArgumentException(
                $"A product of ({rows} × {depth}) and ({depth} × {width}) does not fit its spans.");
        }
        if (Avx512F.IsSupported)
            Tiles<Lanes512, Vector512<float>, TWeight>(x, xStride, depth, rows, matrix, stride, width, y, yStride);
        else if (Vector256.IsHardwareAccelerated)
            Tiles<Lanes256, Vector256<float>, TWeight>(x, xStride, depth, rows, matrix, stride, width, y, yStride);
        else
            Tiles<Lanes128, Vector128<float>, TWeight>(x, xStride, depth, rows, matrix, stride, width, y, yStride);
    }

    internal static void Tiles<TLanes, TVector, TWeight>(
        ReadOnlySpan<float> x, int xStride, int depth, int rows, ReadOnlySpan<TWeight> matrix, int stride, int width,
        Span<float> y, int yStride)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TWeight : unmanaged
    {
        ref float from = ref MemoryMarshal.GetReference(x);
        ref float to = ref MemoryMarshal.GetReference(y);
        ref TWeight weights = ref MemoryMarshal.GetReference(matrix);
        int column = 0;
        for (; column + VectorTile * TLanes.Count <= width; column += VectorTile * TLanes.Count)
        {
            ref TWeight w = ref Unsafe.Add(ref weights, column);
            int row = 0;
            for (; row + RowTile <= rows; row += RowTile)
            {
                ThreeRows<TLanes, TVector, TWeight>(
                    ref Unsafe.Add(ref from, (nint)row * xStride), xStride, depth, ref w, stride,
                    ref Unsafe.Add(ref to, (nint)row * yStride + column), yStride);
            }
            for (; row < rows; row++)
            {
                OneRow<TLanes, TVector, TWeight>(
                    ref Unsafe.Add(ref from, (nint)row * xStride), depth, ref w, stride,
                    ref Unsafe.Add(ref to, (nint)row * yStride + column));
            }
        }
        for (; column < width; column += TLanes.Count)
        {
            for (int row = 0; row < rows; row++)
            {
                OneVector<TLanes, TVector, TWeight>(
                    ref Unsafe.Add(ref from, (nint)row * xStride), depth, ref Unsafe.Add(ref weights, column), stride,
                    ref Unsafe.Add(ref to, (nint)row * yStride + column));
            }
        }
    }

    private static void ThreeRows<TLanes, TVector, TWeight>(
        ref float x, int xStride, int depth, ref TWeight matrix, int stride, ref float y, int yStride)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TWeight : unmanaged
    {
        nuint lanes = (nuint)TLanes.Count;
        TVector a0 = default, a1 = default, a2 = default, a3 = default;
        TVector b0 = default, b1 = default, b2 = default, b3 = default;
        TVector c0 = default, c1 = default, c2 = default, c3 = default;
        ref float x1 = ref Unsafe.Add(ref x, xStride);
        ref float x2 = ref Unsafe.Add(ref x1, xStride);
        nuint at = 0;
        for (int i = 0; i < depth; i++, at += (nuint)stride)
        {
            TVector a = TLanes.All(Unsafe.Add(ref x, i));
            TVector b = TLanes.All(Unsafe.Add(ref x1, i));
            TVector c = TLanes.All(Unsafe.Add(ref x2, i));
            TVector w = Load<TLanes, TVector, TWeight>(ref matrix, at);
            a0 = TLanes.MultiplyAdd(w, a, a0);
            b0 = TLanes.MultiplyAdd(w, b, b0);
            c0 = TLanes.MultiplyAdd(w, c, c0);
            w = Load<TLanes, TVector, TWeight>(ref matrix, at + lanes);
            a1 = TLanes.MultiplyAdd(w, a, a1);
            b1 = TLanes.MultiplyAdd(w, b, b1);
            c1 = TLanes.MultiplyAdd(w, c, c1);
            w = Load<TLanes, TVector, TWeight>(ref matrix, at + 2 * lanes);
            a2 = TLanes.MultiplyAdd(w, a, a2);
            b2 = TLanes.MultiplyAdd(w, b, b2);
            c2 = TLanes.MultiplyAdd(w, c, c2);
            w = Load<TLanes, TVector, TWeight>(ref matrix, at + 3 * lanes);
            a3 = TLanes.MultiplyAdd(w, a, a3);
            b3 = TLanes.MultiplyAdd(w, b, b3);
            c3 = TLanes.MultiplyAdd(w, c, c3);
        }
        StoreFour<TLanes, TVector>(a0, a1, a2, a3, ref y);
        StoreFour<TLanes, TVector>(b0, b1, b2, b3, ref Unsafe.Add(ref y, yStride));
        StoreFour<TLanes, TVector>(c0, c1, c2, c3, ref Unsafe.Add(ref y, 2 * (nint)yStride));
    }

    private static void OneRow<TLanes, TVector, TWeight>(
        ref float x, int depth, ref TWeight matrix, int stride, ref float y)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TWeight : unmanaged
    {
        nuint lanes = (nuint)TLanes.Count;
        TVector a0 = default, a1 = default, a2 = default, a3 = default;
        nuint at = 0;
        for (int i = 0; i < depth; i++, at += (nuint)stride)
        {
            TVector a = TLanes.All(Unsafe.Add(ref x, i));
            a0 = TLanes.MultiplyAdd(Load<TLanes, TVector, TWeight>(ref matrix, at), a, a0);
            a1 = TLanes.MultiplyAdd(Load<TLanes, TVector, TWeight>(ref matrix, at + lanes), a, a1);
            a2 = TLanes.MultiplyAdd(Load<TLanes, TVector, TWeight>(ref matrix, at + 2 * lanes), a, a2);
            a3 = TLanes.MultiplyAdd(Load<TLanes, TVector, TWeight>(ref matrix, at + 3 * lanes), a, a3);
        }
        StoreFour<TLanes, TVector>(a0, a1, a2, a3, ref y);
    }

    private static void OneVector<TLanes, TVector, TWeight>(
        ref float x, int depth, ref TWeight matrix, int stride, ref float y)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TWeight : unmanaged
    {
        TVector sum = default;
        nuint at = 0;
        for (int i = 0; i < depth; i++, at += (nuint)stride)
        {
            TVector a = TLanes.All(Unsafe.Add(ref x, i));
            sum = TLanes.MultiplyAdd(Load<TLanes, TVector, TWeight>(ref matrix, at), a, sum);
        }
        TLanes.Store(sum, ref y, 0);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TVector Load<TLanes, TVector, TWeight>(ref TWeight matrix, nuint offset)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TWeight : unmanaged =>
        typeof(TWeight) == typeof(ushort)
            ? TLanes.Load(ref Unsafe.As<TWeight, ushort>(ref matrix), offset)
            : TLanes.Load(ref Unsafe.As<TWeight, float>(ref matrix), offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreFour<TLanes, TVector>(TVector v0, TVector v1, TVector v2, TVector v3, ref float y)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        nuint lanes = (nuint)TLanes.Count;
        TLanes.Store(v0, ref y, 0);
        TLanes.Store(v1, ref y, lanes);
        TLanes.Store(v2, ref y, 2 * lanes);
        TLanes.Store(v3, ref y, 3 * lanes);
    }
}
