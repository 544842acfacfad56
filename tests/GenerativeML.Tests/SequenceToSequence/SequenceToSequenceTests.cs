using GenerativeML.Tests.Conformance;
using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;

namespace GenerativeML.Tests.SequenceToSequence;

[TestClass]
public sealed class SequenceToSequenceTests
{
    private static readonly SequenceToSequenceOptions Small = new()
    {
        Width = 16, Heads = 2, EncoderLayers = 1, DecoderLayers = 1, BatchSize = 8, Steps = 12, Generation = new() { Beams = 3 },
        ScoreColumnName = "Score", LogProbabilityColumnName = "LogProbability", AlternativesColumnName = "Alternatives",
    };

    private static readonly (string, string)[] Few =
        [("ab", "ba"), ("abc", "cba"), ("c", "c"), ("bca", "acb"), ("", "a"), ("cab", "bac"), ("a", "")];

    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    public void Texts_are_turned_round()
    {
        // Of all 340 words of one to four of four letters, every eighth is held back.
        string[] words = [""];
        for (int length = 1, first = 0; length <= 4; length++)
        {
            string[] longer = [.. words[first..].SelectMany(word => "abcd".Select(letter => word + letter))];
            first = words.Length;
            words = [.. words, .. longer];
        }
        string[] held = [.. words[1..].Where((_, i) => i % 8 == 3)], trained = [.. words[1..].Except(held)];
        using SequenceToSequenceTransformer model = _ml.Generative.SequenceToSequence(new SequenceToSequenceOptions
        {
            Width = 32, Heads = 2, EncoderLayers = 1, DecoderLayers = 1, BatchSize = 32, Steps = 200, LearningRate = 0.01,
            MatrixLearningRate = 0.03,
        }).Fit(Pairs([.. trained.Select(word => (word, Turned(word)))]));
        int right = model.Generate(held).Zip(held).Count(pair => pair.First.Text == Turned(pair.Second));
        Assert.IsGreaterThan(held.Length * 3 / 4, right);
        // A strange answer scores higher than the right one.
        IReadOnlyList<float> scores = model.Score(["abcd", "abcd"], ["dcba", "abcd"]);
        Assert.IsLessThan(scores[1], scores[0]);

        static string Turned(string word) => new([.. word.Reverse()]);
    }

