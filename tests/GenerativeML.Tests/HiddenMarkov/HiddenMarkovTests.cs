using System.Globalization;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace GenerativeML.Tests.HiddenMarkov;

/// <summary>Hidden Markov models as trainers and steps of a pipeline.</summary>
[TestClass]
[DoNotParallelize]
public sealed class HiddenMarkovTests
{
    private readonly MLContext _ml = new(seed: 1);

    private static readonly HiddenMarkovParameters s_coins = new()
    {
        StartProbabilities = [0.6, 0.4],
        TransitionProbabilities = [[0.9, 0.1], [0.2, 0.8]],
        EmissionProbabilities = [[0.8, 0.1, 0.1], [0.1, 0.2, 0.7]],
    };

    private static readonly HiddenMarkovParameters s_machine = new()
    {
        StartProbabilities = [1, 0, 0],
        TransitionProbabilities = [[0.95, 0.05, 0], [0, 0.9, 0.1], [0.1, 0, 0.9]],
        Components =
        [
            [new(1, [0, 0], [[1, 0.3], [0.3, 0.5]])], [new(1, [4, 1], [[0.5, 0], [0, 2]])],
            [new(1, [-1, 5], [[1, -0.4], [-0.4, 1]])],
        ],
    };

    // Steps of sequences: a group in each row, and a key or a vector.
    private static TableView Keys(params int[][] sequences)
    {
        (int Group, int Key)[] rows = [.. sequences.SelectMany((s, g) => s.Select(key => (g, key)))];
        return new TableView(rows.Length)
            .Add("Group", TextDataViewType.Instance, row => $"run {rows[row].Group}".AsMemory())
            .Add("Features", new KeyDataViewType(typeof(uint), 3), row => (uint)rows[row].Key);
    }

    private static TableView Vectors(int width, params float[][] sequences)
    {
        (int Group, float[] Step)[] rows = [.. sequences.SelectMany((s, g) => s.Chunk(width).Select(step => (g, step)))];
        return new TableView(rows.Length)
            .Add("Group", NumberDataViewType.Int32, row => rows[row].Group)
            .AddVector("Features", width, row => rows[row].Step);
    }

    private IDataView Sample(HiddenMarkovParameters parameters, IDataView schema, int rows, int seed) =>
        Known(parameters, schema).Generate(rows, seed);

    private HiddenMarkovTransformer Known(HiddenMarkovParameters parameters, IDataView schema, HiddenMarkovOptions? options = null) =>
        _ml.Generative.HiddenMarkov((options ?? new()) with { Parameters = parameters, Learned = HiddenMarkovParts.None })
            .Fit(schema);

    [TestMethod]
    public void Columns_say_what_the_model_infers_for_each_sequence()
    {
        TableView data = Keys([1, 1, 3], [3], [2, 3, 1, 1]);
        using HiddenMarkovTransformer model = Known(s_coins, data, new()
        {
            GroupColumnName = "Group", SmoothedColumnName = "Smoothed", FilteredColumnName = "Filtered",
            LogLikelihoodColumnName = "Log", SequenceLogLikelihoodColumnName = "Whole", ForecastColumnName = "Next",
            ForecastDeviationColumnName = "Spread", ForecastHorizon = 2,
        });
        IDataView scored = model.Transform(data);
        float[] score = [.. scored.GetColumn<float>("Score")], log = [.. scored.GetColumn<float>("Log")];
        float[] whole = [.. scored.GetColumn<float>("Whole")];
        float[][] smoothed = [.. scored.GetColumn<float[]>("Smoothed")], filtered = [.. scored.GetColumn<float[]>("Filtered")];
        float[][] next = [.. scored.GetColumn<float[]>("Next")], spread = [.. scored.GetColumn<float[]>("Spread")];
        uint[] state = [.. scored.GetColumn<uint>("State")];
        Assert.AreEqual(2ul, ((KeyDataViewType)scored.Schema["State"].Type).Count);
        Assert.AreEqual("run 2", scored.GetColumn<ReadOnlyMemory<char>>("Group").Last().ToString());
        // The sequence of one step, by hand.
        double third = 0.6 * 0.1 + 0.4 * 0.7;
        Assert.AreEqual(Math.Log(third), log[3], 1e-6);
        Assert.AreEqual(log[3], whole[3]);
        Assert.AreEqual(-log[3], score[3]);
        Assert.AreEqual(0.4 * 0.7 / third, smoothed[3][1], 1e-6);
        Assert.AreEqual(2u, state[3]);
        double first = 0.06 / third * 0.9 + 0.28 / third * 0.2, again = first * 0.9 + (1 - first) * 0.2; // p(state 1)
        Assert.AreEqual(first * 0.8 + (1 - first) * 0.1, next[3][0], 1e-6);
        Assert.AreEqual(again * 0.1 + (1 - again) * 0.7, next[3][5], 1e-6);
        Assert.AreEqual(Math.Sqrt(next[3][0] * (1 - next[3][0])), spread[3][0], 1e-6);
        // A sequence's rows sum to it, and its last row knows as much as all of them.
        foreach ((int from, int to) in new[] { (0, 3), (3, 4), (4, 8) })
        {
            Assert.AreEqual(log[from..to].Sum(), whole[from], 1e-5);
            CollectionAssert.AreEqual(smoothed[to - 1], filtered[to - 1]);
        }
        Assert.AreNotEqual(smoothed[0][0], filtered[0][0]);
    }

