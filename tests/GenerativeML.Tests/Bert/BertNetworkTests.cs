using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using TorchSharp;
using GenerativeML.Tests.Conformance;

namespace GenerativeML.Tests.Bert;

[TestClass]
public sealed class BertNetworkTests
{
    private readonly MLContext _ml = new(1);
    private readonly string _folder = Directory.CreateTempSubdirectory("genml").FullName;

    [TestCleanup]
    public void Cleanup() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Hidden_states_and_probabilities_of_released_weights_are_those_of_the_description_written_out()
    {
        BertNetwork network = TinyBert.Network();
        HostWeights weights = TinyBert.Weights(network);
        var reference = new ReferenceBert(weights, TinyBert.Layers, TinyBert.Heads, TinyBert.Width);
        // [CLS] the cat sat on [MASK] . [SEP]
        int[] tokens = [2, 5, 6, 7, 8, 4, 14, 3];
        double[][] hidden = reference.Hidden(tokens);
        double[] filled = [.. reference.LogProbabilities(hidden[5]).Select(Math.Exp)];
        foreach (string names in (string[])["bert.", "", "gamma"])
        {
            string path = Released(weights, names);
            MaskedLanguageModelOptions options = TinyBert.Options() with { InitialWeights = path, EmbeddingColumnName = "Embedding" };
            foreach (TextPooling pooling in Enum.GetValues<TextPooling>())
            {
                using MaskedLanguageModelTransformer model = _ml.Generative.PretrainedMaskedLanguageModel(options with { Pooling = pooling });
                foreach (bool onnx in (bool[])[true, false])
                {
                    using IDisposable pretence = NativeParts.Pretend(onnx ? null : new DllNotFoundException(), null);
                    model.Dispose(); // what computes is chosen anew
                    IReadOnlyList<MaskFilling> fillings = model.FillMask("The cat sat on [MASK].", topK: 99)[0];
                    Assert.HasCount(TinyBert.Pieces.Length, fillings);
                    foreach (MaskFilling filling in fillings)
                    {
                        Assert.AreEqual(TinyBert.Pieces[filling.Id], filling.Token);
                        Assert.AreEqual(filled[filling.Id], filling.Probability, 1e-5);
                    }
                    int[] mat = [2, 5, 6, 7, 8, 9, 14, 3];
                    double[][] first = reference.First(mat), whole = reference.Hidden(mat);
                    float[] embedding = model.Transform(Texts("The cat sat on mat.")).GetColumn<float[]>("Embedding").Single();
                    for (int c = 0; c < TinyBert.Width; c++)
                    {
                        double expected = pooling switch
                        {
                            TextPooling.FirstToken => whole[0][c],
                            TextPooling.FirstAndLast => (whole.Average(row => row[c]) + first.Average(row => row[c])) / 2,
                            _ => whole.Average(row => row[c]),
                        };
                        Assert.AreEqual(expected, embedding[c], 1e-4);
                    }
                }
            }
        }
    }

    [TestMethod]
    public void Weights_go_out_under_Hugging_Faces_names_and_come_back_as_they_were()
    {
        BertNetwork network = TinyBert.Network();
        HostWeights weights = TinyBert.Weights(network);
        using MaskedLanguageModelTransformer model = _ml.Generative.PretrainedMaskedLanguageModel(
            TinyBert.Options() with { InitialWeights = Released(weights, "bert.") });
        string path = Path.Combine(_folder, "out.safetensors");
        model.SaveWeights(path);
        using (FileStream file = File.OpenRead(path))
        {
            string[] names = [.. SafetensorsReader.Open(file).Tensors.Select(t => t.Spec.Name)];
            Assert.HasCount(5 + 16 * TinyBert.Layers + 5, names);
            foreach (string name in (string[])
            [
                "bert.embeddings.word_embeddings.weight", "bert.embeddings.position_embeddings.weight",
                "bert.embeddings.token_type_embeddings.weight", "bert.embeddings.LayerNorm.weight",
                "bert.encoder.layer.1.attention.self.query.weight", "bert.encoder.layer.0.attention.output.dense.bias",
                "bert.encoder.layer.0.attention.output.LayerNorm.bias", "bert.encoder.layer.1.intermediate.dense.weight",
                "bert.encoder.layer.1.output.LayerNorm.weight", "cls.predictions.bias",
                "cls.predictions.transform.dense.weight", "cls.predictions.transform.LayerNorm.weight",
            ])
            {
                CollectionAssert.Contains(names, name);
            }
        }
        using FileStream again = File.OpenRead(path);
        TinyGpt.AssertSame(weights, BertWeightFile.Read(again, network));
    }

