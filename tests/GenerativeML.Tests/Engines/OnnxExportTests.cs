using System.Globalization;
using System.Text.Json.Nodes;
using GenerativeML.Tests.Conformance;
using GenerativeML.Tests.Rows;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;

namespace GenerativeML.Tests.Engines;

/// <summary>What ONNX files promise beside what all families are tested for by the conformance suite.</summary>
[TestClass]
public sealed class OnnxExportTests
{
    private readonly MLContext _ml = new(seed: 1);
    private readonly string _folder = Directory.CreateTempSubdirectory("genml-onnx").FullName;

    private string FilePath => Path.Combine(_folder, "model.onnx");

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Conditions_constants_replacements_and_names_that_a_graph_has_itself_are_part_of_the_file()
    {
        TableView Data(int rows, bool fresh) => new TableView(rows)
            .Add("Kind", new KeyDataViewType(typeof(uint), 3), row => (uint)(fresh ? row % 4 : row % 3 + 1))
            .Add("net.0", NumberDataViewType.Single, row => fresh && row % 7 == 3 ? 12f : row % 5)
            .Add("Size", NumberDataViewType.Single, row => fresh && row == 11 ? float.NegativeInfinity : row * 0.37f)
            .AddVector("memory", 3, row =>
            [
                MathF.Sin(row) * 100, fresh && row % 9 == 4 ? 5 + row : 5,
                fresh && row % 11 == 3 ? float.NaN : fresh && row % 11 == 5 ? float.PositiveInfinity : row % 17,
            ]);
        foreach (NonFiniteValues nonFinite in new[] { NonFiniteValues.Error, NonFiniteValues.Replace })
        {
            using var model = _ml.AnomalyDetection.Trainers.VariationalAutoencoder(new VaeOptions
            {
                FeatureColumnName = "memory", ConditionColumnNames = ["Kind", "net.0", "Size"], Epochs = 1,
                HiddenLayers = [8], LatentDimension = 2, NonFiniteValues = nonFinite, ReferenceRows = 0,
                FeatureScoreColumnName = "Add_3_0", LatentColumnName = "random_normal",
            }).Fit(Data(60, fresh: false));
            TableView fresh = Data(1000, fresh: true);
            IDataView view = model.Transform(fresh);
            Dictionary<string, float[]> outputs = OnnxFiles.SaveAndRun(
                model, null, 1000, (name, _) => OnnxFiles.Column(fresh, name));
            float[] scores = OnnxFiles.Column(view, "Score");
            Assert.AreEqual(nonFinite == NonFiniteValues.Error, scores.Any(float.IsNaN));
            Assert.IsGreaterThan(50, scores.Count(s => s > 1e6f), "constants that changed");
            foreach (string column in new[] { "Score", "PredictedLabel", "Add_3_0", "random_normal" })
                OnnxFiles.AssertClose(OnnxFiles.Column(view, column), outputs[column], column);
        }
    }

    [TestMethod]
    public void Rows_far_out_are_generated_in_the_units_of_the_data()
    {
        IDataView data = ConformanceData.Table(60);
        using var flow = _ml.Generative.NormalizingFlow(new() { Steps = 2, HiddenLayers = [8], Epochs = 1 }).Fit(data);
        float[] normal = [.. Enumerable.Range(0, 400).Select(i => MathF.Sin(i) * 12)];
        TrainedVector model = flow.State.Model;
        float[] expected = model.Run(
            new TrainedVector.SamplePass((ISampler)model.Network, conditional: false), normal, default, 100, [4])[0];
        Assert.IsGreaterThan(20, expected.Count(z => Math.Abs(z) > VectorScaler.Linear));
        model.Features.Undo(expected);
        Dictionary<string, float[]> outputs = OnnxFiles.SaveAndRun(flow, OnnxContent.Generate, 100, (_, _) => normal);
        OnnxFiles.AssertClose(expected, outputs["Features"], "Features");
    }

    [TestMethod]
    public void MLNET_applies_the_file_of_a_chains_model()
    {
        IDataView data = ConformanceData.Table(60);
        ITransformer chain = _ml.Transforms.CopyColumns("Copy", "Features")
            .Append(_ml.AnomalyDetection.Trainers.Autoencoder(new AutoencoderOptions { FeatureColumnName = "Copy", Epochs = 1 }))
            .Append(_ml.Transforms.CopyColumns("Last", "Score"))
            .Fit(data);
        IDataView copied = _ml.Transforms.CopyColumns("Copy", "Features").Fit(data).Transform(data);
        chain.SaveOnnx(FilePath);
        IDataView scored = chain.Transform(data);
        using var applied = (IDisposable)_ml.Transforms.ApplyOnnxModel(["Score", "PredictedLabel"], ["Copy"], FilePath)
            .Fit(copied);
        IDataView theirs = ((ITransformer)applied).Transform(copied);
        OnnxFiles.AssertClose(OnnxFiles.Column(scored, "Score"), OnnxFiles.Column(theirs, "Score"), "Score");
        CollectionAssert.AreEqual(
            scored.GetColumn<bool>("PredictedLabel").ToArray(),
            theirs.GetColumn<bool[]>("PredictedLabel").Select(label => label[0]).ToArray());
    }

