using System.IO.Compression;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace GenerativeML.Tests.Platform;

/// <summary>
/// What this package takes for granted of ML.NET, TorchSharp and libtorch, and what it works around. A new version of
/// one of them that fails a test here says where to look; where a trap is gone, its workaround may go, too.
/// </summary>
[TestClass]
public sealed class PlatformTests
{
    [TestMethod]
    public void Modules_made_inside_a_dispose_scope_lose_their_parameters()
    {
        nn.Module own, embedding, lstm;
        using (NewDisposeScope())
            (own, embedding, lstm) = (new Own(), nn.Embedding(3, 2), nn.LSTM(3, 2));
        using (own)
        using (embedding)
        using (lstm)
        {
            foreach (nn.Module module in (nn.Module[])[own, embedding, lstm])
                Assert.IsEmpty(module.parameters(), $"{module.GetName()} is neither trained nor saved, without a word");
        }
    }

    [TestMethod]
    public void In_place_operators_return_the_same_object_except_some()
    {
        using DisposeScope scope = NewDisposeScope();
        using Tensor x = ones(2, 2), other = ones(2, 2);
        (string Name, Func<Tensor> Run)[] same =
        [
            ("add_", () => x.add_(other)), ("sub_", () => x.sub_(other)), ("mul_", () => x.mul_(other)),
            ("div_", () => x.div_(other)), ("clamp_", () => x.clamp_(0, 1)), ("copy_", () => x.copy_(other)),
            ("fill_", () => x.fill_(1)), ("sqrt_", () => x.sqrt_()), ("exp_", () => x.exp_()), ("neg_", () => x.neg_()),
            ("addcmul_", () => x.addcmul_(other, other, 1)), ("lerp_", () => x.lerp_(other, 0.5)),
            ("normal_", () => x.normal_(0, 1)), ("uniform_", () => x.uniform_(0, 1)),
        ];
        (string Name, Func<Tensor> Run)[] another =
        [
            ("zero_", () => x.zero_()), ("tril_", () => x.tril_()), ("triu_", () => x.triu_()),
            ("gelu_", () => x.gelu_()), ("elu_", () => x.elu_()),
        ];
        foreach ((string name, Func<Tensor> run) in same)
            Assert.AreSame(x, run(), $"{name}: its result must not be disposed");
        foreach ((string name, Func<Tensor> run) in another)
            Assert.AreNotSame(x, run(), $"{name}: its result is a wrapper of its own");
    }

    [TestMethod]
    public void A_disposed_stock_layer_leaves_the_count_of_tensors_raised()
    {
        nn.Linear(3, 2).Dispose(); // whatever is made once
        long before = Tensor.TotalCount;
        nn.Linear(3, 2).Dispose();
        Assert.AreEqual(before + 2, Tensor.TotalCount, "leak tests count a weight and a bias that are long gone");
    }

    [TestMethod]
    public void A_generator_on_the_CPU_repeats_itself_and_leaves_the_global_one_alone()
    {
        using Tensor before = get_rng_state();
        float[] first = Draw(), second = Draw();
        using Tensor after = get_rng_state();
        CollectionAssert.AreEqual(first, second);
        CollectionAssert.AreEqual(before.bytes.ToArray(), after.bytes.ToArray());

        static float[] Draw()
        {
            using var generator = new Generator(7);
            using Tensor drawn = randn(1000, generator: generator);
            return drawn.data<float>().ToArray();
        }
    }

    [TestMethod]
    public void Text_is_characters_and_columns_of_text_compare_by_them()
    {
        IDataView view = new MLContext().Data.LoadFromEnumerable([new { Text = "one" }]);
        DataViewSchema.Column column = view.Schema["Text"];
        Assert.AreEqual(typeof(ReadOnlyMemory<char>), column.Type.RawType);
        using DataViewRowCursor cursor = view.GetRowCursor([column]);
        Assert.ThrowsExactly<InvalidOperationException>(() => cursor.GetGetter<string>(column));
    }

    [TestMethod]
    public void A_column_of_a_schema_promise_can_be_made()
    {
        SchemaShape.Column column = NewColumn(
            "Score", SchemaShape.Column.VectorKind.Scalar, NumberDataViewType.Single, false, null);
        Assert.AreEqual("Score", column.Name);
        Assert.AreEqual(NumberDataViewType.Single, column.ItemType);
    }

    [TestMethod]
    public void Progress_reaches_the_log_through_a_channel_and_not_through_a_progress_channel()
    {
        var ml = new MLContext();
        var lines = new List<string>();
        ml.Log += (_, e) => lines.Add(e.Message);
        IHost host = ((IHostEnvironment)ml).Register("training");
        using (IProgressChannel progress = host.StartProgressChannel("steps"))
        {
            progress.SetHeader(new ProgressHeader(["loss"]), entry => entry.SetMetric(0, 1234.5));
            progress.Checkpoint(1234.5);
        }
        Assert.DoesNotContain(line => line.Contains("1234.5", StringComparison.Ordinal), lines);
        using (IChannel channel = host.Start("steps"))
            channel.Info(MessageSensitivity.None, "loss 1234.5");
        Assert.Contains(line => line.Contains("loss 1234.5", StringComparison.Ordinal), lines);
    }

    [TestMethod]
    public void The_loader_s_attribute_is_ML_NET_s_own_at_run_time()
    {
        Attribute[] loaders = [.. typeof(ComputeDevice).Assembly.GetCustomAttributes()
            .Where(a => a.GetType().FullName == "Microsoft.ML.LoadableClassAttribute")];
        Assert.IsNotEmpty(loaders, "the runtime drops an attribute that it cannot reach, without a word");
        Assert.AreSame(typeof(ModelSaveContext).Assembly, loaders[0].GetType().Assembly, "not the compiler's stub");
    }

