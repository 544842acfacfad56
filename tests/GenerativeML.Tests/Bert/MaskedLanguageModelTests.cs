using Microsoft.ML;
using Microsoft.ML.Data;
using TorchSharp;
using GenerativeML.Tests.Conformance;

namespace GenerativeML.Tests.Bert;

[TestClass]
public sealed class MaskedLanguageModelTests
{
    private static readonly Lazy<MaskedLanguageModelTransformer> s_pattern = new(() => new MLContext(1).Generative
        .MaskedLanguageModel(Small() with
        {
            // After 350 steps (seed 1, places in order) a filling of the pattern is still below the 0.8 that is asked for.
            Width = 32, Steps = 600, ScoreColumnName = "Score", PerplexityColumnName = "Perplexity", EmbeddingColumnName = "Embedding",
        })
        .Fit(Texts([.. Enumerable.Range(0, 40).Select(i => string.Concat(Enumerable.Repeat("abcd", 4))[(i % 4)..])])));

    private readonly MLContext _ml = new(seed: 1);

    [TestMethod]
    public void A_share_is_hidden_and_of_it_four_fifths_are_masks_a_tenth_random_and_a_tenth_as_it_was()
    {
        MaskedVocabulary vocabulary = Characters("abcdefghij");
        var random = new SplitMix64(3);
        int tokens = 0, chosen = 0, masks = 0, others = 0, same = 0;
        int[] text = new int[62], places = new int[62];
        for (int tries = 0; tries < 4000; tries++)
        {
            for (int i = 0; i < text.Length; i++)
                text[i] = random.Next(10);
            foreach (int place in MaskedTokens.Chosen(vocabulary, text, 0.15, wholeWords: false, ref random))
            {
                chosen++;
                places[place]++;
                int seen = MaskedTokens.Hidden(vocabulary, text[place], ref random);
                Assert.IsTrue(seen == vocabulary.Mask || vocabulary.IsOrdinary(seen));
                if (seen == vocabulary.Mask)
                    masks++;
                else if (seen == text[place])
                    same++;
                else
                    others++;
            }
            tokens += text.Length;
        }
        Assert.AreEqual(0.15, chosen / (double)tokens, 0.003);
        Assert.AreEqual(0.8, masks / (double)chosen, 0.01);
        // A random token of eleven, U+FFFD among them, is by chance the same.
        Assert.AreEqual(0.1 * 10 / 11, others / (double)chosen, 0.006);
        Assert.AreEqual(0.1 + 0.1 / 11, same / (double)chosen, 0.006);
        foreach (int often in places)
            Assert.AreEqual(chosen / 62.0, often, 0.2 * chosen / 62);
        // Of a short text at least one, and never more than it has.
        foreach (int length in (int[])[1, 2, 3])
            Assert.HasCount(1, MaskedTokens.Chosen(vocabulary, text.AsSpan(0, length), 0.01, wholeWords: false, ref random));
        Assert.HasCount(3, MaskedTokens.Chosen(vocabulary, text.AsSpan(0, 3), 0.999999, wholeWords: false, ref random).Distinct().ToArray());
    }

    [TestMethod]
    public void Whole_words_are_hidden_together_and_the_share_stays()
    {
        MaskedVocabulary characters = Characters("abcdefgh ,.");
        int[] text = characters.Codec.Encode("ab cde, fgha. bc d efg habc de fgh a bcde fgh abc");
        var random = new SplitMix64(5);
        int chosen = 0;
        const int Tries = 4000;
        for (int tries = 0; tries < Tries; tries++)
        {
            HashSet<int> places = [.. MaskedTokens.Chosen(characters, text, 0.15, wholeWords: true, ref random)];
            chosen += places.Count;
            for (int i = 1; i < text.Length; i++)
            {
                if (characters.GoesOn(text[i - 1], text[i]))
                    Assert.AreEqual(places.Contains(i - 1), places.Contains(i));
            }
        }
        Assert.AreEqual(0.15, chosen / (double)(Tries * text.Length), 0.01);

        MaskedVocabulary pieces = TinyBert.Vocabulary();
        int[] words = [11, 13, 12, 5, 6, 10, 14, 11, 12];
        for (int tries = 0; tries < 200; tries++)
        {
            HashSet<int> places = [.. MaskedTokens.Chosen(pieces, words, 0.3, wholeWords: true, ref random)];
            Assert.AreEqual(places.Contains(0), places.Contains(1) && places.Contains(2));
            Assert.AreEqual(places.Contains(4), places.Contains(5));
            Assert.AreEqual(places.Contains(7), places.Contains(8));
        }
    }

