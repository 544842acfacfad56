namespace GenerativeML.Tests;

/// <summary>Trained GANs: engines, latent search, averages, stages, checkpoints.</summary>
[TestClass]
[DoNotParallelize]
public class TrainedGanTests
{
    [TestMethod]
    [DataRow(1, false, false)]
    [DataRow(2, false, true)]
    [DataRow(3, true, false)]
    public void Both_engines_judge_and_generate_alike_and_a_row_alone_is_a_row_among_others(
        int pack, bool spectral, bool conditional)
    {
        GanNetwork network = TestGan.Network(
            new GanOptions { PackSize = pack, SpectralNormalization = spectral }, conditional ? 2 : 0);
        HostWeights weights = RandomWeights(network);
        int[] widths = conditional ? [3, 2, 2] : [3, 2]; // rows, normal numbers, conditions
        float[][] all = [.. widths.Select((width, i) => Waves(40 * width, i + 1))];

        float[][] onnx = Run(requiresTorch: false, 0, 40), torch = Run(requiresTorch: true, 0, 40);
        foreach ((float[] a, float[] b) in onnx.Zip(torch))
        {
            for (int i = 0; i < a.Length; i++)
                Assert.AreEqual(b[i], a[i], 1e-5 * Math.Max(1, Math.Abs(b[i])));
        }
        float[][] alone = Run(requiresTorch: false, 7, 1);
        CollectionAssert.AreEqual(onnx[0][7..8], alone[0]);
        CollectionAssert.AreEqual(onnx[1][21..24], alone[1]);

        float[][] Run(bool requiresTorch, int first, int count)
        {
            using var model = new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false);
            float[][] results = [new float[count], new float[3 * count]];
            model.Run(
                "", () => new ScoreAndSample(network), count,
                [.. all.Zip(widths, (rows, width) => (ReadOnlyMemory<float>)rows.AsMemory(first * width, count * width))],
                [.. results.Select(r => r.AsMemory())], requiresTorch);
            return results;
        }
    }

    [TestMethod]
    public void A_latent_search_finds_rows_that_the_generator_can_make_and_the_distance_of_others()
    {
        // Noise (a, b) becomes the row (a, b, 1): a row (a, b, c) is |c − 1| from the nearest one.
        var input = new VectorInput { Width = 3, Seed = 2 };
        GanOptions options = TestGan.Resolved(
            new GanOptions
            {
                NoiseDimension = 2, GeneratorLayers = [], DiscriminatorLayers = [], LatentSearchSteps = 400,
                Score = GanScore.LatentSearch,
            },
            input);
        var network = new GanNetwork(options, input);
        var weights = new HostWeights(network.Tensors());
        (weights["generator.0.weight"][0], weights["generator.0.weight"][3]) = (1, 1);
        weights["generator.0.bias"][2] = 1;
        foreach (string scale in new[] { "input_scale", "input_limit" })
            Array.Fill(weights[scale], scale == "input_scale" ? 1 : 1e30f);
        using var model = new TrainedVector(network, weights, ComputeDevice.Cpu, fallbackToCpu: false);

        float[] rows = [0.3f, -0.8f, 1, 1.2f, 0.4f, 1, 0.3f, -0.8f, 4];
        float[] nearest = Trained.Reconstructions(model, rows);
        float[] expected = [0.3f, -0.8f, 1, 1.2f, 0.4f, 1, 0.3f, -0.8f, 1];
        for (int i = 0; i < rows.Length; i++)
            Assert.AreEqual(expected[i], nearest[i], 0.06, $"value {i}");
        // Without hidden layers the discriminator's features are the row itself.
        float[] scores = Trained.Scores(model, rows);
        float[] distances = [.. Enumerable.Range(0, 3).Select(
            i => Enumerable.Range(3 * i, 3).Average(k => Math.Abs(rows[k] - nearest[k])))];
        for (int i = 0; i < 3; i++)
            Assert.AreEqual(distances[i], scores[i], 1e-5);
        Assert.AreEqual(1, scores[2], 0.06);
    }

    [TestMethod]
    public void Score_and_reconstruction_are_those_of_either_asked_for_alone()
    {
        using TrainedVector model =
            TestGan.Fit(new GanOptions { Score = GanScore.LatentSearch, LatentSearchSteps = 3 }).Model;
        float[] rows = [0, 0, 4, 4, 9, -9], score = new float[3];
        float[] both = Trained.Compute(model, rows, r => new() { Reconstruction = r, Score = score }, width: 2);
        CollectionAssert.AreEqual(Trained.Reconstructions(model, rows), both);
        CollectionAssert.AreEqual(Trained.Scores(model, rows), score);
    }

    [TestMethod]
    public void The_generators_weights_are_averaged_and_the_discriminators_are_the_last()
    {
        HostWeights plain = TestGan.Fit(new GanOptions { WeightAverageDecay = 0 }).Model.Weights;
        HostWeights mean = TestGan.Fit(new GanOptions { WeightAverageDecay = 0.9 }).Model.Weights;
        CollectionAssert.AreEqual(plain["discriminator.0.weight"], mean["discriminator.0.weight"]);
        CollectionAssert.AreNotEqual(plain["generator.0.weight"], mean["generator.0.weight"]);
    }

    [TestMethod]
    public void At_the_end_of_each_stage_the_generator_is_the_one_that_training_would_end_with()
    {
        var steps = new List<long>();
        (float[] made, float[] judged) = ([], []);
        VectorFitResult fit = TestGan.Fit(new GanOptions
        {
            Stages = 3,
            StageEnded = stage =>
            {
                steps.Add(stage.Figures.Step);
                made = stage.Generate(10, seed: 4);
                judged = stage.Discriminate([1, 2, 3, 4]);
                CollectionAssert.AreEqual(made, stage.Generate(10, seed: 4));
                Assert.IsEmpty(stage.Generate(0));
                Assert.AreEqual(6, stage.Steps); // 180 of 200 rows train, 128 at a time, three epochs
                Assert.Throws<ArgumentException>(() => stage.Discriminate([1, 2, 3]));
            },
        });
        using TrainedVector model = fit.Model;
        CollectionAssert.AreEqual(new long[] { 2, 4, 6 }, steps);
        float[] rows = new float[20];
        model.Generate(rows, default, 10, SplitMix64.Derive(4, RandomPurpose.Generation), []);
        CollectionAssert.AreEqual(rows, made);
        CollectionAssert.AreEqual(Trained.Scores(model, [1, 2, 3, 4]).Select(s => -s).ToArray(), judged);

        GanReport report = GanReport.Read(fit.Extra);
        Assert.HasCount(3, report.Stages);
        Assert.AreEqual(20, report.ComparedRows);
        // The generator moves at every third step, and norms are measured in the first three of each 24.
        Assert.IsTrue(double.IsNaN(report.Stages[0].GeneratorLoss) && double.IsFinite(report.Stages[1].GeneratorLoss));
        Assert.IsTrue(double.IsFinite(report.Stages[1].DiscriminatorGradientNorm));
        Assert.IsTrue(double.IsNaN(report.Stages[2].DiscriminatorGradientNorm));
    }

    [TestMethod]
    public void A_resumed_run_reports_on_all_of_it()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            var options = new GanOptions { Stages = 4, Epochs = 6, Objective = GanObjective.Hinge };
            string whole = Report(options);
            using var stop = new CancellationTokenSource();
            GanOptions kept = options with { Checkpoint = new(folder) { Every = 1 } };
            Assert.Throws<OperationCanceledException>(() => Report(kept with
            {
                CancellationToken = stop.Token, StageEnded = stage => { if (stage.Figures.Step > 4) stop.Cancel(); },
            }));
            Assert.AreEqual(whole, Report(kept));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static string Report(GanOptions options)
        {
            VectorFitResult fit = TestGan.Fit(options);
            fit.Model.Dispose();
            return GanReport.Read(fit.Extra).ToString();
        }
    }

    [TestMethod]
    public void Sorted_tables_are_compared_by_rows_of_all_their_parts()
    {
        // Of 30,000 rows in ascending order, 3000 are held back, of which 1000 are compared with 1000 training rows.
        VectorFitResult fit = TestGan.Fit(
            new GanOptions { Epochs = 1, BatchSize = 10_000, Stages = 1 }, new ArrayRows(30_000, 1, (i, _) => i));
        fit.Model.Dispose();
        GanReport report = GanReport.Read(fit.Extra);
        Assert.AreEqual(1000, report.ComparedRows);
        Assert.IsLessThan(0.2, report.ReferenceSlicedWasserstein);
    }

    [TestMethod]
    public void Training_and_searching_leave_no_more_tensors_behind_than_torchs_own_layers_do()
    {
        VectorNetwork network = FitAndSearch();
        Assert.AreEqual(
            LiveTensors.Growth(() => new TorchLayers(network.Declare, TorchSharp.torch.CPU, seed: 1).Dispose()),
            LiveTensors.Growth(() => FitAndSearch()));

        static VectorNetwork FitAndSearch()
        {
            using TrainedVector model = TestGan.Fit(new GanOptions
            {
                Objective = GanObjective.Hinge, Score = GanScore.LatentSearch, LatentSearchSteps = 3,
            }).Model;
            Trained.Scores(model, [1, 2, 3, 4]);
            return model.Network;
        }
    }

    private static HostWeights RandomWeights(GanNetwork network)
    {
        using var layers = new TorchLayers(network.Declare, TorchSharp.torch.CPU, seed: 5);
        HostWeights weights = layers.ToHost(network.Tensors());
        network.Initialize(weights, null!);
        return weights;
    }

    private static float[] Waves(int count, float speed) =>
        [.. Enumerable.Range(0, count).Select(i => 1.5f * MathF.Sin(speed * i))];

    private sealed class ScoreAndSample(GanNetwork network) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            T? condition = inputs.Length > 2 ? inputs[2] : null;
            T score = network.Score(w, new(inputs[0], condition), byFeature: false).Score;
            return [score, network.Sample(w, inputs[1], null, condition)];
        }
    }
}
