namespace GenerativeML.Tests;

/// <summary>Distances to stored rows in managed code, by hand and against a search row by row.</summary>
[TestClass]
public sealed class StoredRowsTests
{
    [TestMethod]
    public void Residuals_are_those_worked_by_hand()
    {
        // From (0, 1): nearest are (0,0), (0,2) at 1 each; from (1, 0), a stored row: itself is left out, then (0,0),
        // (0,2). The two nearest of the many count the row itself.
        var stored = new StoredRows([0f, 0f, 1f, 0f, 0f, 2f, 10f, 10f], 2, near: 2, far: 2);
        (float[] near, float[] far) = Compare(stored, [0f, 1f, 1f, 0f], 2);
        CollectionAssert.AreEqual(new[] { 0, 1f, 1, 2 }, near);
        CollectionAssert.AreEqual(new[] { 0, 1f, 0.5f, 0 }, far);
    }

    [TestMethod]
    [DataRow(7, 3, 5, 7)]
    [DataRow(100, 3, 5, 20)]
    [DataRow(512, 5, 5, 26)]
    [DataRow(1000, 40, 9, 128)]
    [DataRow(300, 8, 0, 26)]
    [DataRow(300, 17, 5, 0)]
    public void Residuals_are_those_of_the_nearest_found_one_by_one(int count, int width, int near, int far)
    {
        float[] stored = Numbers(count * width, 1);
        float[] rows = [.. Numbers(40 * width, 2), .. stored[(3 * width)..(5 * width)]];
        (float[] few, float[] many) = Compare(new StoredRows(stored, width, near, far), rows, width);
        for (int r = 0; r < 42; r++)
        {
            double Square(int m, int j) => Math.Pow((double)rows[r * width + j] - stored[m * width + j], 2);
            int[] order = [.. Enumerable.Range(0, count).OrderBy(m => Enumerable.Range(0, width).Sum(j => Square(m, j)))];
            int[] nearest = [.. order.Skip(r >= 40 ? 1 : 0).Take(near)];
            int[] among = [.. order.Where(m => m < 128).Take(far)];
            for (int j = 0; j < width; j++)
            {
                Assert.AreEqual(near == 0 ? 0 : nearest.Average(m => Square(m, j)), few[r * width + j], 1e-5);
                Assert.AreEqual(far == 0 ? 0 : among.Average(m => Square(m, j)), many[r * width + j], 1e-5);
            }
        }
    }

    [TestMethod]
    [DataRow(1, 1)]
    [DataRow(26, 128)]
    [DataRow(5, 20)]
    [DataRow(20, 20)]
    public void The_smallest_are_those_of_a_sort_and_of_equal_ones_the_first(int k, int count)
    {
        for (ulong seed = 0; seed < 30; seed++)
        {
            // Few different values in every other case, so that many are equal.
            float[] values = [.. Numbers(count, seed).Select(v => seed % 2 == 0 ? v : MathF.Round(v) * 1000 + 0f)];
            int[] expected = [.. Enumerable.Range(0, count).OrderBy(i => values[i]).Take(k).Order()];
            int[] chosen = new int[128];
            Assert.AreEqual(k, Nearest.Choose(values, k, chosen));
            CollectionAssert.AreEqual(expected, chosen[..k]);

            float[] padded = [.. values, .. Enumerable.Repeat(float.PositiveInfinity, 256 - count)];
            float[] least = [.. Enumerable.Repeat(float.PositiveInfinity, k)];
            int[] which = new int[k];
            Nearest.Update(padded.AsSpan(0, 128), new float[128], 0, least, which);
            Nearest.Update(padded.AsSpan(128), new float[128], 128, least, which);
            CollectionAssert.AreEqual(expected, which.Order().ToArray());
            CollectionAssert.AreEqual(values.Order().Take(k).ToArray(), least);
        }
    }

    [TestMethod]
    public void Numbers_that_are_none_choose_rows_that_exist()
    {
        float[] stored = [.. Enumerable.Repeat(float.NaN, 300)], rows = [1, 2, float.NaN, 3, 4, 5];
        Compare(new StoredRows(stored, 3, near: 5, far: 20), rows, 3);
        int found = Nearest.Choose([float.NaN, 1, -float.NaN, float.NegativeInfinity, 2], 3, new int[128]);
        Assert.IsInRange(0, 3, found);
    }

    private static (float[] Near, float[] Far) Compare(StoredRows stored, float[] rows, int width)
    {
        int count = rows.Length / width, stride = VectorMatrix.PadToLanes(width);
        float[] x = new float[count * stride], near = new float[x.Length], far = new float[x.Length];
        for (int r = 0; r < count; r++)
            rows.AsSpan(r * width, width).CopyTo(x.AsSpan(r * stride));
        stored.Compare(x, stride, count, near, far, new float[stored.ScratchLength(count)]);
        return (Slots(near), Slots(far));

        float[] Slots(float[] padded) =>
            [.. Enumerable.Range(0, count).SelectMany(r => padded[(r * stride)..(r * stride + width)])];
    }

    private static float[] Numbers(int count, ulong seed)
    {
        var random = new SplitMix64(seed);
        return [.. Enumerable.Range(0, count).Select(_ => (float)(4 * random.NextDouble() - 2))];
    }
}