    [TestMethod]
    public void Windows_hold_all_of_each_document_and_are_drawn_from_everywhere()
    {
        var corpus = new TokenCorpus(100);
        foreach (int length in (int[])[3, 25, 1, 10])
        {
            corpus.StartDocument();
            corpus.Add(new int[length]);
        }
        var windows = new DocumentWindows(corpus, 10, 0, 37);
        CollectionAssert.AreEqual(
            new (long, int)[] { (0, 3), (3, 10), (13, 10), (23, 5), (28, 1), (29, 8) },
            Enumerable.Range(0, (int)windows.Count).Select(i => windows.Next(i)).ToArray());
        var held = new DocumentWindows(corpus, 10, 37, 39);
        CollectionAssert.AreEqual(new (long, int)[] { (37, 2) }, new[] { held.Next(0) });
        var random = new SplitMix64(1);
        int[] seen = new int[39];
        for (int i = 0; i < 6000; i++)
        {
            (long start, int length) = windows.Draw(ref random);
            for (int at = 0; at < length; at++)
                seen[start + at]++;
            Assert.IsTrue(start + length <= 3 || (start >= 3 && start + length <= 28) || (start == 28 && length == 1) || (start == 29 && length == 8));
        }
        Assert.IsTrue(seen[..37].All(n => n > 500), "every token is in some windows");
        Assert.AreEqual(1000, seen[0], 120);
        Assert.AreEqual(1000, seen[28], 120);
    }

    [TestMethod]
    public void Batches_hide_what_they_ask_for_and_are_the_same_for_the_same_step()
    {
        MaskedVocabulary vocabulary = Characters("abcdefghij");
        var corpus = new TokenCorpus(vocabulary.Codec.VocabularySize);
        var random = new SplitMix64(1);
        for (int document = 0; document < 50; document++)
        {
            corpus.StartDocument();
            for (int i = random.Next(30); i >= 0; i--)
                corpus.Add([random.Next(10)]);
        }
        using var data = new MaskedTokens(corpus, vocabulary, Small() with { ContextLength = 20, ValidationFraction = 0.2 }, 4, torch.CPU);
        (long[] tokens, float[] seen, long[] targets) = First(data);
        (long[] again, _, _) = First(data);
        int[] places = [.. Enumerable.Range(0, targets.Length).Where(place => targets[place] != SequenceToSequenceNetwork.Ignored)];
        CollectionAssert.AreEqual(tokens, again);
        int length = tokens.Length / 8;
        Assert.IsLessThanOrEqualTo(20, length);
        for (int i = 0; i < tokens.Length; i++)
            Assert.AreEqual(tokens[i] == vocabulary.Padding ? 0f : 1f, seen[i]);
        for (int row = 0; row < 8; row++)
        {
            Assert.AreEqual(vocabulary.Class, (int)tokens[row * length]);
            Assert.IsTrue(places.Any(place => place / length == row), "each row has something to tell");
        }
        foreach (int place in places)
        {
            Assert.IsTrue(vocabulary.IsOrdinary((int)targets[place]));
            Assert.AreEqual(1f, seen[place]);
        }
        // What is validated is hidden alike each time.
        long[] First2() => [.. data.Validation(4).Select(b => b[0].data<long>().ToArray()).SelectMany(t => t)];
        CollectionAssert.AreEqual(First2(), First2());

        static (long[], float[], long[]) First(MaskedTokens data)
        {
            foreach (Batch batch in data.Epoch(1, 8, 2, default))
                return ([.. batch[0].data<long>()], [.. batch[1].data<float>()], [.. batch[2].data<long>()]);
            throw new InvalidOperationException();
        }
    }

