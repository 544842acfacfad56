using System.Buffers;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Tokenizers;

namespace GenerativeML.Tests.Gpt;

/// <summary>A GPT as a step of a pipeline: what its columns say, what it refuses, and what it writes.</summary>
[TestClass]
[DoNotParallelize]
public sealed class GptPipelineTests
{
    private static readonly string[] s_verbs = ["opened", "closed", "reset", "refused"];

    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    public void Lines_unlike_those_of_training_are_strange()
    {
        string[] usual = Log(300);
        using GptTransformer detector =
            _ml.AnomalyDetection.Trainers.Gpt(contextLength: 32, steps: 150).Fit(Rows(usual));
        string[] strange = [.. usual.Take(40).Select(line => string.Concat(line.Reverse()))];
        IDataView scored = detector.Transform(_ml.Data.LoadFromEnumerable(
            usual.Take(160).Select(line => new Line { Text = line })
                .Concat(strange.Select(line => new Line { Text = line, Label = 1 }))));
        Assert.IsTrue(_ml.AnomalyDetection.Evaluate(scored).AreaUnderRocCurve > 0.99);

        float[] scores = [.. scored.GetColumn<float>("Score")];
        CollectionAssert.AreEqual(
            scores.Select(s => s > detector.Threshold).ToArray(),
            scored.GetColumn<bool>("PredictedLabel").ToArray());
        Assert.AreEqual(0.1, scores.Take(160).Count(s => s > detector.Threshold) / 160.0, 0.07);
        Assert.IsTrue(scores.Skip(160).Average() > 2 * scores.Take(160).Average(), "reversed lines are no stranger");
    }

    [TestMethod]
    public void Scores_are_means_over_tokens_and_perplexities_their_exponentials()
    {
        using GptTransformer gpt = Fit(Rows(Log(50)), new() { ScoreColumnName = "S", PerplexityColumnName = "P" });
        IDataView scored = gpt.Transform(Rows("open", "", "port 7 opened by alice"));
        float[] scores = [.. scored.GetColumn<float>("S")], perplexities = [.. scored.GetColumn<float>("P")];
        Assert.IsTrue(float.IsNaN(scores[1]), "an empty row has no token to score");
        Assert.AreEqual(MathF.Exp(scores[2]), perplexities[2], 1e-4);

        // The same by generation, which is made to write "ooo" from the beginning of a document.
        int letter = gpt.Tokenizer.EncodeToIds("o").Single();
        GeneratedText written = gpt.Generate("", new()
        {
            MaxNewTokens = 3, LogProbabilities = true,
            LogitBias = Enumerable.Range(0, gpt.VocabularySize)
                .Where(id => id != letter).ToDictionary(id => id, _ => float.NegativeInfinity),
        });
        Assert.AreEqual("ooo", written.Text);
        Assert.AreEqual(
            written.Tokens.Average(token => -token.LogProbability),
            gpt.Transform(Rows("ooo")).GetColumn<float>("S").Single(), 1e-4);
    }

