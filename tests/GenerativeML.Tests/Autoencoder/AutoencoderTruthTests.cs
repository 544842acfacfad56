using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class AutoencoderTruthTests
{
    private static AutoencoderModel Model(AutoencoderShape shape)
    {
        using var random = new SeededRandom(torch.CPU, 5);
        AutoencoderModel model = new AutoencoderModel(shape, bfloat16: false, random).OutliveScope();
        var moments = new ColumnMoments(0, shape.InputWidth);
        var rows = new ArrayRows(50, shape.InputWidth, (i, j) => (i * (7 + j) % 11 - 5) / 3f);
        TrainingData.Prepare(rows, new TestOptions(), 0, torch.CPU, [moments]).Dispose();
        model.SetScale(moments);
        return model;
    }

    private static AutoencoderShape Shape(NoiseLevels noise, bool norm = false) => new()
    {
        InputWidth = 3,
        HiddenLayers = [4],
        LatentDimension = 2,
        Members = 2,
        Activation = Activation.Tanh,
        Dropout = 0,
        BatchNormalization = norm,
        Noise = noise,
        MemoryRows = 0,
    };

    private static torch.Tensor Loss(AutoencoderTraining training)
    {
        // The random state of a step follows from its number: the same loss, again and again.
        using var random = new SeededRandom(torch.CPU, 9);
        torch.Tensor rows = torch.tensor([0.1f, -0.4f, 0.8f, 1.2f, 0.3f, -0.9f, -0.7f, 0.5f, 0.2f, 0.9f, -1.1f, 0.6f], [4, 3]);
        return training.Loss(new Batch([rows], 4), 0, new StepContext(0, 1, random)).Single().Value;
    }

    public static IEnumerable<object[]> Cases =>
    [
        [new NoiseLevels(0, 0, 0, 0), false, false],
        [new NoiseLevels(0, 0, 0, 0), false, true],
        [new NoiseLevels(0.3, 0.3, 0.3, 0), false, false],
        [new NoiseLevels(0.3, 0.3, 0.3, 0), false, true],
        [new NoiseLevels(0.1, 1.5, 0.3, 0), false, false],
        [new NoiseLevels(0.1, 1.5, 0.3, 0), false, true],
        [new NoiseLevels(0.1, 1.5, 0.3, 0.8), false, false],
        [new NoiseLevels(0.1, 1.5, 0.3, 0.8), false, true],
        [new NoiseLevels(0.1, 1.5, 0.3, 0.8), true, false],
    ];

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void The_loss_moves_every_parameter_as_finite_differences_say(object noise, bool norm, bool managed)
    {
        using AutoencoderModel model = Model(Shape((NoiseLevels)noise, norm));
        using DisposeScope scope = torch.NewDisposeScope();
        using var training = new AutoencoderTraining(model);
        training.Backward([new LossTerm("reconstruction", Loss(training))], new StepContext(0, 1, null!));
        // All of them first: where the loss comes with its gradients, every look at it adds to them.
        (string Name, torch.Tensor Value, float[] Gradient)[] parameters =
            [.. model.Network.NamedTensors().Where(t => t.Value.requires_grad)
                .Select(t => (t.Name, t.Value, t.Value.grad!.data<float>().ToArray()))];
        foreach ((string name, torch.Tensor parameter, float[] gradient) in parameters)
        {
            // Normalisation takes constants out again: by design, biases before it have no effect.
            bool absorbed = norm && name is ("encoder.0.bias" or "encoder.1.bias" or "decoder.0.bias");
            Assert.AreEqual(!absorbed, gradient.Any(g => Math.Abs(g) > 1e-5), name);
            for (int i = 0; i < gradient.Length; i++)
                Assert.AreEqual(Difference(training, parameter, i), gradient[i], 2e-3, $"{name}[{i}]");
        }
    }

    private static double Difference(AutoencoderTraining training, torch.Tensor parameter, int element)
    {
        const float Step = 5e-3f;
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        torch.Tensor one = parameter.detach().view(-1).narrow(0, element, 1);
        float value = one.item<float>();
        one.fill_(value + Step);
        double up = Loss(training).item<float>();
        one.fill_(value - Step);
        double down = Loss(training).item<float>();
        one.fill_(value);
        return (up - down) / (2 * Step);
    }

    [TestMethod]
    public void A_linear_autoencoder_finds_the_principal_subspace()
    {
        // Rows vary along (2, 1, 0, −1)/√6 with deviation 3, along (0, 1, 1, 1)/√3 with 1, and with 0.1 elsewhere; in
        // standardised units the plane is what numpy's eigenvectors of the correlation matrix would span.
        var random = new SplitMix64(3);
        double Normal() => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
        float[][] table = [.. Enumerable.Range(0, 1000).Select(_ =>
        {
            double u = 3 * Normal() / Math.Sqrt(6), v = Normal() / Math.Sqrt(3);
            return new[] { 2 * u, u + v, v, v - u }.Select(x => (float)(x + 0.1 * Normal())).ToArray();
        })];
        using TrainedAutoencoder model = AutoencoderFit.Fit(
            new ArrayRows(1000, 4, (i, j) => table[i][j]),
            new AutoencoderOptions
            {
                HiddenLayers = [], LatentDimension = 2, Activation = Activation.Identity, InputNoise = 0, WeightDecay = 0,
                Epochs = 400, LearningRate = 0.02,
            },
            AutoencoderUse.Encode, Trained.OnCpu);

        float[] flat = [.. table.SelectMany(r => r)], output = new float[4000];
        model.Compute(flat, 1000, new() { Reconstruction = output });
        double error = PrincipalComponents.ResidualOf(table, 2);
        double found = Enumerable.Range(0, 4).Sum(j =>
        {
            double mean = table.Average(r => r[j]), variance = table.Average(r => (r[j] - mean) * (r[j] - mean));
            return Enumerable.Range(0, 1000).Average(i => Math.Pow(flat[4 * i + j] - output[4 * i + j], 2)) / variance;
        });
        Assert.AreEqual(error, found, 0.02 * error, "PCA is the best linear reconstruction, and training should reach it");
    }

    [TestMethod]
    public void Stored_rows_residuals_are_those_worked_by_hand()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor stored = torch.tensor([0f, 0f, 1f, 0f, 0f, 2f, 10f, 10f], [4, 2]);
        // From (0, 1): nearest are (0,0), (0,2) at 1 each; from (1, 0), a stored row: itself is left out, then (0,0),
        // (0,2).
        torch.Tensor rows = torch.tensor([0f, 1f, 1f, 0f], [2, 2]);
        float[] residuals = RowMemory.Residuals(rows, stored, RowMemory.Distances(rows, stored), 2).data<float>().ToArray();
        float[] expected = [0, (1 + 1) / 2f, (1 + 1) / 2f, (0 + 4) / 2f];
        for (int i = 0; i < 4; i++)
            Assert.AreEqual(expected[i], residuals[i], 1e-6);
    }

    [TestMethod]
    [DataRow(100, 5)]
    [DataRow(512, 5)]
    [DataRow(512, 40)]
    public void Stored_rows_residuals_are_those_of_the_nearest_found_one_by_one(int storedRows, int k)
    {
        const int Width = 3;
        var random = new SplitMix64(1);
        float[][] stored = Table(storedRows), rows = [.. Table(20), stored[7], stored[storedRows - 1]];
        float[][] Table(int count) => [.. Enumerable.Range(0, count).Select(
            _ => Enumerable.Range(0, Width).Select(_ => (float)random.NextDouble() * 4 - 2).ToArray())];

        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor memory = HostTensors.FromRows([.. stored.SelectMany(r => r)], storedRows, Width, torch.CPU);
        torch.Tensor input = HostTensors.FromRows([.. rows.SelectMany(r => r)], rows.Length, Width, torch.CPU);
        torch.Tensor distances = RowMemory.Distances(input, memory);
        float[] exact = RowMemory.Residuals(input, memory, distances, k).data<float>().ToArray();
        float[] mean = RowMemory.MeanResiduals(input, memory, distances, k).data<float>().ToArray();

        for (int i = 0; i < rows.Length; i++)
        {
            double Square(float[] s, int j) => (double)(rows[i][j] - s[j]) * (rows[i][j] - s[j]);
            float[][] nearest = [.. stored.OrderBy(s => Enumerable.Range(0, Width).Sum(j => Square(s, j)))];
            bool isStored = stored.Contains(rows[i]);
            for (int j = 0; j < Width; j++)
            {
                double others = nearest.Skip(isStored ? 1 : 0).Take(k).Average(s => Square(s, j));
                Assert.AreEqual(others, exact[i * Width + j], 1e-5);
                Assert.AreEqual(nearest.Take(k).Average(s => Square(s, j)), mean[i * Width + j], 1e-5);
            }
        }
    }
}
