using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using GenerativeML.Tests.Rows;

namespace GenerativeML.Tests.TextDetection;

[TestClass]
[DoNotParallelize]
public sealed class GeneratedTextTests
{
    private const string Alphabet = "abcdefghijk. ";

    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    public void An_expectation_is_that_of_a_distribution_worked_by_hand()
    {
        // p = 1/2, 1/4, 1/8, 1/8: H = 7/4 ln 2; E[log² p] = (1/2 + 4/4 + 9/4) ln² 2.
        float[] logits = [.. new[] { 0.5, 0.25, 0.125, 0.125 }.Select(p => (float)Math.Log(p) + 3)];
        double ln2 = Math.Log(2);
        var found = TokenExpectation.Of(logits, 1, new float[9]);
        Assert.AreEqual(-2 * ln2, found.LogProbability, 1e-6);
        Assert.AreEqual(2, found.Rank);
        Assert.AreEqual(1.75 * ln2, found.Entropy, 1e-6);
        Assert.AreEqual((3.75 - 1.75 * 1.75) * ln2 * ln2, found.Variance, 1e-6);
        Assert.AreEqual(3, TokenExpectation.Of(logits, 3, new float[8]).Rank, "what is as likely does not come first");

        var certain = TokenExpectation.Of([0, float.NegativeInfinity, -200], 2, new float[6]);
        Assert.AreEqual((-200f, 2), (certain.LogProbability, certain.Rank));
        Assert.AreEqual(0, certain.Entropy, 1e-30);
        Assert.AreEqual(0, certain.Variance, 1e-30);
    }

    [TestMethod]
    [DataRow(GeneratedTextStatistic.Curvature, (-3 + 2.5) / 2.0)]
    [DataRow(GeneratedTextStatistic.LogProbability, -1.5)]
    [DataRow(GeneratedTextStatistic.LogRank, -0.693147)]
    [DataRow(GeneratedTextStatistic.Rank, -2.5)]
    [DataRow(GeneratedTextStatistic.Entropy, 1.25)]
    [DataRow(GeneratedTextStatistic.LogRankRatio, 1.5 / 0.693147)]
    public void Statistics_are_those_of_two_tokens_worked_by_hand(GeneratedTextStatistic statistic, double expected)
    {
        TokenExpectation[] tokens = [new(-1, 1, 0.5f, 1), new(-2, 4, 2, 3)];
        Assert.AreEqual(expected, TokenEvidence.Statistic(statistic, tokens), 1e-5);
        Assert.IsTrue(float.IsNaN(TokenEvidence.Statistic(statistic, [])));
    }

    [TestMethod]
    public void The_ratio_to_the_log_rank_stays_within_reach_where_all_tokens_are_the_first_in_rank() => Assert.AreEqual(
        0.1 / 0.05, TokenEvidence.Statistic(GeneratedTextStatistic.LogRankRatio, [new(-0.1f, 1, 0.1f, 1), new(-0.1f, 1, 0.1f, 1)]), 1e-5);

    [TestMethod]
    public void Features_of_a_text_are_those_counted_by_hand()
    {
        var found = new float[TokenEvidence.Names.Count];
        TokenEvidence.Fill([new(-1, 1, 0.5f, 1), new(-2, 4, 2, 3), new(-6, 2000, 1, 1)], found);
        Dictionary<string, float> features = TokenEvidence.Names.Zip(found).ToDictionary(f => f.First, f => f.Second);
        Assert.AreEqual(-3, features["LogProbability"], 1e-6);
        Assert.AreEqual(Math.Sqrt(14 / 3.0), features["LogProbability.Deviation"], 1e-6);
        Assert.AreEqual(-2, features["LogProbability.0.5"]);
        Assert.AreEqual(1 / 3f, features["Rank.1"]);
        Assert.AreEqual(2 / 3f, features["Rank.10"]);
        Assert.AreEqual(2 / 3f, features["Rank.1000"]);
        Assert.AreEqual(1, features["Surprise.Correlation"], 1e-5, "two pairs lie on a line");
    }