    [TestMethod]
    public void A_saved_model_loads_by_name_and_one_of_a_newer_assembly_does_not()
    {
        var ml = new MLContext(seed: 1);
        IDataView rows = ml.Data.LoadFromEnumerable(
            Enumerable.Range(0, 64).Select(i => new Row { Features = [i, -i] }));
        ITransformer model = ml.AnomalyDetection.Trainers.Autoencoder(new() { Epochs = 1 }).Fit(rows);
        using var saved = new MemoryStream();
        ml.Model.Save(model, rows.Schema, saved);
        Assert.AreEqual(model.GetType(), new MLContext().Model.Load(saved, out _).GetType());

        // A process of its own, as that of the tests resolves an assembly of any version.
        string path = Path.GetTempFileName();
        File.WriteAllBytes(path, InVersion("1.1.0.0", saved.ToArray()));
        (int code, _, string errors) = TorchlessProcess.Run(
            AppContext.BaseDirectory, "GenerativeML.ModelHost.dll", path, "generate", "1", "none");
        File.Delete(path);
        Assert.AreNotEqual(0, code);
        Assert.Contains("GenerativeML, Version=1.1.0.0", errors, "this is why AssemblyVersion stays 1.0.0.0");
    }

    [TestMethod]
    public void A_prediction_engine_disposes_its_transformer()
    {
        var ml = new MLContext();
        IDataView rows = ml.Data.LoadFromEnumerable([new Row { Features = [1, 2] }]);
        var probe = new Probe(ml.Transforms.CopyColumns("Copy", "Features").Fit(rows));
        ml.Model.CreatePredictionEngine<Row, Row>(probe).Dispose();
        Assert.IsTrue(probe.IsDisposed);
    }

    /// <summary>
    /// A Scalar that lives until it is collected lies between two freed tensors, and glibc cannot join them for the
    /// next aligned request of their size. Processes of their own, as mallopt holds for good.
    /// </summary>
    [TestMethod]
    public void Freed_tensors_are_used_again_where_scalars_are_disposed_or_glibc_does_not_adjust_itself()
    {
        string system = RuntimeInformation.RuntimeIdentifier;
        if (!OperatingSystem.IsLinux() || system.Contains("musl", StringComparison.Ordinal))
            Assert.Inconclusive("This is about glibc.");
        Assert.IsGreaterThan(300, Growth("kept"), "megabytes: the trap is gone, and need not be worked around");
        Assert.IsLessThan(100, Growth("disposed"), "megabytes");
        Assert.IsLessThan(100, Growth("mallopt"), "megabytes: the way around it works no more");

        static int Growth(string how)
        {
            (int code, string[] lines, string errors) = TorchlessProcess.Run(
                AppContext.BaseDirectory, "GenerativeML.TestWorker.dll", "allocate", how);
            Assert.AreEqual(0, code, errors);
            return int.Parse(lines[^1], System.Globalization.CultureInfo.InvariantCulture);
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Constructor)]
    private static extern SchemaShape.Column NewColumn(
        string name, SchemaShape.Column.VectorKind kind, DataViewType itemType, bool isKey, SchemaShape? annotations);

    /// <summary>The model as a newer assembly of ours would have saved it.</summary>
    private static byte[] InVersion(string version, byte[] model)
    {
        byte[] ours = Encoding.Unicode.GetBytes("GenerativeML, Version=1.0.0.0");
        byte[] theirs = Encoding.Unicode.GetBytes($"GenerativeML, Version={version}");
        using var changed = new MemoryStream();
        changed.Write(model);
        int found = 0;
        using (var zip = new ZipArchive(changed, ZipArchiveMode.Update, leaveOpen: true))
        {
            foreach (ZipArchiveEntry entry in zip.Entries.Where(e => e.Name == "Model.key"))
            {
                using Stream stream = entry.Open();
                byte[] bytes = new byte[stream.Length];
                stream.ReadExactly(bytes);
                int at = bytes.AsSpan().IndexOf(ours);
                if (at < 0)
                    continue;
                theirs.CopyTo(bytes, at);
                stream.Position = 0;
                stream.Write(bytes);
                found++;
            }
        }
        Assert.AreEqual(1, found, "the file names the assembly once");
        return changed.ToArray();
    }

    private sealed class Own : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.Parameter weight = nn.Parameter(ones(2));

        public Own() : base(nameof(Own)) => RegisterComponents();

        public override Tensor forward(Tensor input) => input * weight;
    }

    private sealed class Row
    {
        [VectorType(2)]
        public float[] Features { get; set; } = [];
    }

    /// <summary>A transformer that knows whether it was disposed.</summary>
    private sealed class Probe(ITransformer inner) : ITransformer, IDisposable
    {
        public bool IsDisposed { get; private set; }

        public bool IsRowToRowMapper => inner.IsRowToRowMapper;

        public void Dispose() => IsDisposed = true;

        public DataViewSchema GetOutputSchema(DataViewSchema inputSchema) => inner.GetOutputSchema(inputSchema);

        public IRowToRowMapper GetRowToRowMapper(DataViewSchema inputSchema) => inner.GetRowToRowMapper(inputSchema);

        public IDataView Transform(IDataView input) => inner.Transform(input);

        void ICanSaveModel.Save(ModelSaveContext ctx) => ((ICanSaveModel)inner).Save(ctx);
    }
}
