using System.Runtime.Intrinsics;

namespace GenerativeML.Tests;

/// <summary>Products of the managed kernels, against sums in double precision.</summary>
[TestClass]
public sealed class VectorMatrixTests
{
    [TestMethod]
    public void Every_width_of_vector_gives_the_sums()
    {
        // Whatever this processor has, the widths of others compute here too.
        const int depth = 21, width = 144;
        float[] x = Numbers(3 * depth, 8), matrix = Numbers(depth * width, 9);
        float[] y128 = new float[3 * width], y256 = new float[3 * width], y512 = new float[3 * width];
        VectorMatrix.Tiles<Lanes128, Vector128<float>, float>(x, depth, depth, 3, matrix, width, width, y128, width);
        VectorMatrix.Tiles<Lanes256, Vector256<float>, float>(x, depth, depth, 3, matrix, width, width, y256, width);
        VectorMatrix.Tiles<Lanes512, Vector512<float>, float>(x, depth, depth, 3, matrix, width, width, y512, width);
        for (int i = 0; i < y128.Length; i++)
        {
            double expected = 0;
            for (int k = 0; k < depth; k++)
                expected += (double)x[i / width * depth + k] * matrix[k * width + i % width];
            Assert.AreEqual(expected, y128[i], 1e-5);
            Assert.AreEqual(expected, y256[i], 1e-5);
            Assert.AreEqual(expected, y512[i], 1e-5);
        }
    }

    [TestMethod]
    public void Spans_that_are_too_short_are_refused()
    {
        int width = VectorMatrix.Lanes;
        float[] x = new float[4], matrix = new float[4 * width], y = new float[width];
        AssertRefused(() => VectorMatrix.Multiply(new float[5], matrix, width, width, y));
        AssertRefused(() => VectorMatrix.Multiply(x, matrix, width, width, new float[width - 1]));
        AssertRefused(() => VectorMatrix.Multiply(x, matrix, width, width - 1, y));

        static void AssertRefused(Action product) => Assert.ThrowsExactly<ArgumentException>(product);
    }

    private static float[] Numbers(int count, ulong seed)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1))];
    }
}