    [TestMethod]
    public void A_forecast_of_vectors_is_the_mean_of_what_follows_and_its_deviation()
    {
        TableView data = Vectors(2, [0, 0, 4, 1]);
        using HiddenMarkovTransformer model = Known(
            s_machine, data, new() { ForecastColumnName = "Next", ForecastDeviationColumnName = "Spread", FilteredColumnName = "F" });
        IDataView scored = model.Transform(data);
        float[] now = scored.GetColumn<float[]>("F").Last(), next = scored.GetColumn<float[]>("Next").Last();
        float[] spread = scored.GetColumn<float[]>("Spread").Last();
        double[] p = [now[0] * 0.95 + now[2] * 0.1, now[0] * 0.05 + now[1] * 0.9, now[1] * 0.1 + now[2] * 0.9];
        double mean = p[1] * 4 - p[2], square = p[0] * 1 + p[1] * (0.5 + 16) + p[2] * (1 + 1);
        Assert.AreEqual(mean, next[0], 1e-5);
        Assert.AreEqual(Math.Sqrt(square - mean * mean), spread[0], 1e-5);
    }

    [TestMethod]
    [DataRow(HiddenMarkovTopology.Ergodic, CovarianceType.Full, 1)]
    [DataRow(HiddenMarkovTopology.Ergodic, CovarianceType.Tied, 2)]
    [DataRow(HiddenMarkovTopology.LeftToRight, CovarianceType.Diagonal, 2)]
    [DataRow(HiddenMarkovTopology.Linear, CovarianceType.Spherical, 1)]
    public void The_likelihood_never_falls_and_rows_stay_distributions(
        HiddenMarkovTopology topology, CovarianceType covariance, int mixture)
    {
        float[][] sequences = [.. new[] { 12, 1, 4, 25 }.Select((length, s) => Density.TwoMoons(length, (ulong)s))];
        foreach (float[] sequence in sequences)
            sequence[0] = 1; // a value that some steps share
        double last = double.NegativeInfinity;
        var losses = new List<double>();
        using HiddenMarkovTransformer model = _ml.Generative.HiddenMarkov(new()
        {
            GroupColumnName = "Group", States = 4, Topology = topology, CovarianceType = covariance, MixtureComponents = mixture,
            Tolerance = 0, Epochs = 1000, Starts = 2, Progress = new Listener(p => losses.Add(p.Losses["loss"])),
        }).Fit(Vectors(2, sequences));
        HiddenMarkovParameters found = model.Parameters;
        foreach (IReadOnlyList<double> row in found.TransitionProbabilities.Append(found.StartProbabilities))
            Assert.AreEqual(1, row.Sum(), 1e-12);
        for (int i = 0; topology != HiddenMarkovTopology.Ergodic && i < 4; i++)
        {
            for (int j = 0; j < 4; j++)
            {
                bool possible = j >= i && (j <= i + 1 || topology == HiddenMarkovTopology.LeftToRight);
                Assert.IsTrue(possible || found.TransitionProbabilities[i][j] == 0, $"{i} → {j}");
            }
        }
        // Iteration by iteration, where progress only tells of some.
        var options = new HiddenMarkovOptions { CovarianceType = covariance, States = 4, MixtureComponents = mixture, PseudoCount = 0 };
        var input = HiddenMarkovInput.Of(Vectors(2, sequences).Schema, options, "input") with
        {
            Scale = HiddenMarkovFit.ScaleOf(sequences, 2).Scale,
        };
        HiddenMarkovModel state = new HiddenMarkovFit(
            options with { Epochs = 1, Starts = 1, Topology = topology }, input,
            new() { Seed = 3, Device = ComputeDevice.Cpu, FallbackToCpu = false }).Run(sequences);
        for (int i = 0; i < 100; i++)
        {
            (double logLikelihood, HiddenMarkovSums sums) = HiddenMarkovFit.Expect(state, sequences);
            Assert.IsTrue(logLikelihood >= last - 1e-12, $"{last} → {logLikelihood} in iteration {i}");
            last = logLikelihood;
            state = sums.Maximize(HiddenMarkovParts.All);
        }
        Assert.IsTrue(double.IsFinite(last) && losses.Count > 0);
    }

