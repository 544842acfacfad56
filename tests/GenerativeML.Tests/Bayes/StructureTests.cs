namespace GenerativeML.Tests.Bayes;

/// <summary>Scores with published values, and structures that rows of known networks lead to.</summary>
[TestClass]
public sealed class StructureTests
{
    // Titanic's training rows by sex (female, male), class (1, 2, 3) and survival (no, yes).
    private static readonly int[] s_titanic = [3, 91, 6, 70, 72, 72, 77, 45, 91, 17, 300, 47];

    [TestMethod]
    [DataRow(StructureScore.Bic, -1896.7250012840179, 1.0)]
    [DataRow(StructureScore.K2, -1891.0630673606006, 1.0)]
    [DataRow(StructureScore.BDeu, -1892.7383393910427, 25.0)]
    public void Scores_have_their_published_values(StructureScore score, double expected, double equivalentSampleSize)
    {
        int[] cells = [.. s_titanic.SelectMany((n, cell) => Enumerable.Repeat(cell, n))];
        StateTable table = Table(
            ["Sex", "Pclass", "Survived"], [2, 3, 2],
            [cells.Select(c => c / 6), cells.Select(c => c / 2 % 3), cells.Select(c => c % 2)]);
        Assert.AreEqual(891, table.Rows);
        Assert.AreEqual(expected, StructureSearch.Score(table, [[], [], [0, 1]], score, equivalentSampleSize), 1e-8);
    }

    [TestMethod]
    public void The_toys_BIC_is_the_published_one()
    {
        // A → C ← B ← D, of three rows.
        StateTable table = Table(["A", "B", "C", "D"], [2, 2, 2, 3], [[0, 0, 1], [0, 1, 0], [1, 1, 0], [0, 1, 2]]);
        double found = StructureSearch.Score(table, [[], [3], [0, 1], []], StructureScore.Bic, 1);
        Assert.AreEqual(-10.698440814229318, found, 1e-12);
    }

    [TestMethod]
    public void Log_gamma_is_that_of_the_factorials_and_of_a_half()
    {
        double log = 0;
        for (int n = 1; n < 200; n++)
        {
            Assert.AreEqual(log, FamilyScores.LogGamma(n), 1e-12 * Math.Max(1, log), $"{n}");
            log += Math.Log(n);
        }
        Assert.AreEqual(Math.Log(Math.Sqrt(Math.PI)), FamilyScores.LogGamma(0.5), 1e-13);
        Assert.AreEqual(Math.Log(Math.Sqrt(Math.PI)), FamilyScores.LogGamma(1e-4 + 0.5) - 1e-4 * -1.96351002602142, 1e-7);
    }

    [TestMethod]
    [DataRow("child", 0.1)]
    [DataRow("alarm", 0.15)]
    public void Hill_climbing_is_as_good_as_the_network_that_drew_the_rows(string name, double bound)
    {
        BayesianNetwork truth = BayesianNetworkTests.Known(name);
        StateTable table = Drawn(truth, 5000, 1), test = Drawn(truth, 5000, 2);
        int[][] found = StructureSearch.Find(table, new() { Restarts = 1 }, null, default);
        double score = StructureSearch.Score(table, found, StructureScore.Bic, 1);
        double expected = StructureSearch.Score(table, truth.Parents, StructureScore.Bic, 1);
        Assert.IsGreaterThanOrEqualTo(expected, score);
        // Probabilities with a weak prior; what fresh rows score.
        double[][] counts = new ExpectedCounts(table, found).Complete();
        double[][] tables = [.. counts.Select((own, v) => own.Select((n, i) =>
        {
            int r = table.Sizes[v], start = i / r * r;
            return (n + 1.0 / r) / (own[start..(start + r)].Sum() + 1);
        }).ToArray())];
        var learned = new BayesianNetwork(truth.Names, truth.States, found, tables);
        double logLikelihood = new ExpectedCounts(test, found).LogLikelihood(learned) / test.Rows;
        Assert.AreEqual(-truth.Entropy(), logLikelihood, bound);
    }

    [TestMethod]
    public void Chow_and_Liu_find_the_tree_that_drew_the_rows()
    {
        var random = new Random(3);
        const int n = 12;
        int[][] parents = [.. Enumerable.Range(0, n).Select(v => v == 0 ? [] : new[] { random.Next(v) })];
        double[][] tables = [.. parents.Select(p => p.Length == 0 ? [0.5, 0.5] : new[] { 0.8, 0.2, 0.25, 0.75 })];
        string[] states = ["no", "yes"];
        var tree = new BayesianNetwork([.. parents.Select((_, v) => $"v{v}")], [.. parents.Select(_ => states)], parents, tables);
        StateTable table = Drawn(tree, 3000, 1);
        int[][] found = StructureSearch.Find(table, new() { Structure = StructureSearchMethod.ChowLiu }, 0, default);
        for (int v = 0; v < n; v++)
            CollectionAssert.AreEqual(parents[v], found[v], $"v{v}");
        // From another root the same links point another way.
        int[][] turned = StructureSearch.Find(table, new() { Structure = StructureSearchMethod.ChowLiu }, n - 1, default);
        Assert.HasCount(0, turned[^1]);
        CollectionAssert.AreEquivalent(Links(parents), Links(turned));

        static (int, int)[] Links(int[][] p) =>
            [.. p.SelectMany((own, v) => own.Select(u => (Math.Min(u, v), Math.Max(u, v))))];
    }

