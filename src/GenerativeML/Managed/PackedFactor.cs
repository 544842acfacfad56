using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>
/// Lays the second factor of a <see cref="MatrixProduct"/> out: panels of neighbouring columns, and in a panel, row by
/// row, its columns side by side; the last panel is filled up with zeros.
/// </summary>
internal static unsafe class PackedFactor
{
    private const int Square = 8;

    /// <summary>Numbers that a packed matrix takes.</summary>
    public static nint Length(int depth, int columns) => (nint)Panels(columns) * Panel(depth);

    /// <summary>Numbers in a panel of a matrix of so many rows.</summary>
    public static nint Panel(int depth) => (nint)depth * MatrixProduct.PanelWidth;

    /// <summary>Panels of so many columns.</summary>
    public static int Panels(int columns) => (columns + MatrixProduct.PanelWidth - 1) / MatrixProduct.PanelWidth;

    /// <summary>Packs some panels of a matrix (depth × columns) that lies row by row.</summary>
    /// <param name="matrix">Its first element.</param>
    /// <param name="stride">From one row to the next.</param>
    /// <param name="depth">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="packed">Where the first panel of all is to be.</param>
    /// <param name="first">The first panel to pack.</param>
    /// <param name="end">The one after the last.</param>
    public static void Pack(
        float* matrix, nint stride, int depth, int columns, float* packed, int first = 0, int end = int.MaxValue)
    {
        int width = MatrixProduct.PanelWidth;
        end = Math.Min(end, Panels(columns));
        for (int panel = first; panel < end; panel++)
        {
            float* from = matrix + (nint)panel * width, to = packed + panel * Panel(depth);
            int used = Math.Min(width, columns - panel * width);
            for (int row = 0; row < depth; row++, from += stride, to += width)
            {
                if (used == width)
                {
                    for (int i = 0; i < width; i += Vector<float>.Count)
                        Vector.Store(Vector.Load(from + i), to + i);
                    continue;
                }
                for (int i = 0; i < width; i++)
                    to[i] = i < used ? from[i] : 0;
            }
        }
    }

    /// <summary>Packs some panels of a matrix (depth × columns) that lies column by column.</summary>
    /// <param name="matrix">Its first element.</param>
    /// <param name="stride">From one column to the next.</param>
    /// <param name="depth">Rows.</param>
    /// <param name="columns">Columns.</param>
    /// <param name="packed">Where the first panel of all is to be.</param>
    /// <param name="first">The first panel to pack.</param>
    /// <param name="end">The one after the last.</param>
    public static void PackTransposed(
        float* matrix, nint stride, int depth, int columns, float* packed, int first = 0, int end = int.MaxValue)
    {
        int width = MatrixProduct.PanelWidth;
        end = Math.Min(end, Panels(columns));
        for (int panel = first; panel < end; panel++)
        {
            float* from = matrix + panel * width * stride, to = packed + panel * Panel(depth);
            int used = Math.Min(width, columns - panel * width);
            int row = 0;
            if (Avx.IsSupported && used == width)
            {
                for (; row + Square <= depth; row += Square)
                {
                    for (int column = 0; column < width; column += Square)
                        Transpose(from + column * stride + row, stride, to + row * width + column, width);
                }
            }
            for (; row < depth; row++)
            {
                for (int i = 0; i < width; i++)
                    to[row * width + i] = i < used ? from[i * stride + row] : 0;
            }
        }
    }

    /// <summary>Eight rows of eight numbers become eight columns: pairs, pairs of pairs, halves.</summary>
    private static void Transpose(float* from, nint stride, float* to, nint toStride)
    {
        Vector256<float> r0 = Avx.LoadVector256(from), r1 = Avx.LoadVector256(from + stride);
        Vector256<float> r2 = Avx.LoadVector256(from + 2 * stride), r3 = Avx.LoadVector256(from + 3 * stride);
        from += 4 * stride;
        Vector256<float> r4 = Avx.LoadVector256(from), r5 = Avx.LoadVector256(from + stride);
        Vector256<float> r6 = Avx.LoadVector256(from + 2 * stride), r7 = Avx.LoadVector256(from + 3 * stride);
        Vector256<float> a0 = Avx.UnpackLow(r0, r1), a1 = Avx.UnpackHigh(r0, r1);
        Vector256<float> a2 = Avx.UnpackLow(r2, r3), a3 = Avx.UnpackHigh(r2, r3);
        Vector256<float> a4 = Avx.UnpackLow(r4, r5), a5 = Avx.UnpackHigh(r4, r5);
        Vector256<float> a6 = Avx.UnpackLow(r6, r7), a7 = Avx.UnpackHigh(r6, r7);
        Vector256<float> b0 = Avx.Shuffle(a0, a2, 0x44), b1 = Avx.Shuffle(a0, a2, 0xEE);
        Vector256<float> b2 = Avx.Shuffle(a1, a3, 0x44), b3 = Avx.Shuffle(a1, a3, 0xEE);
        Vector256<float> b4 = Avx.Shuffle(a4, a6, 0x44), b5 = Avx.Shuffle(a4, a6, 0xEE);
        Vector256<float> b6 = Avx.Shuffle(a5, a7, 0x44), b7 = Avx.Shuffle(a5, a7, 0xEE);
        Avx.Store(to, Avx.Permute2x128(b0, b4, 0x20));
        Avx.Store(to + toStride, Avx.Permute2x128(b1, b5, 0x20));
        Avx.Store(to + 2 * toStride, Avx.Permute2x128(b2, b6, 0x20));
        Avx.Store(to + 3 * toStride, Avx.Permute2x128(b3, b7, 0x20));
        to += 4 * toStride;
        Avx.Store(to, Avx.Permute2x128(b0, b4, 0x31));
        Avx.Store(to + toStride, Avx.Permute2x128(b1, b5, 0x31));
        Avx.Store(to + 2 * toStride, Avx.Permute2x128(b2, b6, 0x31));
        Avx.Store(to + 3 * toStride, Avx.Permute2x128(b3, b7, 0x31));
    }
}