    [TestMethod]
    public void A_model_is_found_again_in_its_own_samples()
    {
        IDataView vectors = Sample(s_machine, Vectors(2, [0, 0]), 4000, seed: 5);
        using HiddenMarkovTransformer found = _ml.Generative.HiddenMarkov(new() { States = 3 }).Fit(vectors);
        HiddenMarkovParameters p = found.Parameters;
        int[] order = [.. s_machine.Components!.Select(c => Enumerable.Range(0, 3)
            .MinBy(k => Math.Abs(p.Components![k][0].Mean[0] - c[0].Mean[0]) + Math.Abs(p.Components[k][0].Mean[1] - c[0].Mean[1])))];
        for (int i = 0; i < 3; i++)
        {
            HiddenMarkovComponent expected = s_machine.Components![i][0], own = p.Components![order[i]][0];
            for (int j = 0; j < 3; j++)
                Assert.AreEqual(s_machine.TransitionProbabilities[i][j], p.TransitionProbabilities[order[i]][order[j]], 0.025);
            for (int d = 0; d < 2; d++)
            {
                Assert.AreEqual(expected.Mean[d], own.Mean[d], 0.12);
                Assert.AreEqual(expected.Covariance[0][d], own.Covariance[0][d], 0.12);
                Assert.AreEqual(own.Covariance[0][1], own.Covariance[1][0]);
            }
        }

        IDataView keys = Sample(s_coins, Keys([1]), 10_000, seed: 2);
        using HiddenMarkovTransformer coins = _ml.Generative.HiddenMarkov(new() { States = 2 }).Fit(keys);
        HiddenMarkovParameters q = coins.Parameters;
        int one = q.EmissionProbabilities![0][0] > 0.5 ? 0 : 1;
        for (int c = 0; c < 3; c++)
            Assert.AreEqual(s_coins.EmissionProbabilities![0][c], q.EmissionProbabilities![one][c], 0.03);
        Assert.AreEqual(0.9, q.TransitionProbabilities[one][one], 0.02);
        Assert.AreEqual(0.8, q.TransitionProbabilities[1 - one][1 - one], 0.03);
        Assert.IsNull(q.Components);
    }

