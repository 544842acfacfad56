using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class TrainedAutoencoderTests
{
    [TestMethod]
    public void A_row_that_breaks_the_tables_rule_is_stranger_than_any_that_keeps_it()
    {
        TrainedVector model = Trained.Detector().Model;
        float usual = Trained.Scores(model, Trained.AllRows()).Max();
        // Each feature is within its range; only the sum is wrong.
        Assert.IsGreaterThan(usual, Trained.Scores(model, [10.2f, 2.8f, 11f, 7])[0]);
    }

    [TestMethod]
    public void Features_contributions_add_up_to_the_score_and_name_the_culprit()
    {
        TrainedVector model = Trained.Detector().Model;
        float[] row = [11f, 2f, 19f, 7], score = Trained.Scores(model, row), features = Trained.FeatureScores(model, row);
        Assert.AreEqual(score[0], features.Sum(), 1e-4f * score[0]);
        Assert.AreEqual(2, Array.IndexOf(features, features.Max()));
    }

    [TestMethod]
    public void Another_value_of_a_constant_feature_is_stranger_than_anything_else_and_named()
    {
        VectorFitResult fit = Trained.Detector();
        float[] rows = [11f, 2f, 13f, 7, 11f, 2f, 13f, 7.1f, 11f, 2f, 13f, 1e30f, 11f, 2f, 1000f, 7];
        float[] score = Trained.Scores(fit.Model, rows), features = Trained.FeatureScores(fit.Model, rows);
        Assert.AreEqual(0, features[3]);
        Assert.IsLessThan(fit.Threshold, score[0]);
        Assert.IsGreaterThan(score[3], score[1], "a small step of a constant, against a large one of another feature");
        Assert.IsGreaterThan(score[1], score[2]);
        Assert.AreEqual(score[1], features[4..8].Sum(), 1e-4f * score[1]);
        Assert.IsGreaterThan(1e6f, features[7]);
    }

    [TestMethod]
    public void One_wild_training_value_does_not_blind_its_column()
    {
        // 500 rows with a feature in [0.8, 0.9], and one of them −9999: scoring 50 there is an anomaly all the same.
        VectorFitResult fit = Trained.Detector(
            new AutoencoderOptions { Epochs = 30 },
            new ArrayRows(500, 2, (i, j) => j == 0 && i == 77 ? -9999 : j == 0 ? 0.8f + i * 31 % 97 / 970f : i % 13));
        float[] scores = Trained.Scores(fit.Model, [0.85f, 5, 50, 5, 0.85f, 12]);
        Assert.IsLessThan(fit.Threshold, scores[0]);
        Assert.IsGreaterThan(fit.Threshold, scores[1]);
        Assert.IsLessThan(fit.Threshold, scores[2]);
    }

    [TestMethod]
    [DataRow(60, 4, false)]
    [DataRow(400, 8, true)]
    [DataRow(2500, 4, false)]
    public void Fresh_rows_are_flagged_at_the_contamination(int rows, int width, bool duplicated)
    {
        // Independent normal columns, each row twice if duplicated: the network has learned its training rows, and a
        // threshold from their scores would flag a third of fresh ones.
        const double Share = 0.1;
        const int Fresh = 2000;
        float[] table = Normal(rows, width, 1), fresh = Normal(Fresh, width, 2);
        int Row(long i) => (int)(duplicated ? i / 2 : i);
        VectorFitResult fit = Trained.Detector(
            new AutoencoderOptions { Contamination = Share, Epochs = rows < 2000 ? 40_000 / rows : null }, new ArrayRows(rows, width, (i, j) => table[Row(i) * width + j]));
        float[] scores = Trained.Scores(fit.Model, fresh);
        double flagged = scores.Count(s => s > fit.Threshold) / (double)Fresh;
        // The rank of the threshold among as many calibration scores varies, and so does the share of fresh rows: four
        // standard deviations of both. Of rows that come twice half as many are independent.
        double calibrated = rows >= 2000 ? rows / 5.0 : duplicated ? rows / 2.0 : rows;
        Assert.AreEqual(Share, flagged, 4 * Deviation(Share));
        float[] pValues = [.. scores.Select(fit.Calibration!.PValue)];
        foreach (double p in new[] { 0.05, 0.1, 0.25, 0.5, 0.75, 0.95 })
            Assert.AreEqual(p, pValues.Count(found => found <= p) / (double)Fresh, 4 * Deviation(p) + 1 / calibrated, $"p {p}");

        double Deviation(double share) => Math.Sqrt(share * (1 - share) * (1 / calibrated + 1.0 / Fresh));
    }

    [TestMethod]
    public void Few_rows_are_read_once_where_they_may_be_held()
    {
        ArrayRows held = Trained.SumRows(), streamed = Trained.SumRows();
        var once = new AutoencoderOptions { Epochs = 1 };
        float threshold = Trained.Detector(once, held).Threshold;
        Assert.AreEqual(1, held.Opened);
        VectorFitResult fit = Trained.Detector(once with { CacheBudgetBytes = 16 * 299 }, streamed);
        Assert.IsGreaterThan(1, streamed.Opened);
        Assert.IsTrue(float.IsFinite(threshold) && float.IsFinite(fit.Threshold));
    }

    [TestMethod]
    [DataRow(2500, 1, DisplayName = "Of rows that are all equal, all or none would be held back")]
    [DataRow(2500, 4)]
    [DataRow(60_000, 40, DisplayName = "A fifteenth of 40 different rows would be two or three: none is held back")]
    public void Many_rows_of_few_different_ones_calibrate_a_detector(int rows, int different)
    {
        for (int seed = 0; seed < 8; seed++)
        {
            VectorFitResult fit = Trained.Detector(
                new AutoencoderOptions { Epochs = 1, HiddenLayers = [4] },
                new ArrayRows(rows, 2, (i, j) => i % different * (j + 1)), seed);
            float[] scores = Trained.Scores(fit.Model, [.. Enumerable.Range(0, different).SelectMany(i => new float[] { i, 2 * i })]);
            Assert.IsTrue(float.IsFinite(fit.Threshold) && scores.All(float.IsFinite), $"seed {seed}");
            Assert.IsTrue(scores.Count(score => score > fit.Threshold) <= 0.1 * different, $"seed {seed}");
        }
    }

    [TestMethod]
    [DataRow(2500, 49, 0)]
    [DataRow(2500, 50, 1)]
    [DataRow(1_000_000, 2400, 0, DisplayName = "Of 2,400 different rows 9.6 would be held back")]
    [DataRow(1_000_000, 2600, 1)]
    [DataRow(1999, 40, 10)]
    [DataRow(1999, 9, 0)]
    public void Rows_are_held_back_where_at_least_ten_different_ones_are_to_be_expected(int rows, int different, int folds)
    {
        CalibrationPlan plan = new(new ArrayRows(rows, 1, (i, _) => i % different), seed: 1, 1 << 30, default);
        Assert.AreEqual(folds, plan.Folds);
        if (folds != 1)
            return;
        var held = new RowSample(field: 0, width: 1, size: 10_000, seed: 1);
        CalibrationPlan.Read(plan.HeldBack(0), [held], default);
        double expected = different * Math.Min(0.2, 4000.0 / rows);
        Assert.AreEqual(expected, held.ToArray().Distinct().Count(), 4 * Math.Sqrt(expected));
    }

    [TestMethod]
    public void A_cancelled_detector_stops_while_rows_are_counted()
    {
        using var stop = new CancellationTokenSource();
        long read = 0;
        var rows = new ArrayRows(1_000_000, 1, (i, _) =>
        {
            read = i;
            if (i == 5000)
                stop.Cancel();
            return i % 100;
        });
        Assert.ThrowsExactly<OperationCanceledException>(
            () => Trained.Detector(new AutoencoderOptions { CancellationToken = stop.Token }, rows));
        Assert.IsLessThan(10_000, read);
        Assert.AreEqual(1, rows.Opened);
    }

    [TestMethod]
    public void A_detector_that_is_cancelled_while_it_is_calibrated_says_so_and_how_to_go_on()
    {
        string folder = Directory.CreateTempSubdirectory("genml").FullName;
        try
        {
            using var stop = new CancellationTokenSource();
            var options = new AutoencoderOptions { Epochs = 200, CancellationToken = stop.Token, Checkpoint = new(folder) };
            // The first of eleven models is the one that is kept.
            var context = Trained.OnCpu with { Progress = new Listener(now => { if (now.Step > now.Steps / 11.0 + 1) stop.Cancel(); }) };
            string message = Assert.ThrowsExactly<OperationCanceledException>(
                () => VectorFit.Fit(Trained.SumRows(), AutoencoderTrainer.Family, options, context)).Message;
            StringAssert.StartsWith(message, "Training was cancelled while models of parts of the rows were trained");
            StringAssert.EndsWith(message, $" from the checkpoint in {folder}.");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static float[] Normal(int rows, int width, ulong seed)
    {
        float[] values = new float[rows * width];
        var random = new SplitMix64(seed);
        NormalNumbers.Fill(ref random, values);
        return values;
    }

    [TestMethod]
    public void Scores_do_not_depend_on_the_batch()
    {
        TrainedVector model = Trained.Detector().Model;
        float[] rows = Trained.AllRows();
        float[] together = Trained.Scores(model, rows);
        for (int i = 0; i < together.Length; i += 7)
        {
            float alone = Trained.Scores(model, rows[(4 * i)..(4 * i + 4)])[0];
            Assert.AreEqual(together[i], alone);
        }
    }

    [TestMethod]
    public void The_same_seed_gives_the_same_bits_and_another_seed_another_model()
    {
        float[] Score(int seed)
        {
            TrainedVector model = Trained.Detector(new AutoencoderOptions { Epochs = 3 }, seed: seed).Model;
            return Trained.Scores(model, Trained.AllRows(20));
        }

        float[] first = Score(1);
        CollectionAssert.AreEqual(first, Score(1));
        CollectionAssert.AreNotEqual(first, Score(2));
    }

    [TestMethod]
    public void A_saved_model_scores_as_before_to_the_last_bit()
    {
        TrainedVector model = Trained.Detector(new AutoencoderOptions
        {
            Epochs = 3,
            HiddenLayers = [16, 8],
            LatentDimension = 3,
            BatchNormalization = true,
            EnsembleSize = 3,
        }).Model;
        using var weights = new MemoryStream();
        model.Save(weights);
        weights.Position = 0;
        using var loaded = new TrainedVector(
            model.Network, HostWeights.Load(weights, model.Network.Tensors()), ComputeDevice.Cpu, fallbackToCpu: false);
        CollectionAssert.AreEqual(
            Trained.Scores(model, Trained.AllRows()), Trained.Scores(loaded, Trained.AllRows()));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    public void Exported_weights_have_PyTorchs_names_and_shapes_and_come_back(int members)
    {
        var options = new AutoencoderOptions
        {
            Epochs = 2, HiddenLayers = [6], LatentDimension = 1, EnsembleSize = members, BatchNormalization = true, InputNoise = 0,
            InputMasking = 0,
        };
        TrainedVector model = Trained.Detector(options).Model;
        TrainedVector other = Trained.Detector(options, seed: 8).Model;
        using var weights = new MemoryStream();
        model.ExportWeights(weights);

        weights.Position = 0;
        var shapes = SafetensorsReader.Open(weights).Tensors.ToDictionary(
            t => t.Spec.Name, t => string.Join('x', t.Spec.Shape.ToArray()));
        string stack = members == 1 ? "" : members + "x", row = members == 1 ? "" : members + "x1x";
        Assert.AreEqual(stack + "6x4", shapes["encoder.0.weight"]);
        Assert.AreEqual(row + "6", shapes["encoder.0.bias"]);
        Assert.AreEqual(stack + "1x6", shapes["encoder.1.weight"]);
        Assert.AreEqual(row + "1", shapes["encoder.1.bias"]);
        Assert.AreEqual(stack + "6x1", shapes["decoder.0.weight"]);
        Assert.AreEqual(row + "6", shapes["encoder_norm.0.weight"]);
        Assert.AreEqual(row + "6", shapes["decoder_norm.0.running_var"]);

        weights.Position = 0;
        other.ImportWeights(weights);
        float[] rows = Trained.AllRows(20);
        CollectionAssert.AreEqual(Trained.Reconstructions(model, rows), Trained.Reconstructions(other, rows));
    }

    [TestMethod]
    public void Training_in_bfloat16_gives_other_weights_and_nearly_the_same_scores()
    {
        float[] Scores(Precision precision)
        {
            TrainedVector model = Trained.Detector(new() { Epochs = 30, ReferenceRows = 0, Precision = precision }).Model;
            return Trained.Scores(model, Trained.AllRows());
        }

        float[] full = Scores(Precision.Float32), half = Scores(Precision.BFloat16);
        CollectionAssert.AreNotEqual(full, half);
        CollectionAssert.AreEqual(full, Scores(Precision.Auto)); // the layers are too narrow to gain by it
        // Scores are in units of a usual row's; noise that differs by eight bits of precision moves them by a few
        // percent.
        Assert.IsLessThan(0.2, full.Zip(half, (a, b) => Math.Abs(a - b)).Average());
    }

    [TestMethod]
    public void Weights_of_another_shape_are_refused()
    {
        TrainedVector model = Trained.Detector(new AutoencoderOptions { Epochs = 1 }).Model;
        using var weights = new MemoryStream();
        model.Save(weights);
        weights.Position = 0;
        AutoencoderOptions options = (AutoencoderOptions)Trained.Detector(new AutoencoderOptions { Epochs = 1 }).Options;
        foreach (AutoencoderOptions other in new[]
        {
            options with { LatentDimension = 5 }, options with { HiddenLayers = [60_000, 60_000] },
        })
        {
            weights.Position = 0;
            Assert.ThrowsExactly<FormatException>(() => HostWeights.Load(
                weights, new AutoencoderNetwork(other, model.Network.Input).Tensors()));
        }
    }

    [TestMethod]
    public void A_disposed_model_makes_anew_what_it_needs()
    {
        TrainedVector model = Trained.Detector(new AutoencoderOptions { Epochs = 1 }).Model;
        float[] before = Trained.Scores(model, Trained.AllRows(20));
        model.Dispose();
        model.Dispose();
        CollectionAssert.AreEqual(before, Trained.Scores(model, Trained.AllRows(20)));
    }

    [TestMethod]
    public void Both_engines_agree()
    {
        TrainedVector model = Trained.Detector(new AutoencoderOptions
        {
            Epochs = 5, BatchNormalization = true, FeatureScoreColumnName = "F",
        }).Model;
        float[] rows = Trained.AllRows();
        (float[] Scores, float[] Features, float[] Made) onnx = All();
        model.Dispose();
        using (NativeParts.Pretend(onnx: new DllNotFoundException(), torch: null))
        {
            (float[] Scores, float[] Features, float[] Made) torch = All();
            foreach ((float[] a, float[] b) in new[] { (onnx.Scores, torch.Scores), (onnx.Features, torch.Features), (onnx.Made, torch.Made) })
            {
                for (int i = 0; i < a.Length; i++)
                    Assert.AreEqual(a[i], b[i], 1e-5f * Math.Max(1, Math.Abs(a[i])));
            }
        }
        model.Dispose();

        (float[], float[], float[]) All() =>
            (Trained.Scores(model, rows), Trained.FeatureScores(model, rows), Trained.Reconstructions(model, rows));
    }

    [TestMethod]
    [DataRow(10)]
    [DataRow(12)]
    public void A_handful_of_rows_trains(int rows)
    {
        TrainedVector model = Trained.Detector(
            new AutoencoderOptions { Epochs = 2, BatchNormalization = true }, Trained.SumRows(rows)).Model;
        Assert.IsTrue(Trained.Scores(model, Trained.AllRows(10)).All(float.IsFinite));
    }

    [TestMethod]
    [DataRow(1, "has 1 row;")]
    [DataRow(5, "has 5 rows;")]
    [DataRow(9, "has 9 rows;")]
    public void Few_rows_are_refused(int rows, string said)
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => Trained.Detector(new AutoencoderOptions { Epochs = 2 }, Trained.SumRows(rows)));
        StringAssert.Contains(error.Message, said);
        StringAssert.Contains(error.Message, "at least 10");
    }

    // Sixteen sensors of three causes: each is known by the others, so that one that is wild should not spoil them.
    [TestMethod]
    [DataRow(15f)]
    [DataRow(-15f)]
    [DataRow(1e6f)]
    public void A_wild_feature_does_not_spoil_what_is_made_of_the_others(float offset)
    {
        TrainedVector model = s_sensors.Value;
        float[] clean = new float[200 * 16], wild = new float[200 * 16];
        for (int i = 0; i < 200; i++)
        {
            for (int j = 0; j < 16; j++)
                wild[i * 16 + j] = (clean[i * 16 + j] = Sensor(1000 + i, j)) + (j == i % 16 ? offset : 0);
        }
        float[] made = Trained.Reconstructions(model, clean), despite = Trained.Reconstructions(model, wild);
        double Error(float[] of) => Math.Sqrt(
            Enumerable.Range(0, of.Length).Where(k => k % 16 != k / 16 % 16).Average(k => Math.Pow(of[k] - clean[k], 2)));
        Assert.IsLessThan(2 * Error(made), Error(despite), $"clean: {Error(made)}");
    }

    private static readonly Lazy<TrainedVector> s_sensors = new(() => Trained.Detector(
        new AutoencoderOptions
        {
            Epochs = 60, ScoreColumnName = null, PredictedLabelColumnName = null, ReconstructionColumnName = "Reconstruction",
        },
        new ArrayRows(1000, 16, Sensor)).Model);

    // Causes of variance one, in weights that are directions of three dimensions.
    private static float Sensor(long row, int sensor)
    {
        double sum = 0;
        for (int cause = 0; cause < 3; cause++)
            sum += Math.Sqrt(2) * Math.Sin((row + 1) * (cause + 1) * 12.9898 % 6.28318 + cause) * Math.Cos(sensor * 1.3 + cause * 2.1);
        return (float)sum;
    }

    // The weights of a last update can be finite, and what is made of them not.
    [TestMethod]
    [DataRow(1e3)]
    [DataRow(1e10)]
    [DataRow(1e30)]
    public void A_last_update_that_made_weights_useless_is_refused(double rate)
    {
        var once = new AutoencoderOptions { Epochs = 1, BatchSize = 400, LearningRate = rate };
        (VectorFamily, VectorOptions)[] families =
        [
            (AutoencoderTrainer.Family, once),
            (VaeTrainer.Family, new VaeOptions { Epochs = 1, BatchSize = 400, LearningRate = rate, ScoreColumnName = "Score" }),
            (NormalizingFlowTrainer.Family, new NormalizingFlowOptions { Epochs = 1, BatchSize = 400, LearningRate = rate, ScoreColumnName = "Score" }),
        ];
        foreach ((VectorFamily family, VectorOptions options) in families)
        {
            try
            {
                TrainedVector model = VectorFit.Fit(
                    Trained.SumRows(400), family, options, Trained.OnCpu).Model;
                Assert.IsTrue(Trained.Scores(model, Trained.AllRows(400)).All(float.IsFinite), family.Name);
            }
            catch (InvalidOperationException error)
            {
                StringAssert.Contains(error.Message, "LearningRate");
            }
        }
    }

    [TestMethod]
    public void A_network_that_memory_cannot_hold_is_refused_with_its_sizes_before_it_is_made()
    {
        var wide = new AutoencoderOptions { HiddenLayers = [65_536, 65_536], Epochs = 1 };
        long before = Environment.WorkingSet;
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Trained.Detector(wide));
        StringAssert.Contains(error.Message, "2 × 65536 × 65536");
        StringAssert.Contains(error.Message, "BatchSize");
        Assert.IsLessThan(1L << 30, Environment.WorkingSet - before);

        // Two networks 9 → 6 → 3 → 6 → 4, whose input is the values, marks of what is hidden, and a level; buffers of 7
        // and 10 rows to compare with. By hand: weights in memory five times, a batch of 32 rows eight times.
        long weights = 2 * (9 * 6 + 6 + 6 * 3 + 3 + 3 * 6 + 6 + 6 * 4 + 4) + 7 + 10 * 4;
        long bytes = 4 * (5 * weights + 32 * 8 * 2 * (9 + 6 + 6 + 3 + 3 + 6 + 6 + 4));
        var options = new AutoencoderOptions
        {
            HiddenLayers = [6], LatentDimension = 3, EnsembleSize = 2, InputNoise = 1, InputMasking = 0.5, ReferenceRows = 10,
        };
        var network = new AutoencoderNetwork(options, new VectorInput { Width = 4 });
        NetworkFit.CheckMemory(network, 32, options, bytes);
        Assert.ThrowsExactly<InvalidOperationException>(() => NetworkFit.CheckMemory(network, 32, options, bytes - 1));
        Assert.ThrowsExactly<InvalidOperationException>(
            () => NetworkFit.CheckMemory(network, 32, options with { ValidationFraction = 0.1 }, bytes + 4 * weights - 1));
        // Four processes have a quarter of both moments each.
        ThreadRing.Run(4, (distributed, _) =>
        {
            AutoencoderOptions divided = options with { Distributed = distributed with { ShardOptimizer = true } };
            NetworkFit.CheckMemory(network, 32, divided, bytes - 6 * weights);
            return Assert.ThrowsExactly<InvalidOperationException>(() => NetworkFit.CheckMemory(network, 32, divided, bytes - 6 * weights - 1));
        });
    }

    [TestMethod]
    public void Extreme_values_give_large_finite_scores()
    {
        TrainedVector model = Trained.Detector().Model;
        float[] scores = Trained.Scores(model, [1e30f, 0, 0, 7, -1e38f, 1e38f, 0, 7, 11f, 2f, 13f, 7]);
        Assert.IsTrue(scores.All(float.IsFinite));
        Assert.IsGreaterThan(scores[2], scores[0]);
        Assert.IsGreaterThan(scores[2], scores[1]);
    }

    [TestMethod]
    public void Reconstruction_is_in_the_units_of_the_data()
    {
        TrainedVector model = Trained.Detector(new AutoencoderOptions
        {
            Epochs = 200, InputNoise = 0.05, ScoreColumnName = null, PredictedLabelColumnName = null,
            ReconstructionColumnName = "R",
        }).Model;
        float[] rows = Trained.AllRows(50), output = Trained.Reconstructions(model, rows);
        for (int i = 0; i < output.Length; i++)
            Assert.AreEqual(rows[i], output[i], 0.25f); // the features range over 2 to 4 units
    }

    private sealed class Listener(Action<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard(value);
    }
}