    [TestMethod]
    public void Required_and_forbidden_edges_and_the_limit_of_parents_hold()
    {
        BayesianNetwork truth = BayesianNetworkTests.Known("child");
        StateTable table = Drawn(truth, 1000, 1);
        int[][] free = StructureSearch.Find(table, new() { TabuLength = 5 }, null, default);
        NetworkEdge found = new(table.Names[free.First(p => p.Length > 0)[0]], table.Names[Array.FindIndex(free, p => p.Length > 0)]);
        var options = new BayesianNetworkOptions
        {
            TabuLength = 5, MaxParents = 1, RequiredEdges = [new("Age", "Sick"), new("Grunting", "XrayReport")],
            ForbiddenEdges = [found, new(found.Child, found.Parent)],
        };
        options.Validate();
        int[][] limited = StructureSearch.Find(table, options, null, default);
        Assert.IsTrue(limited.All(p => p.Length <= 1));
        NetworkEdge[] edges = [.. limited.SelectMany((p, v) => p.Select(u => new NetworkEdge(table.Names[u], table.Names[v])))];
        CollectionAssert.IsSubsetOf(options.RequiredEdges.ToArray(), edges);
        CollectionAssert.DoesNotContain(edges, found);
        CollectionAssert.DoesNotContain(edges, new NetworkEdge(found.Child, found.Parent));
    }

    [TestMethod]
    public void Structures_that_are_none_are_refused()
    {
        NetworkEdge[] circle = [new("a", "b"), new("b", "c"), new("c", "a")];
        string message = Assert.ThrowsExactly<ArgumentException>(
            () => new BayesianNetworkOptions { Structure = StructureSearchMethod.Given, Edges = circle }.Validate()).Message;
        StringAssert.Contains(message, "circle");
        StringAssert.Contains(message, "→ b");
        Assert.ThrowsExactly<ArgumentException>(() => new BayesianNetworkOptions { Structure = StructureSearchMethod.Given }.Validate());
        Assert.ThrowsExactly<ArgumentException>(() => new BayesianNetworkOptions { Edges = circle[..1] }.Validate());
        Assert.ThrowsExactly<ArgumentException>(() => new BayesianNetworkOptions
        {
            Structure = StructureSearchMethod.ChowLiu, ForbiddenEdges = circle[..1],
        }.Validate());
        Assert.ThrowsExactly<ArgumentException>(() => new BayesianNetworkOptions
        {
            RequiredEdges = circle[..1], ForbiddenEdges = circle[..2],
        }.Validate());
        StateTable table = Table([.. Enumerable.Range(0, 40).Select(v => $"x{v}")], [.. Enumerable.Repeat(10, 40)], Enumerable.Repeat(new[] { 0, 1 }, 40));
        NetworkEdge[] all = [.. Enumerable.Range(1, 39).Select(v => new NetworkEdge($"x{v}", "x0"))];
        InvalidOperationException large = Assert.ThrowsExactly<InvalidOperationException>(() => StructureSearch.Find(
            table, new() { Structure = StructureSearchMethod.Given, Edges = all }, null, default));
        StringAssert.Contains(large.Message, "'x0'");
        StringAssert.Contains(large.Message, "39 parents");
    }

    /// <summary>Rows of a network.</summary>
    internal static StateTable Drawn(BayesianNetwork network, int rows, int seed)
    {
        var sampler = new NetworkSampler(network, new double[]?[network.Count]);
        ushort[][] columns = [.. network.Names.Select(_ => new ushort[rows])];
        int[] states = new int[network.Count];
        for (int row = 0; row < rows; row++)
        {
            var random = new SplitMix64(SplitMix64.Derive(seed, RandomPurpose.Generation, row));
            sampler.Draw(states, ref random);
            for (int v = 0; v < states.Length; v++)
                columns[v][row] = (ushort)states[v];
        }
        return new StateTable(network.Names, network.Sizes, columns, rows);
    }

    internal static StateTable Table(string[] names, int[] sizes, IEnumerable<IEnumerable<int>> columns)
    {
        ushort[][] states = [.. columns.Select(c => c.Select(s => (ushort)s).ToArray())];
        return new StateTable(names, sizes, states, states[0].Length);
    }
}
