using System.Globalization;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Bayes;

/// <summary>Bayesian networks of tables: questions, rows under conditions, missing values, scores.</summary>
[TestClass]
public sealed class BayesianTableTests
{
    private readonly MLContext _ml = new(seed: 1);

    private static Dictionary<string, IReadOnlyList<double>> Bins => new() { ["Degrees"] = [3, 6, 9, 12, 15, 20, 25] };

    [TestMethod]
    public void EM_never_lowers_the_likelihood_and_finds_what_was_hidden()
    {
        BayesianNetwork truth = BayesianNetworkTests.Known("asia");
        StateTable whole = StructureTests.Drawn(truth, 600, 1);
        var random = new Random(5);
        ushort[][] columns = [.. whole.Columns.Select(c => c.Select(s => random.NextDouble() < 0.2 ? StateTable.Missing : s).ToArray())];
        StateTable table = whole with { Columns = columns };
        foreach (double prior in new[] { 0.0, 1 })
        {
            (TokenTable tokens, BayesianNetworkOptions options) = Tokens(truth, new() { EstimateMissing = true, Tolerance = 0, PriorRows = prior });
            var fitting = new NetworkFitting(tokens, options, new TrainingContext { Seed = 1, Device = ComputeDevice.Cpu, FallbackToCpu = false });
            double[][] some = [.. truth.Tables.Select(t => t.Select(_ => random.NextDouble()).ToArray())];
            BayesianNetwork start = fitting.ToNetwork(truth.Parents, some, fitting.Means(table));
            (BayesianNetwork found, IReadOnlyList<double> logLikelihoods) = fitting.Maximize(table, start, 15);
            Assert.HasCount(15, logLikelihoods);
            Assert.IsGreaterThan(logLikelihoods[0] + 50, logLikelihoods[^1]);
            for (int i = 1; i < logLikelihoods.Count; i++)
                Assert.IsGreaterThanOrEqualTo(logLikelihoods[i - 1] - 1e-8 * Math.Abs(logLikelihoods[i]), logLikelihoods[i], $"iteration {i}");
            for (int v = 0; v < truth.Count; v++)
                Assert.AreEqual(truth.Query(truth.Names[v])[truth.States[v][0]], found.Query(truth.Names[v])["0"], 0.08, truth.Names[v]);
        }
    }

