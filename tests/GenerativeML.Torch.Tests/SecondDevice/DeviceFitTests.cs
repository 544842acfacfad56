namespace GenerativeML.Torch.Tests;

/// <summary>
/// Whole trainings on a device that is not the CPU: reading, steps, validation and the trained model's work there, with
/// the results of the CPU.
/// </summary>
/// <remarks>
/// The CPU computes steps in managed code where it can, so that sums are rounded in another order, and training carries
/// such differences on: hence the tolerances, of a hundredth of a number's size.
/// </remarks>
[TestClass]
public sealed class DeviceFitTests
{
    private const int Rows = 300;

    [TestMethod]
    [DataRow(1 << 20)]
    [DataRow(1)] // rows are read anew in each epoch
    public void An_autoencoder(long cacheBytes) => Compare(device =>
    {
        var options = new AutoencoderDetectorOptions
        {
            Epochs = 3, ValidationFraction = 0.2, MemoryRows = 100, CacheBudgetBytes = cacheBytes,
        };
        using TrainedAutoencoder model = AutoencoderFit.Fit(
            Trained.SumRows(Rows), options, AutoencoderUse.Detect, On(device));
        float[] rows = Trained.AllRows(Rows), score = new float[Rows], features = new float[rows.Length];
        float[] reconstruction = new float[rows.Length];
        model.Compute(
            rows, Rows, new() { Score = score, FeatureScore = features, Reconstruction = reconstruction });
        return [score, features, reconstruction, [model.Threshold]];
    });

    [TestMethod]
    public void A_VAE() => Compare(device =>
    {
        var options = new VaeDetectorOptions { Epochs = 3, ValidationFraction = 0.2 };
        using TrainedVae model = VaeFit.Fit(Trained.SumRows(Rows), options, On(device));
        float[] score = new float[Rows], latent = new float[Rows * model.Shape.LatentDimension];
        model.Compute(
            VaeTruthTests.Block(Trained.AllRows(Rows), 4), Rows, new VaeOutputs { Score = score, Latent = latent });
        float[] made = new float[4 * Rows];
        model.Generate(made, default, Rows, seed: 3, []);
        return [score, latent, made, [model.Threshold]];
    });

    [TestMethod]
    [DataRow(GanScore.Discriminator)]
    [DataRow(GanScore.LatentSearch)]
    public void A_GAN(GanScore score) => Compare(device =>
    {
        var options = new GanOptions
        {
            GeneratorLayers = [16], DiscriminatorLayers = [16], Epochs = 2, Score = score, LatentSearchSteps = 3,
        };
        using TrainedGan model = GanFit.Fit(Trained.SumRows(Rows), options, On(device));
        float[] scores = new float[20], nearest = new float[4 * 20], made = new float[4 * Rows];
        model.Compute(VaeTruthTests.Block(Trained.AllRows(20), 4), 20, scores, nearest);
        model.Generate(made, default, Rows, seed: 3, []);
        return [scores, nearest, made];
    });

    [TestMethod]
    [DataRow(GptOptimizer.AdamW)]
    [DataRow(GptOptimizer.Muon)]
    public void A_GPT(GptOptimizer optimizer) => Compare(device =>
    {
        var options = new GptOptions
        {
            Layers = 2, Heads = 2, Width = 8, ContextLength = 8, BatchSize = 4, Steps = 12, Optimizer = optimizer,
            ValidationFraction = 0.2,
        };
        GptWeights weights = GptFit.Fit(
            TinyGpt.Corpus(400), options, TinyGpt.Context() with { Device = device }).Weights;
        DecoderWeights packed = DecoderWeights.Pack(weights);
        using var model = new TrainedGpt(packed, DeviceGpt.On(device, fallbackToCpu: false, packed));
        int[][] prompts = [[1], [2, 3, 4], [5, 6, 7, 8, 9]];
        float[] likelihoods = new float[3], hidden = new float[3 * weights.Shape.Width];
        model.Evaluate(prompts, likelihoods, hidden);
        return [likelihoods[1..], hidden];
    });

    [TestMethod]
    [DataRow("vae")]
    [DataRow("gan")]
    public void A_table(string method)
    {
        string Text(ComputeDevice device)
        {
            TabularOptions options = method == "vae"
                ? new TabularVaeOptions { HiddenWidth = 16, Epochs = 3 }
                : new TabularGanOptions { HiddenLayers = [16], Epochs = 3 };
            options.Validate();
            using ITableGenerator model = TableFit.Fit(ArrayTable.Known(600, 1), options, On(device));
            var block = new TableBlock(model.Shape, Rows);
            model.Fill(block, 1, null);
            return string.Join(' ', Enumerable.Range(0, Rows).Select(
                i => $"{block.Codes(0)[i]}{block.Codes(1)[i]}{block.Codes(2)[i]}"));
        }

        string[] here = Text(ComputeDevice.Cpu).Split(' '), there = Text(SecondDevice.Choice).Split(' ');
        // Where two categories are nearly as likely, rounding may decide.
        Assert.IsGreaterThanOrEqualTo(0.98 * Rows, here.Zip(there).Count(r => r.First == r.Second));
        Assert.IsGreaterThan(3, here.Distinct().Count());
    }

    private static TrainingContext On(ComputeDevice device) => Trained.OnCpu with { Device = device };

    private static void Compare(Func<ComputeDevice, float[][]> fit)
    {
        long copies = SecondDevice.Copies;
        float[][] actual = fit(SecondDevice.Choice);
        Assert.IsGreaterThan(copies, SecondDevice.Copies, "nothing was computed there");
        float[][] expected = fit(ComputeDevice.Cpu);
        for (int k = 0; k < expected.Length; k++)
        {
            Assert.HasCount(expected[k].Length, actual[k]);
            float size = expected[k].Max(Math.Abs);
            for (int i = 0; i < expected[k].Length; i++)
                Assert.AreEqual(expected[k][i], actual[k][i], 0.01f * size, $"result {k}[{i}]");
        }
    }
}
