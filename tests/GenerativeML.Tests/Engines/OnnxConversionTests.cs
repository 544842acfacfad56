using System.Reflection;
using GenerativeML.TestData;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Tests.Engines;

/// <summary>Chains with this package's models, and ML.NET's steps before and after them, as files of ML.NET's own making.</summary>
[TestClass]
public sealed class OnnxConversionTests
{
    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    public void Steps_of_both_before_between_and_after_give_the_chains_columns()
    {
        TableView data = Data(1000);
        ITransformer chain = _ml.Transforms.Concatenate("Features", "A", "B")
            .Append(_ml.Transforms.NormalizeMinMax("Features"))
            .Append(_ml.Generative.AutoencoderDenoiser("Features", null, new AutoencoderOptions { Epochs = 2 }))
            .Append(_ml.Transforms.NormalizeMeanVariance("Scaled", "Features"))
            .Append(_ml.Generative.AutoencoderFeaturizer("Latent", "Scaled", new AutoencoderOptions { Epochs = 2, LatentDimension = 2 }))
            .Append(_ml.AnomalyDetection.Trainers.VariationalAutoencoder(new VaeOptions
            {
                FeatureColumnName = "Latent", ConditionColumnNames = ["Kind", "Large"], Epochs = 2, HiddenLayers = [8], LatentDimension = 2,
            }))
            .Append(_ml.Transforms.CopyColumns("Strange", "PredictedLabel"))
            .Append(_ml.Transforms.Concatenate("Both", "Latent", "Score"))
            .Append(_ml.Clustering.Trainers.KMeans("Both", numberOfClusters: 3)) // replaces Score, and PredictedLabel by a cluster
            .Append(_ml.Transforms.CopyColumns("Last", "Both"))
            .Fit(data);
        OnnxFiles.AssertConverted(chain, data, "Features", "Scaled", "Latent", "Score", "Strange", "Both", "Last");
    }

    [TestMethod]
    public void Names_that_the_graph_has_itself_and_shapes_of_images_stay_the_columns()
    {
        TableView data = new TableView(200)
            .Add("net.0", new KeyDataViewType(typeof(byte), 2), row => (byte)(row % 2 + 1))
            .Add("Cast", new VectorDataViewType(NumberDataViewType.Single, 2, 2, 3), row => new VBuffer<float>(
                12, [.. Enumerable.Range(0, 12).Select(i => MathF.Sin(row + i))]))
            .Add("net.Float 1", NumberDataViewType.Single, row => (float)row);
        ITransformer chain = _ml.Generative.ImageVae(new ImageVaeOptions
            {
                FeatureColumnName = "Cast", ConditionColumnNames = ["net.0"], ImageShape = new(2, 2, 3), Channels = [4], HiddenWidth = 16, Epochs = 1,
                ScoreColumnName = "Reshape", ReconstructionColumnName = "Made",
            })
            .Append(_ml.Transforms.CopyColumns("Add", "net.Float 1"))
            .Append(_ml.Transforms.Concatenate("All", "Reshape", "Add", "net.Float 1"))
            .Fit(data);
        OnnxFiles.AssertConverted(chain, data, "Cast", "Reshape", "Made", "Add", "All", "net.Float 1");
    }

    [TestMethod]
    public void Missing_values_are_filled_in_within_a_chain_and_classes_have_their_names()
    {
        TableView data = new TableView(200)
            .Add("Label", new KeyDataViewType(typeof(uint), 2), row => (uint)(row % 2 + 1))
            .AddVector("Features", 3, row =>
                [row % 2 + MathF.Sin(row) * 0.1f, row % 9 == 1 ? float.NaN : row % 7, row % 11 == 2 ? float.NaN : MathF.Cos(row)]);
        ITransformer chain = _ml.Generative.Impute(new() { Epochs = 2, HiddenWidth = 16 })
            .Append(_ml.Generative.DeepBeliefNetwork(new DeepBeliefNetworkOptions
            {
                LabelColumnName = "Label", HiddenLayers = [6], Epochs = 2, PredictedLabelColumnName = "PredictedLabel", ScoreColumnName = "Score",
            }))
            .Fit(data);
        OnnxFiles.AssertConverted(chain, data, "Features", "PredictedLabel", "Score");
    }

