using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>What an autoencoder computes in managed code is what its network computes in torch.</summary>
[TestClass]
public sealed class AutoencoderScorerTests
{
    private const int Rows = 70;

    public static IEnumerable<object[]> Cases =>
    [
        .. Enum.GetValues<Activation>().Select(a => Case($"{a}", RandomAutoencoder.Shape(activation: a, hidden: [9]))),
        Case("one network", RandomAutoencoder.Shape(members: 1, hidden: [9])),
        Case("three networks, normalised", RandomAutoencoder.Shape(members: 3, norm: true, hidden: [12, 7])),
        Case("no hidden layer", RandomAutoencoder.Shape(latent: 2)),
        Case("no bottleneck", RandomAutoencoder.Shape(latent: 40, hidden: [40])),
        Case("one slot", RandomAutoencoder.Shape(width: 1, hidden: [3])),
        Case("many slots", RandomAutoencoder.Shape(width: 67, latent: 16, hidden: [130])),
        Case("wide layers", RandomAutoencoder.Shape(width: 20, latent: 300, hidden: [700])),
        Case("no level", RandomAutoencoder.Shape(hidden: [9]) with { Noise = new(0.5, 0.5, 0.5, 0.3) }),
        Case("nothing hidden", RandomAutoencoder.Shape(hidden: [9]) with { Noise = new(0.1, 1.5, 0.2, 0) }),
        Case("no noise", RandomAutoencoder.Shape(hidden: [9]) with { Noise = new(0, 0, 0, 0) }),
        .. ((int[])[0, 1, 3, 4, 30, 128, 129, 512, 1000]).Select(
            m => Case($"{m} stored rows", RandomAutoencoder.Shape(memoryRows: m, hidden: [9]))),
    ];

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void Managed_code_and_torch_agree(string name, object boxed)
    {
        var shape = (AutoencoderShape)boxed;
        foreach (bool constant in (bool[])[false, true])
        {
            HostWeights weights = RandomAutoencoder.Weights(shape, constant);
            using var managed = new TrainedAutoencoder(shape, weights, 0);
            using var torched = new DeviceAutoencoder(shape, weights, torch.CPU);
            float[] rows = RandomAutoencoder.Rows(Rows, shape.InputWidth);
            AutoencoderOutputs found = Outputs(shape), expected = Outputs(shape);
            managed.Compute(rows, Rows, found);
            torched.Compute(rows, Rows, expected);
            Close.AreClose(expected.Score, found.Score, $"{name}: score");
            Close.AreClose(expected.FeatureScore, found.FeatureScore, $"{name}: slots");
            Close.AreClose(expected.Reconstruction, found.Reconstruction, $"{name}: reconstruction");
            Close.AreClose(expected.Latent, found.Latent, $"{name}: code");
            Assert.IsTrue(found.Score.ToArray().Any(s => s > 0), "scores of nothing");
            if (constant && shape.InputWidth > 1)
                Assert.AreEqual(0, found.FeatureScore.Span[1]);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void A_row_gets_the_same_bits_alone_and_among_others_and_on_any_number_of_threads(string name, object boxed)
    {
        var shape = (AutoencoderShape)boxed;
        const int many = 1500;
        HostWeights weights = RandomAutoencoder.Weights(shape);
        var scorer = new AutoencoderScorer(shape, weights);
        float[] rows = RandomAutoencoder.Rows(many, shape.InputWidth);
        AutoencoderOutputs together = Outputs(shape, many), threaded = Outputs(shape, many), alone = Outputs(shape, 1);
        scorer.Compute(rows, many, together, threads: 1);
        scorer.Compute(rows, many, threaded, threads: 3);
        AssertSame(together, threaded, 0, many);
        for (int i = 0; i < many; i += 97)
        {
            scorer.Compute(rows.AsMemory(i * shape.InputWidth, shape.InputWidth), 1, alone, threads: 3);
            AssertSame(together, alone, i, 1);
        }

        void AssertSame(AutoencoderOutputs all, AutoencoderOutputs some, int first, int count)
        {
            Same(all.Score, some.Score, 1);
            Same(all.FeatureScore, some.FeatureScore, shape.InputWidth);
            Same(all.Reconstruction, some.Reconstruction, shape.InputWidth);
            Same(all.Latent, some.Latent, shape.LatentDimension);

            void Same(Memory<float> a, Memory<float> b, int width) => CollectionAssert.AreEqual(
                a.Slice(first * width, count * width).ToArray(), b[..(count * width)].ToArray(), name);
        }
    }

    [TestMethod]
    public void What_is_not_asked_for_does_not_change_what_is()
    {
        AutoencoderShape shape = RandomAutoencoder.Shape(hidden: [9]);
        var scorer = new AutoencoderScorer(shape, RandomAutoencoder.Weights(shape));
        float[] rows = RandomAutoencoder.Rows(Rows, shape.InputWidth);
        AutoencoderOutputs all = Outputs(shape);
        scorer.Compute(rows, Rows, all, 1);
        float[] score = new float[Rows], slots = new float[Rows * shape.InputWidth];
        float[] reconstruction = new float[slots.Length], code = new float[Rows * shape.LatentDimension];
        scorer.Compute(rows, Rows, new() { Score = score }, 1);
        scorer.Compute(rows, Rows, new() { FeatureScore = slots }, 1);
        scorer.Compute(rows, Rows, new() { Reconstruction = reconstruction }, 1);
        scorer.Compute(rows, Rows, new() { Latent = code }, 1);
        CollectionAssert.AreEqual(all.Score.ToArray(), score);
        CollectionAssert.AreEqual(all.FeatureScore.ToArray(), slots);
        CollectionAssert.AreEqual(all.Reconstruction.ToArray(), reconstruction);
        CollectionAssert.AreEqual(all.Latent.ToArray(), code);
    }

    [TestMethod]
    public void Scoring_a_row_allocates_nothing()
    {
        AutoencoderShape shape = RandomAutoencoder.Shape(memoryRows: 600, hidden: [40]);
        using var model = new TrainedAutoencoder(shape, RandomAutoencoder.Weights(shape), 0);
        float[] row = RandomAutoencoder.Rows(1, shape.InputWidth);
        AutoencoderOutputs wanted = Outputs(shape, 1);
        model.Compute(row, 1, wanted);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
            model.Compute(row, 1, wanted);
        Assert.AreEqual(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void The_shape_names_the_tensors_of_the_network(string name, object boxed)
    {
        var shape = (AutoencoderShape)boxed;
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(torch.CPU);
        using var model = new AutoencoderModel(shape, bfloat16: false, random);
        string[] expected = [.. model.NamedTensors().Select(t => $"{t.Name} {TensorSpec.Describe(t.Value.shape)}").Order()];
        string[] found = [.. shape.Tensors().Select(t => $"{t.Name} {TensorSpec.Describe(t.Shape)}").Order()];
        CollectionAssert.AreEqual(expected, found, name);
    }

    private static object[] Case(string name, AutoencoderShape shape) => [name, shape];

    private static AutoencoderOutputs Outputs(AutoencoderShape shape, int rows = Rows) => new()
    {
        Score = new float[rows],
        FeatureScore = new float[rows * shape.InputWidth],
        Reconstruction = new float[rows * shape.InputWidth],
        Latent = new float[rows * shape.LatentDimension],
    };
}
