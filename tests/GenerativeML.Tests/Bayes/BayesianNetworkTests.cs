using System.IO.Compression;
using System.Text.Json;
using System.Xml.Linq;

namespace GenerativeML.Tests.Bayes;

/// <summary>Inference in networks of the literature, and in random ones against the sum over all states.</summary>
[TestClass]
public sealed class BayesianNetworkTests
{
    private static readonly Lazy<JsonElement> s_exact = new(() => JsonDocument.Parse(
        File.ReadAllText(TestData.Find("bayesnet/exact_values.json"))).RootElement);

    /// <summary>A network of the literature.</summary>
    internal static BayesianNetwork Known(string name)
    {
        using var text = new StreamReader(new GZipStream(
            File.OpenRead(TestData.Find($"bayesnet/{name}.bif.gz")), CompressionMode.Decompress));
        return BifFormat.Parse(text.ReadToEnd());
    }

    [TestMethod]
    [DataRow("asia")]
    [DataRow("cancer")]
    [DataRow("earthquake")]
    [DataRow("sachs")]
    [DataRow("child")]
    [DataRow("alarm")]
    public void Known_networks_have_their_published_marginals_entropy_and_size(string name)
    {
        BayesianNetwork network = Known(name);
        JsonElement exact = s_exact.Value.GetProperty(name);
        Assert.HasCount(exact.GetProperty("nodes").GetInt32(), network.Names);
        Assert.HasCount(exact.GetProperty("arcs").GetInt32(), network.Edges);
        Assert.AreEqual(exact.GetProperty("free_parameters").GetInt64(), network.FreeParameters);
        Assert.AreEqual(exact.GetProperty("entropy_nats_per_row").GetDouble(), network.Entropy(), 1e-6);
        int checkedStates = 0;
        foreach (JsonProperty variable in exact.GetProperty("marginals").EnumerateObject())
        {
            IReadOnlyDictionary<string, double> found = network.Query(variable.Name);
            foreach (JsonProperty state in variable.Value.EnumerateObject())
            {
                Assert.AreEqual(state.Value.GetDouble(), found[state.Name], 1e-6, $"{variable.Name} = {state.Name}");
                checkedStates++;
            }
        }
        Assert.IsGreaterThanOrEqualTo(2 * network.Names.Count, checkedStates);
    }

    [TestMethod]
    public void Known_questions_have_their_published_answers()
    {
        foreach (JsonElement query in s_exact.Value.GetProperty("queries").EnumerateArray())
        {
            BayesianNetwork network = Known(query.GetProperty("net").GetString()!);
            var evidence = query.GetProperty("evidence").EnumerateObject().ToDictionary(e => e.Name, e => e.Value.GetString()!);
            Assert.AreEqual(query.GetProperty("p_evidence").GetDouble(), Math.Exp(network.LogProbability(evidence)), 1e-6);
            IReadOnlyDictionary<string, double> found = network.Query(query.GetProperty("query").GetString()!, evidence);
            foreach (JsonProperty state in query.GetProperty("answer").EnumerateObject())
                Assert.AreEqual(state.Value.GetDouble(), found[state.Name], 1e-6);
        }
    }