    [TestMethod]
    public void A_file_that_would_not_be_the_chain_is_refused_and_nothing_is_written()
    {
        TableView data = Data(100);
        var detector = _ml.AnomalyDetection.Trainers.GaussianMixture(new() { FeatureColumnName = "A", Components = 2, Epochs = 2 });
        ITransformer chain = detector.Fit(data);
        using var stream = new MemoryStream();
        StringAssert.Contains(Refused(() => _ml.Model.ConvertToOnnx(chain, data, 11, stream)), "opset 12");

        // A step that ML.NET's conversion skips, and that leaves names as they are.
        ITransformer custom = _ml.Transforms.CustomMapping<Pair, Pair>((from, to) => to.A = [from.A[0] * 2, 1], null).Fit(data);
        IDataView changed = custom.Transform(data);
        string refused = Refused(() => _ml.Model.ConvertToOnnx(custom.Append(chain), data, stream));
        StringAssert.Contains(refused, "a step before it");
        Assert.AreEqual(refused, Refused(() => _ml.Model.ConvertToOnnx(chain, changed, stream)));
        StringAssert.Contains(Refused(() => _ml.Model.ConvertToOnnx(chain, _ml.Data.TakeRows(changed, 50), stream)), "a step before it");
        IDataView alone = _ml.Transforms.SelectColumns("A").Fit(changed).Transform(changed); // without the one that is hidden
        OnnxFiles.AssertConverted(chain, _ml.Data.Cache(alone), "Score", "PredictedLabel");
        OnnxFiles.AssertConverted(chain, _ml.Data.Cache(_ml.Data.TakeRows(data, 50)), "Score");
        IDataView filtered = _ml.Data.SkipRows(data, 10);
        _ml.Model.ConvertToOnnx(chain, filtered, new MemoryStream());

        // And one after a model that puts its column in the place of the input's: the file would leave both out.
        ITransformer imputed = _ml.Generative.Impute(new() { FeatureColumnName = "A", Epochs = 1, HiddenWidth = 4 }).Fit(data).Append(custom);
        StringAssert.Contains(Refused(() => _ml.Model.ConvertToOnnx(imputed, data, stream)), "a step after it");
        StringAssert.Contains(Refused(() => _ml.Model.ConvertToOnnx(chain, _ml.Data.TakeRows(imputed.Transform(data), 5), stream)), "a step after it");
        OnnxFiles.AssertConverted(chain.Append(detector.Fit(data)), data, "Score");

        // What maps no vectors, and what takes gradients.
        IDataView table = ConformanceData.Table(60);
        ITransformer gpt = _ml.Generative.RecurrentLanguageModel(new()
        {
            TextColumnName = "Text", Layers = 1, Width = 8, WindowLength = 8, Epochs = 1, ScoreColumnName = "Score",
        }).Fit(table);
        StringAssert.Contains(Refused(() => _ml.Model.ConvertToOnnx(gpt, table, stream)), "'rnn'");
        ITransformer series = _ml.AnomalyDetection.Trainers.AutoregressiveSeries(new()
        {
            FeatureColumnName = "B", WindowLength = 3, Width = 4, Epochs = 1,
        }).Fit(data);
        StringAssert.Contains(Refused(() => _ml.Model.ConvertToOnnx(series, data, stream)), "vectors");
        ITransformer search = _ml.Generative.Gan(new GanOptions
        {
            FeatureColumnName = "A", GeneratorLayers = [4], DiscriminatorLayers = [4], Epochs = 1, Score = GanScore.LatentSearch, LatentSearchSteps = 1,
            ScoreColumnName = "Score",
        }).Fit(data);
        StringAssert.Contains(Refused(() => _ml.Model.ConvertToOnnx(search, data, stream)), "gradients");
        Assert.AreEqual(0, stream.Length);
    }

    [TestMethod]
    public void Who_reads_the_source_of_a_view_by_a_method_of_the_same_name_is_no_conversion()
    {
        TableView data = Data(50);
        IDataView view = _ml.AnomalyDetection.Trainers.GaussianMixture(new() { FeatureColumnName = "A", Components = 2, Epochs = 2 }).Fit(data).Transform(data);
        Assert.AreSame(data, new SourceReader(view).GetPipe());
        // The only method of ML.NET's own conversion that goes from step to step: another version of it has to be looked at.
        Type converting = typeof(OnnxExportExtensions).Assembly.GetType(OnnxStep.ConvertingClass, throwOnError: true)!;
        Assert.IsNotNull(converting.GetMethod(OnnxStep.ConvertingMethod, BindingFlags.Instance | BindingFlags.Static | BindingFlags.NonPublic));
    }

