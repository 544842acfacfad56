using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML;

/// <summary>
/// <see cref="MatrixProduct"/> for a single row, where nothing but reading the matrix counts: more panels side by side,
/// and the same bits.
/// </summary>
internal static unsafe class RowProduct
{
    /// <summary>c = a·B.</summary>
    /// <param name="a">(depth).</param>
    /// <param name="b">The first panel of B, (depth × columns).</param>
    /// <param name="c">(columns).</param>
    /// <param name="columns">Columns of B; whole vectors.</param>
    /// <param name="depth">Rows of B.</param>
    public static void Multiply(float* a, float* b, float* c, int columns, int depth)
    {
        if (Avx512F.IsSupported)
            Panels<Lanes512, Vector512<float>>(a, b, c, columns, depth);
        else if (Vector256.IsHardwareAccelerated)
            Panels<Lanes256, Vector256<float>>(a, b, c, columns, depth);
        else
            Panels<Lanes128, Vector128<float>>(a, b, c, columns, depth);
    }

    internal static void Panels<TLanes, TVector>(float* a, float* b, float* c, int columns, int depth)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        nint panel = (nint)depth * 2 * TLanes.Count;
        int p = 0, panels = columns / (2 * TLanes.Count);
        for (; p + 4 <= panels; p += 4, b += 4 * panel, c += 8 * TLanes.Count)
            Four<TLanes, TVector>(a, b, panel, c, depth);
        for (; p < panels; p++, b += panel, c += 2 * TLanes.Count)
            One<TLanes, TVector, WholePanel>(a, b, c, depth);
        if (columns % (2 * TLanes.Count) > 0)
            One<TLanes, TVector, HalfPanel>(a, b, c, depth);
    }

    private static void Four<TLanes, TVector>(float* a, float* b, nint panel, float* c, int depth)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        int n = TLanes.Count;
        for (int from = 0; from < depth || from == 0; from += MatrixProduct.Block)
        {
            int end = Math.Min(depth, from + MatrixProduct.Block);
            TVector c0 = default, c1 = default, c2 = default, c3 = default;
            TVector c4 = default, c5 = default, c6 = default, c7 = default;
            float* w = b + (nint)from * 2 * n, w1 = w + panel, w2 = w1 + panel, w3 = w2 + panel;
            for (int i = from; i < end; i++)
            {
                TVector x = TLanes.All(a + i);
                c0 = TLanes.MultiplyAdd(x, TLanes.Load(w), c0);
                c1 = TLanes.MultiplyAdd(x, TLanes.Load(w + n), c1);
                c2 = TLanes.MultiplyAdd(x, TLanes.Load(w1), c2);
                c3 = TLanes.MultiplyAdd(x, TLanes.Load(w1 + n), c3);
                c4 = TLanes.MultiplyAdd(x, TLanes.Load(w2), c4);
                c5 = TLanes.MultiplyAdd(x, TLanes.Load(w2 + n), c5);
                c6 = TLanes.MultiplyAdd(x, TLanes.Load(w3), c6);
                c7 = TLanes.MultiplyAdd(x, TLanes.Load(w3 + n), c7);
                w += 2 * n;
                w1 += 2 * n;
                w2 += 2 * n;
                w3 += 2 * n;
            }
            MatrixProduct.Store<TLanes, TVector, WholePanel>(c0, c1, c, from > 0);
            MatrixProduct.Store<TLanes, TVector, WholePanel>(c2, c3, c + 2 * n, from > 0);
            MatrixProduct.Store<TLanes, TVector, WholePanel>(c4, c5, c + 4 * n, from > 0);
            MatrixProduct.Store<TLanes, TVector, WholePanel>(c6, c7, c + 6 * n, from > 0);
        }
    }

    private static void One<TLanes, TVector, TPart>(float* a, float* b, float* c, int depth)
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
        where TPart : struct, IPanelPart
    {
        int n = TLanes.Count;
        for (int from = 0; from < depth || from == 0; from += MatrixProduct.Block)
        {
            int end = Math.Min(depth, from + MatrixProduct.Block);
            TVector c0 = default, c1 = default;
            for (int i = from; i < end; i++, b += 2 * n)
            {
                TVector x = TLanes.All(a + i);
                c0 = TLanes.MultiplyAdd(x, TLanes.Load(b), c0);
                c1 = TPart.Second<TLanes, TVector>(x, TLanes.Load(b + n), c1);
            }
            MatrixProduct.Store<TLanes, TVector, TPart>(c0, c1, c, from > 0);
        }
    }
}
