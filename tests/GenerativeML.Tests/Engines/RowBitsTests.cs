namespace GenerativeML.Tests.Engines;

[TestClass]
public sealed class RowBitsTests
{
    private const int Rows = 1000;

    public static IEnumerable<object[]> Names => OperatorPass.Names.Select(name => new object[] { name });

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void A_row_gets_the_same_bits_alone_and_among_others(string name)
    {
        var random = new Random(5);
        foreach (int width in (int[])[6, 18, 42])
        {
            HostWeights weights = OperatorPass.Weights(width, outputs: 37, random);
            float[] x = Values(), y = Values();
            using var model = new OnnxRows(new OperatorPass(name, width), weights, [width, width]);
            int each = Width(name, width, weights);
            float[] expected = new float[Rows * each];
            model.Run(Rows, [x, y], [expected]);
            foreach (int size in (int[])[1, 2, 3, 7, 100, 256, Rows])
            {
                float[] found = new float[expected.Length];
                for (int first = 0; first < Rows; first += size)
                {
                    int count = Math.Min(size, Rows - first);
                    model.Run(count, [Part(x), Part(y)], [found.AsMemory(first * each, count * each)]);

                    ReadOnlyMemory<float> Part(float[] all) => all.AsMemory(first * width, count * width);
                }
                Assert.IsTrue(expected.AsSpan().SequenceEqual(found), $"{name}, {width} wide, {size} at once");
            }

            float[] Values() => [.. Enumerable.Range(0, Rows * width).Select(_ => 2 * random.NextSingle() - 1)];
        }
    }

    // As many numbers as one row has.
    private static int Width(string name, int width, HostWeights weights)
    {
        ReferenceTensor row = ReferenceTensor.Of([1, width], i => 0.1 * i[1]);
        return new OperatorPass(name, width).Run(new ReferenceOps(weights).Root, [row, row])[0].Values.Length;
    }
}