    [TestMethod]
    public void Weights_beyond_what_a_chains_file_holds_are_refused_by_the_step()
    {
        long most = OnnxConversion.SizeWith(0, 1_900_000_000, "'Latent'");
        string message = Assert.ThrowsExactly<NotSupportedException>(() => OnnxConversion.SizeWith(most, 300_000_000, "'Score', 'PredictedLabel'")).Message;
        StringAssert.Contains(message, "286 MB of weights of the step that makes 'Score', 'PredictedLabel'");
        StringAssert.Contains(message, "SaveOnnx");
    }

    [TestMethod]
    public void A_model_that_adds_nothing_is_no_step_of_the_file()
    {
        TableView data = Data(50);
        ITransformer chain = _ml.Generative.GaussianMixture(new() { FeatureColumnName = "A", Components = 2, Epochs = 2 })
            .Append(_ml.Transforms.Concatenate("All", "A", "B")).Fit(data);
        OnnxFiles.AssertConverted(chain, data, "A", "All");
    }

    [TestMethod]
    public void Operators_that_opset_12_lacks_are_written_by_others()
    {
        string path = Path.Combine(Path.GetTempPath(), $"genml-{Guid.NewGuid():N}.onnx");
        float[] rows = [.. Enumerable.Range(0, 5 * 8).Select(i => MathF.Sin(i * 1.7f) * (1 + i % 5))];
        Dictionary<string, float[]> Run(int opset)
        {
            var graph = new OnnxExport(HostWeights.Of([])) { Opset = opset };
            OnnxTensor x = graph.Input("x", OnnxType.Float, [-1, 8], ["rows"]);
            OnnxTensor gain = graph.Constant("gain", OnnxType.Float, [8], rows[..8]), bias = graph.Constant("bias", OnnxType.Float, [8], rows[8..16]);
            OnnxTensor image = x.Reshape(-1, 2, 2, 2);
            (string Name, OnnxTensor Value)[] outputs =
            [
                ("gelu", x.Apply(Function.Gelu)), ("gelu tanh", x.Apply(Function.GeluTanh)), ("norm", x.LayerNorm(gain, bias)),
                ("norm without bias", x.LayerNorm(gain, null, 0.5f)), ("group norm", image.GroupNorm(2)), ("doubled", image.Doubled()),
                ("halved", image.Halved()), ("least", x.Reduce(Reduction.Min, 1)), ("most", image.Reduce(Reduction.Max, -2)),
                ("shaped", x.Unsqueeze(1).Squeeze(1).ReshapeAs(x)), ("log", image.Apply(Function.Abs).Apply(Function.Log)),
                ("softmax", image.Softmax()), ("smallest", x.Smallest(1).Values), ("sums", x.CumulativeSum(1)),
            ];
            foreach ((string name, OnnxTensor value) in outputs)
                graph.Output(name, value.Reshape(0, -1), OnnxType.Float, "rows");
            graph.Save(path);
            Assert.AreEqual(opset, OnnxRun.Opset(path));
            return OnnxFiles.Run(path, 5, (_, _) => rows);
        }
        try
        {
            Dictionary<string, float[]> expected = Run(OnnxFile.Opset), actual = Run(12);
            foreach ((string name, float[] values) in expected)
                OnnxFiles.AssertClose(values, actual[name], name);
            Assert.AreEqual(0.5f * (1 + MathF.Tanh(MathF.Sqrt(2 / MathF.PI) * (rows[1] + 0.044715f * rows[1] * rows[1] * rows[1]))) * rows[1], actual["gelu tanh"][1], 1e-6f);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static string Refused(Action convert)
    {
        string message = Assert.Throws<NotSupportedException>(convert).Message;
        StringAssert.StartsWith(message, "ConvertToOnnx cannot write this model's network");
        return message;
    }

    private static TableView Data(int rows) => new TableView(rows)
        .AddVector("A", 2, row => [MathF.Sin(row) * 5 + 40, row % 7])
        .Add("B", NumberDataViewType.Single, row => row % 3 + MathF.Cos(row))
        .Add("Kind", new KeyDataViewType(typeof(uint), 3), row => (uint)(row % 3 + 1))
        .Add("Large", BooleanDataViewType.Instance, row => row % 5 == 1);

    private sealed class SourceReader(IDataView view)
    {
        public IDataView? GetPipe() => MLNetInternals.SourceOf(view);
    }

    private sealed class Pair
    {
        [VectorType(2)]
        public float[] A { get; set; } = [];
    }
}
