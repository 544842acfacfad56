using TorchSharp;

namespace GenerativeML.Tests;

/// <summary>The parts of a detector's score, computed anew in doubles from the model's tensors.</summary>
[TestClass]
public class VaeNoveltyTests
{
    private const int Rows = 50, Width = 4, Hidden = 5, Latent = 2;

    // Gaussian, Bernoulli with greys, Gaussian, constant.
    private static readonly bool[] s_bernoulli = [false, true, false, false];

    private static float Value(long i, int j) => j == 3 ? 7 : j > 3 ? (i + j) % 2 : i * (37 + 16 * j) % 101 / 100f;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void The_score_is_the_sum_of_its_parts_in_units_of_their_usual_sizes(bool conditional)
    {
        VaeShape shape = VaeTruthTests.Shape(Width, bernoulli: 1, Latent, Hidden) with
        {
            Score = VaeScore.Novelty,
            MemoryRows = conditional ? 0 : 24,
            ConditionWidths = conditional ? [2] : [],
            ConditionRows = conditional ? 10 : 0,
        };
        using VaeModel model = VaeTruthTests.Model(shape, s_bernoulli, (i, j) => Value(i, j));
        VaeTruthTests.Set(model, "output_log_variance", 0.3f, 0, -0.7f, 0.1f);
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        RowSample[] samples = [.. shape.ConditionWidths.Prepend(Width).Select((w, f) => new RowSample(f, w, 1000, 0))];
        var source = new FieldRows(Rows, [Width, .. shape.ConditionWidths], (i, j) => Value(i, j));
        TrainingData.Prepare(source, new TestOptions(), 0, torch.CPU, samples).Dispose();
        new VaeCalibration(model, samples, torch.CPU).Weigh();

        torch.Tensor rows = HostTensors.FromRows(samples[0].ToArray(), Rows, Width, torch.CPU);
        torch.Tensor? conditions = conditional ? ConditionStore.Sampled(samples[1..], torch.CPU) : null;
        var scoring = new VaeScoring(model);
        double[] found = Doubles(scoring.Score(rows, conditions));
        double[] slots = Doubles(scoring.SlotScore(rows, conditions));

        double[][] expected = Parts(
            model, samples[0].ToArray(), Doubles(model.Standardize(rows)),
            conditional ? Doubles(model.Conditions.Scaled(conditions)!) : []);
        double[] size = [.. Enumerable.Range(0, 4).Select(p =>
        {
            double[] sorted = [.. expected.Select(row => row[p]).Order()];
            return sorted[Rows / 2] + 0.1 * sorted.Average();
        })];
        for (int i = 0; i < Rows; i++)
        {
            double score = Enumerable.Range(0, 4).Sum(p => size[p] > 0 ? expected[i][p] / size[p] : 0);
            Assert.AreEqual(score, found[i], 2e-4 * score, $"row {i}");
            Assert.AreEqual(found[i], slots.Skip(i * Width).Take(Width).Sum(), 1e-5 * score, $"slots of row {i}");
        }
    }

    /// <summary>The four parts of each training row, before they are weighted.</summary>
    private static double[][] Parts(VaeModel model, float[] rows, double[] seen, double[] conditions)
    {
        Dictionary<string, double[]> weights =
            model.Network.NamedTensors().ToDictionary(t => t.Name, t => Doubles(t.Value));
        double[] shares = [.. Enumerable.Range(0, Rows).Select(i => (double)rows[i * Width + 1])];
        double share = shares.Average();
        double[] memory = Doubles(model.Novelty!.Memory);
        var differences = new double[Rows][];
        var parts = new double[Rows][];
        for (int i = 0; i < Rows; i++)
        {
            double[] x = [.. seen.Skip(i * Width).Take(Width)], c = [.. conditions.Skip(i * 2).Take(2)];
            double[] hidden = Tanh(Layer("encoder.0", [.. x, .. c]));
            double[] mean = Layer("latent_mean", hidden), logVariance = Layer("latent_log_variance", hidden);
            double[] decoded = Layer("output", Tanh(Layer("decoder.0", [.. mean, .. c])));
            double p = 1 / (1 + Math.Exp(-decoded[1])), q = shares[i];
            double excess = Divergence(q, p) + Divergence(1 - q, 1 - p) + Square(0) + Square(2);
            double kl = mean.Zip(logVariance, (m, v) => 0.5 * (m * m + Math.Exp(v) - v - 1)).Sum();
            double[] again = Tanh(Layer("encoder.0", [decoded[0], p - share, decoded[2], 0, .. c]));
            differences[i] = [.. hidden.Zip(again, (a, b) => a - b)];
            parts[i] = [excess + kl, 0, Near(x), Far(x)];

            double Square(int j) =>
                0.5 * Math.Pow(x[j] - decoded[j], 2) / Math.Exp(weights["output_log_variance"][j]);
        }
        double[] usual = [.. Enumerable.Range(0, Hidden).Select(h => differences.Average(d => d[h] * d[h]))];
        for (int i = 0; i < Rows; i++)
            parts[i][1] = differences[i].Zip(usual, (d, u) => d * d / (u + 0.1 * usual.Average())).Average();
        return parts;

        double[] Layer(string name, double[] input) => [.. weights[name + ".bias"].Select((bias, o) =>
            bias + input.Select((value, k) => value * weights[name + ".weight"][o * input.Length + k]).Sum())];

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

        static double Divergence(double q, double p) => q > 0 ? q * Math.Log(q / p) : 0;

        static double[] Tanh(double[] values) => [.. values.Select(Math.Tanh)];
    }

    private static double[] Doubles(torch.Tensor tensor)
    {
        float[] values = new float[tensor.shape.Aggregate(1L, (a, b) => a * b)];
        if (values.Length > 0)
            HostTensors.CopyTo(tensor.detach(), values);
        return [.. values.Select(v => (double)v)];
    }
}