    [TestMethod]
    public void Style_is_that_of_a_text_counted_by_hand()
    {
        const string text = "The cat sat. It saw \"The Dog\" 12 times! So what";
        TokenCodec codec = TokenCodec.For(new ByteTokenizer());
        IReadOnlyList<string> names = TextStyle.Names(codec);
        float[] found = new float[names.Count];
        TextStyle.Fill(text, codec.Encode(text), codec, found);
        Dictionary<string, float> style = names.Zip(found).ToDictionary(f => f.First, f => f.Second);
        // Ten words of 3 3 3 2 3 3 3 5 2 4 letters; sentences of 3 and 5, and one that may be cut short.
        Assert.AreEqual(3.1f, style["Word.Length"], 1e-6);
        Assert.AreEqual(0.6f, style["Word.3"], 1e-6);
        Assert.AreEqual(0.9f, style["Word.Distinct"], 1e-6);
        Assert.AreEqual(0.8f, style["Word.Once"], 1e-6);
        Assert.AreEqual(0.12f, style["Word.Concentration"], 1e-6); // (8 + 4)/100
        Assert.AreEqual(1f, style["Pair.Distinct"], 1e-6);
        Assert.AreEqual(0.5f, style["Capital.Share"], 1e-6);
        Assert.AreEqual(0.75f, style["Capital.Once"], 1e-6); // The twice; It, Dog, So
        Assert.AreEqual(4f, style["Sentence.Length"], 1e-6);
        Assert.AreEqual(0.5f, style["Sentence.Quote"], 1e-6);
        Assert.AreEqual(0.2f, style["Mark.\""], 1e-6);
        Assert.AreEqual(0.1f, style["Number.2"], 1e-6);
        Assert.AreEqual(5 / 31f, style["Letter.Upper"], 1e-6);
        Assert.AreEqual(2f / text.Length, style["Digit"], 1e-6);
        TextStyle.Fill("12 !", codec.Encode("12 !"), codec, found);
        Assert.IsTrue(found.All(float.IsNaN), "no word");
    }

    [TestMethod]
    public void A_byte_pair_vocabulary_says_how_common_tokens_are()
    {
        BytePairTokenizer tokenizer = BytePairTokenizer.Train(["The cat The cat The cat the"], new() { VocabularySize = 262 });
        TokenCodec codec = TokenCodec.For(tokenizer);
        int[] tokens = codec.Encode("The cat");
        IReadOnlyList<string> names = TextStyle.Names(codec);
        float[] found = new float[names.Count];
        TextStyle.Fill("The cat", tokens, codec, found);
        var expected = new Dictionary<string, float>();
        foreach (int token in tokens)
        {
            bool capital = tokenizer.Decode([token]).TrimStart().StartsWith('T');
            string name = $"Token.{(capital ? "Capital." : "")}{(int)Math.Log2(token + 1)}";
            expected[name] = expected.GetValueOrDefault(name) + 1f / tokens.Length;
        }
        foreach ((string name, float share) in names.Zip(found).Where(f => f.First.StartsWith("Token.", StringComparison.Ordinal)))
            Assert.AreEqual(expected.GetValueOrDefault(name), share, 1e-6, name);
    }

    [TestMethod]
    public void What_is_inspected_is_the_text_and_its_mean_is_the_score()
    {
        // Longer than the window, so that it slides.
        using GptTransformer gpt = Gpt(ScoreOptions("S"));
        string text = Text(40, 3);
        IReadOnlyList<TokenLikelihood> tokens = gpt.Inspect(text);
        Assert.AreEqual(text, string.Concat(tokens.Select(t => t.Text)));
        Assert.AreEqual(0, tokens[0].Rank, "nothing is before the first token");
        Assert.IsTrue(float.IsNaN(tokens[0].LogProbability));
        float score = gpt.Transform(Rows([text])).GetColumn<float>("S").Single();
        Assert.AreEqual(score, tokens.Skip(1).Average(t => -t.LogProbability), 1e-5);
        Assert.IsTrue(tokens.Skip(1).All(t => t.Rank >= 1 && t.Rank <= gpt.VocabularySize));
        Assert.HasCount(0, gpt.Inspect(""));
    }

    [TestMethod]
    public void The_curvature_of_texts_that_the_model_itself_draws_is_that_of_a_standard_normal()
    {
        using GptTransformer gpt = Gpt();
        string[] drawn =
        [
.. Enumerable.Range(0, 400).Select(seed => "a" + gpt.Generate("a", new() { MaxNewTokens = 11, Seed = seed })),
        ];
        using GeneratedTextDetector detector =
            _ml.Generative.GeneratedTextDetector(gpt, new() { CollapseWhiteSpace = false }).Fit(Rows(drawn));
        float[] scores = [.. detector.Transform(Rows(drawn)).GetColumn<float>("Score")];
        // Its mean is 0 and its variance 1 by definition, each to within four standard errors of 400 texts.
        double mean = scores.Average(), variance = scores.Average(s => (s - mean) * (s - mean));
        Assert.AreEqual(0, mean, 4 / Math.Sqrt(400));
        Assert.AreEqual(1, variance, 4 * Math.Sqrt(2.0 / 400));
    }