    [TestMethod]
    public void The_threshold_of_the_moment_is_in_the_file_and_large_weights_are_beside_it()
    {
        IDataView data = ConformanceData.Table(60);
        using var detector = _ml.AnomalyDetection.Trainers.GaussianMixture(new() { Components = 2, Epochs = 2 }).Fit(data);
        detector.Threshold = OnnxFiles.Column(detector.Transform(data), "Score").Order().ElementAt(30);
        detector.ToOnnx(null).Save(FilePath, largestInline: 0);
        CollectionAssert.AreEquivalent(
            new[] { "model.onnx", "model.onnx.data" }, Directory.GetFiles(_folder).Select(Path.GetFileName).ToArray());
        Dictionary<string, float[]> outputs = OnnxFiles.Run(FilePath, 60, (name, _) => OnnxFiles.Column(data, name));
        CollectionAssert.AreEqual(
            OnnxFiles.Column(detector.Transform(data), "PredictedLabel"), outputs["PredictedLabel"]);
        using var session = new InferenceSession(FilePath);
        Assert.AreEqual("gaussian mixture", session.ModelMetadata.CustomMetadataMap["generativeml.family"]);
        CollectionAssert.Contains(session.ModelMetadata.CustomMetadataMap.Keys.ToArray(), "generativeml.threshold");
    }

    [TestMethod]
    public void A_GPTs_logits_are_those_of_its_decoder_with_and_without_a_cache()
    {
        GptNetwork network = RandomGpt.Network(71, 40, 3, 3, 24, true, GeluForm.Tanh, true);
        using var model = new TrainedGpt(network, RandomGpt.Weights(network));
        int[][] texts = [RandomGpt.Tokens(30, 71), RandomGpt.Tokens(30, 71, seed: 2)];
        using SequenceState decoder = model.NewDecoder(slots: 1, capacity: 30);
        float[] expected = [.. texts.SelectMany(text =>
        {
            decoder.Read(0, 0, text, all: true);
            return Enumerable.Range(0, 30).SelectMany(i => decoder.Logits(i).ToArray()).ToArray();
        })];

        model.ToOnnx(cached: false).Save(FilePath);
        using (var whole = new InferenceSession(FilePath))
        {
            using OrtValue tokens = Tokens(texts, 0, 30);
            using var results = whole.Run(new RunOptions(), ["input_ids"], [tokens], ["logits", "hidden_states"]);
            OnnxFiles.AssertClose(expected, results[0].GetTensorDataAsSpan<float>().ToArray(), "logits");
            CollectionAssert.AreEqual(new long[] { 2, 30, 24 }, results[1].GetTensorTypeAndShape().Shape);
        }

        // Padding before the second text takes two places, and does not count.
        model.ToOnnx(cached: true).Save(FilePath);
        using var stepwise = new InferenceSession(FilePath);
        string[] named = ["input_ids", "attention_mask", "position_ids"];
        string[] past = [.. stepwise.InputNames.Except(named)];
        string[] present = [.. past.Select(n => n.Replace("past_key_values", "present", StringComparison.Ordinal))];
        CollectionAssert.AreEqual(
            Enumerable.Range(0, 3).SelectMany(i => new[] { $"past_key_values.{i}.key", $"past_key_values.{i}.value" }).ToArray(), past);
        int[][] padded = [texts[0], [5, 5, .. texts[1][..^2]]];
        OrtValue[] cache = [.. past.Select(_ => OrtValue.CreateAllocatedTensorValue(
            OrtAllocator.DefaultInstance, Microsoft.ML.OnnxRuntime.Tensors.TensorElementType.Float, [2, 3, 0, 8]))];
        // A prompt, then several tokens at once, then one by one.
        foreach ((int first, int count) in new[] { (0, 12), (12, 5), (17, 1), (18, 1) })
        {
            using OrtValue tokens = Tokens(padded, first, count);
            using OrtValue mask = Numbers(0, first + count, (text, i) => text == 1 && i < 2 ? 0 : 1);
            using OrtValue positions = Numbers(first, count, (text, i) => text == 1 ? Math.Max(0, i - 2) : i);
            IDisposableReadOnlyCollection<OrtValue> results = stepwise.Run(
                new RunOptions(), [.. named, .. past], [tokens, mask, positions, .. cache], ["logits", .. present]);
            float[] actual = results[0].GetTensorDataAsSpan<float>().ToArray();
            for (int text = 0; text < 2; text++)
            {
                int skipped = text == 1 ? Math.Max(0, 2 - first) : 0, from = first + skipped - 2 * text;
                OnnxFiles.AssertClose(
                    expected[((text * 30 + from) * 71)..((text * 30 + from + count - skipped) * 71)],
                    actual[((text * count + skipped) * 71)..((text + 1) * count * 71)], $"logits of {text} from {first} on");
            }
            cache = [.. results.Skip(1)];
        }

        static OrtValue Numbers(int first, int count, Func<int, int, long> number) => OrtValue.CreateTensorValueFromMemory<long>(
            [.. Enumerable.Range(0, 2).SelectMany(text => Enumerable.Range(first, count).Select(i => number(text, i)))], [2, count]);

        static OrtValue Tokens(int[][] texts, int first, int count) => OrtValue.CreateTensorValueFromMemory<long>(
            [.. texts.SelectMany(text => text[first..(first + count)]).Select(t => (long)t)], [texts.Length, count]);
    }