    [TestMethod]
    public void Pairs_are_neighbours_in_their_document()
    {
        var corpus = new TokenCorpus(100);
        foreach (int length in (int[])[3, 15, 45])
        {
            corpus.StartDocument();
            corpus.Add(new int[length]);
        }
        var windows = new DocumentWindows(corpus, 10, 0, 63);
        var random = new SplitMix64(2);
        var found = new HashSet<(long, long)>();
        for (int i = 0; i < 5000; i++)
        {
            (long Start, int Length)[] pair = windows.DrawPair(ref random);
            Assert.HasCount(2, pair);
            Assert.AreEqual(pair[0].Length, pair[1].Length);
            (long one, long other) = (pair[0].Start, pair[1].Start);
            found.Add((one, other));
            if (one < 3) // a document of one window
                Assert.AreEqual((0L, 0L, 3), (one, other, pair[0].Length));
            else if (one < 18) // as far away as there is room in it: at its other end
                Assert.AreEqual(one - 3 > 8 - one ? 3 : 8, one - 3 == 8 - one ? 3 : other);
            else // beside it, or where that would leave the document, at its end, if that is farther than the other side
                Assert.IsTrue(Math.Abs(one - other) == 10 && other >= 18 && other <= 53);
        }
        // From anywhere, both sides come.
        Assert.IsTrue(found.Contains((30, 20)) && found.Contains((30, 40)) && found.Contains((18, 28)) && found.Contains((53, 43)));
    }

    [TestMethod]
    public void A_batchs_rows_are_pairs_of_documents_where_they_are_contrasted()
    {
        MaskedVocabulary vocabulary = Characters("abcdefghijklmnopqrstuvwxyz");
        var corpus = new TokenCorpus(vocabulary.Codec.VocabularySize);
        for (int document = 0; document < 26; document++)
        {
            corpus.StartDocument();
            corpus.Add([.. Enumerable.Repeat(document, 20 + document % 7)]);
        }
        MaskedLanguageModelOptions options = Small() with { ContextLength = 12, EmbeddingColumnName = "Embedding" };
        options = options.Resolve(vocabulary.Codec, 4);
        Assert.AreEqual(0.2, options.ContrastiveWeight);
        using var data = new MaskedTokens(corpus, vocabulary, options, 4, torch.CPU);
        var documents = new HashSet<long>();
        foreach (int rows in (int[])[8, 7])
        {
            foreach (Batch batch in data.Epoch(0, rows, 0, default))
            {
                Assert.AreEqual(rows, batch.Rows);
                long[] seen = [.. Enumerable.Range(0, rows).Select(row =>
                    batch[0][row].data<long>().Where(t => vocabulary.IsOrdinary((int)t)).GroupBy(t => t).MaxBy(g => g.Count())!.Key)];
                for (int row = 0; row < rows; row++)
                    Assert.AreEqual(seen[row / 2 * 2], seen[row]);
                documents.UnionWith(seen);
            }
        }
        Assert.IsGreaterThan(13, documents.Count);
        // What is not asked for, or cannot be, is not done.
        Assert.AreEqual(0, Small().Resolve(vocabulary.Codec, 4).ContrastiveWeight);
        foreach (MaskedLanguageModelOptions without in new[] { Small() with { GradientAccumulation = 2 }, Small() with { BatchSize = 3 } })
            Assert.AreEqual(0, (without with { EmbeddingColumnName = "Embedding" }).Resolve(vocabulary.Codec, 4).ContrastiveWeight);
        Assert.AreEqual(0.25, (Small() with { ContrastiveWeight = 0.25 }).Resolve(vocabulary.Codec, 4).ContrastiveWeight);
    }

