using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>What a VAE computes in managed code is what its networks compute in torch.</summary>
[TestClass]
public sealed class VaeScorerTests
{
    private const int Rows = 70;

    public static IEnumerable<object[]> Cases =>
    [
        .. Enum.GetValues<Activation>().Select(a => Case($"{a}", RandomVae.Shape(activation: a, hidden: [9]))),
        .. Enum.GetValues<VaeScore>().SelectMany(score => new[]
        {
            Case($"{score}, all Gaussian", RandomVae.Shape(bernoulli: 0, score: score, hidden: [12, 7])),
            Case($"{score}, all Bernoulli", RandomVae.Shape(bernoulli: 6, score: score, hidden: [12, 7])),
            Case($"{score}, both, conditions", RandomVae.Shape(score: score, conditions: [2, 1], hidden: [9])),
            Case($"{score}, no hidden layer", RandomVae.Shape(score: score)),
            Case($"{score}, no hidden layer, conditions", RandomVae.Shape(score: score, conditions: [3])),
            Case($"{score}, wide", RandomVae.Shape(width: 70, bernoulli: 33, score: score, latent: 20, hidden: [300])),
            Case($"{score}, one slot", RandomVae.Shape(width: 1, bernoulli: 0, score: score, hidden: [3])),
            Case($"{score}, one bit", RandomVae.Shape(width: 1, bernoulli: 1, score: score, hidden: [3])),
        }),
        Case("one sample", RandomVae.Shape(samples: 1, hidden: [9])),
        Case("many samples", RandomVae.Shape(samples: 130, conditions: [2], hidden: [9])),
        Case("stored rows", RandomVae.Shape(score: VaeScore.Novelty, memoryRows: 300, hidden: [9])),
        Case("few stored rows", RandomVae.Shape(score: VaeScore.Novelty, memoryRows: 3, hidden: [9])),
    ];

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void Managed_code_and_torch_agree(string name, object boxed)
    {
        var shape = (VaeShape)boxed;
        HostWeights weights = RandomVae.Weights(shape);
        using var managed = new TrainedVae(shape, weights, 0);
        using var torched = new DeviceVae(shape, weights, torch.CPU);
        RowBlock rows = RandomVae.Rows(shape, Rows);
        VaeOutputs found = RandomVae.Outputs(shape, Rows), expected = RandomVae.Outputs(shape, Rows);
        managed.Compute(rows, Rows, found);
        torched.Compute(rows, Rows, expected);
        Close.AreClose(expected.Score, found.Score, $"{name}: score");
        Close.AreClose(expected.FeatureScore, found.FeatureScore, $"{name}: slots");
        Close.AreClose(expected.Reconstruction, found.Reconstruction, $"{name}: reconstruction");
        Close.AreClose(expected.Latent, found.Latent, $"{name}: code");
        Close.AreClose(expected.Deviation, found.Deviation, $"{name}: deviation");
        Assert.IsTrue(found.Score.ToArray().Distinct().Count() > 3, "scores of nothing");
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void A_row_gets_the_same_bits_alone_and_among_others_and_on_any_number_of_threads(string name, object boxed)
    {
        var shape = (VaeShape)boxed;
        const int many = 1500;
        var scorer = new VaeScorer(shape, RandomVae.Weights(shape));
        RowBlock rows = RandomVae.Rows(shape, many), one = RandomVae.Rows(shape, 1);
        VaeOutputs together = RandomVae.Outputs(shape, many), threaded = RandomVae.Outputs(shape, many);
        VaeOutputs alone = RandomVae.Outputs(shape, 1);
        scorer.Compute(rows, many, together, threads: 1);
        scorer.Compute(rows, many, threaded, threads: 3);
        AssertSame(together, threaded, 0, many);
        for (int i = 0; i < many; i += 97)
        {
            rows.CopyRow(i, one, 0);
            scorer.Compute(one, 1, alone, threads: 3);
            AssertSame(together, alone, i, 1);
        }

        void AssertSame(VaeOutputs all, VaeOutputs some, int first, int count)
        {
            Same(all.Score, some.Score, 1);
            Same(all.FeatureScore, some.FeatureScore, shape.InputWidth);
            Same(all.Reconstruction, some.Reconstruction, shape.InputWidth);
            Same(all.Latent, some.Latent, shape.LatentDimension);
            Same(all.Deviation, some.Deviation, shape.LatentDimension);

            void Same(Memory<float> a, Memory<float> b, int width) => CollectionAssert.AreEqual(
                a.Slice(first * width, count * width).ToArray(), b[..(count * width)].ToArray(), name);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void The_shape_names_the_tensors_of_the_network(string name, object boxed)
    {
        var shape = (VaeShape)boxed;
        using DisposeScope scope = torch.NewDisposeScope();
        using var random = new SeededRandom(torch.CPU);
        using var model = new VaeModel(shape, bfloat16: false, random);
        string[] expected = [.. model.NamedTensors().Select(t => $"{t.Name} {TensorSpec.Describe(t.Value.shape)}").Order()];
        string[] found = [.. shape.Tensors().Select(t => $"{t.Name} {TensorSpec.Describe(t.Shape)}").Order()];
        CollectionAssert.AreEqual(expected, found, name);
    }

    [TestMethod]
    public void Scoring_a_row_allocates_nothing()
    {
        foreach (VaeScore score in Enum.GetValues<VaeScore>())
        {
            VaeShape shape = RandomVae.Shape(score: score, hidden: [40]);
            using var model = new TrainedVae(shape, RandomVae.Weights(shape), 0);
            RowBlock row = RandomVae.Rows(shape, 1);
            VaeOutputs wanted = RandomVae.Outputs(shape, 1);
            model.Compute(row, 1, wanted);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < 100; i++)
                model.Compute(row, 1, wanted);
            Assert.AreEqual(before, GC.GetAllocatedBytesForCurrentThread(), $"{score}");
        }
    }

    [TestMethod]
    public void Rows_are_drawn_by_what_the_decoder_gives_for_a_code_and_its_condition()
    {
        // The decoder gives its bias and the condition's part, whatever the code.
        VaeShape shape = RandomVae.Shape(width: 4, bernoulli: 2, latent: 2, conditions: [1]);
        HostWeights weights = RandomVae.Weights(shape);
        (weights["conditions.mean"][0], weights["conditions.scale"][0]) = (1, 1);
        Array.Clear(weights["network.output.weight"]);
        weights["network.output.weight"][2 * 3 + 2] = 2; // of the third slot, behind the code
        float[] mean = [0, 0, 10, 20], scale = [1, 1, 0.5f, 0], bias = [1, -1, 0.25f, 0];
        mean.CopyTo(weights["input_mean"], 0);
        scale.CopyTo(weights["input_scale"], 0);
        bias.CopyTo(weights["network.output.bias"], 0);
        weights["network.output_log_variance"][2] = MathF.Log(0.25f);
        weights["conditions.rows"].AsSpan().Fill(1);
        using var model = new TrainedVae(shape, weights, 0);

        const int count = 4000;
        float[] rows = new float[4 * count], conditions = new float[count], again = new float[4 * count];
        model.Generate(rows, conditions, count, seed: 3, where: [0]);
        model.Generate(again, conditions, count, seed: 3, where: [0]);
        CollectionAssert.AreEqual(rows, again);
        Assert.IsTrue(conditions.All(c => c == 0));
        float[][] slots = [.. Enumerable.Range(0, 4).Select(j => rows.Where((_, i) => i % 4 == j).ToArray())];
        double share = 1 / (1 + Math.Exp(-1)), deviation = 0.5 / 0.5;
        Assert.IsTrue(slots[0].All(v => Math.Abs(v - share) < 1e-6), "a slot of shares gets its expected value");
        Assert.IsTrue(slots[1].All(v => v is 0 or 1));
        Assert.AreEqual(1 - share, slots[1].Average(), 0.03);
        Assert.AreEqual(10 + (0.25 - 2) / 0.5, slots[2].Average(), 0.06, "the condition is one below its mean");
        Assert.AreEqual(deviation, Math.Sqrt(slots[2].Average(v => Math.Pow(v - slots[2].Average(), 2))), 0.05);
        Assert.IsTrue(slots[3].All(v => v == 20), "a constant slot stays what it was");

        model.Generate(again, conditions, count, seed: 4, where: [0]);
        CollectionAssert.AreNotEqual(rows, again);
        float[] few = new float[4 * 7];
        model.Generate(few, new float[7], 7, seed: 3, where: [0]);
        CollectionAssert.AreEqual(rows[..28], few, "the first rows are the same, however many there are");
    }

    private static object[] Case(string name, VaeShape shape) => [name, shape];
}
