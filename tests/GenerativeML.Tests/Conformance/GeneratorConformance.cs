using System.Diagnostics;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.Conformance;

/// <summary>
/// What every family that generates rows promises. A family joins by one line in <see cref="Generators"/>.
/// </summary>
[TestClass]
[DoNotParallelize]
public sealed class GeneratorConformance
{
    private const int Rows = 80;

    private readonly MLContext _ml = new(seed: 3);

    public static IEnumerable<object[]> Families => Generators.All
        .Where(family => ConformanceCase.IsWanted(family.Name)).Select(family => new object[] { family });

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Rows_have_the_columns_of_the_training_data_with_their_types_and_annotations(GeneratorCase family)
    {
        using var model = new Generator(family, _ml);
        DataViewSchema learned = family.Data(1).Schema;
        string[] expected =
        [
            .. ViewRows.Describe(learned).Zip(learned)
                .Where(c => family.Columns.Contains(c.Second.Name)).Select(c => c.First),
        ];
        CollectionAssert.AreEqual(expected, ViewRows.Describe(model.Rows(10).Schema));
        CollectionAssert.AreEqual(expected, ViewRows.Describe(model.Reload().Rows(10).Schema));
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void The_same_seed_gives_the_same_rows_by_any_cursor_set_thread_and_choice_of_columns(GeneratorCase family)
    {
        using var model = new Generator(family, _ml);
        IDataView view = model.Rows(2100);
        string[] expected = ViewRows.Read(view);
        Assert.HasCount(2100, expected);
        Assert.AreEqual(2100, view.GetRowCount());
        CollectionAssert.AreEqual(expected, ViewRows.Read(model.Rows(2100)));
        CollectionAssert.AreEqual(expected[..10], ViewRows.Read(model.Rows(10)), "fewer rows are other rows");
        CollectionAssert.AreNotEqual(expected, ViewRows.Read(model.Rows(2100, seed: 9)));
        Parallel.For(0, 2, _ => CollectionAssert.AreEqual(expected, ViewRows.Read(model.Rows(2100))));

        foreach (Random? shuffle in new[] { null, new Random(7) })
        {
            DataViewRowCursor[] set = view.GetRowCursorSet(view.Schema, 3, shuffle);
            string[][] parts = new string[set.Length][];
            Parallel.For(0, set.Length, k => parts[k] = Read(set[k]));
            CollectionAssert.AreEqual(expected.Order().ToArray(), parts.SelectMany(p => p).Order().ToArray());
        }
        foreach (DataViewSchema.Column column in view.Schema)
        {
            string[] alone = ViewRows.Read(model.Rows(20), column.Name);
            CollectionAssert.AreEqual(expected[..20].Select(row => row.Split(" | ")[column.Index]).ToArray(), alone);
        }

        static string[] Read(DataViewRowCursor cursor)
        {
            using (cursor)
                return ViewRows.Read(cursor, [.. cursor.Schema]);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Parts_are_together_exactly_the_whole(GeneratorCase family)
    {
        using var model = new Generator(family, _ml);
        IDataView whole = model.Rows(Rows);
        string[] expected = ViewRows.Read(whole);
        foreach (int parts in new[] { 3, 7, 64 })
        {
            string[][] read = [.. Enumerable.Range(0, parts).Select(i => ViewRows.Read(whole.Part(i, parts)))];
            CollectionAssert.AreEqual(expected, read.SelectMany(part => part).ToArray());
            // Blocks of sixteen rows that are made together are not divided where there are enough.
            Assert.IsLessThanOrEqualTo(16, read.Max(part => part.Length) - read.Min(part => part.Length));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void An_ONNX_file_generates_what_Generate_gives(GeneratorCase family)
    {
        using var model = new Generator(family, _ml);
        ITransformer transformer = model.Transformer;
        if (family.Columns.Contains("Flag")) // a table
        {
            // What its own file gives, which is in tokens, OnnxPassTests compares.
            StringAssert.Contains(
                Assert.Throws<NotSupportedException>(() => transformer.SaveOnnx("none.onnx", OnnxContent.Transform)).Message, "Transform");
            return;
        }
        if (transformer is SketchRnnTransformer or CoconetTransformer or SpiralTransformer or WaveNetTransformer or SeriesTransformer)
        {
            Assert.Throws<NotSupportedException>(() => transformer.SaveOnnx("none.onnx", OnnxContent.Generate));
            return;
        }
        if (transformer is DiffusionTransformer)
        {
            StringAssert.Contains(Assert.Throws<NotSupportedException>(
                () => transformer.SaveOnnx("none.onnx", OnnxContent.Generate)).Message, "many steps");
            return;
        }
        // A block of rows, and the numbers that it is made of: all normal ones, then the uniform ones.
        const int count = 1024;
        IDataView view = model.Rows(count);
        var random = new SplitMix64(SplitMix64.Derive(7, RandomPurpose.Generation, 0));
        Dictionary<string, float[]> outputs = OnnxFiles.SaveAndRun(transformer, OnnxContent.Generate, count, (name, width) =>
        {
            float[] values = new float[count * width];
            if (name == "random_normal")
                NormalNumbers.Fill(ref random, values);
            else if (name != "random_uniform")
                return OnnxFiles.Column(view, name);
            else
                values = [.. values.Select(_ => (float)((random.Next() >> 40) * (1.0 / (1 << 24))))];
            return values;
        });
        OnnxFiles.AssertClose(OnnxFiles.Column(view, "Features"), outputs["Features"], "Features");
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Training_repeats_itself_to_the_bit_and_the_seed_decides(GeneratorCase family)
    {
        string[] first = Trained(_ml, new() { Seed = 5 }), again = Trained(_ml, new() { Seed = 5 });
        CollectionAssert.AreEqual(first, again);
        if (family.TrainsAtRandom)
            CollectionAssert.AreNotEqual(first, Trained(_ml, new() { Seed = 6 }));
        string[] context = Trained(new MLContext(11), new());
        CollectionAssert.AreEqual(context, Trained(new MLContext(11), new()));
        if (family.TrainsAtRandom)
            CollectionAssert.AreNotEqual(context, Trained(new MLContext(12), new()));

        string[] Trained(MLContext ml, TurnedOptions options)
        {
            _ = new Random().Next();
            using var model = new Generator(family, ml, options);
            return ViewRows.Read(model.Rows(100));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Any_number_of_rows_can_be_asked_for_and_only_those_read_are_made(GeneratorCase family)
    {
        using var model = new Generator(family, _ml);
        Assert.HasCount(0, ViewRows.Read(model.Rows(0)));
        Assert.AreEqual(0, model.Rows(0).GetRowCount());
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Rows(-1));
        IDataView many = model.Rows(1_000_000_000_000);
        ViewRows.Read(_ml.Data.TakeRows(many, 5));
        long before = GC.GetTotalAllocatedBytes(precise: true);
        string[] some = ViewRows.Read(_ml.Data.TakeRows(many, 5));
        Assert.IsLessThan(64 << 20, GC.GetTotalAllocatedBytes(precise: true) - before);
        CollectionAssert.AreEqual(ViewRows.Read(model.Rows(5)), some);
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void Generated_rows_are_rows_like_others_to_MLNET(GeneratorCase family)
    {
        using var model = new Generator(family, _ml);
        IDataView rows = model.Rows(300);
        string[] expected = ViewRows.Read(rows);
        CollectionAssert.AreEqual(expected, ViewRows.Read(_ml.Data.Cache(rows)));
        DataOperationsCatalog.TrainTestData parts = _ml.Data.TrainTestSplit(rows, 0.3, seed: 1);
        string[] train = ViewRows.Read(parts.TrainSet, [.. family.Columns]);
        string[] test = ViewRows.Read(parts.TestSet, [.. family.Columns]);
        CollectionAssert.AreEqual(expected.Order().ToArray(), train.Concat(test).Order().ToArray());
        Assert.IsTrue(test.Length is > 40 and < 150, $"{test.Length} of 300");

        using var text = new MemoryStream();
        _ml.Data.SaveAsText(Writable(rows), text);
        Assert.IsGreaterThan(5 * 300, text.Length);

        // What is generated can be learned again, if not from paths of files.
        if (model.Transformer is WaveNetTransformer)
            return;
        using var second = new Generator(family, _ml.Data.Cache(rows), _ml);
        CollectionAssert.AreEqual(ViewRows.Describe(rows.Schema), ViewRows.Describe(second.Rows(1).Schema));
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_model_comes_back_from_a_file_with_the_same_rows_here_and_in_another_process(GeneratorCase family)
    {
        using var model = new Generator(family, _ml);
        string[] expected = ViewRows.Read(model.Rows(30));
        using Generator loaded = model.Reload();
        CollectionAssert.AreEqual(expected, ViewRows.Read(loaded.Rows(30)));
        using Generator again = loaded.Reload();
        CollectionAssert.AreEqual(expected, ViewRows.Read(again.Rows(30)));

        string folder = Directory.CreateTempSubdirectory("generativeml-").FullName;
        try
        {
            string host = Path.Combine(AppContext.BaseDirectory, "GenerativeML.ModelHost.dll");
            string zip = Path.Combine(folder, "model.zip");
            string text = Path.Combine(folder, "rows.txt"), own = Path.Combine(folder, "own.txt");
            string[] columns = [.. Writable(model.Rows(0)).Schema.Where(c => !c.IsHidden).Select(c => c.Name)];
            _ml.Model.Save(model.Transformer, null, zip);
            using (FileStream file = File.Create(own))
                _ml.Data.SaveAsText(Writable(model.Rows(30)), file);
            var start = new ProcessStartInfo(
                Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet",
                [host, zip, "generate", "30", text, .. columns])
            {
                RedirectStandardError = true,
            };
            using Process process = Process.Start(start)!;
            string errors = process.StandardError.ReadToEnd();
            process.WaitForExit();
            Assert.AreEqual(0, process.ExitCode, errors);
            Assert.AreEqual(File.ReadAllText(own), File.ReadAllText(text));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void No_tensor_is_left_behind_and_torchs_global_state_is_as_it_was(GeneratorCase family)
    {
        FitAndGenerate();
        long layers = LiveTensors.Growth(() => FitAndGenerate());
        Assert.AreEqual(layers, LiveTensors.Growth(() => FitAndGenerate(epochs: 5)), "training left tensors behind");
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        long failed = LiveTensors.Growth(() => Assert.Throws<OperationCanceledException>(
            () => new Generator(family, _ml, new() { Cancellation = cancelled.Token }).Dispose()));
        Assert.IsLessThanOrEqualTo(layers, failed, "an error left tensors behind");

        torch.manual_seed(123);
        float[] expected = Draw();
        torch.manual_seed(123);
        FitAndGenerate();
        CollectionAssert.AreEqual(expected, Draw());
        Assert.IsTrue(torch.is_grad_enabled());

        void FitAndGenerate(int epochs = 2)
        {
            using var model = new Generator(family, _ml, new() { Epochs = epochs });
            Generate(); // what computes is made
            Assert.AreEqual(0, LiveTensors.Growth(Generate), "generating left tensors behind");
            using Generator loaded = model.Reload();
            ViewRows.Read(loaded.Rows(5));

            void Generate()
            {
                IDataView rows = model.Rows(1500);
                ViewRows.Read(rows);
                using DataViewRowCursor left = rows.GetRowCursor(rows.Schema);
                left.MoveNext();
            }
        }

        static float[] Draw()
        {
            using torch.Tensor numbers = torch.rand(4);
            return MemoryMarshal.Cast<byte, float>(numbers.bytes).ToArray();
        }
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_device_that_is_not_there_is_an_error_of_loading_unless_the_CPU_may_stand_in(GeneratorCase family)
    {
        using var model = new Generator(family, _ml);
        MissingDevice.Check(model.Transformer);
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_disposed_transformer_says_so_or_makes_again_what_it_needs(GeneratorCase family)
    {
        var model = new Generator(family, _ml);
        string[] expected = ViewRows.Read(model.Rows(10));
        IDataView before = model.Rows(10);
        model.Dispose();
        model.Dispose();
        if (model.Transformer is IDataGenerator)
        {
            CollectionAssert.AreEqual(expected, ViewRows.Read(before));
            CollectionAssert.AreEqual(expected, ViewRows.Read(model.Reload().Rows(10)));
            model.Dispose();
            return;
        }
        Assert.Throws<ObjectDisposedException>(() => model.Rows(10));
        Assert.Throws<ObjectDisposedException>(() => ViewRows.Read(before));
    }

    [TestMethod]
    [DynamicData(nameof(Families))]
    public void A_fit_can_be_watched_stopped_and_resumed_to_the_same_bits(GeneratorCase family)
    {
        var reports = new List<TrainingProgress>();
        using var curves = new TrainingCurves(next: new Listener(reports.Add));
        using var whole = new Generator(family, _ml, new() { Epochs = 40, Progress = curves });
        EstimatorConformance.AssertPage(curves);
        string[] expected = ViewRows.Read(whole.Rows(50));
        Assert.IsTrue(reports.Count > 0 && reports[^1].IsLast && reports[^1].Step == reports[^1].Steps);
        Assert.IsTrue(reports.SelectMany(r => r.Losses.Values).All(double.IsFinite));

        using var stop = new CancellationTokenSource();
        var stopsAtFirst = new Listener(_ => stop.Cancel());
        using (var sofar = new Generator(family, _ml, new()
        {
            Epochs = 100_000, Cancellation = stop.Token, Progress = stopsAtFirst,
            CancellationBehavior = CancellationBehavior.ReturnModel,
        }))
        {
            Assert.HasCount(20, ViewRows.Read(sofar.Rows(20)));
        }

        string folder = Directory.CreateTempSubdirectory("generativeml-").FullName;
        try
        {
            TurnedOptions options = new() { Epochs = 40, Checkpoint = new(folder) { Every = 3 } };
            // Wherever these fall, before the first step or after the last: what comes out at the end is the same.
            for (int pause = 10; pause <= 250; pause *= 5)
            {
                using var later = new CancellationTokenSource(pause);
                try
                {
                    new Generator(family, _ml, options with { Cancellation = later.Token }).Dispose();
                }
                catch (OperationCanceledException)
                {
                }
            }
            using var resumed = new Generator(family, _ml, options);
            CollectionAssert.AreEqual(expected, ViewRows.Read(resumed.Rows(50)));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Without the columns of times, which the stand-in does not write as text.</summary>
    private IDataView Writable(IDataView rows) => _ml.Transforms.SelectColumns(
    [
        .. rows.Schema
            .Where(c => c.Type is not (DateTimeDataViewType or DateTimeOffsetDataViewType or TimeSpanDataViewType))
            .Select(c => c.Name),
    ]).Fit(rows).Transform(rows);

    private sealed class Listener(Action<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard(value);
    }

    /// <summary>A trained model of a family.</summary>
    private sealed class Generator : IDisposable
    {
        private readonly GeneratorCase _family;

        public Generator(GeneratorCase family, MLContext ml, TurnedOptions? options = null)
            : this(family, family.Data(GeneratorConformance.Rows), ml, options)
        {
        }

        public Generator(GeneratorCase family, IDataView data, MLContext ml, TurnedOptions? options = null)
            : this(family, family.Make(ml, options ?? new()).Fit(data))
        {
        }

        private Generator(GeneratorCase family, ITransformer transformer)
        {
            _family = family;
            Transformer = transformer;
        }

        public ITransformer Transformer { get; }

        public IDataView Rows(long rows, int seed = 7) => _family.Generate(Transformer, rows, seed);

        public Generator Reload()
        {
            using var stream = new MemoryStream();
            new MLContext(1).Model.Save(Transformer, null, stream);
            stream.Position = 0;
            return new Generator(_family, new MLContext(77).Model.Load(stream, out _));
        }

        public void Dispose() => ((IDisposable)Transformer).Dispose();
    }
}