    [TestMethod]
    public void Only_what_is_asked_for_is_computed()
    {
        using GptTransformer gpt = Fit(Rows(Log(50)), new()
        {
            ScoreColumnName = "Score", EmbeddingColumnName = "Embedding",
            Generation = new() { MaxNewTokens = 2, LongPrompts = LongPrompts.Error },
        });
        IDataView rows = gpt.Transform(Rows(new string('a', 100)));
        Assert.HasCount(1, rows.GetColumn<float>("Score").ToArray());
        Assert.HasCount(gpt.Width, rows.GetColumn<float[]>("Embedding").Single());
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => rows.GetColumn<string>("GeneratedText").ToArray()).Message,
            "100 tokens");
    }

    [TestMethod]
    [DataRow(typeof(BytePairTokenizer))]
    [DataRow(typeof(WordTokenizer))]
    public async Task A_text_is_the_same_in_whole_in_pieces_in_a_column_and_after_loading(Type tokenizer)
    {
        GenerationOptions seeded = new() { MaxNewTokens = 30, Seed = 4 };
        using GptTransformer gpt = Fit(Rows(Log(50)), new()
        {
            BytePairVocabulary = tokenizer == typeof(BytePairTokenizer) ? 300 : null,
            WordVocabulary = tokenizer == typeof(WordTokenizer) ? 300 : null,
            Generation = seeded,
        });
        string expected = gpt.Generate("port", seeded).Text;
        Assert.AreNotEqual("", expected);
        Assert.AreEqual(expected, string.Concat(gpt.Stream("port", seeded)));
        string streamed = "";
        await foreach (string piece in gpt.StreamAsync("port", seeded))
            streamed += piece;
        Assert.AreEqual(expected, streamed);
        Assert.AreEqual(expected, gpt.Generate(["x", "port"], seeded)[1].Text);
        CollectionAssert.AreEqual(
            new[] { expected }, gpt.Transform(Rows("port")).GetColumn<string>("GeneratedText").ToArray());

        using var stream = new MemoryStream();
        _ml.Model.Save(gpt, null, stream);
        stream.Position = 0;
        using var loaded = (GptTransformer)new MLContext().Model.Load(stream, out _);
        Assert.AreEqual(tokenizer, loaded.Tokenizer.GetType());
        Assert.AreEqual(expected, loaded.Generate("port", seeded).Text);
        CollectionAssert.AreEqual(
            new[] { expected }, loaded.Transform(Rows("port")).GetColumn<string>("GeneratedText").ToArray());
    }

    [TestMethod]
    public void Rows_are_documents_or_lines_of_one_text()
    {
        IDataView rows = Rows("ab", "", "b");
        TokenCodec codec = TokenCodec.For(
            new CharacterTokenizer("ab\n", UnknownCharacters.Error, endOfText: true), null, null);
        var column = new TextColumn(rows, "Text", "input", default);
        TokenCorpus documents = column.Read(codec, separator: null, long.MaxValue);
        CollectionAssert.AreEqual(new long[] { 3, 1, 2, 3, 2, 3 }, Tokens(documents));
        CollectionAssert.AreEqual(new long[] { 0, 3 }, documents.Starts.ToArray());
        TokenCorpus joined = column.Read(codec, separator: "\n", long.MaxValue);
        CollectionAssert.AreEqual(new long[] { 1, 2, 0, 0, 2, 0 }, Tokens(joined));
        Assert.HasCount(0, joined.Starts);

        static long[] Tokens(TokenCorpus corpus)
        {
            var tokens = new long[corpus.Count];
            corpus.CopyTo(0, tokens);
            return tokens;
        }
    }

    [TestMethod]
    public void Samples_come_while_it_trains_and_leave_training_as_it_is()
    {
        var samples = new List<TrainingSample>();
        GptOptions with = new()
        {
            SampleEvery = 4, Samples = new Listener(samples.Add), SamplePrompt = "port",
            Generation = new() { MaxNewTokens = 5 }, ScoreColumnName = "Score",
        };
        using GptTransformer sampled = Fit(Rows(Log(30)), with);
        CollectionAssert.AreEqual(new long[] { 4, 8 }, samples.Select(s => s.Step).ToArray());
        Assert.IsTrue(samples.All(s => s.Text.StartsWith("port", StringComparison.Ordinal) && s.Text.Length > 4));
        using GptTransformer plain = Fit(Rows(Log(30)), new() { ScoreColumnName = "Score" });
        CollectionAssert.AreEqual(
            plain.Transform(Rows(Log(9))).GetColumn<float>("Score").ToArray(),
            sampled.Transform(Rows(Log(9))).GetColumn<float>("Score").ToArray());
    }

    [TestMethod]
    public void Text_that_cannot_be_trained_on_is_refused_before_training()
    {
        Refused("column 'Text' is empty", Rows(), new());
        Refused("column 'Text' is empty", Rows("", ""), new());
        Refused("column 'Text' is empty", Rows("", ""), new() { Tokenizer = new ByteTokenizer() });
        Refused("lower option ContextLength", Rows("short"), new());
        Refused(
            "Row 1 of column 'Text'", Rows("abc", "abx"), new()
            {
                Tokenizer = new CharacterTokenizer("abc", UnknownCharacters.Error),
            });
        string[] much = [.. Enumerable.Repeat(new string('a', 600_000), 3)];
        Refused("CacheBudgetBytes", Rows(much), new() { CacheBudgetBytes = 0 });

        void Refused(string named, IDataView rows, GptOptions options) => StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => Fit(rows, options)).Message, named);
    }

    [TestMethod]
    [DataRow(0.1)]
    [DataRow(0.25)]
    public void About_the_expected_share_of_fresh_rows_is_predicted(double contamination)
    {
        // Few rows, and a network that learns them by heart: on its own rows it would be far too sure.
        const int fresh = 4000;
        string[] lines = Sums(160 + fresh);
        using GptTransformer detector = _ml.Generative.Gpt(new()
        {
            Layers = 2, Heads = 2, Width = 32, ContextLength = 16, Steps = 400, BatchSize = 16,
            Contamination = contamination, GeneratedTextColumnName = null, ScoreColumnName = "Score",
            PredictedLabelColumnName = "PredictedLabel",
        }).Fit(Rows(lines[..160]));
        double predicted = detector.Transform(Rows(lines[160..])).GetColumn<bool>("PredictedLabel").Count(p => p);
        // The threshold is one of 40 scores: its rank among all has a beta distribution, whose deviation is this.
        double deviation = Math.Sqrt(contamination * (1 - contamination) * (1 / 42.0 + 1.0 / fresh));
        Assert.AreEqual(contamination, predicted / fresh, 3 * deviation);
        int known = detector.Transform(Rows(lines[..160])).GetColumn<bool>("PredictedLabel").Count(p => p);
        Assert.IsLessThan(0.7 * contamination * 160, known, "those that were trained on are less strange");
    }

    [TestMethod]
    public void A_row_that_cannot_be_encoded_is_named_when_it_is_read()
    {
        using GptTransformer gpt = Fit(
            Rows(Log(30)), new() { UnknownCharacters = UnknownCharacters.Error, ScoreColumnName = "Score" });
        string[] rows = Log(100);
        rows[77] = "port §";
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => gpt.Transform(Rows(rows)).GetColumn<float>("Score").ToArray());
        StringAssert.Contains(error.Message, "Row 77 (counted from 0), column 'Text'");
        StringAssert.Contains(error.Message, "'§' (U+00A7) at position 5");
    }

    [TestMethod]
    public void Options_that_contradict_each_other_are_refused_by_name()
    {
        Refused("BytePairVocabulary", new() { BytePairVocabulary = 300, Tokenizer = new ByteTokenizer() });
        Refused("BytePairVocabulary", new() { BytePairVocabulary = 256 });
        Refused("WordVocabulary", new() { BytePairVocabulary = 300, WordVocabulary = 300 });
        Refused("WordVocabulary", new() { WordVocabulary = 256 });
        Refused("VocabularySize", new() { VocabularySize = 300 });
        Refused("EndOfTextId", new() { EndOfTextId = 3 });
        Refused("SampleEvery", new() { SampleEvery = 3 });
        Refused("Contamination", new() { Contamination = 0.6 });
        Refused("'A'", new() { ScoreColumnName = "A", PerplexityColumnName = "A" });
        Refused("empty", new() { TextColumnName = " " });
        Refused("Temperature", new() { Generation = new() { Temperature = 0, TopK = 3 } });

        void Refused(string named, GptOptions options) => StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => _ml.Generative.Gpt(options)).Message, named);
    }

    [TestMethod]
    public void Any_tokenizer_of_the_library_can_be_trained_with_but_not_every_one_saved()
    {
        var foreign = new Foreign();
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => Fit(Rows(Log(30)), new() { Tokenizer = foreign })).Message,
            "VocabularySize");
        using GptTransformer gpt = Fit(Rows(Log(30)), new() { Tokenizer = foreign, VocabularySize = 128 });
        Assert.AreSame(foreign, gpt.Tokenizer);
        Assert.IsTrue(gpt.Generate("port", new() { MaxNewTokens = 9, Seed = 1 }).Text.Length > 0);
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => _ml.Model.Save(gpt, null, new MemoryStream())).Message,
            "Foreign");
    }

    private GptTransformer Fit(IDataView rows, GptOptions options) =>
        _ml.Generative.Gpt(options with
        {
            Layers = 1, Heads = 2, Width = 16, ContextLength = 24, BatchSize = 8, Steps = 8,
        }).Fit(rows);

    private IDataView Rows(params string[] texts) =>
        _ml.Data.LoadFromEnumerable(texts.Select(text => new Line { Text = text }));

    private static string[] Log(int lines) =>
    [
        .. Enumerable.Range(0, lines).Select(i => FormattableString.Invariant(
            $"port {i * 7 % 10} {s_verbs[i % 4]} by {(i % 3 == 0 ? "alice" : "bob")}")),
    ];

    // Sums of random numbers: each line has digits that none could know.
    private static string[] Sums(int lines)
    {
        var random = new SplitMix64(12);
        return [.. Enumerable.Range(0, lines).Select(_ => FormattableString.Invariant(
            $"{random.Next(10)}{random.Next(10)} + {random.Next(10)} = {random.Next(100)}"))];
    }

    public sealed class Line
    {
        public string Text { get; set; } = "";

        public float Label { get; set; }
    }

    private sealed class Listener(Action<TrainingSample> heard) : IProgress<TrainingSample>
    {
        public void Report(TrainingSample value) => heard(value);
    }

    /// <summary>A tokenizer that the package does not know: ASCII.</summary>
    private sealed class Foreign : Tokenizer
    {
        public override OperationStatus Decode(
            IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
        {
            string text = string.Concat(ids.Select(id => (char)id));
            (idsConsumed, charsWritten) = (text.Length, text.Length);
            return text.TryCopyTo(destination) ? OperationStatus.Done : OperationStatus.DestinationTooSmall;
        }

        protected override EncodeResults<EncodedToken> EncodeToTokens(
            string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) => new()
            {
                Tokens =
                [
                    .. (text ?? textSpan.ToString()).Select(
                        (c, i) => new EncodedToken(c, c.ToString(), i..(i + 1))),
                ],
            };
    }
}