    [TestMethod]
    public void Questions_are_answered_as_the_rows_have_them()
    {
        TableView rows = Weather(2000);
        using BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork(new BayesianNetworkOptions { PriorRows = 0, BinEdges = Bins }).Fit(rows);
        Assert.AreEqual(1, model.Query("Rain").Values.Sum(), 1e-12);
        Assert.AreEqual(0.25, model.Query("Rain")["True"], 1e-9);
        Assert.AreEqual(0.5, model.Query("Ground", new RowCondition().Equal("Rain", true))["wet"], 1e-9);
        Assert.AreEqual(1, model.Query("Rain", new RowCondition().Equal("Ground", "wet"))["True"], 1e-9);
        Assert.AreEqual(1, model.Query("Rain", new RowCondition().Between("Degrees", 20, 30))["False"], 1e-9);
        IReadOnlyDictionary<string, double> degrees = model.Query("Degrees", new RowCondition().Equal("Rain", true));
        Assert.AreEqual(1, degrees.Where(bin => double.Parse(bin.Key.Split(" to ")[^1], CultureInfo.InvariantCulture) < 15).Sum(bin => bin.Value), 1e-9);
        Assert.AreEqual("dry", model.MostProbable(new RowCondition().Equal("Rain", false))["Ground"]);
        Assert.AreEqual("(missing)", model.MostProbable(new RowCondition().Missing("Ground"))["Ground"]);
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => model.Query("Snow")).Message, "'Snow'");
        Assert.ThrowsExactly<ArgumentException>(
            () => model.Query("Degrees", new RowCondition().Equal("Rain", false).Equal("Ground", "wet")));
        // Never seen together: none can be generated, and that is said before any is.
        Assert.ThrowsExactly<InvalidOperationException>(
            () => model.Generate(5, 1, new RowCondition().Equal("Rain", false).Equal("Ground", "wet")));
        StringAssert.Contains(model.Network.ToSvg(), "Ground");
        BayesianNetwork again = BifFormat.Parse(BifFormat.Text(model.Network));
        CollectionAssert.AreEquivalent(model.Network.Edges.ToArray(), again.Edges.ToArray());
    }

    [TestMethod]
    public void Rows_under_a_condition_meet_it_and_are_those_that_go_with_it()
    {
        using BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork(new BayesianNetworkOptions { PriorRows = 0, BinEdges = Bins }).Fit(Weather(2000));
        IDataView rows = model.Generate(500, 3, new RowCondition().Equal("Ground", "wet"));
        Assert.IsTrue(rows.GetColumn<bool>("Rain").All(rain => rain));
        Assert.IsTrue(rows.GetColumn<float>("Degrees").All(d => d is >= 0 and < 15 && d == MathF.Round(d, 1)));
        rows = model.Generate(500, 3, new RowCondition().Between("Degrees", 3.25, 3.5));
        Assert.IsTrue(rows.GetColumn<float>("Degrees").All(d => d is 3.3f or 3.4f or 3.5f));
        Assert.IsTrue(rows.GetColumn<bool>("Rain").All(rain => rain));
    }

    [TestMethod]
    public void Missing_values_are_a_state_or_are_estimated()
    {
        TableView rows = Weather(2000);
        using BayesianNetworkTransformer state = _ml.Generative.BayesianNetwork().Fit(rows);
        Assert.AreEqual(0.1, state.Query("Ground")["(missing)"], 0.01);
        using BayesianNetworkTransformer hidden = _ml.Generative.BayesianNetwork(new BayesianNetworkOptions { EstimateMissing = true }).Fit(rows);
        Assert.AreEqual(0, hidden.Query("Ground")["(missing)"], 1e-9);
        Assert.AreEqual(0.5, hidden.Query("Ground", new RowCondition().Equal("Rain", true))["wet"], 0.07);
        Assert.IsFalse(hidden.Generate(500).GetColumn<string>("Ground").Contains(""));
        Assert.IsTrue(state.Generate(500).GetColumn<string>("Ground").Contains(""));
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void A_score_is_the_sum_of_its_shares_and_minus_log_p(bool estimate)
    {
        using BayesianNetworkTransformer model = _ml.AnomalyDetection.Trainers.BayesianNetwork(new()
        {
            FeatureScoreColumnName = "Shares", PValueColumnName = "P", EstimateMissing = estimate, Contamination = 0.05,
        }).Fit(Weather(3000));
        // Row 5 has no text, 6 one that was never seen, 7 a number that is missing, which never was.
        TableView rows = Weather(8, odd: true);
        IDataView scored = model.Transform(rows);
        float[] scores = [.. scored.GetColumn<float>("Score")];
        float[][] shares = [.. scored.GetColumn<float[]>("Shares")];
        bool[] rain = [.. rows.GetColumn<bool>("Rain")];
        string[] ground = [.. rows.GetColumn<string>("Ground")];
        float[] degrees = [.. rows.GetColumn<float>("Degrees")];
        for (int i = 0; i < scores.Length; i++)
        {
            Assert.IsTrue(float.IsFinite(scores[i]), $"row {i}");
            Assert.AreEqual(scores[i], shares[i].Sum(), 1e-4);
            var evidence = new Dictionary<string, string> { ["Rain"] = $"{rain[i]}" };
            if (i != 7)
                evidence["Degrees"] = BinOf(model.Network.StatesOf("Degrees"), degrees[i]);
            if (ground[i] is "wet" or "dry" || ground[i] == "" && !estimate)
                evidence["Ground"] = ground[i] == "" ? "(missing)" : ground[i];
            double unseen = ground[i] == "lava" ? Math.Log(3001) : 0;
            Assert.AreEqual(unseen - model.Network.LogProbability(evidence), scores[i], 1e-4, $"row {i}");
        }
        Assert.IsGreaterThan(scores[..5].Max(), scores[6]);
        Assert.IsTrue(scored.GetColumn<bool>("PredictedLabel").ToArray()[6]);
        // Fresh rows are flagged about as often as they are to be; saved, all is the same.
        bool[] flagged = [.. model.Transform(Weather(2000, seed: 9)).GetColumn<bool>("PredictedLabel")];
        Assert.AreEqual(0.05, flagged.Average(f => f ? 1.0 : 0), 0.03);
        using var file = new MemoryStream();
        _ml.Model.Save(model, rows.Schema, file);
        file.Position = 0;
        var loaded = (BayesianNetworkTransformer)_ml.Model.Load(file, out _);
        Assert.AreEqual(model.Threshold, loaded.Threshold);
        CollectionAssert.AreEqual(scores, loaded.Transform(rows).GetColumn<float>("Score").ToArray());
        CollectionAssert.AreEqual(
            scored.GetColumn<float>("P").ToArray(), loaded.Transform(rows).GetColumn<float>("P").ToArray());
        VBuffer<ReadOnlyMemory<char>> names = default;
        scored.Schema["Shares"].GetSlotNames(ref names);
        CollectionAssert.AreEqual(model.Network.Names.ToArray(), names.DenseValues().Select(n => n.ToString()).ToArray());

        CultureInfo before = CultureInfo.CurrentCulture;
        try
        {
            var comma = (CultureInfo)CultureInfo.InvariantCulture.Clone();
            comma.NumberFormat.NumberDecimalSeparator = ",";
            CultureInfo.CurrentCulture = comma;
            CollectionAssert.AreEqual(scores, model.Transform(rows).GetColumn<float>("Score").ToArray());
            CollectionAssert.AreEqual(model.Network.StatesOf("Degrees").ToArray(), loaded.Network.StatesOf("Degrees").ToArray());
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }

        static string BinOf(IReadOnlyList<string> bins, float value) => bins.Last(bin =>
            float.Parse(bin.Split(" to ")[0], CultureInfo.InvariantCulture) <= value);
    }

    [TestMethod]
    public void Scores_without_a_prior_are_infinite_and_never_NaN()
    {
        using BayesianNetworkTransformer model = _ml.AnomalyDetection.Trainers.BayesianNetwork(new()
        {
            PriorRows = 0, FeatureScoreColumnName = "Shares",
        }).Fit(Weather(500));
        TableView impossible = new TableView(1)
            .Add("Rain", BooleanDataViewType.Instance, _ => false)
            .Add("Ground", TextDataViewType.Instance, _ => "wet".AsMemory())
            .Add("Degrees", NumberDataViewType.Single, _ => float.NaN)
            .Add("Same", NumberDataViewType.Int32, _ => 4);
        IDataView scored = model.Transform(impossible);
        Assert.AreEqual(float.PositiveInfinity, scored.GetColumn<float>("Score").Single());
        Assert.IsFalse(scored.GetColumn<float[]>("Shares").Single().Any(float.IsNaN));
    }

    [TestMethod]
    public void Given_structure_and_bins_are_kept()
    {
        NetworkEdge[] edges = [new("Ground", "Rain"), new("Degrees", "Rain")];
        using BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork(new BayesianNetworkOptions
        {
            Structure = StructureSearchMethod.Given, Edges = edges, BinEdges = new() { ["Degrees"] = [10, 17.25] },
        }).Fit(Weather(500));
        CollectionAssert.AreEquivalent(edges, model.Network.Edges.ToArray());
        Assert.HasCount(3, model.Network.StatesOf("Degrees"));
        Assert.IsTrue(model.Network.StatesOf("Degrees").Any(bin => bin.StartsWith("17.25 to", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void Columns_that_are_not_there_and_bins_that_are_none_are_refused_before_work()
    {
        TableView rows = Weather(50);
        foreach (BayesianNetworkOptions options in new BayesianNetworkOptions[]
        {
            new() { RequiredEdges = [new("Rain", "Snow")] },
            new() { ForbiddenEdges = [new("Snow", "Rain")] },
            new() { Structure = StructureSearchMethod.Given, Edges = [new("Snow", "Rain")] },
            new() { BinEdges = new() { ["Snow"] = [1] } },
        })
        {
            StringAssert.Contains(Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => _ml.Generative.BayesianNetwork(options).Fit(rows)).Message, "'Snow'");
        }
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.Generative.BayesianNetwork(
            new BayesianNetworkOptions { BinEdges = new() { ["Ground"] = [1] } }).Fit(rows)).Message, "'Ground'");
        Assert.ThrowsExactly<ArgumentException>(() => _ml.Generative.BayesianNetwork(
            new BayesianNetworkOptions { BinEdges = new() { ["Degrees"] = [2, 1] } }));
        using BayesianNetworkTransformer model = _ml.AnomalyDetection.Trainers.BayesianNetwork().Fit(rows);
        TableView other = new TableView(1).Add("Rain", TextDataViewType.Instance, _ => "yes".AsMemory());
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.Transform(other)).Message, "'Rain'");
    }

    [TestMethod]
    public void A_fit_that_is_stopped_returns_the_network_it_has()
    {
        var endless = new BayesianNetworkOptions
        {
            TabuLength = 10_000, Restarts = 1000, CancellationBehavior = CancellationBehavior.ReturnModel,
        };
        using (var source = new CancellationTokenSource(700))
        using (BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork(endless with { CancellationToken = source.Token }).Fit(Weather(200)))
            Assert.IsNotEmpty(model.Network.Edges);
        Assert.Throws<OperationCanceledException>(() => _ml.Generative.BayesianNetwork(endless with
        {
            CancellationToken = new CancellationToken(canceled: true), CancellationBehavior = CancellationBehavior.Throw,
        }).Fit(Weather(200)));
        using (var source = new CancellationTokenSource(1500))
        using (BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork(new BayesianNetworkOptions
        {
            EstimateMissing = true, Tolerance = 0, Epochs = 1_000_000, CancellationToken = source.Token,
            CancellationBehavior = CancellationBehavior.ReturnModel,
        }).Fit(Weather(200)))
            Assert.AreEqual(0.75, model.Query("Rain")["False"], 0.01);
    }

    [TestMethod]
    public void A_detector_needs_rows_and_numbers_are_named_as_their_column_has_them()
    {
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(
            () => _ml.AnomalyDetection.Trainers.BayesianNetwork().Fit(Weather(9))).Message, "9 rows");
        var rows = new TableView(30).Add("X", NumberDataViewType.Single, row => 0.1f + row / 3f);
        using BayesianNetworkTransformer model = _ml.Generative.BayesianNetwork().Fit(rows);
        string[] bounds = [.. model.Network.StatesOf("X").SelectMany(state => state.Split(" to "))];
        CollectionAssert.AreEqual(
            bounds, Array.ConvertAll(bounds, b => float.Parse(b, CultureInfo.InvariantCulture).ToString(CultureInfo.InvariantCulture)));
    }

    [TestMethod]
    [DataRow("0 1 1 1 0", "circle", DisplayName = "a circle")]
    [DataRow("0 1 2 0", "out of range", DisplayName = "no such parent")]
    [DataRow("0 0 0 0", "out of range", DisplayName = "more than two columns")]
    [DataRow("0 0 2 0 0", "out of range", DisplayName = "a parent twice")]
    [DataRow("0 0 0", "probabilities", DisplayName = "no distribution")]
    public void A_saved_network_that_is_none_is_refused(string structure, string expected)
    {
        (TokenTable tokens, BayesianNetworkOptions options) = Tokens(BifFormat.Parse(
            "variable a { type discrete [2] { x, y }; } variable b { type discrete [2] { x, y }; }"
            + "probability (a) { table 0.5, 0.5; } probability (b) { table 0.5, 0.5; }"), new());
        double[] parents = [.. structure.Split(' ').Select(double.Parse)];
        double[] tables = [.. Enumerable.Repeat(0.3, parents.Length > 3 && expected == "circle" ? 8 : 4)];
        if (expected == "circle")
            Array.Fill(tables, 0.5);
        var parts = new Dictionary<string, double[]> { ["tokens"] = tokens.Save(), ["structure"] = parents, ["tables"] = tables };
        using var file = new MemoryStream();
        SafetensorsWriter.Write(
            file, [.. parts.Select(p => new TensorSpec(p.Key, TensorType.F64, p.Value.Length))],
            (spec, write) => write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<double>(parts[spec.Name])));
        file.Position = 0;
        StringAssert.Contains(
            Assert.ThrowsExactly<FormatException>(() => BayesianTable.Load(tokens.Shape, options, file)).Message, expected);
    }

    // It rains on a quarter of all days, which are colder than the others; then the ground is wet on half, and what it is
    // like is not known on some.
    private static TableView Weather(int rows, bool odd = false, int seed = 1)
    {
        string Ground(int row) => odd && row == 5 || !odd && row % 10 == 9 ? "" : odd && row == 6 ? "lava"
            : row % 8 == 0 ? "wet" : "dry";
        return new TableView(rows)
            .Add("Rain", BooleanDataViewType.Instance, row => row % 4 == 0)
            .Add("Ground", TextDataViewType.Instance, row => Ground(row).AsMemory())
            .Add("Degrees", NumberDataViewType.Single, row => odd && row == 7 ? float.NaN
                : (row % 4 == 0 ? 0 : 15) + (int)(new SplitMix64((ulong)(row + seed * 100_000)).Next() % 149) / 10f)
            .Add("Same", NumberDataViewType.Int32, _ => 4);
    }

    private static (TokenTable, BayesianNetworkOptions) Tokens(BayesianNetwork network, BayesianNetworkOptions options)
    {
        var shape = new TableShape([.. network.Names.Zip(network.Sizes, ArrayTable.Category)]);
        return (new TokenTable(shape, [.. network.Sizes.Select(n => new CategoryTokens([.. Enumerable.Repeat(1L, n)], 256))]), options);
    }
}