    [TestMethod]
    public void Pairs_are_contrasted_by_the_cosines_of_their_vectors()
    {
        double[][] vectors = [[1, 2, 0], [2, 3, -1], [-1, 0.5, 2], [0, 1, 1], [5, 5, 5]];
        static double Cosine(double[] a, double[] b) =>
            a.Zip(b, (x, y) => x * y).Sum() / Math.Sqrt(a.Sum(x => x * x) * b.Sum(x => x * x));
        double sum = 0;
        for (int i = 0; i < 4; i++) // the fifth has no partner, and is nobody's other
        {
            int[] others = [.. Enumerable.Range(0, 4).Where(j => j != i)];
            double all = others.Sum(j => Math.Exp(Cosine(vectors[i], vectors[j]) / 0.1));
            sum -= Math.Log(Math.Exp(Cosine(vectors[i], vectors[i % 2 == 0 ? i + 1 : i - 1]) / 0.1) / all);
        }
        float Loss(int rows, params long[] prints)
        {
            using DisposeScope scope = torch.NewDisposeScope();
            return BertNetwork.Contrast(
                torch.tensor([.. vectors.Take(rows).SelectMany(v => v).Select(v => (float)v)], [rows, 3]),
                torch.tensor(prints.Length > 0 ? prints : [.. Enumerable.Range(0, rows).Select(i => (long)i)])).item<float>();
        }
        Assert.AreEqual(sum / 4, Loss(5), 1e-5);
        Assert.AreEqual(sum / 4, Loss(4), 1e-5);
        Assert.AreEqual(sum / 4, Loss(4, 7, 7, 8, 8), 1e-5); // a partner may be the same text
        Assert.AreEqual(0, Loss(4, 7, 7, 7, 7), 1e-6); // nobody else is another text
        Assert.AreEqual(0, Loss(2)); // there is nobody else
        Assert.AreEqual(0, Loss(1));
    }

    [TestMethod]
    public void Embeddings_of_neighbours_are_nearer_where_they_are_contrasted()
    {
        // A document is of one of six subjects. Its halves have no letter in common: that they belong together, only neighbours tell.
        var random = new SplitMix64(5);
        string Half(int subject, bool second, int length) => string.Concat(
            Enumerable.Range(0, length).Select(_ => (char)('a' + 4 * subject + (second ? 2 : 0) + random.Next(2))));
        string[] texts = [.. Enumerable.Range(0, 60).Select(i => Half(i % 6, false, 18) + Half(i % 6, true, 18))];
        string[] asked = [.. Enumerable.Range(0, 12).Select(i => Half(i % 6, i >= 6, 18))];
        double[] nearer = [.. new double[] { 0, 1 }.Select(weight =>
        {
            TrainingProgress last = null!;
            using MaskedLanguageModelTransformer model = _ml.Generative.MaskedLanguageModel(Small() with
            {
                Steps = 150, EmbeddingColumnName = "Embedding", ContrastiveWeight = weight, ValidationFraction = 0.1, Progress = new Listener(progress => last = progress),
            }).Fit(Texts(texts));
            CollectionAssert.AreEquivalent(weight > 0 ? new[] { "loss", "masked", "contrast" } : ["loss"], last.Losses.Keys.ToArray());
            CollectionAssert.AreEquivalent(weight > 0 ? new[] { "loss", "masked" } : ["loss"], last.Validation.Keys.ToArray());
            float[][] embeddings = [.. model.Transform(Texts(asked)).GetColumn<float[]>("Embedding")];
            double Cosine(int i, int j) => System.Numerics.Tensors.TensorPrimitives.CosineSimilarity<float>(embeddings[i], embeddings[j]);
            double same = Enumerable.Range(0, 6).Average(i => Cosine(i, i + 6));
            double others = Enumerable.Range(0, 6).Average(i => Enumerable.Range(6, 6).Where(j => j != i + 6).Average(j => Cosine(i, j)));
            return same - others;
        })];
        Console.WriteLine($"{nearer[0]:F3}, {nearer[1]:F3}");
        // At right angles and less between subjects, as far as six directions can be apart.
        Assert.IsGreaterThan(1, nearer[1]);
        Assert.IsLessThan(nearer[1], nearer[0]);
    }

