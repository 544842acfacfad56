namespace GenerativeML.Tests;

/// <summary>What ONNX Runtime computes of a VAE is what torch computes, and a row is the same alone and among others.</summary>
[TestClass]
public sealed class VaeEngineTests
{
    private const int Rows = 70;

    public static IEnumerable<object[]> Cases =>
    [
        .. Enum.GetValues<Activation>().Select(
            a => Case($"{a}", RandomVae.Options(hidden: 9) with { Activation = a }, 6, 2)),
        .. Enum.GetValues<VaeScore>().SelectMany(score => new[]
        {
            Case($"{score}, all Gaussian", RandomVae.Options(score, 12, 7), 6, 0),
            Case($"{score}, all Bernoulli", RandomVae.Options(score, 12, 7), 6, 6),
            Case($"{score}, both, conditions", RandomVae.Options(score, 9), 6, 2, 2, 1),
            Case($"{score}, no hidden layer", RandomVae.Options(score), 6, 2),
            Case($"{score}, no hidden layer, conditions", RandomVae.Options(score), 6, 2, 3),
            Case($"{score}, wide", RandomVae.Options(score, 300) with { LatentDimension = 20 }, 70, 33),
            Case($"{score}, one feature", RandomVae.Options(score, 3), 1, 0),
            Case($"{score}, one bit", RandomVae.Options(score, 3), 1, 1),
            Case($"{score}, convolutions", RandomVae.Convolutional(score), 30, 11),
            Case($"{score}, convolutions, conditions", RandomVae.Convolutional(score), 30, 30, 2),
        }),
        Case("one sample", RandomVae.Options(hidden: 9) with { ScoreSamples = 1 }, 6, 2),
        Case("many samples", RandomVae.Options(hidden: 9) with { ScoreSamples = 130 }, 6, 2, 2),
        Case("stored rows", RandomVae.Options(VaeScore.Novelty, 9) with { ReferenceRows = 300 }, 6, 2),
        Case("few stored rows", RandomVae.Options(VaeScore.Novelty, 9) with { ReferenceRows = 3 }, 6, 2),
    ];

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void Onnx_and_torch_agree(string name, object options, int width, int[] conditions)
    {
        using TrainedVector onnx = RandomVae.Model((VariationalOptions)options, width, conditions);
        using TrainedVector torched = RandomVae.Model((VariationalOptions)options, width, conditions);
        RowBlock rows = RandomVae.Rows(onnx, Rows);
        VectorResults found = RandomVae.Results(onnx, Rows), expected = RandomVae.Results(onnx, Rows);
        float[] made = new float[Rows * width], again = new float[Rows * width];
        float[] given = new float[Rows * conditions.Sum()];
        onnx.Compute(rows, Rows, found);
        onnx.Generate(made, given, Rows, seed: 5, where: []);
        using (NativeParts.Pretend(onnx: new DllNotFoundException("not here"), torch: null))
        {
            torched.Compute(rows, Rows, expected);
            torched.Generate(again, given, Rows, seed: 5, where: []);
        }
        Close.AreClose(expected.Score, found.Score, $"{name}: score");
        Close.AreClose(expected.FeatureScore, found.FeatureScore, $"{name}: features");
        Close.AreClose(expected.Reconstruction, found.Reconstruction, $"{name}: reconstruction");
        Close.AreClose(expected.Latent, found.Latent, $"{name}: latent");
        Close.AreClose(expected.LatentDeviation, found.LatentDeviation, $"{name}: deviation");
        Close.AreClose(again, made, $"{name}: made");
        Assert.IsGreaterThan(3, found.Score.ToArray().Distinct().Count(), "scores of nothing");
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void A_row_gets_the_same_bits_alone_and_among_others(
        string name, object options, int width, int[] conditions)
    {
        const int many = 600;
        using TrainedVector model = RandomVae.Model((VariationalOptions)options, width, conditions);
        RowBlock rows = RandomVae.Rows(model, many), one = RandomVae.Rows(model, 1);
        VectorResults together = RandomVae.Results(model, many), alone = RandomVae.Results(model, 1);
        model.Compute(rows, many, together);
        for (int i = 0; i < many; i += 97)
        {
            rows.CopyRow(i, one, 0);
            model.Compute(one, 1, alone);
            Same(together.Score, alone.Score);
            Same(together.FeatureScore, alone.FeatureScore);
            Same(together.Reconstruction, alone.Reconstruction);
            Same(together.Latent, alone.Latent);
            Same(together.LatentDeviation, alone.LatentDeviation);

            void Same(Memory<float> all, Memory<float> some) => CollectionAssert.AreEqual(
                all.Slice(i * some.Length, some.Length).ToArray(), some.ToArray(), name);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void Features_shares_add_up_to_the_score(string name, object options, int width, int[] conditions)
    {
        using TrainedVector model = RandomVae.Model((VariationalOptions)options, width, conditions);
        (float[] score, float[] byFeature) = RandomVae.Scores(model, RandomVae.Rows(model, Rows), Rows);
        float[] sums = [.. byFeature.Chunk(width).Select(row => (float)row.Sum(v => (double)v))];
        // Shares may cancel: the tolerance is by their sizes.
        for (int i = 0; i < Rows; i++)
        {
            double size = byFeature.AsSpan(i * width, width).ToArray().Sum(v => Math.Abs((double)v));
            Assert.AreEqual(score[i], sums[i], 1e-4 * Math.Max(1, size), $"{name}, row {i}");
        }
    }

    [TestMethod]
    public void Rows_are_drawn_by_what_the_decoder_gives_for_a_latent_vector_and_its_condition()
    {
        // The decoder gives its bias and the condition's part, whatever the latent vector.
        VaeOptions options = RandomVae.Options().WithBernoulli(width: 4, bernoulli: 2) with { LatentDimension = 2 };
        using TrainedVector model = RandomVae.Model(options, 4, [1], weights =>
        {
            (weights["condition_mean"][0], weights["condition_scale"][0]) = (1, 1);
            Array.Clear(weights["output.weight"]);
            weights["output.weight"][2 * 3 + 2] = 2; // of the third feature, behind the latent ones
            float[] mean = [0.2f, 0.7f, 10, 20], scale = [1, 1, 0.5f, 0], bias = [1, -1, 0.25f, 0];
            mean.CopyTo(weights["input_mean"], 0);
            mean.AsSpan(0, 2).CopyTo(weights["bernoulli_mean"]);
            scale.CopyTo(weights["input_scale"], 0);
            bias.CopyTo(weights["output.bias"], 0);
            weights["output_log_variance"][2] = MathF.Log(0.25f);
            weights["condition_rows"].AsSpan().Fill(1);
        });

        const int count = 4000;
        float[] rows = new float[4 * count], conditions = new float[count], again = new float[4 * count];
        model.Generate(rows, conditions, count, seed: 3, where: [0]);
        model.Generate(again, conditions, count, seed: 3, where: [0]);
        CollectionAssert.AreEqual(rows, again);
        Assert.IsTrue(conditions.All(c => c == 0));
        float[][] features = [.. Enumerable.Range(0, 4).Select(j => rows.Where((_, i) => i % 4 == j).ToArray())];
        double share = 1 / (1 + Math.Exp(-1)), deviation = 0.5 / 0.5;
        Assert.IsTrue(features[0].All(v => Math.Abs(v - share) < 1e-6), "a feature of shares gets its expected value");
        Assert.IsTrue(features[1].All(v => v is 0 or 1), "exactly");
        Assert.AreEqual(1 - share, features[1].Average(), 0.03);
        Assert.AreEqual(10 + (0.25 - 2) / 0.5, features[2].Average(), 0.06, "the condition is one below its mean");
        double spread = Math.Sqrt(features[2].Average(v => Math.Pow(v - features[2].Average(), 2)));
        Assert.AreEqual(deviation, spread, 0.05);
        Assert.IsTrue(features[3].All(v => v == 20), "a constant feature stays what it was");
        model.Generate(again, conditions, count, seed: 4, where: [0]);
        CollectionAssert.AreNotEqual(rows, again);
    }

    private static object[] Case(
        string name, VariationalOptions options, int width, int bernoulli, params int[] conditions) =>
        [name, options.WithBernoulli(width, bernoulli), width, conditions];
}
