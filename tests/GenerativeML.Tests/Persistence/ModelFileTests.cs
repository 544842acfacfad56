using System.IO.Compression;
using System.Reflection;
using System.Text;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Persistence;

[TestClass]
public sealed class ModelFileTests
{
    private readonly MLContext _ml = new(1);

    [TestMethod]
    public void A_chain_comes_back_with_the_same_values_and_the_same_schema()
    {
        IDataView data = Data();
        ITransformer chain = Chain(data);
        byte[] saved = Save(chain, data.Schema);
        ITransformer loaded = Load(saved, out DataViewSchema schema);
        Assert.AreEqual(data.Schema.ToString(), schema.ToString());
        CollectionAssert.AreEqual(
            SchemaTests.Describe(SchemaTests.Shape(chain.GetOutputSchema(data.Schema))),
            SchemaTests.Describe(SchemaTests.Shape(loaded.GetOutputSchema(data.Schema))));
        CollectionAssert.AreEqual(Scores(chain, data), Scores(loaded, data));

        // And once more: what is loaded can be saved, and the entries are the same to the byte.
        byte[] again = Save(loaded, schema);
        CollectionAssert.AreEqual(Entries(saved), Entries(again));
    }

    [TestMethod]
    public void Every_family_of_vectors_can_be_loaded()
    {
        VectorFamily[] families =
        [
            .. typeof(VectorNetwork).Assembly.GetTypes()
                .Select(type => type.GetField("Family", BindingFlags.Static | BindingFlags.NonPublic)?.GetValue(null))
                .OfType<VectorFamily>(),
        ];
        Assert.IsGreaterThanOrEqualTo(6, families.Length);
        CollectionAssert.AllItemsAreUnique(families.Select(family => family.Name).ToArray());
        foreach (VectorFamily family in families)
            Assert.AreEqual(family.Name, ModelFamilies.Find(family.Name).Name);
    }

    [TestMethod]
    public void A_model_has_readable_options_and_its_weights_in_files_of_their_own()
    {
        IDataView data = Data();
        string[] entries = Entries(Save(Chain(data), data.Schema));
        string options = entries.Single(e => e.Contains("options.json:", StringComparison.Ordinal));
        StringAssert.Contains(options, "\"family\": \"affine\"");
        StringAssert.Contains(options, "\"width\": 3");
        Assert.IsTrue(entries.Any(e => e.Contains("weights.safetensors:", StringComparison.Ordinal)));
    }

    [TestMethod]
    public void A_chain_saved_without_a_schema_loads_without_one()
    {
        ITransformer loaded = Load(Save(Chain(Data()), null), out DataViewSchema? schema);
        Assert.IsNull(schema);
        CollectionAssert.AreEqual(Scores(Chain(Data()), Data()), Scores(loaded, Data()));
    }

    [TestMethod]
    public void The_loaded_model_refuses_the_schemas_that_the_trained_one_refuses()
    {
        ITransformer loaded = Load(Save(new AffineTransformer(new AffineModel(width: 3)), null), out _);
        IDataView wide = _ml.Data.LoadFromEnumerable(new[] { new Wide() });
        var error = Assert.Throws<ArgumentOutOfRangeException>(() => loaded.Transform(wide));
        StringAssert.Contains(error.Message, "'Features'");
    }

    [TestMethod]
    [DataRow("options.json", "")]
    [DataRow("options.json", "{")]
    [DataRow("options.json", "[]")]
    [DataRow("options.json", "{\"format\": 1}")]
    [DataRow("options.json", "{\"format\": 2, \"family\": \"affine\", \"options\": {}}")]
    [DataRow("options.json", "{\"format\": \"1\", \"family\": \"affine\", \"options\": {}}")]
    [DataRow("options.json", "{\"format\": 1, \"family\": null, \"options\": {}}")]
    [DataRow("options.json", "{\"format\": 1, \"family\": \"unheard of\", \"options\": {}}")]
    [DataRow("options.json", "{\"format\": 1, \"format\": 1, \"family\": \"affine\", \"options\": {}}")]
    [DataRow("options.json", "{\"format\": 1, \"family\": \"affine\", \"options\": {\"input\": 3}}")]
    [DataRow("weights.safetensors", "short")]
    public void A_damaged_file_is_reported_as_a_format_error(string entry, string content)
    {
        byte[] saved = Replace(Save(new AffineTransformer(new AffineModel()), null), entry, content);
        Exception error = Assert.Throws<Exception>(() => Load(saved, out _));
        Assert.IsInstanceOfType<FormatException>(Innermost(error));
    }