    [TestMethod]
    public void A_pattern_is_filled_in_from_both_sides()
    {
        IReadOnlyList<IReadOnlyList<MaskFilling>> filled = s_pattern.Value.FillMask("ab[MASK]dab[MASK]dabc[MASK]", topK: 2);
        CollectionAssert.AreEqual(new[] { "c", "c", "d" }, filled.Select(f => f[0].Token).ToArray());
        foreach (IReadOnlyList<MaskFilling> fillings in filled)
        {
            Assert.HasCount(2, fillings);
            Assert.IsGreaterThan(0.8f, fillings[0].Probability);
        }
        Assert.AreEqual("a", s_pattern.Value.FillMask("[MASK]bcd")[0][0].Token); // by what follows alone
        float sum = s_pattern.Value.FillMask("[MASK]bcd", topK: 1000)[0].Sum(f => f.Probability);
        Assert.AreEqual(1, sum, 1e-5);
    }

    [TestMethod]
    public void A_pseudo_perplexity_is_what_filling_in_each_token_in_turn_gives()
    {
        MaskedLanguageModelTransformer model = s_pattern.Value;
        // The second one is longer than the window of 18: a token's window is around it.
        foreach (string text in (string[])["abcdacd", "bcdabcdabbdabcdaacdabcdabcdabcd"])
        {
            double sum = 0;
            for (int i = 0; i < text.Length; i++)
            {
                int first = Math.Clamp(i - 9, 0, Math.Max(0, text.Length - 18));
                string window = text[..i] + MaskedLanguageModelTransformer.MaskToken + text[(i + 1)..];
                window = window.Substring(first, Math.Min(18, text.Length) + MaskedLanguageModelTransformer.MaskToken.Length - 1);
                sum += Math.Log(model.FillMask(window, 1000)[0].Single(f => f.Token == text[i].ToString()).Probability);
            }
            Assert.AreEqual(sum, model.PseudoLogLikelihood(text), 1e-3 * Math.Abs(sum));
            IDataView scored = model.Transform(Texts(text));
            float score = scored.GetColumn<float>("Score").Single();
            Assert.AreEqual(-sum / text.Length, score, 1e-3 * Math.Abs(sum));
            Assert.AreEqual(MathF.Exp(score), scored.GetColumn<float>("Perplexity").Single());
        }
        Assert.AreEqual(0, model.PseudoLogLikelihood(""));
    }

    [TestMethod]
    public void A_score_of_whole_words_hides_what_follows_of_the_word()
    {
        using MaskedLanguageModelTransformer model = _ml.Generative.MaskedLanguageModel(
            Small() with { WholeWords = true, Steps = 20 }).Fit(Texts("abc de, f", "cb ad, a", "de fab"));
        // Of each character what is hidden with it, by hand.
        (string Hidden, char Token)[] masked =
        [
            ("### de", 'a'), ("a## de", 'b'), ("ab# de", 'c'), ("abc#de", ' '), ("abc ##", 'd'), ("abc d#", 'e'),
        ];
        double sum = masked.Sum(m => Math.Log(model.FillMask(m.Hidden.Replace("#", MaskedLanguageModelTransformer.MaskToken, StringComparison.Ordinal), 1000)[0]
            .Single(f => f.Token == m.Token.ToString()).Probability));
        Assert.AreEqual(sum, model.PseudoLogLikelihood("abc de"), 1e-4 * Math.Abs(sum));
    }

