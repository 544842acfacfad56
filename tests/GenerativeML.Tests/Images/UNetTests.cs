using GenerativeML.Tests.Engines;

namespace GenerativeML.Tests.Images;

/// <summary>What the U-Net computes, by whichever engine.</summary>
[TestClass]
public sealed class UNetTests
{
    // Odd sizes, so that levels do not halve evenly; patches; a text.
    public static IEnumerable<object[]> Networks =>
    [
        ["levels", new UNetConfig(new(1, 5, 3), 1, [4, 8], 1, [5], 2, 6, 0)],
        ["patches", new UNetConfig(new(2, 7, 5), 2, [4, 4], 2, [], 1, 5, 0)],
        ["large patches", new UNetConfig(new(1, 9, 8), 4, [4], 1, [], 4, 3, 0)],
        ["text", new UNetConfig(new(3, 4, 4), 1, [4], 1, [4], 2, 4, 0) { Text = (3, 5) }],
    ];

    [TestMethod]
    [DynamicData(nameof(Networks))]
    public void Both_engines_compute_what_the_definitions_of_its_operations_say(string name, object network)
    {
        var config = (UNetConfig)network;
        const int Rows = 2;
        (UNetPass pass, HostWeights weights, float[][] inputs) = Make(config, Rows);
        double[] expected = pass.Run(
            new ReferenceOps(weights).Root,
            [.. inputs.Select(x => new ReferenceTensor([Rows, x.Length / Rows], [.. x.Select(v => (double)v)]))])[0].Values;
        Assert.HasCount(Rows * (int)config.Shape.Length, expected);
        AssertClose(Run(pass, weights, inputs, Rows), "ONNX Runtime");
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
            AssertClose(Run(pass, weights, inputs, Rows), "torch");

        void AssertClose(float[] found, string engine)
        {
            // Some twenty layers in single precision.
            for (int i = 0; i < expected.Length; i++)
                Assert.AreEqual(expected[i], found[i], 5e-5 * (1 + Math.Abs(expected[i])), $"{name}, {engine}, {i}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Networks))]
    public void An_image_gets_the_same_bits_alone_and_among_others(string name, object network)
    {
        var config = (UNetConfig)network;
        const int Rows = 37;
        (UNetPass pass, HostWeights weights, float[][] inputs) = Make(config, Rows);
        float[] together = Run(pass, weights, inputs, Rows);
        int length = (int)config.Shape.Length;
        foreach (int row in (int[])[0, 1, 17, 36])
        {
            float[] alone = Run(pass, weights, [.. inputs.Select(x => x.Chunk(x.Length / Rows).ElementAt(row))], 1);
            Assert.IsTrue(together.AsSpan(row * length, length).SequenceEqual(alone), $"{name}, {row}");
        }
    }

    [TestMethod]
    public void Tokens_that_do_not_count_make_no_difference()
    {
        var config = new UNetConfig(new(1, 3, 3), 1, [4], 1, [], 1, 4, 0) { Text = (3, 2) };
        (UNetPass pass, HostWeights weights, float[][] inputs) = Make(config, 1);
        inputs[3] = [1, 0, 1];
        float[] first = Run(pass, weights, inputs, 1);
        (inputs[2][2], inputs[2][3]) = (8, -9); // of the second token
        CollectionAssert.AreEqual(first, Run(pass, weights, inputs, 1));
        inputs[2][5] += 1; // of the third
        CollectionAssert.AreNotEqual(first, Run(pass, weights, inputs, 1));
    }

    [TestMethod]
    public void A_text_can_put_things_at_places_that_no_edge_tells_of()
    {
        var config = new UNetConfig(new(1, 4, 4), 1, [4], 1, [4], 2, 4, 0) { Text = (3, 5) };
        (UNetPass pass, HostWeights weights, float[][] inputs) = Make(config, 1);
        Array.Fill(inputs[0], 0.7f);
        foreach (TensorSpec spec in weights.Specs.Where(spec => spec.Shape is [_, _, 3, 3]))
        {
            // Kernels that see one place alone: of an image that is the same everywhere they make another such.
            for (int i = 0; i < weights[spec.Name].Length; i++)
                weights[spec.Name][i] *= i % 9 == 4 ? 1 : 0;
        }
        float[] first = Run(pass, weights, inputs, 1);
        for (int i = 0; i < inputs[2].Length; i++)
            inputs[2][i] *= -1;
        float[] second = Run(pass, weights, inputs, 1);
        // What the text changes differs from place to place.
        double[] changes = [.. second.Zip(first, (a, b) => (double)a - b)];
        Assert.IsGreaterThan(0.05 * changes.Max(Math.Abs), changes.Max() - changes.Min());

        foreach (TensorSpec spec in weights.Specs.Where(spec => spec.Name.EndsWith("place.weight", StringComparison.Ordinal)))
            Array.Clear(weights[spec.Name]);
        float[] without = Run(pass, weights, inputs, 1);
        Assert.AreEqual(without.Max(), without.Min(), 1e-5);
    }

    private static (UNetPass Pass, HostWeights Weights, float[][] Inputs) Make(UNetConfig config, int rows)
    {
        var layers = new LayerSpecs();
        new UNet(config).Declare(layers, "net");
        var weights = new HostWeights(layers.Tensors);
        var random = new Random(4);
        foreach (TensorSpec spec in weights.Specs)
        {
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = random.NextSingle() - 0.5f;
        }
        (int positions, int width) = config.Text ?? (0, 0);
        float[][] inputs = [Values((int)config.Shape.Length), Values(config.Embedding)];
        if (positions > 0) // the first token counts, others at random
            inputs = [.. inputs, Values(positions * width), [.. Enumerable.Range(0, rows * positions).Select(i => i % positions == 0 ? 1f : random.Next(2))]];
        return (new UNetPass(config), weights, inputs);

        float[] Values(int count) => [.. Enumerable.Range(0, rows * count).Select(_ => 2 * random.NextSingle() - 1)];
    }

    private static float[] Run(UNetPass pass, HostWeights weights, float[][] inputs, int rows)
    {
        float[] results = new float[rows * pass.Length];
        new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false)
            .RunOnce(pass, rows, [.. inputs.Select(x => (ReadOnlyMemory<float>)x)], [results]);
        return results;
    }

    private sealed class UNetPass(UNetConfig config) : IForwardPass
    {
        public int Length => (int)config.Shape.Length;

        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (int channels, int height, int width) = (config.Shape.Channels, config.Shape.Height, config.Shape.Width);
            (T, T)? text = config.Text is { } read ? (inputs[2].Reshape(0, read.Positions, read.Width), inputs[3]) : null;
            T made = new UNet(config).Run(w.Of("net"), inputs[0].Reshape(0, channels, height, width), inputs[1], text);
            return [made.Reshape(0, -1)];
        }
    }
}