    [TestMethod]
    public void The_folder_for_generation_says_what_the_network_and_the_tokenizer_are()
    {
        IDataView data = _ml.Data.LoadFromEnumerable(
            Enumerable.Range(0, 30).Select(i => new TextRow { Text = $"the cat sat on the mat, the rat sat on cat {i % 3}" }));
        using var gpt = _ml.Generative.Gpt(new()
        {
            TextColumnName = "Text", BytePairVocabulary = 270, Layers = 1, Heads = 2, Width = 8, ContextLength = 16, Steps = 1,
        }).Fit(data);
        gpt.SaveGenAI(_folder);
        CollectionAssert.AreEquivalent(
            new[] { "model.onnx", "genai_config.json", "tokenizer.json", "tokenizer_config.json" },
            Directory.GetFiles(_folder).Select(Path.GetFileName).ToArray());
        JsonNode model = Json("genai_config.json")["model"]!, decoder = model["decoder"]!;
        using var session = new InferenceSession(FilePath);
        foreach ((string part, IEnumerable<string> names) in new[] { ("inputs", session.InputNames), ("outputs", session.OutputNames) })
        {
            foreach ((string _, JsonNode? name) in decoder[part]!.AsObject())
                CollectionAssert.Contains(names.ToArray(), name!.ToString().Replace("%d", "0", StringComparison.Ordinal));
        }
        Assert.AreEqual(
            (gpt.VocabularySize, 16, 4, 2, 1),
            ((int)model["vocab_size"]!, (int)model["context_length"]!, (int)decoder["head_size"]!,
                (int)decoder["num_attention_heads"]!, (int)decoder["num_hidden_layers"]!));
        JsonNode tokenizer = Json("tokenizer.json");
        int end = (int)tokenizer["added_tokens"]![0]!["id"]!;
        Assert.AreEqual((end, "<|endoftext|>"), ((int)model["eos_token_id"]!, (string)tokenizer["added_tokens"]![0]!["content"]!));
        Assert.AreEqual(end, ((GptTokenizer)gpt.Tokenizer).EndOfTextId);
        // The library's own tokenizer of what stands there.
        var again = BytePairTokenizer.Create(
            tokenizer["model"]!["vocab"]!.AsObject().ToDictionary(token => token.Key, token => (int)token.Value!),
            tokenizer["model"]!["merges"]!.AsArray().Select(merge => (string)merge!));
        foreach (string text in new[] { "the cat, \n\t naïve 😀", "", "mat's" })
            CollectionAssert.AreEqual(gpt.Tokenizer.EncodeToIds(text).ToArray(), again.EncodeToIds(text).ToArray());

        JsonNode Json(string name) => JsonNode.Parse(File.ReadAllText(Path.Combine(_folder, name)))!;
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void A_diffusion_models_network_makes_the_models_rows_when_others_walk_the_steps(bool conditional)
    {
        const int rows = 1000;
        TableView data = new TableView(80)
            .AddVector("noisy", 3, row => [MathF.Sin(row) * 5 + 40, row % 7, MathF.Cos(row)])
            .Add("Kind", new KeyDataViewType(typeof(uint), 2), row => (uint)(row % 2 + 1));
        using var model = _ml.Generative.Diffusion(new()
        {
            FeatureColumnName = "noisy", ConditionColumnNames = conditional ? ["Kind"] : [], Epochs = 3, HiddenWidth = 16,
            Sampling = new() { Sampler = DiffusionSamplerKind.Ddim, Steps = 9 },
        }).Fit(data);
        RowCondition? where = conditional ? new RowCondition().Equal("Kind", 2) : null;
        model.ToOnnx(OnnxContent.Denoise).Save(FilePath);
        using var session = new InferenceSession(FilePath);
        Dictionary<string, string> told = session.ModelMetadata.CustomMetadataMap;
        Assert.AreEqual(("Karras", "Ddim"), (told["generativeml.schedule"], told["generativeml.sampler"]));
        float[] levels = [.. told["generativeml.levels"].Split(' ').Select(l => float.Parse(l, CultureInfo.InvariantCulture))];
        Assert.HasCount(10, levels);

        // The noise that Generate begins with, of all rows at once.
        var draws = new SplitMix64(SplitMix64.Derive(7, RandomPurpose.Generation, 0));
        draws.Next();
        var random = new SplitMix64(draws.Next());
        random.Next();
        float[] x = new float[rows * 3];
        NormalNumbers.Fill(ref random, x);
        x = [.. x.Select(e => e * MathF.Sqrt(levels[0] * levels[0] + 1))];
        float[] made = [];
        for (int i = 0; i + 1 < levels.Length; i++)
        {
            float level = levels[i];
            Dictionary<string, float[]> result = OnnxFiles.Run(FilePath, rows, (name, width) => name switch
            {
                "_noisy" => x,
                "is_given" => new float[rows * width],
                "Kind" => [.. Enumerable.Repeat(2f, rows)],
                "is_known" => [.. Enumerable.Repeat(1f, rows)],
                _ => [.. Enumerable.Repeat(level, rows)],
            });
            x = [.. x.Zip(result["clean"], (at, clean) => clean + levels[i + 1] / level * (at - clean))];
            made = result["noisy"];
        }
        OnnxFiles.AssertClose(OnnxFiles.Column(model.Generate(rows, seed: 7, where), "noisy"), made, "rows");
        Assert.Throws<NotSupportedException>(() => model.SaveOnnx(FilePath, OnnxContent.Generate));
    }

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void What_fills_in_missing_values_is_a_file_too(bool conditional)
    {
        TableView Data(int rows) => new TableView(rows)
            .AddVector("Features", 3, row =>
            [
                row % 5 == 1 ? float.NaN : MathF.Sin(row) * 5 + 40, row % 7 == 2 ? float.PositiveInfinity : row % 7,
                row % 11 == 3 ? float.NaN : MathF.Cos(row),
            ])
            .Add("Size", NumberDataViewType.Single, row => row % 13 == 5 ? float.NaN : row * 0.37f);
        using var model = _ml.Generative.Impute(new()
        {
            ConditionColumnNames = conditional ? ["Size"] : [], Epochs = 2, HiddenWidth = 16,
        }).Fit(Data(80));
        TableView fresh = Data(1000);
        Dictionary<string, float[]> outputs = OnnxFiles.SaveAndRun(model, null, 1000, (name, _) => OnnxFiles.Column(fresh, name));
        float[] filled = outputs["Features.output"];
        Assert.IsTrue(filled.All(float.IsFinite));
        OnnxFiles.AssertClose(OnnxFiles.Column(model.Transform(fresh), "Features"), filled, "Features");
    }

    [TestMethod]
    public void What_a_model_cannot_do_is_said()
    {
        IDataView data = ConformanceData.Table(60);
        using var detector = _ml.AnomalyDetection.Trainers.GaussianMixture(new() { Components = 2, Epochs = 2 }).Fit(data);
        using var autoencoder = _ml.Generative.AutoencoderFeaturizer("Latent", "Features", new() { Epochs = 1 }).Fit(data);
        ITransformer none = _ml.Transforms.CopyColumns("Copy", "Features").Fit(data);
        StringAssert.Contains(
            Assert.Throws<NotSupportedException>(() => detector.SaveOnnx(FilePath, OnnxContent.Logits)).Message, "GPT");
        StringAssert.Contains(
            Assert.Throws<NotSupportedException>(() => autoencoder.SaveOnnx(FilePath, OnnxContent.Generate)).Message,
            "generate");
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => none.SaveOnnx(FilePath)).Message, "ConvertToOnnx");
        Assert.Throws<ArgumentException>(() => detector.SaveOnnx(" "));
        Assert.IsEmpty(Directory.GetFiles(_folder));
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