    [TestMethod]
    public void Columns_are_the_same_alone_and_among_others_and_after_saving()
    {
        using SequenceToSequenceTransformer model = _ml.Generative.SequenceToSequence(Small).Fit(Pairs(Few));
        string[] together = ViewRows.Read(model.Transform(Pairs(Few)));
        CollectionAssert.AreEqual(Few.Select(pair => ViewRows.Read(model.Transform(Pairs(pair)))[0]).ToArray(), together);
        using var saved = new MemoryStream();
        _ml.Model.Save(model, null, saved);
        using var loaded = (SequenceToSequenceTransformer)_ml.Model.Load(saved, out _);
        CollectionAssert.AreEqual(together, ViewRows.Read(loaded.Transform(Pairs(Few))));
        Assert.AreEqual(model.ParameterCount, loaded.ParameterCount);
        Assert.AreEqual(3, loaded.MaxSourceTokens);

        IDataView view = model.Transform(Pairs(Few));
        string[] texts = [.. view.GetColumn<string>("GeneratedText")];
        float[] scores = [.. view.GetColumn<float>("Score")], logarithms = [.. view.GetColumn<float>("LogProbability")];
        ReadOnlyMemory<char>[][] others = [.. view.GetColumn<ReadOnlyMemory<char>[]>("Alternatives")];
        for (int row = 0; row < Few.Length; row++)
        {
            (string source, string target) = Few[row];
            Assert.AreEqual(source.Length == 0 || target.Length == 0, float.IsNaN(scores[row]), "a pair has two sides");
            Assert.HasCount(2, others[row]);
            if (source.Length == 0)
            {
                Assert.AreEqual("", texts[row]);
                Assert.IsTrue(float.IsNaN(logarithms[row]));
                continue;
            }
            TargetText made = model.Generate(source);
            Assert.AreEqual(made.Text, texts[row]);
            Assert.AreEqual(made.LogProbability / made.TokenCount, logarithms[row]);
            CollectionAssert.AreEqual(
                made.Alternatives.Select(other => other.Text).ToArray(), others[row].Select(other => other.ToString()).ToArray());
            Assert.IsTrue(made.Alternatives.All(other => other.Score <= made.Score));
            if (target.Length > 0)
                Assert.AreEqual(scores[row], model.Score([source], [target])[0]);
            if (made.Text.Length > 0)
                Assert.AreEqual(-logarithms[row], model.Score([source], [made.Text])[0], 1e-4);
        }
        // Without a column for scores, targets need not be there.
        using SequenceToSequenceTransformer plain =
            _ml.Generative.SequenceToSequence(Small with { ScoreColumnName = null }).Fit(Pairs(Few));
        IDataView sources = _ml.Data.LoadFromEnumerable([new SourceOnly { Source = "ab" }]);
        Assert.HasCount(1, plain.Transform(sources).GetColumn<string>("GeneratedText").ToArray());
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => model.Transform(sources)).Message, "'Target'");
    }

    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Byte_pairs_are_learned_for_both_sides_or_each(bool shared)
    {
        (string, string)[] pairs = [.. Enumerable.Range(0, 20).Select(i => ($"the number {i}", $"die Zahl {i}"))];
        using SequenceToSequenceTransformer model = _ml.Generative.SequenceToSequence(Small with
        {
            BytePairVocabulary = 280, SharedVocabulary = shared, ValidationFraction = 0.2, Optimizer = LanguageModelOptimizer.AdamW,
            Steps = null, Epochs = 2,
        }).Fit(Pairs(pairs));
        Assert.AreEqual(shared, ReferenceEquals(model.SourceTokenizer, model.TargetTokenizer));
        Assert.IsInstanceOfType<BytePairTokenizer>(model.TargetTokenizer);
        Assert.IsLessThan("die Zahl 19".Length, model.TargetTokenizer.CountTokens("die Zahl 19"));
        using var saved = new MemoryStream();
        _ml.Model.Save(model, null, saved);
        using var loaded = (SequenceToSequenceTransformer)_ml.Model.Load(saved, out _);
        (TargetText before, TargetText after) = (model.Generate("the number 3"), loaded.Generate("the number 3"));
        Assert.AreEqual((before.Text, before.LogProbability), (after.Text, after.LogProbability));
    }

    [TestMethod]
    public void Bad_input_is_refused_by_name_before_work()
    {
        foreach (SequenceToSequenceOptions wrong in new[]
        {
            Small with { Heads = 3 }, Small with { Dropout = 1 }, Small with { LabelSmoothing = 1 }, Small with { EncoderLayers = 0 },
            Small with { Generation = new() { Beams = 0 } }, Small with { Generation = new() { LengthPenalty = -1 } },
            Small with { MaxSourceTokens = 0 }, Small with { BytePairVocabulary = 256 }, Small with { LongTexts = (LongTexts)7 },
        })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Generative.SequenceToSequence(wrong));
        }
        foreach ((SequenceToSequenceOptions wrong, string named) in new[]
        {
            (Small with { Generation = new() { Beams = 1 } }, "Beams"), (Small with { Epochs = 1 }, "Steps"),
            (Small with { TargetColumnName = "Source" }, "'Source'"), (Small with { ScoreColumnName = "GeneratedText" }, "'GeneratedText'"),
            (Small with { SourceTokenizer = new CharacterTokenizer("abc") }, "SourceTokenizer"),
            (Small with
            {
                SharedVocabulary = true, BytePairVocabulary = 300, TargetTokenizer = new CharacterTokenizer("a", endOfText: true),
            }, "BytePairVocabulary"),
            (Small with
            {
                SharedVocabulary = true, SourceTokenizer = new CharacterTokenizer("a", endOfText: true),
                TargetTokenizer = new CharacterTokenizer("a", endOfText: true),
            }, "SharedVocabulary"),
        })
        {
            StringAssert.Contains(Assert.Throws<ArgumentException>(() => _ml.Generative.SequenceToSequence(wrong)).Message, named);
        }
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => _ml.Generative.SequenceToSequence(Small).Fit(Pairs(("a", ""), ("", "b")))).Message,
            "'Target'");
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Generative.SequenceToSequence(Small)
                .Fit(_ml.Data.LoadFromEnumerable([new SourceOnly()]))).Message, "'Target'");
        string error = Assert.Throws<InvalidOperationException>(
            () => _ml.Generative.SequenceToSequence(Small with { MaxTargetTokens = 2 }).Fit(Pairs(Few))).Message;
        StringAssert.Contains(error, "Row 1 of column 'Target'");
        StringAssert.Contains(error, "MaxTargetTokens");
        error = Assert.Throws<InvalidOperationException>(() => _ml.Generative.SequenceToSequence(Small with
        {
            SourceTokenizer = new CharacterTokenizer("ab", UnknownCharacters.Error, endOfText: true),
        }).Fit(Pairs(Few))).Message;
        StringAssert.Contains(error, "Row 1 of column 'Source'");

        using SequenceToSequenceTransformer model = _ml.Generative.SequenceToSequence(Small).Fit(Pairs(Few));
        error = Assert.Throws<InvalidOperationException>(
            () => ViewRows.Read(model.Transform(Pairs(("a", "a"), ("abcabc", "a"))))).ToString();
        StringAssert.Contains(error, "Row 1");
        StringAssert.Contains(error, "'Source'");
        Assert.Throws<InvalidOperationException>(() => model.Generate("abcabc"));
        Assert.Throws<ArgumentException>(() => model.Generate(["a", ""]));
        Assert.Throws<ArgumentException>(() => model.Score(["a"], []));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate("a", new() { MaxTokens = 9 }));
        Assert.Throws<ArgumentOutOfRangeException>(() => model.Generate("a", new() { Beams = 0 }));
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.Throws<OperationCanceledException>(() => model.Generate("a", null, cancelled.Token));
        // Characters that were never seen are replaced, and one token is enough.
        Assert.IsNotNull(model.Generate("?").Text);
        Assert.IsLessThanOrEqualTo(2, model.Generate("a", new() { MaxTokens = 1 }).TokenCount);

        using SequenceToSequenceTransformer cutting = _ml.Generative.SequenceToSequence(Small with
        {
            MaxSourceTokens = 2, MaxTargetTokens = 2, LongTexts = LongTexts.Cut,
        }).Fit(Pairs(Few));
        Assert.AreEqual(cutting.Generate("ab").Text, cutting.Generate("abcabc").Text);
    }

    [TestMethod]
    public void A_run_goes_on_from_a_checkpoint_to_the_same_bits()
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            byte[] Train()
            {
                using SequenceToSequenceTransformer model = _ml.Generative.SequenceToSequence(Small with
                {
                    BatchSize = 2, Steps = 9, ValidationFraction = 0.3, Checkpoint = new(folder) { Every = 3, Keep = 9 },
                }).Fit(Pairs(Few));
                using var saved = new MemoryStream();
                _ml.Model.Save(model, null, saved);
                return saved.ToArray();
            }
            byte[] whole = Train();
            string[] files = [.. Directory.GetFiles(folder).Order()];
            Assert.HasCount(3, files);
            foreach (string later in files[1..])
                File.Delete(later);
            using var first = (SequenceToSequenceTransformer)_ml.Model.Load(new MemoryStream(whole), out _);
            using var second = (SequenceToSequenceTransformer)_ml.Model.Load(new MemoryStream(Train()), out _);
            Assert.AreEqual(first.Score(["abc"], ["cab"])[0], second.Score(["abc"], ["cab"])[0]);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Fitting_leaves_no_tensor_behind_and_no_random_state_changed()
    {
        void Train() => _ml.Generative.SequenceToSequence(Small with { Dropout = 0.2, ValidationFraction = 0.2 }).Fit(Pairs(Few)).Dispose();
        Train();
        long before = torch.Tensor.TotalCount;
        torch.manual_seed(3);
        Train();
        Assert.AreEqual(before, torch.Tensor.TotalCount);
        long next = torch.randint(1 << 30, [1]).item<long>();
        torch.manual_seed(3);
        Assert.AreEqual(torch.randint(1 << 30, [1]).item<long>(), next);
    }

    private IDataView Pairs(params (string Source, string Target)[] pairs) => _ml.Data.LoadFromEnumerable(
        pairs.Select(pair => new Pair { Source = pair.Source, Target = pair.Target }).ToArray());

    private sealed class Pair
    {
        public string Source { get; set; } = "";

        public string Target { get; set; } = "";
    }

    private sealed class SourceOnly
    {
        public string Source { get; set; } = "";
    }
}