    [TestMethod]
    public void Weights_that_do_not_fit_are_refused_with_all_that_differs()
    {
        HostWeights weights = TinyBert.Weights(TinyBert.Network());
        string path = Released(weights, "bert.");
        Refused("a row for each token", TinyBert.Options() with { WordPieces = new([.. TinyBert.Pieces, "more"], true) });
        Refused("encoder.layer.2.output.dense.weight", TinyBert.Options() with { Layers = 3 });
        Refused("unexpected", TinyBert.Options() with { Layers = 1 });
        Refused("embeddings.token_type_embeddings.weight", TinyBert.Options() with { TokenTypes = 0 });
        Refused("encoder.norm.weight", TinyBert.Options() with { NormPlacement = NormPlacement.Before });
        string untied = Path.Combine(_folder, "untied.safetensors");
        float[] other = [.. weights["embeddings.word_embeddings.weight"].Select(v => v + 1)];
        Write(untied, [.. Named(weights, "bert."), (new("cls.predictions.decoder.weight", TensorType.F32, TinyBert.Pieces.Length, TinyBert.Width), other)]);
        path = untied;
        Refused("decoder", TinyBert.Options());
        Assert.Throws<ArgumentException>(() => _ml.Generative.PretrainedMaskedLanguageModel(TinyBert.Options()));
        Assert.Throws<ArgumentException>(() => _ml.Generative.PretrainedMaskedLanguageModel(
            TinyBert.Options() with { InitialWeights = path, PredictedLabelColumnName = "PredictedLabel" }));
        Assert.Throws<FileNotFoundException>(() => _ml.Generative.PretrainedMaskedLanguageModel(
            TinyBert.Options() with { InitialWeights = path + "x" }));

        void Refused(string named, MaskedLanguageModelOptions options) => StringAssert.Contains(
            Assert.Throws<FormatException>(() => _ml.Generative.PretrainedMaskedLanguageModel(
                options with { InitialWeights = path })).Message, named);
    }

    [TestMethod]
    public void A_configuration_is_read_and_one_of_another_network_refused()
    {
        string path = Path.Combine(_folder, "config.json");
        const string Base = """
            "model_type": "bert", "num_hidden_layers": 12, "num_attention_heads": 12, "hidden_size": 768,
            "intermediate_size": 3072, "max_position_embeddings": 512, "vocab_size": 30522, "type_vocab_size": 2,
            "layer_norm_eps": 1e-12, "hidden_dropout_prob": 0.1
            """;
        File.WriteAllText(path, $$"""{ {{Base}}, "hidden_act": "gelu" }""");
        MaskedLanguageModelOptions options = MaskedLanguageModelOptions.FromConfig(path);
        options.Validate();
        Assert.AreEqual((12, 12, 768, 3072, 512, 2), (
            options.Layers, options.Heads, options.Width, options.FeedForwardWidth!.Value, options.ContextLength, options.TokenTypes));
        Assert.AreEqual((NormPlacement.After, 1e-12, GeluForm.Erf, 0.1), (
            options.NormPlacement, options.LayerNormEpsilon, options.Gelu, options.Dropout));
        // BERT-base has 110 million weights: 109,514,298 with the head, as its release counts them.
        var network = new BertNetwork(options with { VocabularySize = 30522, WordPieces = TinyBert.WordPieces() });
        Assert.AreEqual(109_514_298, network.ParameterCount);
        File.WriteAllText(path, $$"""{ {{Base}}, "hidden_act": "relu", "position_embedding_type": "relative_key", "is_decoder": true }""");
        string message = Assert.Throws<FormatException>(() => MaskedLanguageModelOptions.FromConfig(path)).Message;
        foreach (string named in (string[])["hidden_act", "position_embedding_type", "is_decoder"])
            StringAssert.Contains(message, named);
        File.WriteAllText(path, "{}");
        StringAssert.Contains(Assert.Throws<FormatException>(() => MaskedLanguageModelOptions.FromConfig(path)).Message, "hidden_size is missing");
        File.WriteAllText(path, "{");
        Assert.Throws<FormatException>(() => MaskedLanguageModelOptions.FromConfig(path));
    }

