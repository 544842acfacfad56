using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using TorchSharp;
using GenerativeML.Tests.Conformance;

namespace GenerativeML.Tests.Bert;

[TestClass]
public sealed class TextClassifierTests
{
    private static readonly string[] s_classes = ["ab", "cd", "ef"];

    private static readonly Lazy<MaskedLanguageModelTransformer> s_encoder = new(() => new MLContext(1).Generative
        .MaskedLanguageModel(new()
        {
            Layers = 1, Heads = 2, Width = 16, ContextLength = 20, BatchSize = 16, Steps = 200, LearningRate = 1e-2, TokenTypes = 1,
        })
        .Fit(new MLContext(1).Data.LoadFromEnumerable(Rows(60))));

    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    [DataRow(TextPooling.Mean)]
    [DataRow(TextPooling.FirstToken)]
    [DataRow(TextPooling.FirstAndLast)]
    public void A_class_is_learned_evaluated_saved_and_told_alike_alone_and_in_company(TextPooling pooling)
    {
        IDataView train = _ml.Data.LoadFromEnumerable(Rows(90)), test = _ml.Data.LoadFromEnumerable(Rows(150).Skip(90));
        using var curves = new TrainingCurves();
        var options = new TextClassifierOptions
        {
            Encoder = s_encoder.Value, Epochs = 40, LearningRate = 5e-3, Pooling = pooling, ValidationFraction = 0.1, Progress = curves,
        };
        ITransformer model = _ml.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_ml.MulticlassClassification.Trainers.TextClassifier(options))
            .Append(_ml.Transforms.Conversion.MapKeyToValue("Told", "PredictedLabel")).Fit(train);
        Assert.IsTrue(curves.Reports[^1] is { IsLast: true, Losses.Count: > 0, Validation.Count: > 0 });
        IDataView told = model.Transform(test);
        MulticlassClassificationMetrics metrics = _ml.MulticlassClassification.Evaluate(told);
        Assert.IsGreaterThan(0.95, metrics.MicroAccuracy);
        CollectionAssert.AreEqual(
            told.GetColumn<float[]>("Score").Select(row => (uint)(1 + Array.IndexOf(row, row.Max()))).ToArray(),
            told.GetColumn<uint>("PredictedLabel").ToArray());
        foreach (float[] row in told.GetColumn<float[]>("Score"))
            Assert.AreEqual(1, row.Sum(), 1e-5);
        CollectionAssert.IsSubsetOf(told.GetColumn<string>("Told").Distinct().ToArray(), s_classes);