    [TestMethod]
    [DataRow("options.json")]
    [DataRow("weights.safetensors")]
    public void A_missing_file_is_named(string entry)
    {
        byte[] saved = Replace(Save(new AffineTransformer(new AffineModel()), null), entry, content: null);
        Exception error = Innermost(Assert.Throws<Exception>(() => Load(saved, out _)));
        Assert.IsInstanceOfType<FormatException>(error);
        StringAssert.Contains(error.Message, entry);
    }

    [TestMethod]
    public void The_log_and_the_base_exception_say_why_a_chain_is_not_loaded()
    {
        byte[] saved = Replace(
            Save(Chain(Data()), Data().Schema), "options.json",
            "{\"format\": 2, \"family\": \"unheard of\", \"options\": {}}");
        var context = new MLContext();
        var log = new List<string>();
        context.Log += (_, e) => log.Add($"{e.Kind} {e.RawMessage}");
        Exception error = Assert.Throws<Exception>(() => context.Model.Load(new MemoryStream(saved), out _));
        StringAssert.Contains(error.GetBaseException().Message, "'unheard of'");
        Assert.Contains("Error " + error.GetBaseException().Message, log);
    }

    [TestMethod]
    public void A_loading_error_with_a_cause_of_its_own_is_still_the_innermost()
    {
        // An option that training decides is open, which is an error within an error.
        using VectorTransformer mixture = _ml.AnomalyDetection.Trainers
            .GaussianMixture(new GaussianMixtureOptions { Components = 2, Epochs = 1 })
            .Fit(Conformance.ConformanceData.Table(40));
        byte[] saved = Save(mixture, null);
        string options = Entries(saved).Single(e => e.Contains("options.json:", StringComparison.Ordinal));
        options = options[options.IndexOf('{', StringComparison.Ordinal)..];
        saved = Replace(saved, "options.json", options.Replace(
            "\"components\": 2", "\"components\": null", StringComparison.Ordinal));
        Exception error = Assert.Throws<Exception>(() => Load(saved, out _)).GetBaseException();
        Assert.StartsWith("The saved model's options leave open what training decides", error.Message);
    }

    [TestMethod]
    public void A_disposed_transformer_can_be_saved()
    {
        var transformer = new AffineTransformer(new AffineModel());
        byte[] before = Save(transformer, null);
        transformer.Dispose();
        Assert.AreEqual(before.Length, Save(transformer, null).Length);
    }

    private IDataView Data() => _ml.Data.LoadFromEnumerable(
        Enumerable.Range(0, 30).Select(i => new Row { A = i, B = 1f / (i + 1), C = -i }).ToArray());

    private TransformerChain<AffineTransformer> Chain(IDataView data) => _ml.Transforms
        .Concatenate("Features", "A", "B", "C")
        .Append(_ml.Transforms.NormalizeMeanVariance("Features"))
        .Append(new AffineEstimator(_ml, new AffineOptions()))
        .Fit(data);

    private byte[] Save(ITransformer model, DataViewSchema? schema)
    {
        using var stream = new MemoryStream();
        _ml.Model.Save(model, schema, stream);
        return stream.ToArray();
    }

    private static ITransformer Load(byte[] saved, out DataViewSchema schema)
    {
        using var stream = new MemoryStream(saved);
        return new MLContext(2).Model.Load(stream, out schema);
    }

    private static float[] Scores(ITransformer model, IDataView data) =>
        [.. model.Transform(data).GetColumn<float>("Score")];

    private static string[] Entries(byte[] zip)
    {
        using var archive = new ZipArchive(new MemoryStream(zip));
        return
        [
            .. archive.Entries.OrderBy(e => e.FullName, StringComparer.Ordinal).Select(entry =>
            {
                using Stream stream = entry.Open();
                using var reader = new StreamReader(stream, Encoding.Latin1);
                return $"{entry.FullName}: {reader.ReadToEnd()}";
            }),
        ];
    }

    private static byte[] Replace(byte[] zip, string name, string? content)
    {
        using var stream = new MemoryStream();
        stream.Write(zip);
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Update, leaveOpen: true))
        {
            ZipArchiveEntry entry = archive.Entries.Single(e => e.FullName.EndsWith(name, StringComparison.Ordinal));
            string path = entry.FullName;
            entry.Delete();
            if (content is not null)
            {
                using Stream written = archive.CreateEntry(path).Open();
                written.Write(Encoding.UTF8.GetBytes(content));
            }
        }
        return stream.ToArray();
    }

    private static Exception Innermost(Exception error) =>
        error.InnerException is Exception inner ? Innermost(inner) : error;

    public sealed class Row
    {
        public float A { get; set; }

        public float B { get; set; }

        public float C { get; set; }
    }

    public sealed class Wide
    {
        [VectorType(4)]
        public float[] Features { get; set; } = new float[4];
    }
}
