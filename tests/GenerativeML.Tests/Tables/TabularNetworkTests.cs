using TorchSharp;

namespace GenerativeML.Tests.Tables;

/// <summary>
/// The networks of tables against what their weights say: probabilities computed by hand, gradients, and the two
/// engines against each other.
/// </summary>
[TestClass]
public sealed class TabularNetworkTests
{
    internal static readonly int[] s_counts = [2, 37, 3];

    [TestMethod]
    public void Rows_are_as_likely_as_the_decoder_says()
    {
        const int rows = 60_000;
        using DisposeScope scope = torch.NewDisposeScope();
        (TabularVaeNetwork network, HostWeights weights) = Vae();
        double[,,] expected = Joint(weights, 4000), found = new double[s_counts[0], s_counts[1], s_counts[2]];
        float[] drawn = network.Draw(OnOnnx(weights), Any(network), Random(8, rows)).Tokens;
        for (int i = 0; i < rows; i++)
            found[(int)drawn[3 * i], (int)drawn[3 * i + 1], (int)drawn[3 * i + 2]] += 1.0 / rows;

        double likeliest = 0, least = 1;
        for (int a = 0; a < s_counts[0]; a++)
        {
            for (int b = 0; b < s_counts[1]; b++)
            {
                for (int c = 0; c < s_counts[2]; c++)
                {
                    double p = expected[a, b, c];
                    (likeliest, least) = (Math.Max(likeliest, p), Math.Min(least, p));
                    // Five deviations of the count, and as much for the vectors that the expectation is a mean over.
                    double deviation = Math.Sqrt(p / rows) + 1.5 * p / Math.Sqrt(4000);
                    Assert.AreEqual(p, found[a, b, c], 5 * deviation + 1e-5, $"{a} {b} {c}");
                }
            }
        }
        Assert.IsGreaterThan(20 * least, likeliest, "the rows should not be alike");
    }

    [TestMethod]
    public void Of_limited_tokens_those_that_are_allowed_are_drawn_as_often_as_among_free_rows_that_meet_the_limit()
    {
        const int rows = 40_000;
        (TabularVaeNetwork network, HostWeights weights) = Vae();
        bool[] allowed = [.. Enumerable.Range(0, s_counts[1]).Select(i => i % 5 == 1)];
        float[] free = network.Draw(OnOnnx(weights), Any(network), Random(8, 5 * rows)).Tokens;
        float[] limited = network.Draw(OnOnnx(weights), Limited(network, 1, allowed), Random(9, rows)).Tokens;
        int[] met = [.. Enumerable.Range(0, 5 * rows).Where(i => allowed[(int)free[3 * i + 1]])];
        Assert.IsGreaterThan(rows / 5, met.Length);
        for (int p = 0; p < s_counts.Length; p++)
        {
            for (int t = 0; t < s_counts[p]; t++)
            {
                double expected = met.Count(i => free[3 * i + p] == t) / (double)met.Length;
                double found = Enumerable.Range(0, rows).Count(i => limited[3 * i + p] == t) / (double)rows;
                Assert.IsTrue(p != 1 || allowed[t] || found == 0, $"token {t} is not allowed");
                // One of eight candidates is taken, which leaves a little of the distribution without the limit.
                Assert.AreEqual(expected, found, 5 * Math.Sqrt(2 * 0.25 / met.Length) + 0.02, $"{p}: {t}");
            }
        }
    }

    [TestMethod]
    [DataRow("vae", false)]
    [DataRow("vae", true)]
    [DataRow("gan", false)]
    [DataRow("gan", true)]
    [DataRow("diffusion", false)]
    [DataRow("diffusion", true)]
    public void Both_engines_draw_the_same_rows_and_a_row_is_the_same_alone_and_among_others(string method, bool limited)
    {
        const int rows = 700;
        (TableNetwork network, HostWeights weights) = method == "gan" ? Gan() : method == "vae" ? Vae() : Diffusion();
        bool[] allowed = [.. Enumerable.Range(0, s_counts[1]).Select(i => i % 3 == 1)];
        IReadOnlyList<TokenColumn> values = limited ? Limited(network, 1, allowed) : Any(network);
        (float[] tokens, float[] offsets) = network.Draw(OnOnnx(weights), values, Random(3, rows));
        (float[] byTorch, float[] offsetsByTorch) = network.Draw(OnTorch(weights), values, Random(3, rows));
        // A number that falls between two tokens may go either way.
        int differ = tokens.Zip(byTorch).Count(t => t.First != t.Second);
        Assert.IsLessThanOrEqualTo(3, differ);
        for (int i = 0; i < offsets.Length; i++)
            Assert.AreEqual(offsetsByTorch[i], offsets[i], 1e-5);
        Assert.HasCount(method == "gan" ? rows : 0, offsets);

        int width = network.Tokens.Columns.Count;
        foreach (int row in new[] { 0, 1, 255, 256, 699 })
        {
            (float[] alone, float[] offset) = network.Draw(OnOnnx(weights), values, Random(3, rows)[row..(row + 1)]);
            CollectionAssert.AreEqual(tokens[(row * width)..((row + 1) * width)], alone);
            if (method == "gan")
                Assert.AreEqual(offsets[row], offset[0]);
        }
    }

