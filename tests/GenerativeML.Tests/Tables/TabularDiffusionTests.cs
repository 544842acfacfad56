using System.Numerics;
using TorchSharp;
using static GenerativeML.Tests.Tables.TabularNetworkTests;

namespace GenerativeML.Tests.Tables;

/// <summary>
/// The diffusion of tables against what its definition says: the chain that hides values step by step, Bayes' rule for
/// the steps back, and rows as likely as a network's shares, which are computed by torch's own functions.
/// </summary>
[TestClass]
public sealed class TabularDiffusionTests
{
    private const int Positions = 3;

    [TestMethod]
    public void The_loss_is_the_bound_of_a_chain_of_many_steps_that_each_hide_a_share_of_what_is_left()
    {
        const int rows = 40, repeats = 250, steps = 4000;
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        (TabularDiffusionNetwork network, TorchLayers layers, Batch batch) = Trained(rows);
        var peer = new Peer(layers.Tensors);
        var nats = new Dictionary<(int, int), double>();
        // In half of the rows the label, which is the last of four, comes last: hidden always, and told from all others.
        int width = network.Tokens.Columns.Count, label = 1 << width - 1, all = (1 << width) - 1;
        double bound = (Chain(all, 0) + Chain(all ^ label, label) + peer.Nats(batch[0], label, label)) / 2;

        var random = new SeededRandom(torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        double[] losses =
        [
            .. Enumerable.Range(0, repeats).Select(i =>
                (double)network.Loss(w, batch, 0, new StepContext(0, 10, random))[0].Value.item<float>()),
        ];
        double mean = losses.Average(), deviation = Math.Sqrt(losses.Average(x => (x - mean) * (x - mean)) / repeats);
        Assert.IsLessThan(0.03 * bound, deviation);
        Assert.AreEqual(bound, mean, 4.5 * deviation + 0.002 * bound);
        layers.Dispose();

        // The bound of a chain that hides some positions, with others that are hidden from the beginning: a sum over
        // steps of what is hidden then, as likely as it is, and shown again by the step back.
        double Chain(int positions, int always)
        {
            double bound = 0, left = 1;
            for (int t = 1; t <= steps; t++)
            {
                // Step t of T hides a value that is left with chance 1 / (T − t + 1).
                double before = left;
                left *= 1 - 1.0 / (steps - t + 1);
                Assert.AreEqual(1 - t / (double)steps, left, 1e-9); // the closed form: a share t / T is hidden
                // Bayes: hidden now, it was not before with chance (what this step hides) / (what is hidden).
                double shown = (before - left) / (1 - left);
                for (int hidden = 1; hidden <= positions; hidden++)
                {
                    if ((hidden & ~positions) != 0)
                        continue;
                    int count = BitOperations.PopCount((uint)hidden), seen = BitOperations.PopCount((uint)positions) - count;
                    bound += Math.Pow(1 - left, count) * Math.Pow(left, seen) * shown * Nats(hidden | always, hidden);
                }
            }
            return bound;
        }

        double Nats(int hidden, int counted)
        {
            if (!nats.TryGetValue((hidden, counted), out double sum))
                nats[(hidden, counted)] = sum = peer.Nats(batch[0], hidden, counted);
            return sum;
        }
    }

    [TestMethod]
    public void Each_parameter_is_moved()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (TabularDiffusionNetwork network, TorchLayers layers, Batch batch) = Trained(300);
        var step = new StepContext(0, 10, new SeededRandom(torch.CPU, 5));
        network.Loss(new TorchOps(layers.Tensors).Root, batch, 0, step)[0].Value.backward();
        foreach ((string name, torch.Tensor value) in layers.Tensors.Where(t => t.Value.requires_grad))
            Assert.IsGreaterThan(0, Norm(value), name);
        layers.Dispose();
    }

