using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace GenerativeML.Tests;

/// <summary>Products of whole matrices in managed code, against sums in double precision.</summary>
[TestClass]
public sealed unsafe class MatrixProductTests
{
    // Whole tiles, edges of every kind, more rows than a block, a depth of several blocks, and nothing to sum.
    private static readonly (int Rows, int Columns, int Depth)[] Sizes =
    [
        (1, 1, 1), (12, 32, 8), (13, 33, 9), (27, 65, 128), (4, 7, 300), (110, 40, 530), (3, 16, 1), (5, 31, 0),
        (14, 10, 40), (29, 48, 300), (26, 80, 520),
    ];

    [TestMethod]
    [DataRow(false, false)]
    [DataRow(false, true)]
    [DataRow(true, false)]
    [DataRow(true, true)]
    public void A_product_of_matrices_is_made_of_sums_of_products(bool transposedA, bool transposedB)
    {
        foreach ((int rows, int columns, int depth) in Sizes)
        {
            foreach (bool add in new[] { false, true })
                Check(rows, columns, depth, transposedA, transposedB, add);
        }
    }

    [TestMethod]
    public void A_row_gets_the_same_bits_wherever_it_stands()
    {
        const int rows = 117, columns = 70, depth = 600;
        float[] a = Numbers(rows * depth, 1), b = Numbers(depth * columns, 2);
        float[] together = Product(a, b, rows, columns, depth, false, false, new float[rows * columns], add: false);
        for (int row = 0; row < rows; row++)
        {
            float[] alone = Product(
                a[(row * depth)..((row + 1) * depth)], b, 1, columns, depth, false, false, new float[columns],
                add: false);
            CollectionAssert.AreEqual(together[(row * columns)..((row + 1) * columns)], alone, $"row {row}");
        }
    }

    [TestMethod]
    public void Every_width_of_vectors_gives_the_same_product()
    {
        // Each kernel with panels of its own width, laid out by hand.
        Lanes<Lanes128, Vector128<float>>();
        if (Vector256.IsHardwareAccelerated)
            Lanes<Lanes256, Vector256<float>>();
        if (Avx512F.IsSupported)
            Lanes<Lanes512, Vector512<float>>();
    }

    private static void Lanes<TLanes, TVector>()
        where TLanes : struct, ILanes<TVector>
        where TVector : struct
    {
        const int rows = 29, depth = 300;
        int width = 2 * TLanes.Count;
        float[] a = Numbers(rows * depth, 3), b = Numbers(depth * width, 4), c = new float[rows * width];
        fixed (float* first = a, second = b, to = c)
            MatrixProduct.Blocks<TLanes, TVector>(first, depth, 1, second, 0, to, width, rows, width, depth, add: false);
        for (int i = 0; i < c.Length; i++)
            Assert.AreEqual(Sum(a, b, i / width, i % width, rows, width, depth, false, false), c[i], 1e-4, $"{i}");
    }

    private static void Check(int rows, int columns, int depth, bool transposedA, bool transposedB, bool add)
    {
        float[] a = Numbers(rows * depth, 5), b = Numbers(depth * columns, 6), before = Numbers(rows * columns, 7);
        float[] after = Product(a, b, rows, columns, depth, transposedA, transposedB, [.. before], add);
        for (int i = 0; i < after.Length; i++)
        {
            double expected = Sum(a, b, i / columns, i % columns, rows, columns, depth, transposedA, transposedB)
                + (add ? before[i] : 0);
            Assert.AreEqual(expected, after[i], 1e-4, $"({rows}, {columns}, {depth}), element {i}");
        }
    }

    private static double Sum(
        float[] a, float[] b, int row, int column, int rows, int columns, int depth, bool transposedA, bool transposedB)
    {
        double sum = 0;
        for (int i = 0; i < depth; i++)
        {
            sum += (double)(transposedA ? a[i * rows + row] : a[row * depth + i])
                * (transposedB ? b[column * depth + i] : b[i * columns + column]);
        }
        return sum;
    }

    private static float[] Product(
        float[] a, float[] b, int rows, int columns, int depth, bool transposedA, bool transposedB, float[] c, bool add)
    {
        // What lies between the panels is overwritten with zeros, not taken as it is.
        var packed = new AlignedBuffer<float>((int)PackedFactor.Length(depth, columns));
        packed.Span.Fill(float.NaN);
        fixed (float* first = a, second = b, panels = packed.Span, to = c)
        {
            if (transposedB)
                PackedFactor.PackTransposed(second, depth, depth, columns, panels);
            else
                PackedFactor.Pack(second, columns, depth, columns, panels);
            MatrixProduct.Multiply(
                first, transposedA ? 1 : depth, transposedA ? rows : 1, panels, PackedFactor.Panel(depth), to, columns,
                rows, columns, depth, add);
        }
        return c;
    }

    private static float[] Numbers(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.NextSingle() - 0.5f)];
    }
}
