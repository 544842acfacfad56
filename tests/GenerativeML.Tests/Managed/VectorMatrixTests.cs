using System.Runtime.Intrinsics;

namespace GenerativeML.Tests;

/// <summary>Products of the managed kernels, against sums in double precision.</summary>
[TestClass]
public sealed class VectorMatrixTests
{
    [TestMethod]
    [DataRow(1, 1, 1)]
    [DataRow(1, 7, 65)]
    [DataRow(2, 128, 64)]
    [DataRow(3, 33, 130)]
    [DataRow(7, 64, 200)]
    public void A_packed_matrix_gives_the_sums_of_its_weights(int rows, int inputs, int outputs)
    {
        (float[] weights, float[] x) = (Numbers(outputs * inputs, 1), Numbers(rows * inputs, 2));
        float[] y = Product(Pack(weights, outputs, inputs), x, rows, threads: 1);
        for (int row = 0; row < rows; row++)
        {
            for (int output = 0; output < outputs; output++)
            {
                double expected = 0;
                for (int i = 0; i < inputs; i++)
                    expected += (double)x[row * inputs + i] * weights[output * inputs + i];
                Assert.AreEqual(expected, y[row * PackedMatrix.Pad(outputs) + output], 1e-5, $"({row}, {output})");
            }
        }
    }

    [TestMethod]
    public void A_row_gets_the_same_bits_alone_and_among_others_and_on_any_number_of_threads()
    {
        const int rows = 11, inputs = 300, outputs = 1000;
        PackedMatrix matrix = Pack(Numbers(outputs * inputs, 3), outputs, inputs);
        float[] x = Numbers(rows * inputs, 4);
        float[] together = Product(matrix, x, rows, threads: 1);
        CollectionAssert.AreEqual(together, Product(matrix, x, rows, threads: 3));
        for (int row = 0; row < rows; row++)
        {
            float[] alone = Product(matrix, x[(row * inputs)..((row + 1) * inputs)], 1, threads: 1);
            CollectionAssert.AreEqual(together[(row * alone.Length)..((row + 1) * alone.Length)], alone);
        }
    }

    [TestMethod]
    public void Weights_come_back_as_they_went_in_or_as_the_nearest_bfloat16()
    {
        float[] weights = [.. Numbers(70 * 5, 5), 0f, -0f, float.Epsilon, float.MaxValue, float.NegativeInfinity];
        PackedMatrix exact = Pack(weights, 71, 5), rounded = Pack(weights, 71, 5, bfloat16: true);
        var row = new float[5];
        for (int output = 0; output < 71; output++)
        {
            exact.GetRow(output, row);
            CollectionAssert.AreEqual(weights[(output * 5)..(output * 5 + 5)], row);
            rounded.GetRow(output, row);
            for (int i = 0; i < 5; i++)
                Assert.AreEqual(NearestBFloat16(weights[output * 5 + i]), row[i]);
        }
    }

    [TestMethod]
    public void Products_with_bfloat16_weights_are_those_with_the_rounded_weights()
    {
        const int inputs = 50, outputs = 90;
        float[] weights = Numbers(outputs * inputs, 6), x = Numbers(4 * inputs, 7);
        float[] rounded = [.. weights.Select(NearestBFloat16)];
        CollectionAssert.AreEqual(
            Product(Pack(rounded, outputs, inputs), x, 4, threads: 1),
            Product(Pack(weights, outputs, inputs, bfloat16: true), x, 4, threads: 1));
    }

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

    private static PackedMatrix Pack(float[] weights, int outputs, int inputs, bool bfloat16 = false)
    {
        var matrix = new PackedMatrix(outputs, inputs, bfloat16);
        int half = outputs / 2;
        matrix.SetRows(half, weights.AsSpan(half * inputs));
        matrix.SetRows(0, weights.AsSpan(0, half * inputs));
        return matrix;
    }

    private static float[] Product(PackedMatrix matrix, float[] x, int rows, int threads)
    {
        var y = new float[rows * matrix.PaddedOutputs];
        matrix.Multiply(x, matrix.Inputs, rows, y, threads);
        return y;
    }

    // By its definition: of the two bfloat16 numbers around it the nearer, of equally near ones the even one.
    private static float NearestBFloat16(float value)
    {
        uint below = BitConverter.SingleToUInt32Bits(value) & 0xFFFF0000;
        float low = BitConverter.UInt32BitsToSingle(below), high = BitConverter.UInt32BitsToSingle(below + 0x10000);
        if (low == value || float.IsInfinity(low))
            return low;
        // Above the largest one, the next step counts as if there were a number there.
        double top = float.IsInfinity(high) ? Math.CopySign(Math.Pow(2, 128), value) : high;
        double down = Math.Abs((double)value - low), up = Math.Abs(top - value);
        return down < up || (down == up && (below & 0x10000) == 0) ? low : high;
    }

    private static float[] Numbers(int count, ulong seed)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(random.NextDouble() * 2 - 1))];
    }
}