    [TestMethod]
    public void Texts_of_the_model_are_found_and_false_alarms_are_as_many_as_was_asked_for()
    {
        using GptTransformer gpt = Gpt();
        string[] genuine = [.. Enumerable.Range(0, 600).Select(i => Text(30, (ulong)i + 10))];
        string[] generated =
        [
            .. genuine.Take(100).Select((t, i) => t[..2] + gpt.Generate(t[..2], new() { MaxNewTokens = 28, Seed = i })),
        ];
        // Rows that are labelled as generated do not tell the threshold.
        IDataView training = _ml.Data.LoadFromEnumerable(
            genuine.Take(300).Select((t, i) => new Row { Text = t, Number = i })
                .Concat(generated.Select((t, i) => new Row { Text = t, Generated = true, Number = i })));
        GeneratedTextOptions options = new() { LabelColumnName = "Generated", FalseAlarmRate = 0.1, PValueColumnName = "P" };
        using GeneratedTextDetector detector = _ml.Generative.GeneratedTextDetector(gpt, options).Fit(training);
        using GeneratedTextDetector alone = _ml.Generative.GeneratedTextDetector(gpt, options with { LabelColumnName = null })
            .Fit(Rows(genuine[..300]));
        Assert.AreEqual(alone.Threshold, detector.Threshold);

        IDataView fresh = detector.Transform(Rows(genuine[300..]));
        // 300 rows beside 300 that told the threshold: the share deviates by 0.024.
        Assert.AreEqual(0.1, fresh.GetColumn<bool>("PredictedLabel").Average(p => p ? 1.0 : 0), 4 * 0.024);
        Assert.AreEqual(0.5, fresh.GetColumn<float>("P").Average(), 4 * 0.024);
        double found = detector.Transform(Rows(generated)).GetColumn<bool>("PredictedLabel").Average(p => p ? 1.0 : 0);
        Assert.IsGreaterThan(0.9, found);

        // Learned from one half, judged on the other. A text of random letters is so unlikely for the model that the two
        // hardly overlap.
        IDataView learned = _ml.Data.FilterByCustomPredicate<Row>(detector.Transform(training), row => row.Number % 2 == 0);
        IDataView judged = _ml.Data.FilterByCustomPredicate<Row>(detector.Transform(training), row => row.Number % 2 == 1);
        var classifier = _ml.Transforms.NormalizeMeanVariance("Features")
            .Append(_ml.BinaryClassification.Trainers.LbfgsLogisticRegression("Generated", "Features")).Fit(learned);
        Assert.IsGreaterThan(
            0.98, _ml.BinaryClassification.Evaluate(classifier.Transform(judged), "Generated").AreaUnderRocCurve);
    }

    [TestMethod]
    public void A_saved_detector_is_the_same_under_decimal_commas()
    {
        using GptTransformer gpt = Gpt();
        GeneratedTextOptions options = new()
        {
            Features = GeneratedTextFeatures.All, PValueColumnName = "P", Statistic = GeneratedTextStatistic.LogRank,
        };
        string[] texts = [.. Enumerable.Range(0, 30).Select(i => Text(20 + i, (ulong)i)), "", "a", "a  b\n"];
        using GeneratedTextDetector detector = _ml.Generative.GeneratedTextDetector(gpt, options).Fit(Rows(texts));
        CultureInfo before = CultureInfo.CurrentCulture;
        var commas = (CultureInfo)CultureInfo.InvariantCulture.Clone();
        (commas.NumberFormat.NumberDecimalSeparator, commas.NumberFormat.NumberGroupSeparator) = (",", ".");
        using var file = new MemoryStream();
        try
        {
            CultureInfo.CurrentCulture = commas;
            _ml.Model.Save(detector, Rows(texts).Schema, file);
            using var loaded = (GeneratedTextDetector)_ml.Model.Load(file, out _);
            Assert.AreEqual(detector.Threshold, loaded.Threshold);
            Assert.IsInstanceOfType<GptTransformer>(loaded.LanguageModel);
            IDataView one = detector.Transform(Rows(texts)), other = loaded.Transform(Rows(texts));
            Assert.AreEqual(one.Schema.ToString(), other.Schema.ToString());
            foreach (string column in (string[])["Score", "P"])
                CollectionAssert.AreEqual(one.GetColumn<float>(column).ToArray(), other.GetColumn<float>(column).ToArray());
            foreach ((float[] first, float[] second) in one.GetColumn<float[]>("Features").Zip(other.GetColumn<float[]>("Features")))
                CollectionAssert.AreEqual(first, second);
        }
        finally
        {
            CultureInfo.CurrentCulture = before;
        }
    }