    [TestMethod]
    public void What_is_kept_of_the_network_gives_the_shares_of_the_whole_of_it()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        (TabularDiffusionNetwork network, TorchLayers layers, Batch batch) = Trained(20);
        HostWeights kept = network.Trained(layers.ToHost(network.Declared().Tensors));
        var all = new Peer(layers.Tensors);
        var some = new Peer(Tensors(kept));
        Assert.IsFalse(kept.Specs.Any(s => s.Name.StartsWith("smooth", StringComparison.Ordinal)));
        for (int hidden = 1; hidden < 1 << network.Tokens.Columns.Count; hidden++)
            Assert.AreEqual(all.Nats(batch[0], hidden, hidden), some.Nats(batch[0], hidden, hidden), 1e-4);
        layers.Dispose();
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void Rows_are_as_likely_as_the_shares_in_all_orders_say_or_those_that_end_with_the_label(bool label)
    {
        const int rows = 60_000;
        (TableNetwork network, HostWeights weights) = Diffusion(label ? 2 : null);
        double[] expected = new double[s_counts.Aggregate((a, b) => a * b)];
        int[][] orders = label
            ? [[0, 1, 2], [1, 0, 2]]
            : [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        var peer = new Peer(Tensors(weights));
        foreach (int[] order in orders)
            peer.Joint(order, (x, p) => expected[x] += p / orders.Length);
        Compare(expected, network.Draw(OnOnnx(weights), Any(network), Random(8, rows)).Tokens);
        Assert.IsGreaterThan(20 * expected.Min(), expected.Max(), "the rows should not be alike");
    }

    [TestMethod]
    public void In_one_step_values_are_independent()
    {
        const int rows = 20_000;
        (TableNetwork network, HostWeights weights) = Diffusion();
        var fast = new TabularDiffusionNetwork(
            new() { HiddenWidth = 9, Blocks = 1, SamplingSteps = 1 }, network.Tokens);
        var peer = new Peer(Tensors(weights));
        double[][] share = [.. Enumerable.Range(0, Positions).Select(p => peer.Shares([-1, -1, -1], p))];
        double[] expected = new double[s_counts.Aggregate((a, b) => a * b)];
        peer.Joint([0, 1, 2], (x, _) =>
        {
            int[] values = Values(x);
            expected[x] = share[0][values[0]] * share[1][values[1]] * share[2][values[2]];
        });
        Compare(expected, fast.Draw(OnOnnx(weights), Any(fast), Random(8, rows)).Tokens);
    }

    [TestMethod]
    public void Under_limits_rows_are_as_likely_as_the_shares_say_of_those_that_are_allowed()
    {
        const int rows = 25_000;
        (TableNetwork network, HostWeights weights) = Diffusion();
        bool[] wide = [.. Enumerable.Range(0, s_counts[1]).Select(i => i % 5 == 1)], narrow = [true, false, true];
        IReadOnlyList<TokenColumn> columns = [.. Limited(network, 1, wide)];
        columns = [.. columns.Take(2), columns[2].Limited(new CategoryLimit(2, narrow))];
        var peer = new Peer(Tensors(weights));
        double[] expected = new double[s_counts.Aggregate((a, b) => a * b)];
        // What has least choice comes first, and then the other one that is limited.
        peer.Joint([2, 1, 0], (x, p) => expected[x] = wide[Values(x)[1]] && narrow[Values(x)[2]] ? p : 0);
        double all = expected.Sum();
        // One of eight candidates is taken, which leaves a little of the distribution without the limit.
        Compare(
            [.. expected.Select(p => p / all)], network.Draw(OnOnnx(weights), columns, Random(8, rows)).Tokens, 0.08);
    }

    [TestMethod]
    public void Given_values_are_exact_and_the_others_as_likely_as_they_say()
    {
        const int rows = 40_000;
        (TableNetwork network, HostWeights weights) = Diffusion();
        bool[] given = [.. Enumerable.Range(0, s_counts[1]).Select(i => i == 7)];
        var peer = new Peer(Tensors(weights));
        double[] expected = new double[s_counts.Aggregate((a, b) => a * b)];
        foreach (int[] order in (int[][])[[1, 0, 2], [1, 2, 0]])
            peer.Joint(order, (x, p) => expected[x] += Values(x)[1] == 7 ? p / 2 : 0);
        double all = expected.Sum();
        Compare(
            [.. expected.Select(p => p / all)],
            network.Draw(OnOnnx(weights), Limited(network, 1, given), Random(8, rows)).Tokens);
    }

    private static void Compare(double[] expected, float[] tokens, double more = 0)
    {
        int rows = tokens.Length / Positions;
        double[] found = new double[expected.Length];
        for (int i = 0; i < rows; i++)
            found[((int)tokens[3 * i] * s_counts[1] + (int)tokens[3 * i + 1]) * s_counts[2] + (int)tokens[3 * i + 2]] += 1.0 / rows;
        for (int x = 0; x < expected.Length; x++)
        {
            double p = expected[x];
            Assert.AreEqual(p, found[x], 5 * Math.Sqrt(p / rows) + more * p + 1e-5, string.Join(' ', Values(x)));
        }
    }

    private static int[] Values(int x) =>
        [x / (s_counts[1] * s_counts[2]), x / s_counts[2] % s_counts[1], x % s_counts[2]];

    private static (TabularDiffusionNetwork, TorchLayers, Batch) Trained(int rows)
    {
        (TabularDiffusionNetwork network, TorchLayers layers, Batch batch) = Training<TabularDiffusionNetwork>(
            new TabularDiffusionOptions { HiddenWidth = 7, Blocks = 2, Dropout = 0 }, rows);
        // Larger than at the beginning of training, so that each weight matters.
        using (torch.no_grad())
        {
            var random = new SeededRandom(torch.CPU, 9);
            foreach (torch.Tensor parameter in layers.Parameters())
                parameter.Add(random.Normal(parameter.shape, 0.3));
        }
        return (network, layers, batch);
    }

    private static Dictionary<string, torch.Tensor> Tensors(HostWeights weights) => weights.Specs.ToDictionary(
        s => s.Name, s => torch.tensor(weights[s.Name]).reshape(s.Shape.ToArray()));

    /// <summary>The network once more, by torch's own functions, row by row.</summary>
    private sealed class Peer(IReadOnlyDictionary<string, torch.Tensor> w)
    {
        private readonly Dictionary<string, double[]> _shares = [];

        /// <summary>The shares of a position's tokens, given those of others; minus one where one is hidden.</summary>
        public double[] Shares(int[] row, int position)
        {
            string key = $"{position}: {string.Join(' ', row)}";
            if (_shares.TryGetValue(key, out double[]? known))
                return known;
            using DisposeScope scope = torch.NewDisposeScope();
            using IDisposable noGradient = torch.no_grad();
            torch.Tensor sees = torch.tensor([.. row.Select(token => token < 0 ? 0f : 1f)]);
            torch.Tensor x = Linear("known", sees);
            for (int p = 0; p < row.Length; p++)
            {
                if (row[p] >= 0)
                    x = x.add(Vectors(p, $"input.{p}", "input")[row[p]]);
            }
            for (int i = 0; w.ContainsKey($"block.{i}.norm.weight"); i++)
            {
                torch.Tensor inner = torch.nn.functional.silu(Linear($"block.{i}.dense.0", Norm($"block.{i}.norm", x)));
                x = x.add(Linear($"block.{i}.dense.1", inner));
            }
            torch.Tensor logits = Vectors(position, $"output.{position}.weight", "output").mv(Norm("norm", x))
                .add(w[$"output.{position}.bias"]);
            return _shares[key] = [.. logits.softmax(0).data<float>().Select(share => (double)share)];
        }

        /// <summary>
        /// The mean over rows of −log share where the positions whose bits are set are hidden, summed over some of them.
        /// </summary>
        public double Nats(torch.Tensor rows, int hidden, int counted)
        {
            double sum = 0;
            for (int i = 0; i < rows.shape[0]; i++)
            {
                int[] row = [.. rows[i].data<long>().Select(token => (int)token)];
                int[] seen = [.. row.Select((token, p) => (hidden >> p & 1) == 1 ? -1 : token)];
                for (int p = 0; p < row.Length; p++)
                    sum -= (counted >> p & 1) == 1 ? Math.Log(Shares(seen, p)[row[p]]) : 0;
            }
            return sum / rows.shape[0];
        }

        /// <summary>Each row of three categories, by its number, and how likely it is in an order.</summary>
        public void Joint(int[] order, Action<int, double> take)
        {
            int[] row = [-1, -1, -1];
            Next(0, 1);

            void Next(int i, double likely)
            {
                if (i == Positions)
                {
                    take((row[0] * s_counts[1] + row[1]) * s_counts[2] + row[2], likely);
                    return;
                }
                double[] shares = Shares(row, order[i]);
                for (int token = 0; token < shares.Length; token++)
                {
                    row[order[i]] = token;
                    Next(i + 1, likely * shares[token]);
                }
                row[order[i]] = -1;
            }
        }

        private torch.Tensor Vectors(int position, string own, string part)
        {
            if (!w.ContainsKey($"smooth.{position}.own"))
                return w[own];
            return w[own].mul(w[$"smooth.{position}.own"])
                .add(w[$"smooth.{position}.features"].mm(w[$"smooth.{position}.{part}"]));
        }

        private torch.Tensor Norm(string layer, torch.Tensor x) =>
            torch.nn.functional.layer_norm(x, [x.shape[0]], w[layer + ".weight"], w[layer + ".bias"]);

        private torch.Tensor Linear(string layer, torch.Tensor x) =>
            torch.nn.functional.linear(x, w[layer + ".weight"], w[layer + ".bias"]);
    }
}
