using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.OnnxRuntime;
using TorchSharp;
using GenerativeML.Tests.Conformance;

namespace GenerativeML.Tests.Recurrent;

[TestClass]
public sealed class RecurrentLanguageModelTests
{
    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    [DataRow(RecurrentCell.Lstm)]
    [DataRow(RecurrentCell.Gru)]
    public void The_perplexity_of_a_Markov_text_comes_to_its_entropy(RecurrentCell cell)
    {
        // After a, b comes with 0.2; after b, a with 0.6: a is three quarters of the text.
        double[] leaves = [0.2, 0.6];
        double entropy = 0.75 * Binary(0.2) + 0.25 * Binary(0.6);
        TrainedLanguageModel fit = Fit(Corpus(Markov(20_000, leaves, 1), 2), new()
        {
            Cell = cell, Layers = 1, Width = 8, BatchSize = 16, WindowLength = 16, Steps = 200, LearningRate = 2e-2,
        }, 2);
        int[] fresh = Markov(30_000, leaves, 2);
        float[] loss = new float[1];
        using (fit)
            fit.Evaluate([fresh], loss, default);
        // The text's own share of leaving differs from the rule's by less than that.
        Assert.AreEqual(entropy, loss[0], 0.01);

        static double Binary(double p) => -p * Math.Log(p) - (1 - p) * Math.Log(1 - p);
    }

    [TestMethod]
    public void What_was_long_ago_counts_only_because_states_are_carried_over_windows()
    {
        // Each run of three zeros ends in one of two symbols, in turns: which one, only the end before tells. Windows
        // begin with each run, so that it is never in the same one.
        int[] text = [.. Enumerable.Range(0, 4000).Select(i => i % 4 < 3 ? 0 : 1 + i / 4 % 2)];
        TrainedLanguageModel fit = Fit(Corpus(text, 3), new()
        {
            Layers = 1, Width = 16, BatchSize = 8, WindowLength = 4, Steps = 600, LearningRate = 1e-2,
            Optimizer = LanguageModelOptimizer.AdamW,
        }, 3);
        float[] loss = new float[1];
        using (fit)
            fit.Evaluate([text[..2001]], loss, default);
        // With no memory of it: ln 2 in each fourth token.
        Assert.IsLessThan(0.8 * Math.Log(2) / 4, loss[0]);
    }

    [TestMethod]
    public void A_run_goes_on_from_a_checkpoint_to_the_same_bits_with_its_states()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            HostWeights Train()
            {
                using TrainedLanguageModel fit = Fit(Corpus(Markov(400, [0.2, 0.6], 1), 2), new()
                {
                    Layers = 2, Width = 8, BatchSize = 4, WindowLength = 8, Steps = 9, Dropout = 0.2, WeightAverageDecay = 0.9,
                    ValidationFraction = 0.2, Checkpoint = new(folder) { Every = 3, Keep = 9 },
                }, 2);
                return fit.Weights;
            }
            HostWeights whole = Train();
            string[] files = [.. Directory.GetFiles(folder).Order()];
            Assert.HasCount(3, files);
            foreach (string later in files[1..])
                File.Delete(later);
            TinyGpt.AssertSame(whole, Train());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Fitting_leaves_no_tensor_behind_and_no_random_state_changed()
    {
        void Train() => Fit(Corpus(Markov(400, [0.2, 0.6], 1), 2), new()
        {
            Layers = 2, Width = 8, BatchSize = 4, WindowLength = 8, Steps = 5, Dropout = 0.2, ValidationFraction = 0.2,
        }, 2).Dispose();
        Train();
        long before = torch.Tensor.TotalCount;
        torch.manual_seed(3);
        Train();
        Assert.AreEqual(before, torch.Tensor.TotalCount);
        long next = torch.randint(1 << 30, [1]).item<long>();
        torch.manual_seed(3);
        Assert.AreEqual(torch.randint(1 << 30, [1]).item<long>(), next);
    }

