using System.IO.Compression;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Conformance;

public sealed partial class EstimatorConformance
{
    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_batch_gives_each_row_what_it_gets_alone(ConformanceCase family)
    {
        ITransformer trained = Trained(family);
        IDataView together = trained.Transform(ConformanceData.Table(40));
        string[] outputs = Numbers(together.Schema);
        float[][] batched = Values(together, outputs);
        using DataViewRowCursor cursor = ConformanceData.Table(40) is var alone ? alone.GetRowCursor(alone.Schema) : null!;
        IRowToRowMapper mapper = trained.GetRowToRowMapper(cursor.Schema);
        using DataViewRow row = mapper.GetRow(cursor, mapper.OutputSchema);
        Func<float[]>[] cells = Readers(row, ViewRows.Columns(mapper.OutputSchema, outputs));
        for (int r = 0; cursor.MoveNext(); r++)
        {
            float[] single = [.. cells.SelectMany(cell => cell())];
            for (int i = 0; i < single.Length; i++)
                Assert.AreEqual(batched[r][i], single[i], 1e-4f * Math.Max(1, Math.Abs(single[i])), $"row {r}, value {i}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_prediction_engine_gives_what_Transform_gives(ConformanceCase family)
    {
        ConformanceRow[] rows = ConformanceData.Objects(Rows);
        ITransformer trained = Trained(family);
        PredictionEngine<ConformanceRow, ConformanceOutput> engine = _ml.Model
            .CreatePredictionEngine<ConformanceRow, ConformanceOutput>(
                trained, new PredictionEngineOptions { OwnsTransformer = false });
        foreach (ConformanceRow row in rows)
        {
            // The same row in a view of its own: a batch of one, as the engine computes it.
            IDataView alone = trained.Transform(_ml.Data.LoadFromEnumerable(new[] { row }));
            ConformanceOutput expected = _ml.Data
                .CreateEnumerable<ConformanceOutput>(alone, reuseRowObject: false, ignoreMissingColumns: true).Single();
            Assert.AreEqual(expected.ToString(), engine.Predict(row).ToString());
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Many_threads_can_use_a_transformer_at_once(ConformanceCase family)
    {
        ITransformer trained = Trained(family);
        string[] expected = ViewRows.Read(trained.Transform(ConformanceData.Table(300)));
        Parallel.For(0, 4, _ => CollectionAssert.AreEqual(
            expected, ViewRows.Read(trained.Transform(ConformanceData.Table(300)))));
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void No_output_is_the_same_for_all_rows(ConformanceCase family)
    {
        ITransformer trained = Trained(family);
        IDataView scored = trained.Transform(ConformanceData.Table(Rows));
        foreach (string column in Numbers(scored.Schema).Where(name => name != "PredictedLabel"))
        {
            float[][] values = Values(scored, [column]);
            for (int i = 0; i < values[0].Length; i++)
                Assert.IsGreaterThan(1, values.Select(row => row[i]).Distinct().Count(), $"{column}, value {i}");
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Training_moves_every_weight(ConformanceCase family)
    {
        if (family.Name == "patch core")
            return; // one pass remembers, and a second adds nothing
        // Without decay nothing moves a weight but its gradient.
        IReadOnlyDictionary<string, byte[]> one = Weights(epochs: 1), two = Weights(epochs: 2);
        string[] still = [.. one.Keys.Where(name => one[name].AsSpan().SequenceEqual(two[name]))];
        CollectionAssert.IsSubsetOf(still, NotTrained, string.Join(", ", still.Except(NotTrained)));

        IReadOnlyDictionary<string, byte[]> Weights(int epochs)
        {
            using var fitted = new Fitted(
                family.Make(_ml, new() { Seed = 1, Epochs = epochs, WeightDecay = 0 }), ConformanceData.Table(Rows));
            using var saved = new MemoryStream();
            _ml.Model.Save(fitted.Transformer, null, saved);
            using var archive = new ZipArchive(saved);
            using Stream weights = archive.Entries
                .Single(e => e.Name.EndsWith("weights.safetensors", StringComparison.Ordinal)).Open();
            using var file = new MemoryStream();
            weights.CopyTo(file);
            file.Position = 0;
            SafetensorsReader reader = SafetensorsReader.Open(file);
            return reader.ByName.ToDictionary(tensor => tensor.Key, tensor =>
            {
                byte[] bytes = new byte[tensor.Value.Spec.Length];
                reader.Read(tensor.Value, 0, bytes);
                return bytes;
            });
        }
    }

    // What is set by the data or by the design, not by gradients; and the last bias of a Wasserstein critic, which adds
    // the same to what it says of real and of generated rows.
    private static readonly string[] NotTrained =
    [
        "input_mean", "input_scale", "input_limit", "feature_mask", "memory", "condition_mean", "condition_scale",
        "condition_rows", "bernoulli", "bernoulli_mean", "binary", "score_noise", "step.0.order", "step.1.order",
        "discriminator.1.weight_u", "discriminator.1.bias", "discriminator.judgement.weight_u",
        "discriminator.judgement.bias", "smoothing", "pairs", "visible_mean", "hidden_states", "first_states", "last_states",
        "binary_mean", "drawn", "chains_0", "unit", "lowest", "highest", "least", "most", "level.centres", "growth",
        "discriminator.0.shortcut.weight_v", "smoothing_sums", "structure_mean", "structure_scale", "structure_memory",
        "structure_around", "structure_around_sums", "structure_fine", "structure_fine_sums", "structure_neighbours",
        "structure_neighbours_sums", "framing.first.rows", "framing.first.columns", "framing.first.outside",
        "framing.second.rows", "framing.second.columns", "framing.second.outside",
        "outline_fine", "outline_fine_sums", "outline_around", "outline_around_sums", "outline_rise",
        "outline_border", "outline_mean",
    ];

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Empty_data_and_a_single_vector_are_errors_and_one_feature_is_enough(ConformanceCase family)
    {
        var error = Assert.Throws<InvalidOperationException>(
            () => family.Make(_ml, new()).Fit(ConformanceData.Table(0)));
        StringAssert.Contains(error.Message, $"'{family.Input}'");

        bool needsTwo = family.Input == "Features" && !family.IsPlain; // a series alone is many steps
        if (needsTwo)
            Assert.Throws<InvalidOperationException>(() => family.Make(_ml, new()).Fit(ConformanceData.Table(1)));
        foreach (TableView data in new[] { ConformanceData.Table(CalibrationPlan.MinRows), ConformanceData.Table(30, width: 1) })
        {
            using var fitted = new Fitted(family.Make(_ml, new()), data);
            Assert.HasCount(data.Rows, ViewRows.Read(fitted.Transformer.Transform(data)));
            Assert.HasCount(0, ViewRows.Read(fitted.Transformer.Transform(
                ConformanceData.Table(0, data.Schema["Features"].Type is VectorDataViewType v ? v.Size : 0))));
        }
    }

    [TestMethod]
    [DynamicData(nameof(VectorFamilies))]
    public void A_constant_column_trains_and_gives_finite_outputs(ConformanceCase family)
    {
        TableView data = ConformanceData.Table(Rows, spoil: (_, v) => v[2] = 7);
        using var fitted = new Fitted(family.Make(_ml, new()), data);
        IDataView scored = fitted.Transformer.Transform(data);
        string[] outputs = Numbers(scored.Schema);
        Assert.IsTrue(Values(scored, outputs).SelectMany(row => row).All(float.IsFinite));
    }

    [TestMethod]
    [DynamicData(nameof(VectorFamilies))]
    public void What_is_not_finite_is_an_error_or_replaced_or_left_out(ConformanceCase family)
    {
        TableView data = ConformanceData.Table(Rows, spoil: (row, v) => v[1] = row is 12 or 40 ? float.NaN : v[1]);
        var error = Assert.Throws<InvalidOperationException>(() => family.Make(_ml, new()).Fit(data));
        StringAssert.Contains(error.Message, "'Features' holds 2 values");
        StringAssert.Contains(error.Message, "slot 1 of row 12");

        using var replaced = new Fitted(family.Make(_ml, new() { NonFiniteValues = NonFiniteValues.Replace }), data);
        using var dropped = new Fitted(family.Make(_ml, new() { NonFiniteValues = NonFiniteValues.DropRow }), data);
        Assert.AreEqual(0, UnknownRows(replaced));
        Assert.AreEqual(2, UnknownRows(dropped));
        Assert.AreEqual(0, data.OpenCursors);

        int UnknownRows(Fitted fitted)
        {
            IDataView scored = fitted.Transformer.Transform(data);
            string output = ViewRows.Columns(scored.Schema)
                .Last(c => c.Type is VectorDataViewType || c.Type == NumberDataViewType.Single).Name;
            return Values(scored, [output]).Count(row => row.Any(float.IsNaN));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void No_tensor_is_left_behind(ConformanceCase family)
    {
        FitAndScore(); // what is made once for all
        Assert.AreEqual(0, Left(FitAndScore));
        Assert.AreEqual(0, Left(() => Assert.Throws<InvalidOperationException>(
            () => family.Make(_ml, new()).Fit(ConformanceData.Table(0)))));
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.AreEqual(0, Left(() => Assert.Throws<OperationCanceledException>(
            () => family.Make(_ml, new() { Cancellation = cancelled.Token }).Fit(ConformanceData.Table(Rows)))));

        void FitAndScore()
        {
            using var fitted = new Fitted(family.Make(_ml, new()), ConformanceData.Table(Rows));
            long model = torch.Tensor.TotalCount;
            ViewRows.Read(fitted.Transformer.Transform(ConformanceData.Table(Rows)));
            using (var loaded = new Fitted(Reload(fitted.Transformer)))
                ViewRows.Read(loaded.Transformer.Transform(ConformanceData.Table(Rows)));
            ((IDisposable)fitted.Transformer).Dispose();
            Assert.AreEqual(model, torch.Tensor.TotalCount, "scoring and loading left tensors behind");
        }

        static long Left(Action action)
        {
            long before = torch.Tensor.TotalCount;
            action();
            return torch.Tensor.TotalCount - before;
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Torchs_global_state_is_as_it_was(ConformanceCase family)
    {
        torch.manual_seed(123);
        float[] expected = Draw();
        torch.manual_seed(123);
        using (var fitted = new Fitted(family.Make(_ml, new()), ConformanceData.Table(Rows)))
            ViewRows.Read(fitted.Transformer.Transform(ConformanceData.Table(Rows)));
        Assert.Throws<InvalidOperationException>(() => family.Make(_ml, new()).Fit(ConformanceData.Table(0)));
        CollectionAssert.AreEqual(expected, Draw());
        Assert.IsTrue(torch.is_grad_enabled());
        Assert.AreEqual(torch.ScalarType.Float32, torch.get_default_dtype());

        static float[] Draw()
        {
            using torch.Tensor numbers = torch.rand(4);
            return numbers.data<float>().ToArray();
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Fits_at_once_give_what_each_gives_alone_and_leave_torch_as_it_was(ConformanceCase family)
    {
        int threads = torch.get_num_threads();
        using torch.Tensor before = torch.get_rng_state();
        string[][] alone = [.. Enumerable.Range(0, 3).Select(Outputs)];
        using var start = new Barrier(alone.Length);
        Task<string[]>[] together = [.. alone.Select((_, seed) => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait();
                return Outputs(seed);
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
        for (int seed = 0; seed < alone.Length; seed++)
            CollectionAssert.AreEqual(alone[seed], together[seed].Result, $"seed {seed}");
        using torch.Tensor after = torch.get_rng_state();
        Assert.IsTrue(before.bytes.SequenceEqual(after.bytes));
        Assert.AreEqual(threads, torch.get_num_threads());
        Assert.AreEqual(threads, Task.Factory.StartNew(
            torch.get_num_threads, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default).Result);

        string[] Outputs(int seed)
        {
            using var fitted = new Fitted(family.Make(_ml, new() { Seed = seed }), ConformanceData.Table(Rows));
            return ViewRows.Read(fitted.Transformer.Transform(ConformanceData.Table(Rows)));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_device_that_is_not_there_is_an_error_of_loading_unless_the_CPU_may_stand_in(ConformanceCase family)
    {
        if (family.IsPlain)
            return;
        ITransformer trained = Trained(family);
        MissingDevice.Check(trained);
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_cancelled_fit_stops_and_returns_a_model_only_if_asked_to(ConformanceCase family)
    {
        TableView data = ConformanceData.Table(Rows);
        using var source = new CancellationTokenSource();
        var stopsAtFirst = new Listener(_ => source.Cancel());
        Assert.Throws<OperationCanceledException>(() => family.Make(_ml, new()
        {
            Epochs = 100_000, Cancellation = source.Token, Progress = stopsAtFirst,
        }).Fit(data));
        Assert.AreEqual(0, data.OpenCursors);

        using var second = new CancellationTokenSource();
        var stopsAgain = new Listener(_ => second.Cancel());
        using var fitted = new Fitted(family.Make(_ml, new()
        {
            Epochs = 100_000, Cancellation = second.Token, Progress = stopsAgain,
            CancellationBehavior = CancellationBehavior.ReturnModel,
        }), data);
        Assert.HasCount(Rows, ViewRows.Read(fitted.Transformer.Transform(data)));
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_fit_that_was_stopped_goes_on_from_its_checkpoint_and_ends_with_the_same_bits(ConformanceCase family)
    {
        if (family.IsPlain)
            return;
        string folder = Directory.CreateTempSubdirectory("generativeml-").FullName;
        try
        {
            TableView data = ConformanceData.Table(Rows);
            using var whole = new Fitted(family.Make(_ml, new() { Epochs = 30 }), data);
            TurnedOptions options = new() { Epochs = 30, Checkpoint = new(folder) { Every = 3 } };
            // Wherever these fall, before the first step or after the last: what comes out at the end is the same.
            for (int pause = 5; pause <= 80; pause *= 2)
            {
                using var stop = new CancellationTokenSource(pause);
                try
                {
                    new Fitted(family.Make(_ml, options with { Cancellation = stop.Token }), data).Dispose();
                }
                catch (OperationCanceledException)
                {
                }
            }
            using var resumed = new Fitted(family.Make(_ml, options), data);
            CollectionAssert.AreEqual(
                ViewRows.Read(whole.Transformer.Transform(data)), ViewRows.Read(resumed.Transformer.Transform(data)));
            Assert.AreNotEqual(0, Directory.GetFiles(folder).Length);

            Exception refused = Assert.Throws<InvalidOperationException>(
                () => new Fitted(family.Make(_ml, options with { Epochs = 31 }), data).Dispose());
            StringAssert.Contains(refused.Message, "Epochs is 31 and was 30");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Progress_rises_to_its_end_and_reaches_the_log(ConformanceCase family)
    {
        var lines = new List<string>();
        var ml = new MLContext(3);
        ml.Log += (_, e) =>
        {
            lock (lines)
                lines.Add(e.Message);
        };
        var reports = new List<TrainingProgress>();
        using var curves = new TrainingCurves(next: new Listener(reports.Add));
        using var fitted = new Fitted(family.Make(ml, new() { Epochs = 30, Progress = curves }), ConformanceData.Table(Rows));
        AssertPage(curves);
        Assert.IsNotEmpty(reports);
        Assert.IsTrue(reports[^1].IsLast);
        Assert.AreEqual(1, reports.Count(r => r.IsLast));
        Assert.AreEqual(reports[^1].Steps, reports[^1].Step);
        Assert.AreEqual(30, reports[^1].Epochs);
        foreach ((TrainingProgress earlier, TrainingProgress later) in reports.Zip(reports.Skip(1)))
        {
            Assert.IsTrue(later.Step >= earlier.Step);
            Assert.IsTrue(later.Epoch is >= 1 and <= 30); // of the model at hand: detectors train several
            Assert.IsTrue(later.Elapsed >= earlier.Elapsed);
        }
        Assert.IsTrue(reports.SelectMany(r => r.Losses.Values).All(double.IsFinite));
        lock (lines)
            Assert.IsTrue(lines.Any(line => line.Contains("Epoch 30/30", StringComparison.Ordinal)), string.Join("\n", lines));
    }

    /// <summary>Curves have losses at their end, and a page with one chart each of losses, rate and speed.</summary>
    internal static void AssertPage(TrainingCurves curves)
    {
        Assert.IsTrue(curves.Reports[^1] is { IsLast: true, Losses.Count: > 0 });
        string path = Path.Combine(Path.GetTempPath(), $"genml-{Guid.NewGuid():N}.html");
        try
        {
            curves.SaveHtml(path);
            string page = File.ReadAllText(path);
            Assert.HasCount(4, page.Split("<svg "));
            Assert.Contains("<polyline", page[..page.IndexOf("<h2>Learning rate", StringComparison.Ordinal)], "losses are drawn");
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <summary>The columns of Single and vectors of it, by name.</summary>
    private static string[] Numbers(DataViewSchema schema) =>
    [
        .. ViewRows.Columns(schema).Where(c =>
            c.Type is VectorDataViewType { ItemType: NumberDataViewType } || c.Type == NumberDataViewType.Single).Select(c => c.Name),
    ];

    private static float[][] Values(IDataView view, string[] columns)
    {
        DataViewSchema.Column[] wanted = ViewRows.Columns(view.Schema, columns);
        using DataViewRowCursor cursor = view.GetRowCursor(wanted);
        Func<float[]>[] cells = Readers(cursor, wanted);
        var rows = new List<float[]>();
        while (cursor.MoveNext())
            rows.Add([.. cells.SelectMany(cell => cell())]);
        return [.. rows];
    }

    private static Func<float[]>[] Readers(DataViewRow row, DataViewSchema.Column[] columns) =>
    [
        .. columns.Select<DataViewSchema.Column, Func<float[]>>(column =>
        {
            if (column.Type is VectorDataViewType)
            {
                ValueGetter<VBuffer<float>> vector = row.GetGetter<VBuffer<float>>(column);
                VBuffer<float> values = default;
                return () =>
                {
                    vector(ref values);
                    return [.. values.DenseValues()];
                };
            }
            ValueGetter<float> scalar = row.GetGetter<float>(column);
            float value = 0;
            return () =>
            {
                scalar(ref value);
                return [value];
            };
        }),
    ];

    private sealed class Listener(Action<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard(value);
    }
}