    [TestMethod]
    public void The_loss_is_that_of_the_hidden_places_alone_whatever_pads_a_row()
    {
        BertNetwork network = TinyBert.Network();
        HostWeights weights = TinyBert.Weights(network);
        var reference = new ReferenceBert(weights, TinyBert.Layers, TinyBert.Heads, TinyBert.Width);
        using TorchLayers layers = Layers(network, weights);
        // The first row is padded by two; of it place 2 is asked for, of the second places 1 and 5.
        int[][] texts = [[2, 5, 4, 7, 3], [2, 4, 6, 7, 8, 16, 3]];
        (int Row, int Place, int Token)[] asked = [(0, 2, 6), (1, 1, 5), (1, 5, 9)];
        double expected = -asked.Average(a => reference.LogProbabilities(reference.Hidden(texts[a.Row])[a.Place])[a.Token]);
        using DisposeScope scope = torch.NewDisposeScope();
        torch.Tensor loss = network.Loss(new TorchOps(layers.Tensors).Root, Batch(texts, asked), 0, default)[0].Value;
        Assert.AreEqual(expected, loss.item<float>(), 1e-4);
    }

    [TestMethod]
    [DataRow(NormPlacement.After)]
    [DataRow(NormPlacement.Before)]
    public void Every_parameter_is_moved_by_the_gradient_that_differences_show(NormPlacement placement)
    {
        BertNetwork network = TinyBert.Network(TinyBert.Options() with { NormPlacement = placement, LayerNormEpsilon = 1e-5 });
        HostWeights weights = TinyBert.Weights(network);
        using TorchLayers layers = Layers(network, weights);
        using DisposeScope scope = torch.NewDisposeScope();
        Batch batch = Batch([[2, 5, 4, 7, 3], [2, 4, 6, 7, 8, 16, 3]], [(0, 2, 6), (1, 1, 5), (1, 5, 9)]);
        Loss().backward();
        var random = new SplitMix64(3);
        foreach ((string name, torch.Tensor parameter) in layers.Tensors)
        {
            float[] gradient = parameter.grad!.data<float>().ToArray();
            bool absorbed = name.EndsWith("key.bias", StringComparison.Ordinal); // adds the same to all of a query's scores
            Assert.AreEqual(!absorbed, gradient.Any(g => Math.Abs(g) > 1e-5), name);
            for (int tries = 0; tries < 6; tries++)
            {
                int at = random.Next(gradient.Length);
                using IDisposable noGradient = torch.no_grad();
                using torch.Tensor one = parameter.detach().view(-1).narrow(0, at, 1);
                float value = one.item<float>();
                const float Step = 1e-2f;
                one.Fill(value + Step);
                double up = Loss().item<float>();
                one.Fill(value - Step);
                double down = Loss().item<float>();
                one.Fill(value);
                Assert.AreEqual((up - down) / (2 * Step), gradient[at], 4e-3 * Math.Max(1, Math.Abs(gradient[at])), $"{name}[{at}]");
            }
        }

        torch.Tensor Loss() => network.Loss(new TorchOps(layers.Tensors).Root, batch, 0, default)[0].Value;
    }

    [TestMethod]
    public void What_pads_a_row_does_not_change_its_states()
    {
        BertNetwork network = TinyBert.Network();
        using TorchLayers layers = Layers(network, TinyBert.Weights(network));
        using DisposeScope scope = torch.NewDisposeScope();
        using IDisposable noGradient = torch.no_grad();
        (long[] padded, float[] seen, int length) = Passages.Pad(TinyBert.Vocabulary(), [[5, 6, 7, 8, 9, 14], [16]]);
        float[] together = Hidden(padded, 2, seen), alone = Hidden([2, 16, 3], 1, null);
        for (int i = 0; i < alone.Length; i++)
            Assert.AreEqual(alone[i], together[length * TinyBert.Width + i], 1e-6);

        float[] Hidden(long[] tokens, int rows, float[]? counts)
        {
            torch.Tensor all = HostTensors.Index(tokens, torch.CPU).reshape(rows, -1);
            TorchTensor? mask = null;
            if (counts is not null)
                mask = HostTensors.FromRows(counts, rows, all.size(1), torch.CPU);
            return network.Hidden(new TorchOps(layers.Tensors).Root, all, torch.arange(all.size(1)), mask)
                .Value.data<float>().ToArray();
        }
    }