    [TestMethod]
    public void Readers_go_on_where_they_were_and_come_round_at_the_end()
    {
        var corpus = new TokenCorpus(1000);
        corpus.Add([.. Enumerable.Range(0, 1000)]);
        using var readers = new TokenReaders(corpus, 7, 0.1, 0, torch.CPU);
        long[] next = [0, 180, 360, 540, 720]; // 900 train
        HashSet<long> seen = [];
        for (int step = 0; step < 60; step++)
        {
            (long[][] rows, float[] goesOn) = Read(readers, step, 5);
            for (int row = 0; row < 5; row++)
            {
                CollectionAssert.AreEqual(
                    Enumerable.Range(0, 8).Select(i => (next[row] + i) % 900).ToArray(), rows[row]);
                Assert.AreEqual(step == 0 ? 0 : 1, goesOn[row]);
                next[row] = (next[row] + 7) % 900;
                seen.UnionWith(rows[row]);
            }
        }
        Assert.HasCount(900, seen);
        Batch held = readers.Validation(5).Single();
        using torch.Tensor tokens = held[0];
        CollectionAssert.AreEqual(Enumerable.Range(900, 100).Select(i => (long)i).ToArray(), tokens.data<long>().ToArray());
        Assert.AreEqual(99, held.Weight);
    }

    [TestMethod]
    public void Readers_of_documents_go_to_others_every_other_time_that_one_ends()
    {
        var corpus = new TokenCorpus(5000);
        for (int i = 0; i < 5000; i++)
        {
            if (i % 10 == 0)
                corpus.StartDocument();
            corpus.Add([i]);
        }
        using var readers = new TokenReaders(corpus, 4, 0, 0, torch.CPU);
        int jumps = 0, over = 0;
        long[][]? last = null;
        for (int step = 0; step < 300; step++)
        {
            (long[][] rows, float[] goesOn) = Read(readers, step, 4);
            for (int row = 0; row < 4; row++)
            {
                if (goesOn[row] == 0)
                    Assert.AreEqual(0, rows[row][0] % 10, "a state begins with a document");
                else
                    Assert.AreEqual(last![row][4], rows[row][0]);
                if (last is null)
                    continue;
                bool crossed = last[row][4] / 10 > last[row][0] / 10 || last[row][4] < last[row][0];
                over += crossed ? 1 : 0;
                jumps += goesOn[row] == 0 ? 1 : 0;
                Assert.IsTrue(crossed || goesOn[row] == 1, "a document is read to its end");
            }
            last = rows;
        }
        Assert.AreEqual(0.5, jumps / (double)over, 0.1);
        // Readers that begin in the middle are where those from the beginning are.
        using var resumed = new TokenReaders(corpus, 4, 0, 0, torch.CPU);
        (long[][] later, _) = Read(resumed, 299, 4);
        for (int row = 0; row < 4; row++)
            CollectionAssert.AreEqual(last![row], later[row]);
    }