    [TestMethod]
    public void The_schema_promised_is_the_schema_delivered_and_a_row_alone_is_a_row_among_others()
    {
        using GptTransformer gpt = Gpt();
        GeneratedTextEstimator estimator = _ml.Generative.GeneratedTextDetector(gpt, new() { PValueColumnName = "P" });
        string[] texts = [.. Enumerable.Range(0, 80).Select(i => Text(10 + i % 7, (ulong)i)), ""];
        using GeneratedTextDetector detector = estimator.Fit(Rows(texts));
        CollectionAssert.AreEquivalent(
            SchemaTests.Describe(estimator.GetOutputSchema(SchemaTests.Shape(Rows(texts).Schema))),
            SchemaTests.Describe(SchemaTests.Shape(detector.GetOutputSchema(Rows(texts).Schema))));
        IDataView all = detector.Transform(Rows(texts));
        float[] scores = [.. all.GetColumn<float>("Score")];
        Parallel.For(0, texts.Length, i =>
            Assert.AreEqual(scores[i], new MLContext(1).Data is var data
                ? detector.Transform(data.LoadFromEnumerable([new Row { Text = texts[i] }])).GetColumn<float>("Score").Single() : 0));
        Assert.IsTrue(float.IsNaN(scores[^1]));
        Assert.IsFalse(all.GetColumn<bool>("PredictedLabel").Last(), "nobody is accused without a score");
        Assert.IsTrue(all.GetColumn<float[]>("Features").Last().All(float.IsNaN));
    }

    [TestMethod]
    public void White_space_counts_only_if_it_is_to()
    {
        using GptTransformer gpt = Gpt();
        string[] texts = [.. Enumerable.Range(0, 12).Select(i => Text(15, (ulong)i))];
        using GeneratedTextDetector collapsing = _ml.Generative.GeneratedTextDetector(gpt).Fit(Rows(texts));
        using GeneratedTextDetector keeping =
            _ml.Generative.GeneratedTextDetector(gpt, new() { CollapseWhiteSpace = false }).Fit(Rows(texts));
        float[] Scores(GeneratedTextDetector detector) => [.. detector.Transform(Rows(["ab cd", " ab  cd "])).GetColumn<float>("Score")];
        Assert.AreEqual(Scores(collapsing)[0], Scores(collapsing)[1]);
        Assert.AreNotEqual(Scores(keeping)[0], Scores(keeping)[1]);
        Assert.AreEqual(Scores(collapsing)[0], Scores(keeping)[0]);
    }

