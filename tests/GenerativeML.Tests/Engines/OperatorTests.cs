namespace GenerativeML.Tests.Engines;

[TestClass]
public sealed class OperatorTests
{
    public static IEnumerable<object[]> Names => OperatorPass.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Both_engines_agree_with_the_definition(string name)
    {
        var random = new Random(name.Length);
        for (int round = 0; round < 3; round++)
        {
            int rows = random.Next(1, 20), width = 6 * random.Next(1, 6);
            HostWeights weights = OperatorPass.Weights(width, random.Next(2, 30), random);
            var pass = new OperatorPass(name, width);
            float[] x = Rows(random, rows * width), y = Rows(random, rows * width);
            double[] expected = pass.Run(
                new ReferenceOps(weights).Root, [Reference(x, rows, width), Reference(y, rows, width)])[0].Values;

            AssertClose(expected, Run(pass, weights, x, y, rows, expected.Length), "ONNX Runtime");
            using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
                AssertClose(expected, Run(pass, weights, x, y, rows, expected.Length), "torch");
        }

        void AssertClose(double[] expected, float[] found, string engine)
        {
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], found[i], 2e-6 * (1 + Math.Abs(expected[i])), $"{name}, {engine}, {i}");
        }
    }

    [TestMethod]
    public void Hand_worked_values()
    {
        // The reference that the engines are compared with, and so all three.
        ReferenceTensor x = new([1, 3], [1, 2, 4]);
        Assert.AreEqual(Math.E / (Math.E + Math.Exp(2) + Math.Exp(4)), x.Softmax().Values[0], 1e-12);
        Assert.AreEqual(Math.Log(Math.Exp(1) + Math.Exp(2) + Math.Exp(4)), x.LogSumExp(1).Values[0], 1e-6);
        CollectionAssert.AreEqual(new double[] { 1, 3, 7 }, x.CumulativeSum(1).Values);
        CollectionAssert.AreEqual(new double[] { 2, 4 }, x.Slice(1, -2, 2).Values);
        Assert.AreEqual(-4 / 3.0 / Math.Sqrt(14 / 9.0), x.LayerNorm(new([3], [1, 1, 1]), null, 0).Values[0], 1e-6);
        ReferenceTensor table = new([2, 2], [1, 2, 3, 4]);
        CollectionAssert.AreEqual(new double[] { 3, 4, 1, 2 }, table.Embed(new([2], [1, 0])).Values);
        CollectionAssert.AreEqual(new double[] { 5, 11 }, new ReferenceTensor([1, 2], [1, 2]).Linear(table).Values);
        CollectionAssert.AreEqual(new double[] { 2, 2, 1, 3, 4, 4 }, table.Gather(new([2, 3], [1, 1, 0, 0, 1, 1])).Values);
        // 1 2 / 3 4, of which a kernel of ones around each pixel sees all.
        ReferenceTensor picture = new([1, 1, 2, 2], [1, 2, 3, 4]);
        ReferenceTensor ones = new([1, 1, 3, 3], [.. Enumerable.Repeat(1.0, 9)]);
        CollectionAssert.AreEqual(new double[] { 10, 10, 10, 10 }, picture.Conv2d(ones, null, 1, 1).Values);
        CollectionAssert.AreEqual(new double[] { 10, 10, 10, 10 }, picture.ConvTranspose2d(ones, null, 1, 1).Values);
        Assert.AreEqual(0.8413447460685429, new ReferenceTensor([1], [1]).Apply(Function.Gelu).Values[0], 1e-12);
    }

    private static float[] Run(
        OperatorPass pass, HostWeights weights, float[] x, float[] y, int rows, int length)
    {
        var results = new float[length];
        new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false).RunOnce(pass, rows, [x, y], [results]);
        return results;
    }

    private static float[] Rows(Random random, int count) =>
        [.. Enumerable.Range(0, count).Select(_ => 2 * random.NextSingle() - 1)];

    private static ReferenceTensor Reference(float[] values, int rows, int width) =>
        new([rows, width], [.. values.Select(v => (double)v)]);
}