    [TestMethod]
    public void A_text_shorter_than_a_window_is_refused_by_the_options_name()
    {
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => _ml.Generative.RecurrentLanguageModel(steps: 1)
                .Fit(TextRows("short"))).Message, "WindowLength");
        Assert.Throws<InvalidOperationException>(() => _ml.Generative.RecurrentLanguageModel(steps: 1).Fit(TextRows("", "")));
        foreach (RecurrentLanguageModelOptions wrong in new RecurrentLanguageModelOptions[]
        {
            new() { Layers = 0 }, new() { Width = 0 }, new() { WindowLength = 0 }, new() { Dropout = 1 },
            new() { Cell = (RecurrentCell)7 }, new() { Steps = 0 },
        })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Generative.RecurrentLanguageModel(wrong));
        }
    }

    [TestMethod]
    public void Texts_are_continued_scored_saved_and_streamed_alike_alone_and_in_company()
    {
        string[] texts = ["abab", "", "baabab", "a", .. Enumerable.Range(0, 70).Select(i => string.Concat(Enumerable.Repeat("ab", i % 9)))];
        using RecurrentLanguageModelTransformer model = _ml.Generative.RecurrentLanguageModel(new()
        {
            Layers = 2, Width = 16, WindowLength = 8, BatchSize = 8, Steps = 30, ScoreColumnName = "Score",
            EmbeddingColumnName = "Embedding", Generation = new() { MaxNewTokens = 6 },
        }).Fit(TextRows(texts));
        string[] together = ViewRows.Read(model.Transform(TextRows(texts)));
        string[] alone = [.. texts.Select(text => ViewRows.Read(model.Transform(TextRows(text)))[0])];
        CollectionAssert.AreEqual(alone, together);
        var options = new GenerationOptions { Seed = 4, MaxNewTokens = 20 };
        string whole = model.Generate("ab", options).Text;
        Assert.AreEqual(whole, string.Concat(model.Stream("ab", options)));
        Assert.AreEqual(whole, model.Generate(["ba", "ab", ""], options)[1].Text);
        using var saved = new MemoryStream();
        _ml.Model.Save(model, null, saved);
        using var loaded = (IDisposable)_ml.Model.Load(saved, out _);
        CollectionAssert.AreEqual(together, ViewRows.Read(((ITransformer)loaded).Transform(TextRows(texts))));
        Assert.AreEqual(whole, ((RecurrentLanguageModelTransformer)loaded).Generate("ab", options).Text);
    }

    [TestMethod]
    public void Weights_come_back_from_a_file_and_those_of_another_network_are_refused()
    {
        string path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        RecurrentLanguageModelOptions options = new()
        {
            Layers = 1, Width = 8, WindowLength = 4, BatchSize = 4, Steps = 3, GeneratedTextColumnName = null,
            ScoreColumnName = "Score", LearningRate = 1e-12, MatrixLearningRate = 1e-12, WeightDecay = 0,
        };
        try
        {
            using RecurrentLanguageModelTransformer first =
                _ml.Generative.RecurrentLanguageModel(options with { LearningRate = 1e-2 }).Fit(TextRows("abcabcabc"));
            first.SaveWeights(path);
            using RecurrentLanguageModelTransformer second = _ml.Generative.RecurrentLanguageModel(
                options with { InitialWeights = path, Seed = 9 }).Fit(TextRows("cabcab"));
            OnnxFiles.AssertClose(
                OnnxFiles.Column(first.Transform(TextRows("abccba")), "Score"),
                OnnxFiles.Column(second.Transform(TextRows("abccba")), "Score"), "Score");
            foreach ((RecurrentLanguageModelOptions wrong, string text, string named) in new[]
            {
                (options with { Width = 16 }, "abcabcabc", "rnn.weight_ih_l0"), (options with { Layers = 2 }, "abcabcabc", "rnn.weight_ih_l1"),
                (options with { TieEmbeddings = true }, "abcabcabc", "decoder.weight"), (options, "abcdabcd", "a row for each token"),
                (options with { Cell = RecurrentCell.Gru }, "abcabcabc", "rnn.bias_hh_l0"),
            })
            {
                StringAssert.Contains(
                    Assert.Throws<FormatException>(() => _ml.Generative.RecurrentLanguageModel(
                        wrong with { InitialWeights = path }).Fit(TextRows(text))).Message, named);
            }
        }
        finally
        {
            File.Delete(path);
        }
        Assert.Throws<FileNotFoundException>(() => _ml.Generative.RecurrentLanguageModel(options with { InitialWeights = path }));
    }

    [TestMethod]
    public void A_detector_finds_strange_texts_and_what_it_cannot_score_is_strange_too()
    {
        string[] ordinary = [.. Enumerable.Range(0, 120).Select(i => string.Concat(Enumerable.Repeat("ab", 4 + i % 5)))];
        SchemaShape promised = _ml.AnomalyDetection.Trainers.RecurrentLanguageModel()
            .GetOutputSchema(Rows.SchemaTests.Shape(TextRows("").Schema));
        CollectionAssert.AreEqual(
            new[] { "Text", "PredictedLabel", "Score" }, promised.Select(column => column.Name).ToArray());
        using RecurrentLanguageModelTransformer detector = _ml.Generative.RecurrentLanguageModel(new()
        {
            Layers = 1, Width = 32, WindowLength = 16, BatchSize = 16, Steps = 60, Contamination = 0.05,
            GeneratedTextColumnName = null, ScoreColumnName = "Score", PredictedLabelColumnName = "PredictedLabel",
        }).Fit(TextRows(ordinary));
        IDataView scored = detector.Transform(TextRows("abababab", "aabbbbaa", "", "ab?b"));
        CollectionAssert.AreEqual(
            new[] { false, true, true, true }, scored.GetColumn<bool>("PredictedLabel").ToArray());
    }

    [TestMethod]
    [DataRow(RecurrentCell.Lstm)]
    [DataRow(RecurrentCell.Gru)]
    public void An_ONNX_files_logits_are_those_of_the_decoder_with_and_without_states(RecurrentCell cell)
    {
        RecurrentNetwork network = RecurrentNetworkTests.Network(cell);
        using var model = new TrainedLanguageModel(network, RecurrentNetworkTests.Weights(network));
        int[][] texts = [RandomGpt.Tokens(20, 11), RandomGpt.Tokens(20, 11, seed: 2)];
        using SequenceState decoder = model.NewDecoder(slots: 1, capacity: 1);
        float[] expected = [.. texts.SelectMany(text =>
        {
            decoder.Read(0, 0, text, all: true);
            return Enumerable.Range(0, 20).SelectMany(i => decoder.Logits(i).ToArray()).ToArray();
        })];
        string folder = Directory.CreateTempSubdirectory().FullName, file = Path.Combine(folder, "model.onnx");
        try
        {
            model.ToOnnx(cached: false).Save(file);
            using (var whole = new InferenceSession(file))
            {
                using OrtValue tokens = Tokens(0, 20);
                using var results = whole.Run(new RunOptions(), ["input_ids"], [tokens], ["logits", "hidden_states"]);
                OnnxFiles.AssertClose(expected, results[0].GetTensorDataAsSpan<float>().ToArray(), "logits");
            }
            model.ToOnnx(cached: true).Save(file);
            using var stepwise = new InferenceSession(file);
            string[] past = [.. stepwise.InputNames.Where(n => n != "input_ids")];
            string[] present = [.. past.Select(n => n.Replace("past", "present", StringComparison.Ordinal))];
            Assert.HasCount(cell == RecurrentCell.Lstm ? 4 : 2, past);
            OrtValue[] states = [.. past.Select(_ => OrtValue.CreateTensorValueFromMemory(new float[2 * network.Width], [2, network.Width]))];
            foreach ((int first, int count) in new[] { (0, 12), (12, 7), (19, 1) })
            {
                using OrtValue tokens = Tokens(first, count);
                IDisposableReadOnlyCollection<OrtValue> results = stepwise.Run(
                    new RunOptions(), ["input_ids", .. past], [tokens, .. states], ["logits", .. present]);
                float[] actual = results[0].GetTensorDataAsSpan<float>().ToArray();
                for (int text = 0; text < 2; text++)
                {
                    OnnxFiles.AssertClose(
                        expected[((text * 20 + first) * 11)..((text * 20 + first + count) * 11)],
                        actual[(text * count * 11)..((text + 1) * count * 11)], $"logits from {first} on");
                }
                states = [.. results.Skip(1)];
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        OrtValue Tokens(int first, int count) => OrtValue.CreateTensorValueFromMemory<long>(
            [.. texts.SelectMany(text => text[first..(first + count)]).Select(t => (long)t)], [texts.Length, count]);
    }

    private static (long[][] Rows, float[] GoesOn) Read(TokenReaders readers, int step, int rows)
    {
        long each = readers.BatchesPerEpoch(rows);
        foreach (Batch batch in readers.Epoch((int)(step / each), rows, step % each, default))
        {
            long[] tokens = [.. batch[0].data<long>()];
            return ([.. tokens.Chunk(tokens.Length / rows)], [.. batch[1].data<float>()]);
        }
        throw new InvalidOperationException("There is no such step.");
    }

    private static TrainedLanguageModel Fit(TokenCorpus corpus, RecurrentLanguageModelOptions options, int vocabulary) =>
        RecurrentLanguageModelTrainer.Train(
            corpus, options.Resolve(new TokenCodec(new ByteTokenizer(), vocabulary, null), 0), TinyGpt.Context());

    private static TokenCorpus Corpus(int[] tokens, int vocabulary)
    {
        var corpus = new TokenCorpus(vocabulary);
        corpus.Add(tokens);
        return corpus;
    }

    private static int[] Markov(int length, double[] leaves, ulong seed)
    {
        var random = new SplitMix64(seed);
        int[] text = new int[length];
        for (int i = 1; i < length; i++)
            text[i] = random.NextDouble() < leaves[text[i - 1]] ? 1 - text[i - 1] : text[i - 1];
        return text;
    }

    private IDataView TextRows(params string[] texts) => _ml.Data.LoadFromEnumerable(texts.Select(t => new TextRow { Text = t }));

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