    [TestMethod]
    [DataRow(CovarianceType.Full)]
    [DataRow(CovarianceType.Tied)]
    [DataRow(CovarianceType.Diagonal)]
    [DataRow(CovarianceType.Spherical)]
    public void Zero_variance_too_few_rows_and_sequences_of_one_step_are_regularised_with_a_warning(CovarianceType type)
    {
        // As published: nine steps, the first feature constant.
        float[] steps =
        [
            715, 585, 0, 0, 715, 520, 1.04705811f, -60.3696289f, 715, 455, 0.72088623f, -52.7055664f, 715, 390, -0.457946777f,
            -78.0605469f, 715, 325, -6.43127441f, -55.9954834f, 715, 260, -2.90063477f, -78.0220947f, 715, 195, 8.45532227f,
            -70.3294373f, 715, 130, 4.09387207f, -58.3621216f, 715, 65, -1.2166748f, -44.8131409f,
        ];
        var warnings = new List<string>();
        _ml.Log += (_, message) =>
        {
            if (message.Kind == ChannelMessageKind.Warning)
                warnings.Add(message.Message);
        };
        foreach (float[][] sequences in new[] { (float[][])[steps], [steps[..4], steps[4..8], steps[8..]], [steps[..8]] })
        {
            HiddenMarkovOptions options = new() { States = 3, CovarianceType = type, GroupColumnName = "Group", SmoothedColumnName = "P" };
            using HiddenMarkovTransformer model = _ml.Generative.HiddenMarkov(options).Fit(Vectors(4, sequences));
            IDataView scored = model.Transform(Vectors(4, sequences));
            Assert.IsTrue(scored.GetColumn<float>("Score").All(float.IsFinite));
            Assert.IsTrue(scored.GetColumn<float[]>("P").All(p => Math.Abs(p.Sum() - 1) < 1e-6));
            Assert.IsTrue(model.Parameters.TransitionProbabilities.All(row => Math.Abs(row.Sum() - 1) < 1e-12));
        }
        StringAssert.Contains(string.Join('\n', warnings), "'Features' is constant in feature 0");
        StringAssert.Contains(string.Join('\n', warnings), "There are 3 distributions for 2 steps");
        if (type is CovarianceType.Full or CovarianceType.Diagonal)
            StringAssert.Contains(string.Join('\n', warnings), "directions without variance");
    }