    [TestMethod]
    public void An_ONNX_files_logits_are_those_of_the_model_whatever_pads_a_row()
    {
        HostWeights weights = TinyBert.Weights(TinyBert.Network());
        using MaskedLanguageModelTransformer model = _ml.Generative.PretrainedMaskedLanguageModel(
            TinyBert.Options() with { InitialWeights = Released(weights, "") });
        string path = Path.Combine(_folder, "bert.onnx");
        model.SaveOnnx(path);
        Assert.Throws<NotSupportedException>(() => model.SaveOnnx(path, OnnxContent.Transform));
        using var session = new InferenceSession(path);
        using OrtValue tokens = OrtValue.CreateTensorValueFromMemory([2L, 5, 4, 7, 3, 0, 0, 2, 4, 6, 7, 8, 16, 3], [2, 7]);
        using OrtValue mask = OrtValue.CreateTensorValueFromMemory([1L, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1], [2, 7]);
        using OrtValue types = OrtValue.CreateTensorValueFromMemory(new long[14], [2, 7]);
        using var results = session.Run(
            new RunOptions(), ["input_ids", "attention_mask", "token_type_ids"], [tokens, mask, types], ["logits", "hidden_states"]);
        CollectionAssert.AreEqual(new[] { 2L, 7, 17 }, results[0].GetTensorTypeAndShape().Shape);
        CollectionAssert.AreEqual(new[] { 2L, 7, 8 }, results[1].GetTensorTypeAndShape().Shape);
        float[] logits = results[0].GetTensorDataAsSpan<float>().ToArray();
        var reference = new ReferenceBert(weights, TinyBert.Layers, TinyBert.Heads, TinyBert.Width);
        foreach ((int row, int place, int[] text) in ((int, int, int[])[])[(0, 2, [2, 5, 4, 7, 3]), (1, 1, [2, 4, 6, 7, 8, 16, 3])])
        {
            double[] expected = reference.LogProbabilities(reference.Hidden(text)[place]);
            float[] actual = logits[((row * 7 + place) * 17)..((row * 7 + place + 1) * 17)];
            double log = Math.Log(actual.Sum(v => Math.Exp(v)));
            for (int token = 0; token < 17; token++)
                Assert.AreEqual(expected[token], actual[token] - log, 1e-4);
        }
    }

    /// <summary>A file as other programs write it: names with a prefix, without, or TensorFlow's; and what is passed over.</summary>
    private string Released(HostWeights weights, string names)
    {
        string path = Path.Combine(_folder, Path.GetRandomFileName());
        string body = names == "" ? "" : "bert.";
        (TensorSpec, float[])[] more =
        [
            (new(body + "pooler.dense.weight", TensorType.F32, 8, 8), new float[64]),
            (new(body + "pooler.dense.bias", TensorType.F32, 8), new float[8]),
            (new("cls.seq_relationship.weight", TensorType.F32, 2, 8), new float[16]),
            (new("cls.seq_relationship.bias", TensorType.F32, 2), new float[2]),
            (new("cls.predictions.decoder.bias", TensorType.F32, 17), weights["cls.predictions.bias"]),
            (new("cls.predictions.decoder.weight", TensorType.F32, 17, 8), weights["embeddings.word_embeddings.weight"]),
        ];
        Write(path, [.. Named(weights, names), .. more]);
        return path;
    }

    private static IEnumerable<(TensorSpec, float[])> Named(HostWeights weights, string names) => weights.Specs.Select(spec =>
    {
        string name = spec.Name.StartsWith("cls.", StringComparison.Ordinal) || names == "" ? spec.Name : "bert." + spec.Name;
        if (names == "gamma")
        {
            name = name.Replace("LayerNorm.weight", "LayerNorm.gamma", StringComparison.Ordinal)
                .Replace("LayerNorm.bias", "LayerNorm.beta", StringComparison.Ordinal);
        }
        return (new TensorSpec(name, spec.Type, spec.Shape), weights[spec.Name]);
    });

    private static void Write(string path, IReadOnlyList<(TensorSpec, float[])> tensors)
    {
        using FileStream file = File.Create(path);
        HostWeights.Of(tensors).Save(file);
    }

    private static TorchLayers Layers(BertNetwork network, HostWeights weights)
    {
        var layers = new TorchLayers(network.Declare, torch.CPU, 3);
        layers.LoadStateDict(weights);
        return layers;
    }

    private static Batch Batch(int[][] passages, (int Row, int Place, int Token)[] asked)
    {
        // Without the special tokens, which padding puts around.
        (long[] tokens, float[] seen, int length) = Passages.Pad(TinyBert.Vocabulary(), [.. passages.Select(p => p[1..^1])]);
        long[] targets = new long[tokens.Length];
        Array.Fill(targets, SequenceToSequenceNetwork.Ignored);
        foreach ((int row, int place, int token) in asked)
            targets[row * length + place] = token;
        return new(
            [
                HostTensors.Index(tokens, torch.CPU).reshape(passages.Length, length),
                HostTensors.FromRows(seen, passages.Length, length, torch.CPU),
                HostTensors.Index(targets, torch.CPU).reshape(passages.Length, length),
            ],
            passages.Length);
    }

    private IDataView Texts(params string[] texts) => _ml.Data.LoadFromEnumerable(texts.Select(t => new TextRow { Text = t }));

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