    [TestMethod]
    public void Rows_are_alike_alone_in_company_and_loaded_by_either_engine()
    {
        MaskedLanguageModelTransformer model = s_pattern.Value;
        string[] texts = ["abcd", "", "a", "zzz", "dcba", .. Enumerable.Range(0, 70).Select(i => string.Concat(Enumerable.Repeat("abd", i % 20)))];
        string[] together = ViewRows.Read(model.Transform(Texts(texts)));
        CollectionAssert.AreEqual(texts.Select(text => ViewRows.Read(model.Transform(Texts(text)))[0]).ToArray(), together);
        using var saved = new MemoryStream();
        _ml.Model.Save(model, null, saved);
        using (NativeParts.Pretend(null, new DllNotFoundException("libtorch")))
        {
            using var loaded = (MaskedLanguageModelTransformer)_ml.Model.Load(saved, out _);
            CollectionAssert.AreEqual(together, ViewRows.Read(loaded.Transform(Texts(texts))));
            Assert.AreEqual("c", loaded.FillMask("ab[MASK]d")[0][0].Token);
        }
        using (NativeParts.Pretend(new DllNotFoundException("onnxruntime"), null))
        {
            using var loaded = (MaskedLanguageModelTransformer)_ml.Model.Load(saved, out _);
            foreach (string column in (string[])["Score", "Embedding"])
            {
                OnnxFiles.AssertClose(
                    OnnxFiles.Column(model.Transform(Texts(texts)), column), OnnxFiles.Column(loaded.Transform(Texts(texts)), column), column);
            }
        }
    }

    [TestMethod]
    public void What_a_batch_was_made_of_goes_with_it_although_a_runs_scope_is_around_all()
    {
        var codec = new TokenCodec(new ByteTokenizer(), 11, null);
        MaskedLanguageModelOptions options = Small() with { ValidationFraction = 0.1 };
        using var data = new MaskedTokens(
            TinyGpt.Corpus(500), new MaskedVocabulary(codec, null), options.Resolve(codec, 0), 0, TorchSharp.torch.CPU);
        using TorchSharp.DisposeScope run = TorchSharp.torch.NewDisposeScope();
        long before = TorchSharp.torch.Tensor.TotalCount;
        foreach (Batch _ in data.Epoch(0, 8, 0, default))
            Assert.IsLessThanOrEqualTo(before + 3, TorchSharp.torch.Tensor.TotalCount);
        foreach (Batch held in data.Validation(8))
            held.Dispose(); // as the training loop does
        Assert.AreEqual(before, TorchSharp.torch.Tensor.TotalCount);
    }

    [TestMethod]
    public void Scores_of_empty_texts_are_no_numbers_and_their_embeddings_are()
    {
        IDataView scored = s_pattern.Value.Transform(Texts("", "a"));
        CollectionAssert.AreEqual(new[] { true, false }, scored.GetColumn<float>("Score").Select(float.IsNaN).ToArray());
        Assert.IsTrue(scored.GetColumn<float[]>("Embedding").SelectMany(e => e).All(float.IsFinite));
        Assert.AreEqual(32, s_pattern.Value.Width);
    }