    [TestMethod]
    public void A_page_colours_each_token_by_its_rank()
    {
        using GptTransformer gpt = Gpt();
        using GeneratedTextDetector detector = _ml.Generative.GeneratedTextDetector(gpt)
            .Fit(Rows([.. Enumerable.Range(0, 12).Select(i => Text(15, (ulong)i))]));
        string path = Path.GetTempFileName();
        try
        {
            StringAssert.Contains(Assert.ThrowsExactly<NotSupportedException>(() => detector.SaveOnnx(path)).Message, "tokenizer");
            detector.SavePage(path, [new("one <b>", "abc dk"), new("nothing", "")]);
            string page = File.ReadAllText(path);
            Reports.OnePage.AssertWhole(page);
            Assert.Contains("one &lt;b&gt;", page);
            foreach (TokenLikelihood token in gpt.Inspect("abc dk").Skip(1))
            {
                string title = FormattableString.Invariant(
                    $"rank {token.Rank}, p = {Math.Exp(token.LogProbability):G3}, entropy {token.Entropy:F2}");
                Assert.Contains($"<span class=\"{(token.Rank <= 10 ? "a" : "b")}\" title=\"{title}\">{token.Text}</span>", page);
            }
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void Wrong_input_is_refused_before_work()
    {
        using GptTransformer gpt = Gpt();
        GenerativeCatalog catalog = _ml.Generative;
        Assert.Throws<ArgumentOutOfRangeException>(() => catalog.GeneratedTextDetector(gpt, new() { FalseAlarmRate = 0 }));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => catalog.GeneratedTextDetector(gpt, new() { Features = GeneratedTextFeatures.None }));
        Assert.Throws<ArgumentException>(() => catalog.GeneratedTextDetector(gpt, new() { FeatureColumnName = "Score" }));
        Assert.Contains("'Text'", Assert.Throws<ArgumentOutOfRangeException>(() => catalog.GeneratedTextDetector(gpt)
            .Fit(_ml.Data.LoadFromEnumerable([new { Other = "a" }]))).Message);
        Assert.Contains("'Label'", Assert.Throws<ArgumentOutOfRangeException>(() => catalog
            .GeneratedTextDetector(gpt, new() { LabelColumnName = "Label" }).Fit(Rows(["a"]))).Message);
        Assert.Contains("0 genuine texts", Assert.Throws<InvalidOperationException>(() => catalog
            .GeneratedTextDetector(gpt).Fit(Rows(["a", "", "b"]))).Message);
        Assert.Contains("'Text'", Assert.Throws<InvalidOperationException>(() => catalog
            .GeneratedTextDetector(gpt).Fit(Rows([.. Enumerable.Repeat("XYZ", 20)]))).Message);
        Assert.Contains("key", Assert.Throws<ArgumentOutOfRangeException>(() => catalog
            .GeneratedTextDetector(gpt, new() { LabelColumnName = "Label" }).Fit(new TableView(20)
                .Add("Text", TextDataViewType.Instance, _ => "ab".AsMemory())
                .Add("Label", new KeyDataViewType(typeof(uint), 2), _ => 1u))).Message);
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => catalog
            .GeneratedTextDetector(gpt, new() { CancellationToken = cancelled.Token }).Fit(Rows(["abc"])));
    }

    [TestMethod]
    public void A_file_whose_part_is_no_model_that_continues_texts_is_refused()
    {
        using GptTransformer gpt = Gpt();
        using GeneratedTextDetector detector = _ml.Generative.GeneratedTextDetector(gpt)
            .Fit(Rows([.. Enumerable.Range(0, 12).Select(i => Text(15, (ulong)i))]));
        using var file = new MemoryStream();
        _ml.Model.Save(detector, null, file);
        foreach (string family in (string[])["generated text", "autoencoder", "none such"])
        {
            using var damaged = new MemoryStream();
            file.Position = 0;
            file.CopyTo(damaged);
            using (var zip = new System.IO.Compression.ZipArchive(damaged, System.IO.Compression.ZipArchiveMode.Update, leaveOpen: true))
            {
                System.IO.Compression.ZipArchiveEntry entry = zip.Entries.Single(e => e.Name == "options.json");
                using Stream stream = entry.Open();
                string json = new StreamReader(stream).ReadToEnd().Replace("\"gpt\"", $"\"{family}\"", StringComparison.Ordinal);
                stream.SetLength(0);
                stream.Write(System.Text.Encoding.UTF8.GetBytes(json));
            }
            damaged.Position = 0;
            Exception error = Assert.Throws<Exception>(() => _ml.Model.Load(damaged, out _));
            Assert.IsInstanceOfType<FormatException>(error.GetBaseException());
            Assert.Contains($"'{family}'", error.GetBaseException().Message);
        }
    }

    private static GptOptions ScoreOptions(string? score) =>
        RandomGpt.Network(vocabulary: Alphabet.Length).Options with { ScoreColumnName = score, GeneratedTextColumnName = null };

    private static GptTransformer Gpt(GptOptions? options = null)
    {
        var network = new GptNetwork(options ?? ScoreOptions(null));
        var tokenizer = new CharacterTokenizer(Alphabet, UnknownCharacters.Error, endOfText: false);
        HostWeights weights = RandomGpt.Weights(network);
        foreach (ref float value in weights["wte.weight"].AsSpan())
            value *= 0.5f; // the output weights, too: less certain of what comes
        return new(new TextModel(new TrainedGpt(network, weights), TokenCodec.For(tokenizer)));
    }

    private static string Text(int length, ulong seed)
    {
        var random = new SplitMix64(seed);
        string text = string.Concat(Enumerable.Range(0, length).Select(_ => Alphabet[random.Next(11)]));
        return text[..(length / 2)] + " " + text[(length / 2)..];
    }

    private IDataView Rows(IEnumerable<string> texts) => _ml.Data.LoadFromEnumerable(texts.Select(t => new Row { Text = t }));

    private sealed class Row
    {
        public string Text { get; set; } = "";

        public bool Generated { get; set; }

        public float Number { get; set; }
    }
}
