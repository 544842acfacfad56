namespace GenerativeML.Tests;

/// <summary>The parts of a detector's score, computed anew in doubles from the model's tensors.</summary>
[TestClass]
public class VaeNoveltyTests
{
    private const int Rows = 50, Width = 4, Hidden = 5;

    // Gaussian, Bernoulli with greys, Gaussian, constant; conditions behind them.
    private static float Value(long i, int j) => j == 3 ? 7 : j > 3 ? (i + j) % 2 : i * (37 + 16 * j) % 101 / 100f;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void The_score_is_the_sum_of_its_parts_in_units_of_their_usual_sizes(bool conditional)
    {
        var source = new FieldRows(Rows, conditional ? [Width, 2] : [Width], Value);
        using TrainedVector model = VectorFit.Fit(
            source,
            VaeTrainer.Family,
            new VaeOptions
            {
                ScoreColumnName = "Score", Score = VaeScore.Novelty, HiddenLayers = [Hidden], LatentDimension = 2, Epochs = 20,
                Activation = Activation.Tanh, ReferenceRows = 24, LearningRate = 0.01,
                ConditionColumnNames = conditional ? ["Label"] : [],
                FeatureLikelihoods =
                    [VaeLikelihood.Gaussian, VaeLikelihood.Bernoulli, VaeLikelihood.Gaussian, VaeLikelihood.Gaussian],
            },
            Trained.OnCpu).Model;
        Assert.AreEqual(!conditional, model.Weights.Find("memory") is not null);

        var block = new RowBlock(source.Fields, Rows);
        source.Open().Read(block, 0, Rows);
        (float[] found, float[] byFeature) = RandomVae.Scores(model, block, Rows);
        double[][] expected = Parts(model, conditional);
        double[] size = [.. Enumerable.Range(0, 4).Select(p =>
        {
            double[] sorted = [.. expected.Select(row => row[p]).Order()];
            return sorted[Rows / 2] + 0.2 * sorted.Average();
        })];
        for (int i = 0; i < Rows; i++)
        {
            double score = Enumerable.Range(0, 4).Sum(p => size[p] > 0 ? expected[i][p] / size[p] : 0);
            Assert.AreEqual(score, found[i], 2e-4 * score, $"row {i}");
            Assert.AreEqual(found[i], byFeature.Skip(i * Width).Take(Width).Sum(), 1e-5 * score, $"features of row {i}");
        }
    }

    /// <summary>The four parts of each training row, before they are weighted.</summary>
    private static double[][] Parts(TrainedVector model, bool conditional)
    {
        double[] mean = Moments(j => Values(j).Average()), deviation = Moments(j => Deviation(Values(j)));
        double[] memory = conditional ? [] : Doubles("memory");
        var differences = new double[Rows][];
        var parts = new double[Rows][];
        for (int i = 0; i < Rows; i++)
        {
            double q = Value(i, 1);
            double[] x = [Scaled(i, 0), q - mean[1], Scaled(i, 2), 0];
            double[] c = conditional ? [Scaled(i, 4), Scaled(i, 5)] : [];
            double[] hidden = Tanh(Layer("encoder.0", [.. x, .. c]));
            double[] latent = Layer("latent_mean", hidden), logVariance = Layer("latent_log_variance", hidden);
            double[] decoded = Layer("output", Tanh(Layer("decoder.0", [.. latent, .. c])));
            double p = 1 / (1 + Math.Exp(-decoded[1]));
            double excess = Divergence(q, p) + Divergence(1 - q, 1 - p) + Square(0) + Square(2);
            double kl = latent.Zip(logVariance, (m, v) => 0.5 * (m * m + Math.Exp(v) - v - 1)).Sum();
            double[] again = Tanh(Layer("encoder.0", [decoded[0], p - mean[1], decoded[2], 0, .. c]));
            differences[i] = [.. hidden.Zip(again, (a, b) => a - b)];
            parts[i] = [excess + kl, 0, Near(x), Far(x)];

            double Square(int j) => 0.5 * Math.Pow(x[j] - decoded[j], 2) / Math.Exp(Doubles("output_log_variance")[j]);
        }
        double[] usual = [.. Enumerable.Range(0, Hidden).Select(h => differences.Average(d => d[h] * d[h]))];
        for (int i = 0; i < Rows; i++)
            parts[i][1] = differences[i].Zip(usual, (d, u) => d * d / (u + 0.1 * usual.Average())).Average();
        return parts;

        double[] Doubles(string name) => [.. model.Weights[name].Select(v => (double)v)];

        double[] Moments(Func<int, double> moment) => [.. Enumerable.Range(0, 6).Select(moment)];

        double Scaled(int i, int j) => (Value(i, j) - mean[j]) / deviation[j];

        double[] Layer(string name, double[] input) => [.. Doubles(name + ".bias").Select((bias, o) =>
            bias + input.Select((value, k) => value * model.Weights[name + ".weight"][o * input.Length + k]).Sum())];

        double Near(double[] x)
        {
            double[] nearest = [.. Distances(x, memory.Length / Width).Where(d => d >= 1e-6 * Width).Order().Take(5)];
            return nearest.Length == 0 ? 0 : nearest.Average();
        }

        double Far(double[] x)
        {
            double[] all = [.. Distances(x, Math.Min(128, memory.Length / Width)).Order()];
            return all.Length == 0 ? 0 : all.Take((int)Math.Ceiling(0.2 * all.Length)).Average();
        }

        IEnumerable<double> Distances(double[] x, int count) => Enumerable.Range(0, count).Select(
            m => x.Select((value, j) => Math.Pow(value - memory[m * Width + j], 2)).Sum());

        static double[] Values(int j) => [.. Enumerable.Range(0, Rows).Select(i => (double)Value(i, j))];

        static double Deviation(double[] values) => Math.Sqrt(values.Average(v => Math.Pow(v - values.Average(), 2)));

        static double Divergence(double q, double p) => q > 0 ? q * Math.Log(q / p) : 0;

        static double[] Tanh(double[] values) => [.. values.Select(Math.Tanh)];
    }
}