    [TestMethod]
    public void What_cannot_be_filled_in_is_refused()
    {
        MaskedLanguageModelTransformer model = s_pattern.Value;
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.FillMask("abcd")).Message, "[MASK]");
        StringAssert.Contains(Assert.Throws<ArgumentException>(() => model.FillMask(new string('a', 40) + "[MASK]")).Message, "41 tokens");
        Assert.Throws<ArgumentOutOfRangeException>(() => model.FillMask("[MASK]", 0));
        Assert.Throws<ArgumentNullException>(() => model.FillMask(null!));
        using MaskedLanguageModelTransformer strict = _ml.Generative.MaskedLanguageModel(
            Small() with { Steps = 1, UnknownCharacters = UnknownCharacters.Error, ScoreColumnName = "Score" }).Fit(Texts("abc"));
        StringAssert.Contains(Assert.Throws<InvalidOperationException>(() => strict.FillMask("x[MASK]")).Message, "'x'");
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => strict.Transform(Texts("a", "ax")).GetColumn<float>("Score").ToArray()).ToString(),
            "Row 1");
    }

    [TestMethod]
    public void Options_out_of_range_are_refused_by_their_names()
    {
        foreach (MaskedLanguageModelOptions wrong in new MaskedLanguageModelOptions[]
        {
            new() { Layers = 0 }, new() { Heads = 3 }, new() { Width = 0 }, new() { ContextLength = 2 }, new() { Dropout = 1 },
            new() { MaskShare = 0 }, new() { MaskShare = 1 }, new() { TokenTypes = -1 }, new() { FeedForwardWidth = 0 },
            new() { LayerNormEpsilon = 0 }, new() { NormPlacement = (NormPlacement)5 }, new() { Pooling = (TextPooling)5 },
            new() { Gelu = (GeluForm)5 }, new() { Steps = 0 }, new() { ContrastiveWeight = -1 }, new() { ContrastiveWeight = double.NaN },
        })
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Generative.MaskedLanguageModel(wrong), wrong.ToString());
        }
        Assert.Throws<ArgumentException>(() => _ml.Generative.MaskedLanguageModel(new()
        {
            WordPieces = TinyBert.WordPieces(), BytePairVocabulary = 300,
        }));
        Assert.Throws<ArgumentException>(() => _ml.Generative.MaskedLanguageModel(new() { VocabularySize = 30 }));
        foreach (MaskedLanguageModelOptions wrong in new[] { Small() with { GradientAccumulation = 2 }, Small() with { BatchSize = 3 } })
        {
            StringAssert.Contains(Assert.Throws<ArgumentException>(
                () => _ml.Generative.MaskedLanguageModel(wrong with { ContrastiveWeight = 1 })).Message, "ContrastiveWeight is 1");
        }
        Assert.Throws<InvalidOperationException>(() => _ml.Generative.MaskedLanguageModel(Small()).Fit(Texts("", "")));
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(() => _ml.Generative.MaskedLanguageModel(
                Small() with { ValidationFraction = 0.5 }).Fit(Texts("a"))).Message, "ValidationFraction");
        // A document of one token, and texts longer than a window, are trained on.
        _ml.Generative.MaskedLanguageModel(Small() with { Steps = 2 }).Fit(Texts("a")).Dispose();
        _ml.Generative.MaskedLanguageModel(Small() with { Steps = 2, JoinRows = true }).Fit(Texts(new string('a', 90), "b")).Dispose();
    }

    [TestMethod]
    public void A_detector_finds_strange_texts_and_what_it_cannot_score_is_strange_too()
    {
        SchemaShape promised = _ml.AnomalyDetection.Trainers.MaskedLanguageModel()
            .GetOutputSchema(Rows.SchemaTests.Shape(Texts("").Schema));
        CollectionAssert.AreEqual(
            new[] { "Text", "PredictedLabel", "Score" }, promised.Select(column => column.Name).ToArray());
        string[] ordinary = [.. Enumerable.Range(0, 120).Select(i => string.Concat(Enumerable.Repeat("ab", 4 + i % 5)))];
        using MaskedLanguageModelTransformer detector = _ml.Generative.MaskedLanguageModel(Small() with
        {
            Steps = 100, Contamination = 0.05, ScoreColumnName = "Score", PredictedLabelColumnName = "PredictedLabel", PValueColumnName = "PValue",
        }).Fit(Texts(ordinary));
        IDataView scored = detector.Transform(Texts("abababab", "aabbbbaa", "", "ab?b"));
        CollectionAssert.AreEqual(
            new[] { false, true, true, true }, scored.GetColumn<bool>("PredictedLabel").ToArray());
        float[] pValues = [.. scored.GetColumn<float>("PValue")];
        Assert.IsGreaterThan(pValues[1], pValues[0]);
        Assert.IsTrue(float.IsNaN(pValues[2]));
        using var saved = new MemoryStream();
        _ml.Model.Save(detector, null, saved);
        using var loaded = (MaskedLanguageModelTransformer)_ml.Model.Load(saved, out _);
        Assert.AreEqual(detector.Threshold, loaded.Threshold);
        CollectionAssert.AreEqual(
            ViewRows.Read(scored), ViewRows.Read(loaded.Transform(Texts("abababab", "aabbbbaa", "", "ab?b"))));
    }

    [TestMethod]
    public void Word_pieces_and_byte_pairs_are_trained_saved_and_filled_in()
    {
        string[] texts = [.. Enumerable.Range(0, 30).Select(i => i % 2 == 0 ? "The cat sat on the mat." : "A dog ran unaffable.")];
        using MaskedLanguageModelTransformer pieces = _ml.Generative.MaskedLanguageModel(Small() with
        {
            WordPieces = TinyBert.WordPieces(), WholeWords = true, Steps = 300, LearningRate = 5e-3, NormPlacement = NormPlacement.After, TokenTypes = 2,
        }).Fit(Texts(texts));
        using var saved = new MemoryStream();
        _ml.Model.Save(pieces, null, saved);
        using var loaded = (MaskedLanguageModelTransformer)_ml.Model.Load(saved, out _);
        Assert.AreEqual(17, loaded.VocabularySize);
        foreach (MaskedLanguageModelTransformer model in new[] { pieces, loaded })
            Assert.AreEqual("mat", model.FillMask("the cat sat on the [MASK].")[0][0].Token);

        foreach (MaskedLanguageModelOptions learned in new[]
        {
            Small() with { BytePairVocabulary = 270, Steps = 3 }, Small() with { WordVocabulary = 270, WholeWords = true, Steps = 3 },
        })
        {
            using MaskedLanguageModelTransformer model = _ml.Generative.MaskedLanguageModel(learned).Fit(Texts(texts));
            saved.SetLength(0);
            _ml.Model.Save(model, null, saved);
            using var again = (MaskedLanguageModelTransformer)_ml.Model.Load(saved, out _);
            Assert.AreEqual(model.PseudoLogLikelihood("The cat"), again.PseudoLogLikelihood("The cat"));
        }
    }

    [TestMethod]
    public void Fitting_leaves_no_tensor_behind_and_no_random_state_changed()
    {
        void Train() => _ml.Generative.MaskedLanguageModel(
            Small() with { Steps = 5, Dropout = 0.2, ValidationFraction = 0.2 }).Fit(Texts("abcabcabcabc", "cabcabc", "abc")).Dispose();
        Train();
        long before = torch.Tensor.TotalCount;
        torch.manual_seed(3);
        Train();
        Assert.AreEqual(before, torch.Tensor.TotalCount);
        long next = torch.randint(1 << 30, [1]).item<long>();
        torch.manual_seed(3);
        Assert.AreEqual(torch.randint(1 << 30, [1]).item<long>(), next);
    }

    private static MaskedLanguageModelOptions Small() => new()
    {
        Layers = 1, Heads = 2, Width = 16, ContextLength = 20, BatchSize = 16, LearningRate = 1e-2, MatrixLearningRate = 0.02,
    };

    private static MaskedVocabulary Characters(string characters) =>
        new(TokenCodec.For(new CharacterTokenizer(characters)), null);

    private static IDataView Texts(params string[] texts) =>
        new MLContext(1).Data.LoadFromEnumerable(texts.Select(t => new TextRow { Text = t }));

    private sealed class Listener(Action<TrainingProgress> heard) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value) => heard(value);
    }

    private sealed class TextRow
    {
        public string Text { get; set; } = "";
    }
}