    [TestMethod]
    public void Every_parameter_of_the_VAE_is_moved_by_the_terms_that_should_move_it()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (TabularVaeNetwork network, TorchLayers layers, Batch rows) = Training(
            new TabularVaeOptions { LatentDimension = 3, HiddenWidth = 8, Dropout = 0 }, 300);
        var random = new SeededRandom(torch.CPU, 3);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;

        network.NegativeElbo(w, rows[0], random, 0).Reconstruction.backward();
        foreach ((string name, torch.Tensor value) in layers.Tensors.Where(t => t.Value.requires_grad))
            Assert.IsGreaterThan(0, Norm(value), name);

        foreach (torch.Tensor value in layers.Parameters())
            value.grad = null;
        network.NegativeElbo(w, rows[0], random, 0).Kl.sum().backward();
        foreach ((string name, torch.Tensor value) in layers.Tensors.Where(t => t.Value.requires_grad))
            Assert.AreEqual(name.Contains("encoder", StringComparison.Ordinal), Norm(value) > 0, name);
        layers.Dispose();
    }

    [TestMethod]
    public void Gradients_of_the_ELBO_are_those_of_finite_differences()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (TabularVaeNetwork network, TorchLayers layers, Batch rows) = Training(
            new TabularVaeOptions { LatentDimension = 2, HiddenWidth = 4 }, 60);
        // Larger than at the beginning of training, so that each weight matters.
        using (torch.no_grad())
        {
            var random = new SeededRandom(torch.CPU, 9);
            foreach (torch.Tensor parameter in layers.Parameters())
                parameter.copy_(random.Normal(parameter.shape, 0.4));
        }
        Scope<TorchTensor> w = new TorchOps(layers.Tensors).Root;
        Loss().backward();
        string[] names = ["decoder.1.known.weight", "encoder.mu.weight", "smooth.2.decoder", "encoder.0.tokens"];
        foreach (string name in names)
        {
            torch.Tensor parameter = layers.Tensors[name];
            double norm = parameter.grad!.norm().item<float>();
            torch.Tensor direction = parameter.grad!.clone().Over(norm);
            const double step = 0.01;
            double higher = Moved(step), lower = Moved(-step);
            Assert.AreEqual(norm, (higher - lower) / (2 * step), 0.03 * norm + 2e-4, name);

            double Moved(double by)
            {
                using IDisposable noGradient = torch.no_grad();
                parameter.Add(direction, by);
                double loss = Loss().item<float>();
                parameter.Add(direction, -by);
                return loss;
            }
        }
        layers.Dispose();

        torch.Tensor Loss()
        {
            var random = new SeededRandom(torch.CPU, 4);
            (torch.Tensor reconstruction, torch.Tensor kl) = network.NegativeElbo(w, rows[0], random, 0);
            return reconstruction.add(kl.sum());
        }
    }

    [TestMethod]
    public void The_untrained_VAE_knows_how_often_values_occur()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (TabularVaeNetwork network, TorchLayers layers, Batch rows) = Training(
            new TabularVaeOptions { LatentDimension = 2, HiddenWidth = 4 }, 2000);
        var random = new SeededRandom(torch.CPU, 3);
        using (torch.no_grad())
        {
            foreach ((string name, torch.Tensor value) in layers.Tensors.Where(
                t => t.Key.EndsWith("output.weight", StringComparison.Ordinal)))
            {
                value.Fill(0);
            }
        }
        double entropy = network.Tokens.Frequencies.Sum(
            counts => -counts.Where(n => n > 0).Sum(n => n / 2000.0 * Math.Log(n / 2000.0)));
        torch.Tensor loss = network.NegativeElbo(new TorchOps(layers.Tensors).Root, rows[0], random, 0).Reconstruction;
        Assert.AreEqual(entropy, loss.item<float>(), 0.01);
        layers.Dispose();
    }

    [TestMethod]
    public void What_is_kept_of_the_VAE_decodes_as_the_whole_of_it_does()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (TabularVaeNetwork network, TorchLayers layers, Batch rows) = Training(
            new TabularVaeOptions { LatentDimension = 2, HiddenWidth = 5 }, 200);
        HostWeights all = layers.ToHost(network.Declared().Tensors);
        HostWeights kept = network.Trained(layers.ToHost(network.Declared().Tensors));
        string[] expected = [.. network.TrainedTensors().Select(t => t.ToString()).Order()];
        CollectionAssert.AreEqual(expected, kept.Specs.Select(t => t.ToString()).Order().ToArray());
        int position = network.Tokens.Columns.ToList().FindIndex(c => c is NumberTokens);
        float[] own = all[$"smooth.{position}.own"], features = all[$"smooth.{position}.features"];
        float[] smooth = all[$"smooth.{position}.decoder"], before = all[$"decoder.{position}.tokens"];
        for (int token = 0; token < own.Length; token++)
        {
            double first = before[token * 5] * own[token] + Enumerable.Range(0, NumberTokens.FeatureCount)
                .Sum(f => features[token * NumberTokens.FeatureCount + f] * (double)smooth[f * 5]);
            Assert.AreEqual(first, kept[$"decoder.{position}.tokens"][token * 5], 1e-6);
        }
        layers.Dispose();
    }

    [TestMethod]
    public void Every_parameter_of_the_GAN_is_moved()
    {
        using DisposeScope scope = torch.NewDisposeScope();
        (TabularGanNetwork network, TorchLayers layers, Batch batch) = Training<TabularGanNetwork>(
            new TabularGanOptions { Dropout = 0, NoiseDimension = 6, HiddenLayers = [8, 8] }, 300);
        var random = new SeededRandom(torch.CPU, 5);
        Scope<TorchTensor> w = new TorchOps(layers.Tensors) { Random = random }.Root;
        var step = new StepContext(0, 10, random);
        IReadOnlyList<UpdateRule> updates = network.Updates(layers);
        for (int update = 0; update < 2; update++)
        {
            for (int term = 0; term < 2; term++)
            {
                foreach (torch.Tensor value in layers.Parameters())
                    value.grad = null;
                LossTerm loss = network.Loss(w, batch, update, step)[term];
                loss.Value.backward();
                int still = updates[update].Parameters.Count(p => Norm(p) == 0);
                // What judges only by differences and gradients does not see the discriminator's last bias, and the
                // penalty sees no bias but through the units that it turns on.
                int expected = loss.Name switch { "discriminator" => 1, "gradient penalty" => 3, _ => 0 };
                Assert.IsLessThanOrEqualTo(expected, still, loss.Name);
            }
        }
        layers.Dispose();
    }

    internal static double Norm(torch.Tensor parameter) => parameter.grad?.norm().item<float>() ?? 0;

    private static (TabularVaeNetwork, TorchLayers, Batch) Training(TabularVaeOptions options, int rows) =>
        Training<TabularVaeNetwork>(options, rows);

    internal static (TNetwork, TorchLayers, Batch) Training<TNetwork>(TabularOptions options, int rows)
        where TNetwork : TableNetwork
    {
        ArrayTable table = ArrayTable.Known(rows, 1);
        TokenTable tokens = TokenTable.Learn(table, options.UsesModes, 1, default);
        var source = new TokenSource(table, tokens);
        var block = new RowBlock(source.Fields, rows);
        using (IRowReader reader = source.Open())
            Assert.AreEqual(rows, reader.Read(block, 0, rows));
        for (int row = 0; row < rows; row++)
            source.Observe(block, row);
        var network = (TNetwork)options.CreateNetwork(tokens with { Frequencies = source.Frequencies });
        var layers = new TorchLayers(network.Declare, torch.CPU, 1);
        HostWeights weights = layers.ToHost(network.Declared().Tensors);
        network.Initialize(weights, 2);
        layers.LoadStateDict(weights);
        return (network, layers, HostTensors.ToBatch(block, new RowRange(0, rows, rows), torch.CPU));
    }

    /// <summary>One whose weights all matter.</summary>
    private static (TabularVaeNetwork Network, HostWeights Weights) Vae()
    {
        var network = new TabularVaeNetwork(new() { LatentDimension = 2, HiddenWidth = 9 }, Categories());
        return (network, RandomWeights(network, 0.45));
    }

    internal static (TableNetwork Network, HostWeights Weights) Diffusion(int? label = null)
    {
        var network = new TabularDiffusionNetwork(new() { HiddenWidth = 9, Blocks = 1 }, Categories(label));
        return (network, RandomWeights(network, 0.45));
    }

    private static (TableNetwork Network, HostWeights Weights) Gan()
    {
        double[] values = [.. Enumerable.Range(0, 200).Select(i => i % 2 * 10 + i * 0.001)];
        var shape = new TableShape(
            [.. s_counts.Select((n, i) => ArrayTable.Category($"c{i}", n)), ArrayTable.Number("x", values, 3)]);
        TokenTable tokens = new(
            shape,
            [
                .. s_counts.Select(n => new CategoryTokens([.. Enumerable.Range(1, n).Select(i => (long)i)], 256)),
                NumberModes.Learn(shape.Columns[3], values),
            ]);
        tokens = tokens with { Frequencies = [.. tokens.Counts.Select(n => Enumerable.Repeat(5L, n).ToArray())] };
        var network = new TabularGanNetwork(new() { NoiseDimension = 4, HiddenLayers = [7, 6] }, tokens);
        HostWeights weights = RandomWeights(network, 0.45);
        foreach (TensorSpec spec in weights.Specs.Where(s => s.Name.EndsWith("running_var", StringComparison.Ordinal)))
        {
            foreach (ref float value in weights[spec.Name].AsSpan())
                value = 0.5f + value * value;
        }
        return (network, weights);
    }

    private static TokenTable Categories(int? label = null) => new(
        new TableShape([.. s_counts.Select((n, i) => ArrayTable.Category($"c{i}", n))], label),
        [.. s_counts.Select(n => new CategoryTokens([.. Enumerable.Range(0, n).Select(i => 100L - i)], 256))]);

    internal static HostWeights RandomWeights(TableNetwork network, double deviation)
    {
        var weights = new HostWeights(network.TrainedTensors());
        var random = new SplitMix64(3);
        foreach (TensorSpec spec in weights.Specs)
        {
            NormalNumbers.Fill(ref random, weights[spec.Name]);
            foreach (ref float value in weights[spec.Name].AsSpan())
                value *= (float)deviation;
        }
        return weights;
    }

    internal static IReadOnlyList<TokenColumn> Any(TableNetwork network) =>
        [.. network.Tokens.Columns.Select(c => c.Limited(null))];

    // Categories' tokens are the categories, as they are ordered by how often they occur.
    internal static IReadOnlyList<TokenColumn> Limited(TableNetwork network, int position, bool[] allowed) =>
    [
        .. network.Tokens.Columns.Select((c, p) => c.Limited(p == position ? new CategoryLimit(p, allowed) : null)),
    ];

    internal static SplitMix64[] Random(ulong seed, int rows) =>
        [.. Enumerable.Range(0, rows).Select(i => new SplitMix64(new SplitMix64(seed + (ulong)i).Next()))];

    internal static RunPass OnOnnx(HostWeights weights)
    {
        var cache = new InferenceCache(weights, ComputeDevice.Cpu, fallbackToCpu: false);
        return (key, pass, rows, values, results) => cache.Run(key, pass, rows, values, results);
    }

    private static RunPass OnTorch(HostWeights weights) => (_, pass, rows, values, results) =>
    {
        using var engine = new TorchRows(pass(), weights, torch.CPU);
        engine.Run(rows, values, results);
    };

    /// <summary>
    /// The joint distribution of the decoder's tokens, computed by torch's own functions: the mean over latent vectors
    /// of the product of the positions' shares.
    /// </summary>
    private static double[,,] Joint(HostWeights weights, int vectors)
    {
        using IDisposable noGradient = torch.no_grad();
        var random = new SeededRandom(torch.CPU, 4);
        Dictionary<string, torch.Tensor> w = weights.Specs.ToDictionary(
            s => s.Name, s => torch.tensor(weights[s.Name]).reshape(s.Shape.ToArray()));
        torch.Tensor z = random.Normal([vectors, 2]);
        double[,,] joint = new double[s_counts[0], s_counts[1], s_counts[2]];
        torch.Tensor start = Linear("decoder.latent", z), first = Share(0, start);
        for (int a = 0; a < s_counts[0]; a++)
        {
            torch.Tensor afterFirst = start.add(w["decoder.0.tokens"][a]), second = Share(1, afterFirst);
            for (int b = 0; b < s_counts[1]; b++)
            {
                torch.Tensor third = Share(2, afterFirst.add(w["decoder.1.tokens"][b]));
                for (int c = 0; c < s_counts[2]; c++)
                {
                    joint[a, b, c] = first.narrow(1, a, 1).mul(second.narrow(1, b, 1)).mul(third.narrow(1, c, 1))
                        .mean().item<float>();
                }
            }
        }
        return joint;

        torch.Tensor Share(int position, torch.Tensor known)
        {
            torch.Tensor latent = torch.nn.functional.linear(z, w[$"decoder.{position}.latent.weight"]);
            torch.Tensor hidden = Linear($"decoder.{position}.known", known).add(latent).relu();
            hidden = hidden.add(Linear($"decoder.{position}.hidden", hidden).relu());
            return Linear($"decoder.{position}.output", hidden).softmax(1);
        }

        torch.Tensor Linear(string layer, torch.Tensor x) =>
            torch.nn.functional.linear(x, w[layer + ".weight"], w[layer + ".bias"]);
    }
}