        string[] together = ViewRows.Read(told);
        string[] alone = [.. Rows(150).Skip(90).Select(row => ViewRows.Read(model.Transform(_ml.Data.LoadFromEnumerable([row])))[0])];
        CollectionAssert.AreEqual(alone, together);
        using var saved = new MemoryStream();
        _ml.Model.Save(model, train.Schema, saved);
        using (NativeParts.Pretend(null, new DllNotFoundException("libtorch")))
            CollectionAssert.AreEqual(together, ViewRows.Read(_ml.Model.Load(saved, out _).Transform(test)));
        using (NativeParts.Pretend(new DllNotFoundException("onnxruntime"), null))
        {
            OnnxFiles.AssertClose(
                OnnxFiles.Column(told, "Score"), OnnxFiles.Column(_ml.Model.Load(saved, out _).Transform(test), "Score"), "Score");
        }
    }

    [TestMethod]
    public void The_schema_promised_is_the_schema_delivered()
    {
        IDataView data = Keyed(Rows(40));
        TextClassifierTrainer trainer = _ml.MulticlassClassification.Trainers.TextClassifier(s_encoder.Value, epochs: 1);
        string[] promised = GenerativeML.Tests.Rows.SchemaTests.Describe(
            trainer.GetOutputSchema(GenerativeML.Tests.Rows.SchemaTests.Shape(data.Schema)));
        using TextClassifierTransformer trained = trainer.Fit(data);
        CollectionAssert.AreEquivalent(promised, GenerativeML.Tests.Rows.SchemaTests.Describe(
            GenerativeML.Tests.Rows.SchemaTests.Shape(trained.GetOutputSchema(data.Schema))));
        Assert.AreEqual(3, trained.Classes);
    }

    [TestMethod]
    public void Every_parameter_is_moved_and_the_loss_is_that_of_the_classes()
    {
        BertNetwork encoder = TinyBert.Network();
        var network = new TextClassifierNetwork(encoder, new() { Dropout = 0 }, 3);
        HostWeights trained = TinyBert.Weights(encoder), weights = new(network.Tensors);
        TextClassifierNetwork.Initialize(weights, trained, 3);
        foreach (string layer in (string[])["pooler.dense.weight", "classifier.weight", "pooler.dense.bias", "classifier.bias"])
        {
            for (int i = 0; i < weights[layer].Length; i++)
                weights[layer][i] = MathF.Sin(i + 1);
        }
        var reference = new ReferenceBert(trained, TinyBert.Layers, TinyBert.Heads, TinyBert.Width);
        int[][] passages = [[2, 5, 6, 3], [2, 15, 16, 14, 8, 3]];
        long[] labels = [2, 0];
        double expected = -passages.Zip(labels, (passage, label) => LogProbabilities(reference.Hidden(passage))[label]).Average();

        using var layers = new TorchLayers(network.Declare, torch.CPU, 1);
        layers.LoadStateDict(weights);
        using DisposeScope scope = torch.NewDisposeScope();
        (long[] tokens, float[] seen, int length) = Passages.Pad(TinyBert.Vocabulary(), [.. passages.Select(p => p[1..^1])]);
        var batch = new Batch(
            [
                HostTensors.Index(tokens, torch.CPU).reshape(2, length), HostTensors.FromRows(seen, 2, length, torch.CPU),
                HostTensors.Index(labels, torch.CPU),
            ],
            2);
        torch.Tensor loss = network.Loss(new TorchOps(layers.Tensors).Root, batch, 0, default)[0].Value;
        Assert.AreEqual(expected, loss.item<float>(), 1e-4);
        loss.backward();
        foreach ((string name, torch.Tensor parameter) in layers.Tensors)
        {
            bool absorbed = name.EndsWith("key.bias", StringComparison.Ordinal); // adds the same to all of a query's scores
            Assert.AreEqual(!absorbed, parameter.grad!.data<float>().ToArray().Any(g => Math.Abs(g) > 1e-6), name);
        }

        double[] LogProbabilities(double[][] hidden)
        {
            double[] mean = [.. Enumerable.Range(0, 8).Select(c => hidden.Average(row => row[c]))];
            double[] pooled = [.. Dense("pooler.dense", mean).Select(Math.Tanh)], logits = Dense("classifier", pooled);
            double log = Math.Log(logits.Sum(Math.Exp));
            return [.. logits.Select(l => l - log)];
        }

        double[] Dense(string layer, double[] x) =>
            [.. weights[layer + ".bias"].Select((b, o) => b + x.Select((v, i) => v * weights[layer + ".weight"][o * x.Length + i]).Sum())];
    }

    [TestMethod]
    public void A_run_goes_on_from_a_checkpoint_to_the_same_bits_and_the_encoder_stays_as_it_was()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        float[] before = [.. s_encoder.Value.Model.Weights["embeddings.word_embeddings.weight"]];
        try
        {
            string[] Train(int seed = 1)
            {
                using TextClassifierTransformer model = _ml.MulticlassClassification.Trainers.TextClassifier(new TextClassifierOptions
                {
                    Encoder = s_encoder.Value, Epochs = 3, BatchSize = 10, Dropout = 0.2, ValidationFraction = 0.2, Seed = seed,
                    Checkpoint = new(folder) { Every = 3, Keep = 9 },
                }).Fit(Keyed(Rows(30)));
                return ViewRows.Read(model.Transform(Keyed(Rows(30))));
            }
            string[] whole = Train();
            string[] files = [.. Directory.GetFiles(folder).Order()];
            Assert.IsGreaterThan(1, files.Length);
            foreach (string later in files[1..])
                File.Delete(later);
            CollectionAssert.AreEqual(whole, Train());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        CollectionAssert.AreEqual(before, s_encoder.Value.Model.Weights["embeddings.word_embeddings.weight"]);
    }

    [TestMethod]
    public void What_cannot_be_learned_is_refused()
    {
        MulticlassClassificationCatalog.MulticlassClassificationTrainers trainers = _ml.MulticlassClassification.Trainers;
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => trainers.TextClassifier(new TextClassifierOptions())).Message, "Encoder");
        Assert.Throws<ArgumentOutOfRangeException>(
            () => trainers.TextClassifier(new TextClassifierOptions { Encoder = s_encoder.Value, Dropout = 1 }));
        TextClassifierTrainer trainer = trainers.TextClassifier(s_encoder.Value, epochs: 1);
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => trainer.Fit(Keyed(Rows(40).Where(r => r.Class == "ab")))).Message,
            "one class in all rows");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => trainer.Fit(_ml.Data.LoadFromEnumerable(Rows(3)))).Message, "Label");
        using var cancellation = new CancellationTokenSource();
        cancellation.Cancel();
        Assert.Throws<OperationCanceledException>(() => trainers.TextClassifier(
            new TextClassifierOptions { Encoder = s_encoder.Value, CancellationToken = cancellation.Token }).Fit(Keyed(Rows(30))));
        // Empty texts, long ones and rows without a label are no errors.
        IDataView keyed = _ml.Transforms.Conversion.MapValueToKey("Label", "Class").Fit(_ml.Data.LoadFromEnumerable(Rows(30)))
            .Transform(_ml.Data.LoadFromEnumerable(Rows(30).Append(new() { Text = "", Class = "ab" })
                .Append(new() { Text = new string('a', 99), Class = "cd" }).Append(new() { Text = "ab", Class = "unknown" })));
        using TextClassifierTransformer model = trainer.Fit(keyed);
        Assert.HasCount(33, model.Transform(keyed).GetColumn<float[]>("Score").ToArray());
    }

    [TestMethod]
    public void An_ONNX_files_logits_are_those_of_the_model_whatever_pads_a_row()
    {
        using TextClassifierTransformer model = _ml.MulticlassClassification.Trainers.TextClassifier(s_encoder.Value, epochs: 1)
            .Fit(Keyed(Rows(30)));
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        try
        {
            model.SaveOnnx(path);
            using var session = new InferenceSession(path);
            MaskedVocabulary vocabulary = s_encoder.Value.Model.Vocabulary;
            string[] texts = ["abab", "cdcdcdcd"];
            (long[] tokens, float[] seen, int length) = Passages.Pad(vocabulary, [.. texts.Select(vocabulary.Codec.Encode)]);
            using OrtValue ids = OrtValue.CreateTensorValueFromMemory(tokens, [2, length]);
            using OrtValue mask = OrtValue.CreateTensorValueFromMemory(Array.ConvertAll(seen, s => (long)s), [2, length]);
            using OrtValue types = OrtValue.CreateTensorValueFromMemory(new long[tokens.Length], [2, length]);
            using var results = session.Run(
                new RunOptions(), ["input_ids", "attention_mask", "token_type_ids"], [ids, mask, types], ["logits"]);
            float[] logits = results[0].GetTensorDataAsSpan<float>().ToArray();
            float[][] expected =
            [
                .. model.Transform(_ml.Data.LoadFromEnumerable(texts.Select(t => new Row { Text = t }))).GetColumn<float[]>("Score"),
            ];
            for (int row = 0; row < 2; row++)
            {
                double sum = logits[(row * 3)..(row * 3 + 3)].Sum(l => Math.Exp(l));
                for (int c = 0; c < 3; c++)
                    Assert.AreEqual(expected[row][c], Math.Exp(logits[row * 3 + c]) / sum, 1e-5);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    // Which two letters there are is the class; how many of them is not.
    // Texts of 6 to 17 letters, drawn from the two of the class: hardly one is there twice.
    private static IEnumerable<Row> Rows(int count) => Enumerable.Range(0, count).Select(i =>
    {
        var random = new SplitMix64((ulong)i);
        char[] letters = new char[6 + random.Next(12)];
        for (int k = 0; k < letters.Length; k++)
            letters[k] = s_classes[i % 3][random.Next(2)];
        return new Row { Text = new(letters), Class = s_classes[i % 3] };
    });

    private IDataView Keyed(IEnumerable<Row> rows)
    {
        IDataView data = _ml.Data.LoadFromEnumerable(rows.ToArray());
        return _ml.Transforms.Conversion.MapValueToKey("Label", "Class").Fit(data).Transform(data);
    }

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public string Class { get; set; } = "";
    }
}