    [TestMethod]
    public void Inference_is_the_sum_over_all_states_in_random_networks()
    {
        for (int seed = 0; seed < 30; seed++)
        {
            var random = new Random(seed);
            BayesianNetwork network = Random(random, 3 + seed % 10);
            int n = network.Count;
            // Weights of some variables' states, of which some are impossible.
            double[]?[] weights = new double[]?[n];
            for (int v = 0; v < n; v++)
            {
                if (random.Next(3) == 0)
                    weights[v] = [.. Enumerable.Range(0, network.Sizes[v]).Select(s => s == 0 && network.Sizes[v] > 1 ? 0 : random.NextDouble())];
            }
            double total = 0, best = -1;
            double[][] marginals = [.. network.Sizes.Select(s => new double[s])];
            int[] states = new int[n];
            bool more = true;
            while (more)
            {
                double p = 1;
                for (int v = 0; v < n; v++)
                    p *= network.Given(v, states)[states[v]] * (weights[v]?[states[v]] ?? 1);
                total += p;
                best = Math.Max(best, p);
                for (int v = 0; v < n; v++)
                    marginals[v][states[v]] += p;
                more = false;
                for (int v = 0; v < n && !more; v++)
                {
                    states[v] = (states[v] + 1) % network.Sizes[v];
                    more = states[v] > 0;
                }
            }
            Assert.AreEqual(Math.Log(total), network.LogProbability(weights), 1e-9, $"seed {seed}");
            double[][] found = network.Marginals(weights, [.. Enumerable.Range(0, n)]);
            for (int v = 0; v < n; v++)
            {
                double[] alone = network.Marginals(weights, v)[0];
                for (int s = 0; s < found[v].Length; s++)
                {
                    Assert.AreEqual(marginals[v][s] / total, found[v][s], 1e-9, $"seed {seed}, {v} = {s}");
                    Assert.AreEqual(marginals[v][s] / total, alone[s], 1e-9, $"seed {seed}, {v} = {s}");
                }
            }
            int[] likeliest = network.MostProbable(weights);
            double product = 1;
            for (int v = 0; v < n; v++)
                product *= network.Given(v, likeliest)[likeliest[v]] * (weights[v]?[likeliest[v]] ?? 1);
            Assert.AreEqual(best, product, 1e-12, $"seed {seed}");
            // Rows under this evidence have these marginals, too.
            var sampler = new NetworkSampler(network, weights);
            var bits = new SplitMix64((ulong)seed);
            double[] share = new double[network.Sizes[^1]];
            for (int row = 0; row < 2000; row++)
            {
                sampler.Draw(states, ref bits);
                share[states[^1]] += 1.0 / 2000;
            }
            for (int s = 0; s < share.Length; s++)
                Assert.AreEqual(marginals[^1][s] / total, share[s], 0.06, $"seed {seed}");
        }
    }

    [TestMethod]
    public void A_network_comes_back_from_its_BIF_and_is_drawn()
    {
        BayesianNetwork network = Known("sachs");
        BayesianNetwork again = BifFormat.Parse(BifFormat.Text(network));
        CollectionAssert.AreEqual(network.Edges.ToArray(), again.Edges.ToArray());
        for (int v = 0; v < network.Count; v++)
        {
            for (int i = 0; i < network.Tables[v].Length; i++)
                Assert.AreEqual(network.Tables[v][i], again.Tables[v][i], 1e-15);
        }
        XDocument svg = XDocument.Parse(network.ToSvg());
        Assert.AreEqual(network.Names.Count, svg.Descendants().Count(e => e.Name.LocalName == "text"));
        Assert.AreEqual(network.Edges.Count, svg.Descendants().Count(e => e.Name.LocalName == "line"));
    }

    [TestMethod]
    [DataRow("variable a { type discrete [2] { x, y }; } probability ( a ) { table 0.5; }", "2 probabilities")]
    [DataRow("variable a { type discrete [2] { x, y }; } probability ( a ) { table 0.5, 0.1; }", "'a'")]
    [DataRow("variable a { type discrete [2] { x, y }; } probability ( a | b ) { table 0.5, 0.5; }", "'b'")]
    [DataRow("variable a { type discrete [2] { x, y }; }", "'a'")]
    [DataRow("variable a { type discrete [2] { x, y }; } probability ( a ) { table 0.5, 0.", "ends")]
    [DataRow("variable a { type discrete [2] { x, y }; } variable b { type discrete [2] { x, y }; } probability ( a | b ) { default 0.5, 0.5; } probability ( b | a ) { default 0.5, 0.5; }", "circle: a → b → a")]
    [DataRow("variable a { type discrete [2] { x, y }; } variable b { type discrete [2] { x, y }; } probability ( b ) { table 0.5, 0.5; } probability ( a | b, b ) { default 0.5, 0.5; }", "'a' has the same parent twice")]
    public void A_file_that_is_no_network_is_refused(string text, string expected) =>
        StringAssert.Contains(Assert.ThrowsExactly<FormatException>(() => BifFormat.Parse(text)).Message, expected);

