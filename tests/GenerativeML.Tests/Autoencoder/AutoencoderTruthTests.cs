using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class AutoencoderTruthTests
{
    public static IEnumerable<object[]> Cases =>
    [
        [new AutoencoderOptions { InputNoise = 0, InputMasking = 0 }],
        [new AutoencoderOptions { InputNoise = 0.3, InputMasking = 0, ScoreColumnName = null, PredictedLabelColumnName = null, LatentColumnName = "L" }],
        [new AutoencoderOptions { InputNoise = 1.5, InputMasking = 0 }],
        [new AutoencoderOptions { InputNoise = 1.5, InputMasking = 0.8 }],
        [new AutoencoderOptions { InputNoise = 1.5, InputMasking = 0.8, EnsembleSize = 1 }],
        [new AutoencoderOptions { InputNoise = 1.5, InputMasking = 0.8, BatchNormalization = true }],
    ];

    [TestMethod]
    [DynamicData(nameof(Cases))]
    public void The_loss_moves_every_parameter_as_finite_differences_say(object given)
    {
        var options = (AutoencoderOptions)given with
        {
            HiddenLayers = [4], LatentDimension = 2, Activation = Activation.Tanh, ReferenceRows = 0,
            EnsembleSize = ((AutoencoderOptions)given).EnsembleSize ?? 2,
        };
        var network = new AutoencoderNetwork(options, new VectorInput { Width = 3 });
        LossGradients.Check(
            network, options.BatchNormalization ? ["encoder.0.bias", "encoder.1.bias", "decoder.0.bias"] : []);
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
        TrainedVector model = Trained.Detector(
            new AutoencoderOptions
            {
                HiddenLayers = [], LatentDimension = 2, Activation = Activation.Identity, InputNoise = 0, WeightDecay = 0,
                Epochs = 400, LearningRate = 0.02, ScoreColumnName = null, PredictedLabelColumnName = null,
            },
            new ArrayRows(1000, 4, (i, j) => table[i][j])).Model;

        float[] flat = [.. table.SelectMany(r => r)], output = Trained.Reconstructions(model, flat);
        double error = PrincipalComponents.ResidualOf(table, 2);
        double found = Enumerable.Range(0, 4).Sum(j =>
        {
            double mean = table.Average(r => r[j]), variance = table.Average(r => (r[j] - mean) * (r[j] - mean));
            return Enumerable.Range(0, 1000).Average(i => Math.Pow(flat[4 * i + j] - output[4 * i + j], 2)) / variance;
        });
        Assert.AreEqual(error, found, 0.02 * error, "PCA is the best linear reconstruction, and training should reach it");
    }

    [TestMethod]
    [DataRow(20)]
    [DataRow(128)]
    [DataRow(600)]
    public void Differences_to_stored_rows_are_those_of_the_nearest_found_one_by_one(int stored)
    {
        const int Width = 3;
        var random = new SplitMix64(1);
        float[][] memory = Table(stored), rows = [.. Table(20), memory[7], memory[stored - 1]];
        float[][] Table(int count) => [.. Enumerable.Range(0, count).Select(
            _ => Enumerable.Range(0, Width).Select(_ => (float)random.NextDouble() * 4 - 2).ToArray())];

        var weights = new HostWeights([new TensorSpec("memory", TensorType.F32, stored, Width)]);
        memory.SelectMany(r => r).ToArray().CopyTo(weights["memory"], 0);
        using var model = new OnnxRows(new DifferencesPass(new NearestRows(stored, Width)), weights, [Width]);
        float[] near = new float[rows.Length * Width], far = new float[rows.Length * Width];
        float[] nearSum = new float[rows.Length], farSum = new float[rows.Length];
        model.Run(rows.Length, [rows.SelectMany(r => r).ToArray()], [near, far, nearSum, farSum]);

        int many = (int)Math.Ceiling(0.2 * Math.Min(128, stored));
        for (int i = 0; i < rows.Length; i++)
        {
            double Square(float[] s, int j) => (double)(rows[i][j] - s[j]) * (rows[i][j] - s[j]);
            float[][] Nearest(IEnumerable<float[]> all) => [.. all.OrderBy(s => Enumerable.Range(0, Width).Sum(j => Square(s, j)))];
            float[][] nearest = Nearest(memory), few = Nearest(memory.Take(128));
            bool isStored = memory.Contains(rows[i]);
            for (int j = 0; j < Width; j++)
            {
                Assert.AreEqual(nearest.Skip(isStored ? 1 : 0).Take(5).Average(s => Square(s, j)), near[i * Width + j], 1e-5);
                Assert.AreEqual(few.Take(many).Average(s => Square(s, j)), far[i * Width + j], 1e-5);
            }
            Assert.AreEqual(near.AsSpan(i * Width, Width).ToArray().Sum(), nearSum[i], 1e-4);
            Assert.AreEqual(far.AsSpan(i * Width, Width).ToArray().Sum(), farSum[i], 1e-4);
        }
    }

    private sealed class DifferencesPass(NearestRows rows) : IForwardPass
    {
        public T[] Run<T>(Scope<T> w, T[] inputs)
            where T : struct, ITensor<T>
        {
            (T near, T far) = rows.Differences(w, inputs[0], byFeature: true);
            (T nearSum, T farSum) = rows.Differences(w, inputs[0], byFeature: false);
            return [near, far, nearSum, farSum];
        }
    }
}