    [TestMethod]
    public void An_impossible_step_and_a_missing_one_have_their_say_and_spoil_no_neighbour()
    {
        HiddenMarkovParameters certain = s_coins with { EmissionProbabilities = [[0.5, 0.5, 0], [0.2, 0.8, 0]] };
        TableView data = Keys([1, 2, 3, 1], [1, 0, 2, 1]);
        using HiddenMarkovTransformer model = Known(
            certain, data, new()
            {
                GroupColumnName = "Group", LogLikelihoodColumnName = "Log", SequenceLogLikelihoodColumnName = "Whole",
                PredictedLabelColumnName = "PredictedLabel", NonFiniteValues = NonFiniteValues.DropRow,
            });
        IDataView scored = model.Transform(data);
        float[] log = [.. scored.GetColumn<float>("Log")], whole = [.. scored.GetColumn<float>("Whole")];
        Assert.AreEqual(float.NegativeInfinity, log[2]);
        Assert.AreEqual(float.PositiveInfinity, scored.GetColumn<float>("Score").ElementAt(2));
        Assert.IsTrue(whole[..4].All(float.IsNegativeInfinity) && float.IsFinite(log[3]) && whole[4..].All(float.IsFinite));
        Assert.IsTrue(float.IsNaN(log[5]) && float.IsFinite(log[6]));
        bool[] labels = [.. scored.GetColumn<bool>("PredictedLabel")];
        Assert.IsTrue(labels[2] && labels[5] && !labels[0], "the threshold is that of what can be");
        Assert.IsTrue(scored.GetColumn<uint>("State").All(s => s is 1 or 2));

        TableView broken = Vectors(2, [0, 0, float.NaN, 1, 4, 1]);
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => _ml.Generative.HiddenMarkov().Fit(broken)).Message,
            "'Features' holds 1 values that are NaN, infinite or missing, in 1 of 3 rows; the first is NaN in slot 0 of row 1");
        using HiddenMarkovTransformer replaced = _ml.Generative.HiddenMarkov(new()
        {
            NonFiniteValues = NonFiniteValues.Replace, Parameters = s_machine, Learned = HiddenMarkovParts.None,
        }).Fit(broken);
        float[] scores = [.. replaced.Transform(broken).GetColumn<float>("Score")];
        Assert.IsTrue(float.IsFinite(scores[0]) && float.IsNaN(scores[1]) && float.IsFinite(scores[2]));
        CollectionAssert.AreEqual(
            new uint[] { 1, 1, 2 }, replaced.Transform(broken).GetColumn<uint>("State").ToArray());
    }

    [TestMethod]
    public void A_sequence_that_goes_on_after_another_one_is_named_and_so_are_wrong_columns()
    {
        string[] groups = ["a", "a", "b", "a"];
        TableView torn = new TableView(4)
            .Add("Group", TextDataViewType.Instance, row => groups[row].AsMemory())
            .AddVector("Features", 1, row => [row]);
        HiddenMarkovOptions grouped = new() { GroupColumnName = "Group", States = 1 };
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => _ml.Generative.HiddenMarkov(grouped).Fit(torn)).Message,
            "Row 3 (counted from 0): sequence 'a' of column 'Group' goes on");
        using HiddenMarkovTransformer model = _ml.Generative.HiddenMarkov(grouped).Fit(Vectors(1, [1, 2, 3], [3, 2]));
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(
                () => model.Transform(torn).GetColumn<float>("Score").ToArray()).Message, "sequence 'a' of column 'Group'");
        Assert.HasCount(4, model.Transform(torn).GetColumn<float[]>("Features").ToArray()); // what passes through does
        TableView none = new TableView(2).AddVector("Features", 1, row => [row]);
        foreach (Action action in (Action[])[
            () => _ml.Generative.HiddenMarkov(grouped).Fit(none), () => model.Transform(none),
            () => _ml.Generative.HiddenMarkov(grouped).GetOutputSchema(SchemaTests.Shape(none.Schema))])
            StringAssert.Contains(Assert.Throws<ArgumentOutOfRangeException>(action).Message, "Column 'Group' is missing");
        Assert.IsFalse(((ITransformer)model).IsRowToRowMapper);
        Assert.Throws<InvalidOperationException>(() => ((ITransformer)model).GetRowToRowMapper(none.Schema));
        Assert.IsFalse(model.Transform(torn).CanShuffle);
    }

    [TestMethod]
    public void Options_that_contradict_each_other_or_mean_nothing_here_are_refused()
    {
        void Refused(HiddenMarkovOptions options, string named) => StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => _ml.Generative.HiddenMarkov(options)).Message, named);

        Refused(new() { States = 0 }, "States");
        Refused(new() { MinVariance = 0 }, "MinVariance");
        Refused(new() { Learned = HiddenMarkovParts.Start }, "Learned");
        Refused(new() { FeaturesPerStep = 2, GroupColumnName = "G" }, "GroupColumnName");
        Refused(new() { Checkpoint = new("here") }, "Checkpoint");
        Refused(new() { LearningRate = 1 }, "LearningRate");
        Refused(new() { Parameters = s_coins with { TransitionProbabilities = [[0.5, 0.4], [0.5, 0.5]] } }, "transition");
        Refused(new() { Parameters = s_coins with { EmissionProbabilities = null } }, "emission");
        Refused(new() { StateColumnName = "Score" }, "'Score'");
        Refused(new() { Parameters = s_coins with { TransitionProbabilities = [[0.5, 0.5], null!] } }, "null");
        double[] even = [.. Enumerable.Repeat(1 / 257.0, 257)];
        Refused(new()
        {
            Parameters = new()
            {
                StartProbabilities = even, TransitionProbabilities = [.. Enumerable.Repeat(even, 257)],
                EmissionProbabilities = [.. Enumerable.Repeat(new double[] { 0.5, 0.5 }, 257)],
            },
        }, "256 states");
        double[][][] unfit = [[[1, -1]], [[1, 0]], [[1, 0.9], [0.1, 1]], [[1, 2], [2, 1]], [[0, 0], [0, 0]]];
        foreach (double[][] covariance in unfit)
            Refused(new() { Parameters = s_machine with { Components = [.. s_machine.Components!.Take(2), [new(1, [-1, 5], covariance)]] } }, "positive");
        foreach (int most in new[] { 0, (1 << 20) + 1 })
        {
            StringAssert.Contains(Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => _ml.Generative.HiddenMarkov(new()).Fit(
                new TableView(1).Add("Features", new KeyDataViewType(typeof(uint), most > 0 ? (ulong)most : uint.MaxValue), _ => 1u))).Message,
                "expected a key of 1 to 1048576 values, found Key");
        }
        StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(() => _ml.Generative.HiddenMarkov(
            new() { ForecastColumnName = "Next", ForecastHorizon = 10_000 }).Fit(new TableView(3).Add(
                "Features", new KeyDataViewType(typeof(uint), 200_000), row => (uint)row + 1))).Message, "2000000000 numbers");
        foreach (IDataView few in new IDataView[] { Vectors(1, [.. Enumerable.Range(0, 9)]), Vectors(2, [1, 2]) })
        {
            StringAssert.Contains(Assert.ThrowsExactly<InvalidOperationException>(
                () => _ml.AnomalyDetection.Trainers.HiddenMarkov().Fit(few)).Message, "at least 10");
        }
        Assert.Throws<InvalidOperationException>(() => Known(s_coins, Vectors(2, [0, 0])));
        Assert.Throws<InvalidOperationException>(() => Known(s_machine, Vectors(3, [0, 0, 0])));
        Assert.Throws<InvalidOperationException>(
            () => _ml.Generative.HiddenMarkov(new() { FeaturesPerStep = 2 }).Fit(Vectors(3, [0, 0, 0])));
    }

    [TestMethod]
    public void A_model_comes_back_from_a_file_to_the_bit_in_any_culture()
    {
        TableView data = Vectors(2, [.. Enumerable.Range(0, 5).Select(s => Density.TwoMoons(20 + s, (ulong)s))]);
        HiddenMarkovOptions options = new()
        {
            GroupColumnName = "Group", PValueColumnName = "P", PredictedLabelColumnName = "L", SmoothedColumnName = "S",
            ForecastColumnName = "F", MixtureComponents = 2, Starts = 2, Epochs = 20,
        };
        CultureInfo before = CultureInfo.CurrentCulture;
        string[] plain, elsewhere, loaded;
        try
        {
            using HiddenMarkovTransformer model = _ml.Generative.HiddenMarkov(options).Fit(data);
            plain = [.. ViewRows.Read(model.Transform(data)), .. ViewRows.Read(model.Generate(40, 3))];
            var commas = (CultureInfo)CultureInfo.InvariantCulture.Clone();
            (commas.NumberFormat.NumberDecimalSeparator, commas.NumberFormat.NegativeSign) = (",", "~");
            CultureInfo.CurrentCulture = commas;
            using HiddenMarkovTransformer again = _ml.Generative.HiddenMarkov(options).Fit(data);
            elsewhere = [.. ViewRows.Read(again.Transform(data)), .. ViewRows.Read(again.Generate(40, 3))];
            using var file = new MemoryStream();
            _ml.Model.Save(again, null, file);
            (float known, again.Threshold) = (again.Threshold, float.NegativeInfinity);
            using var all = new MemoryStream();
            _ml.Model.Save(again, null, all);
            using var strict = (HiddenMarkovTransformer)new MLContext().Model.Load(all, out _);
            Assert.IsTrue(strict.Transform(data).GetColumn<bool>("L").All(l => l));
            again.Threshold = known;
            using var other = (HiddenMarkovTransformer)new MLContext().Model.Load(file, out _);
            loaded = [.. ViewRows.Read(other.Transform(data)), .. ViewRows.Read(other.Generate(40, 3))];
            Assert.AreEqual(model.Threshold, other.Threshold);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
        // A given model, of which nothing was learned, too.
        TableView keys = Keys([1, 2, 3]);
        using HiddenMarkovTransformer coins = Known(s_coins, keys);
        using var stream = new MemoryStream();
        _ml.Model.Save(coins, null, stream);
        using var back = (HiddenMarkovTransformer)new MLContext().Model.Load(stream, out _);
        CollectionAssert.AreEqual(ViewRows.Read(coins.Transform(keys)), ViewRows.Read(back.Transform(keys)));
        CollectionAssert.AreEqual(plain, elsewhere);
        CollectionAssert.AreEqual(plain, loaded);
    }

    [TestMethod]
    public void Generated_rows_have_the_columns_and_lengths_of_training_and_do_not_depend_on_how_they_are_read()
    {
        TableView data = Keys([1, 2, 3], [3, 1, 2, 2, 1]);
        using HiddenMarkovTransformer model = Known(s_coins, data, new() { GroupColumnName = "Group" });
        Assert.AreSame(model, ((ITransformer)model).FindGenerator());
        IDataView made = model.Generate(1000, seed: 4);
        string[] rows = ViewRows.Read(made);
        CollectionAssert.AreEqual(rows[..300], ViewRows.Read(model.Generate(300, seed: 4)));
        CollectionAssert.AreNotEqual(rows, ViewRows.Read(model.Generate(1000, seed: 5)));
        DataViewRowCursor[] cursors = made.GetRowCursorSet(made.Schema, 3);
        string[] bySet = [.. cursors.SelectMany(cursor =>
        {
            var read = new List<string>();
            ValueGetter<uint> key = cursor.GetGetter<uint>(made.Schema["Features"]);
            ValueGetter<ReadOnlyMemory<char>> group = cursor.GetGetter<ReadOnlyMemory<char>>(made.Schema["Group"]);
            using (cursor)
            {
                while (cursor.MoveNext())
                {
                    (uint k, ReadOnlyMemory<char> g) = (0, default);
                    key(ref k);
                    group(ref g);
                    read.Add($"{g} {k}");
                }
            }
            return read;
        }).Order()];
        string[] groups = [.. made.GetColumn<string>("Group")];
        uint[] keys = [.. made.GetColumn<uint>("Features")];
        CollectionAssert.AreEqual(groups.Zip(keys, (g, k) => $"{g} {k}").Order().ToArray(), bySet);
        int[] lengths = [.. groups.GroupBy(g => g).Select(g => g.Count()).SkipLast(1)];
        CollectionAssert.AreEquivalent(new[] { 3, 5 }, lengths.Distinct().ToArray());
        Assert.AreEqual(3ul, ((KeyDataViewType)made.Schema["Features"].Type).Count);
        // In the long run, two thirds of the steps are in the first state.
        uint[] single = [.. Known(s_coins, data).Generate(20_000, 1).GetColumn<uint>("Features")];
        Assert.AreEqual(2 / 3.0 * 0.8 + 1 / 3.0 * 0.1, single.Count(k => k == 1) / 20_000.0, 0.02);
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => model.Generate(1, 0, new RowCondition().Equal("Features", 1))).Message, "conditions");
    }

    [TestMethod]
    public void Unusual_stretches_of_a_series_are_flagged_and_of_fresh_rows_the_share_that_was_asked_for()
    {
        TableView schema = Vectors(2, [0, 0]);
        IDataView usual = Sample(s_machine, schema, 3000, 1), fresh = Sample(s_machine, schema, 4000, 2);
        using HiddenMarkovTransformer detector = _ml.AnomalyDetection.Trainers.HiddenMarkov(
            new() { Contamination = 0.05, PValueColumnName = "PValue", Starts = 3 }).Fit(usual);
        Assert.IsNull(detector.GetOutputSchema(schema.Schema).GetColumnOrNull("State"));
        IDataView scored = detector.Transform(fresh);
        Assert.AreEqual(0.05, scored.GetColumn<bool>("PredictedLabel").Count(l => l) / 4000.0, 0.03);
        Assert.AreEqual(0.5, scored.GetColumn<float>("PValue").Average(), 0.05);
        // Each value is usual, but never in this order: the machine does not go from its first state to its third.
        TableView jump = Vectors(2, [0, 0, 0, 0, 0, 0, 0, 0, -1, 5, -1, 5]);
        float[] scores = [.. detector.Transform(jump).GetColumn<float>("Score")];
        Assert.IsTrue(scores[4] > detector.Threshold && scores[3] < detector.Threshold && scores[5] < detector.Threshold);
    }

    [TestMethod]
    public void Texts_and_series_are_sequences_in_one_row()
    {
        string[] usual = [.. Enumerable.Range(0, 300).Select(i => string.Concat(Enumerable.Repeat(i % 2 == 0 ? "ab" : "xyz", 3 + i % 5)))];
        IDataView Texts(IEnumerable<string> texts) => _ml.Data.LoadFromEnumerable(texts.Select(t => new Line { Text = t }));
        using HiddenMarkovTransformer detector = _ml.AnomalyDetection.Trainers.HiddenMarkov(new()
        {
            FeatureColumnName = "Text", States = 6, SequenceLogLikelihoodColumnName = "Whole", StateColumnName = "State",
            Contamination = 0.02, Starts = 2, Epochs = 40,
        }).Fit(Texts(usual));
        IDataView scored = detector.Transform(Texts(["abababab", "xyzxyzxyzxyz", "axbxyaby", "ab€ab", ""]));
        float[] scores = [.. scored.GetColumn<float>("Score")];
        Assert.IsTrue(scores[..2].Max() < scores[2] && scores[2] < float.PositiveInfinity);
        Assert.IsTrue(scores[3] > scores[0] && float.IsFinite(scores[3]), "an unknown character is strange, not impossible");
        Assert.IsTrue(float.IsNaN(scores[4]));
        CollectionAssert.AreEqual(new[] { false, false, true, true, true }, scored.GetColumn<bool>("PredictedLabel").ToArray());
        Assert.AreEqual(-8 * scores[0], scored.GetColumn<float>("Whole").First(), 1e-4);
        Assert.IsTrue(((ITransformer)detector).IsRowToRowMapper);
        string[] made = [.. detector.Generate(200, 1).GetColumn<string>("Text")];
        Assert.IsTrue(made.Count(t => t.Contains("aba") || t.Contains("zxy")) > 150);
        CollectionAssert.IsSubsetOf(made.Select(t => t.Length).Distinct().ToArray(), usual.Select(t => t.Length).Distinct().ToArray());
        // Training goes on from parameters with their symbols.
        using HiddenMarkovTransformer again = Known(detector.Parameters, Texts(["ba"]), new() { FeatureColumnName = "Text" });
        Assert.AreEqual(scores[2], again.Transform(Texts(["axbxyaby"])).GetColumn<float>("Score").Single(), 1e-5);

        // Series of six steps of one feature, that rise or fall.
        TableView series = new TableView(200).AddVector("Features", 6, row =>
            [.. Enumerable.Range(0, 6).Select(t => (row % 2 == 0 ? t : 5 - t) + 0.1f * MathF.Sin(row * 7 + t * t))]);
        using HiddenMarkovTransformer curves = _ml.AnomalyDetection.Trainers.HiddenMarkov(
            new() { FeaturesPerStep = 1, States = 12, Contamination = 0.02, Starts = 2, Epochs = 40 }).Fit(series);
        TableView odd = new TableView(3).AddVector("Features", 6, row =>
            row == 0 ? [0, 1, 2, 3, 4, 5] : row == 1 ? [5, 4, 3, 2, 1, 0] : [0, 1, 2, 2, 1, 0]);
        float[] strange = [.. curves.Transform(odd).GetColumn<float>("Score")];
        Assert.IsTrue(strange[2] > 2 + Math.Max(strange[0], strange[1]), string.Join(' ', strange));
        Assert.HasCount(6, curves.Generate(3).GetColumn<float[]>("Features").First());
    }

    private sealed class Line
    {
        public string Text { get; set; } = "";
    }

    private sealed class Listener(Action<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard(value);
    }
}