    [TestMethod]
    public void A_table_in_one_line_has_the_variables_own_states_slowest()
    {
        BayesianNetwork network = BifFormat.Parse("""
            // P(wet | rain)
            variable rain { type discrete [ 2 ] { yes, no }; property x = 1; }
            variable wet { type discrete [ 2 ] { yes, no }; }
            probability ( wet | rain ) { table 0.9, 0.2, 0.1, 0.8; }
            probability ( rain ) { table 0.25, 0.75; }
            """);
        Assert.AreEqual(0.25 * 0.9 + 0.75 * 0.2, network.Query("wet")["yes"], 1e-12);
        Assert.AreEqual(0.225 / 0.375, network.Query("rain", new Dictionary<string, string> { ["wet"] = "yes" })["yes"], 1e-12);
        Assert.AreEqual("no", network.MostProbable()["rain"]);
        Assert.ThrowsExactly<ArgumentException>(() => network.Query("snow"));
        Assert.ThrowsExactly<ArgumentException>(() => network.Query("wet", new Dictionary<string, string> { ["rain"] = "maybe" }));
    }

    [TestMethod]
    public void A_question_that_memory_cannot_answer_is_refused_before_it_is_tried()
    {
        // A grid of 20 by 20 variables of ten states: a clique of 20 of them has 10^20 cells.
        const int side = 20, size = 10;
        string[] names = [.. Enumerable.Range(0, side * side).Select(v => $"x{v}")];
        int[][] parents = [.. Enumerable.Range(0, side * side).Select(v =>
            new[] { v % side > 0 ? v - 1 : -1, v - side }.Where(p => p >= 0).ToArray())];
        double[][] tables = [.. parents.Select(p => Enumerable.Repeat(1.0 / size, (int)Math.Pow(size, p.Length + 1)).ToArray())];
        string[] states = [.. Enumerable.Range(0, size).Select(s => $"{s}")];
        var network = new BayesianNetwork(names, [.. names.Select(_ => states)], parents, tables);
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(() => network.Query($"x{side * side - 1}"));
        StringAssert.Contains(error.Message, "GB");
        StringAssert.Contains(error.Message, "x");
        Assert.AreEqual(0.1, network.Query("x0")["3"], 1e-12); // what it does not depend on is left out
        Assert.HasCount(2, network.Sample(2));
    }

    private static BayesianNetwork Random(Random random, int n)
    {
        int[] sizes = [.. Enumerable.Range(0, n).Select(_ => random.Next(1, 4))];
        int[][] parents = [.. Enumerable.Range(0, n).Select(v =>
            Enumerable.Range(0, v).Where(_ => random.Next(3) == 0).OrderBy(_ => random.Next()).Take(4).ToArray())];
        double[][] tables = [.. parents.Select((p, v) =>
        {
            double[] table = new double[(int)BayesianNetwork.CellsOf(sizes, v, p)];
            for (int start = 0; start < table.Length; start += sizes[v])
            {
                double[] shares = [.. Enumerable.Range(0, sizes[v]).Select(_ => random.NextDouble() + 0.01)];
                for (int s = 0; s < sizes[v]; s++)
                    table[start + s] = shares[s] / shares.Sum();
            }
            return table;
        })];
        return new BayesianNetwork(
            [.. sizes.Select((_, v) => $"v{v}")], [.. sizes.Select(s => Enumerable.Range(0, s).Select(i => $"s{i}").ToArray())],
            parents, tables);
    }
}
