namespace GenerativeML.Tests;

/// <summary>A trained GPT: what it generates, and how likely it holds sequences.</summary>
[TestClass]
public sealed class TrainedGptTests
{
    private static readonly GptNetwork Network = RandomGpt.Network();

    [TestMethod]
    public void A_greedy_text_is_the_argmax_after_the_window_of_the_stated_rule()
    {
        // Independent of cache and sequence: the window is cut by the rule, and evaluated from nothing for each token.
        HostWeights weights = RandomGpt.Weights(Network);
        using var model = new TrainedGpt(Network, weights);
        foreach (int promptLength in (int[])[1, 5, 12, 30])
        {
            int[] prompt = RandomGpt.Tokens(promptLength);
            List<int> window = [.. prompt.TakeLast(Network.Options.ContextLength)], expected = [];
            for (int i = 0; i < 40; i++)
            {
                if (window.Count > Network.Options.ContextLength)
                    window = [.. window.TakeLast(Network.Options.ContextLength / 2)];
                int token = Argmax(LastLogits(Network, weights, window));
                expected.Add(token);
                window.Add(token);
            }
            CollectionAssert.AreEqual(expected, Ids(model.Stream(prompt, Greedy(40))), $"prompt of {promptLength}");
        }
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    public void The_smallest_windows_slide_too(int context)
    {
        using TrainedGpt model = RandomGpt.Model(RandomGpt.Network(context: context));
        Assert.HasCount(20, Ids(model.Stream([3, 4, 5, 6], Greedy(20))));
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(2)]
    [DataRow(3)]
    public void A_sequence_becomes_the_same_alone_and_among_others_to_the_bit(int threads)
    {
        using TrainedGpt model = RandomGpt.Model(threads: threads);
        GenerationOptions options = new()
        {
            MaxNewTokens = 30,
            Temperature = 0.9f,
            TopP = 0.95f,
            RepetitionPenalty = 1.1f,
            StopTokens = [4],
            Seed = 5,
            LogProbabilities = true,
            Alternatives = 2,
        };
        // More than one run of the network holds, of all lengths.
        int[][] prompts = [.. Enumerable.Range(0, 70).Select(i => RandomGpt.Tokens(1 + i * 7 % 40, seed: (ulong)i))];
        (List<GeneratedToken>[] together, FinishReason[] reasons) = Generate(model, prompts, options);
        for (int i = 0; i < prompts.Length; i++)
        {
            GeneratedToken[] alone = [.. model.Stream(prompts[i], options)];
            AssertSame(alone, together[i]);
            Assert.AreEqual(alone.Length < 30 ? FinishReason.StopToken : FinishReason.Length, reasons[i]);
        }
        Assert.Contains(FinishReason.Length, reasons);
        Assert.Contains(FinishReason.StopToken, reasons);
    }

    [TestMethod]
    public void A_sequence_that_is_not_accepted_ends_and_the_others_go_on()
    {
        using TrainedGpt model = RandomGpt.Model();
        int[] counts = new int[3];
        FinishReason[] reasons = model.Generate(
            [[1], [2], [3]], new() { MaxNewTokens = 9, Seed = 1 }, (number, _) => ++counts[number] < 4 || number != 1);
        CollectionAssert.AreEqual(new[] { 9, 4, 9 }, counts);
        CollectionAssert.AreEqual(
            new[] { FinishReason.Length, FinishReason.StopString, FinishReason.Length }, reasons);
    }

    [TestMethod]
    public void Log_probabilities_are_the_models_own_and_alternatives_its_likeliest()
    {
        HostWeights weights = RandomGpt.Weights(Network);
        using var model = new TrainedGpt(Network, weights);
        GenerationOptions options = new()
        {
            MaxNewTokens = 6,
            Temperature = 1.5f,
            TopK = 4,
            LogitBias = new Dictionary<int, float> { [2] = 3 },
            FrequencyPenalty = 0.3f,
            LogProbabilities = true,
            Alternatives = 3,
            Seed = 8,
        };
        List<int> window = [5, 6];
        foreach (GeneratedToken token in model.Stream([5, 6], options))
        {
            double[] logits = [.. LastLogits(Network, weights, window).Select(l => (double)l)];
            double logSum = Math.Log(logits.Sum(Math.Exp));
            Assert.AreEqual(logits[token.Id] - logSum, token.LogProbability, 1e-5);
            int[] likeliest = [.. Enumerable.Range(0, logits.Length).OrderByDescending(t => logits[t]).Take(3)];
            CollectionAssert.AreEqual(likeliest, token.Alternatives.Select(a => a.Id).ToArray());
            foreach (TokenAlternative alternative in token.Alternatives)
                Assert.AreEqual(logits[alternative.Id] - logSum, alternative.LogProbability, 1e-5);
            window.Add(token.Id);
        }
        GeneratedToken plain = model.Stream([5], new() { MaxNewTokens = 1 }).Single();
        Assert.IsTrue(float.IsNaN(plain.LogProbability));
        Assert.IsEmpty(plain.Alternatives);
    }

    [TestMethod]
    public void The_same_seed_gives_the_same_text_and_none_gives_others()
    {
        using TrainedGpt model = RandomGpt.Model();
        GenerationOptions seeded = new() { MaxNewTokens = 40, Seed = 3 }, free = new() { MaxNewTokens = 40 };
        IEnumerable<GeneratedToken> stream = model.Stream([1], seeded);
        CollectionAssert.AreEqual(Ids(stream), Ids(stream), "enumerated twice");
        CollectionAssert.AreNotEqual(Ids(model.Stream([1], free)), Ids(model.Stream([1], free)));
        CollectionAssert.AreNotEqual(Ids(model.Stream([1], seeded)), Ids(model.Stream([1], seeded with { Seed = 4 })));
    }

    [TestMethod]
    public void Ten_thousand_tokens_take_no_more_memory_than_a_thousand()
    {
        using TrainedGpt model = RandomGpt.Model(RandomGpt.Network(context: 64));
        GenerationOptions options = new() { MaxNewTokens = 10_000, Seed = 1, RepetitionPenalty = 1.05f };
        List<(long Live, long Allocated)> memory = [];
        int count = 0;
        foreach (GeneratedToken _ in model.Stream([1], options))
        {
            if (++count % 3000 == 1000)
                memory.Add((GC.GetTotalMemory(true), GC.GetTotalAllocatedBytes()));
        }
        // What grows with tokens grows in each part; what the test's host keeps for itself meanwhile does not.
        long grown = memory.Zip(memory.Skip(1), (before, after) => after.Live - before.Live).Min();
        long allocated = memory[^1].Allocated - memory[0].Allocated;
        Assert.AreEqual(10_000, count);
        Assert.IsLessThan(50_000, grown, "live bytes");
        Assert.IsLessThan(500 * 9000, allocated, "allocated bytes: some hundred for each token");
    }

    [TestMethod]
    public void Losses_and_embeddings_are_those_of_the_training_network()
    {
        GptNetwork network = RandomGpt.Network(context: 30);
        HostWeights weights = RandomGpt.Weights(network);
        using var model = new TrainedGpt(network, weights);
        int width = network.Options.Width;
        int[][] sequences = [RandomGpt.Tokens(30), RandomGpt.Tokens(2), RandomGpt.Tokens(1), [], RandomGpt.Tokens(17)];
        var losses = new float[5];
        var embeddings = new float[5 * width];
        model.Evaluate(sequences, losses, embeddings);

        for (int s = 0; s < sequences.Length; s++)
        {
            int[] tokens = sequences[s];
            double loss = 0;
            for (int i = 1; i < tokens.Length; i++)
            {
                float[] logits = LastLogits(network, weights, tokens[..i]);
                loss += Math.Log(logits.Sum(l => Math.Exp(l))) - logits[tokens[i]];
            }
            double mean = tokens.Length < 2 ? double.NaN : loss / (tokens.Length - 1);
            Assert.AreEqual(mean, losses[s], 1e-4, $"sequence {s}");
        }
        Assert.IsTrue(float.IsNaN(embeddings[3 * width]), "nothing has no embedding");

        float[] hidden = TinyGpt.Forward(network, weights, sequences[4]).Hidden;
        for (int c = 0; c < width; c++)
        {
            double mean = Enumerable.Range(0, 17).Average(i => (double)hidden[i * width + c]);
            Assert.AreEqual(mean, embeddings[4 * width + c], 1e-4);
        }
    }

    [TestMethod]
    public void Long_sequences_are_scored_as_they_would_be_generated()
    {
        using TrainedGpt model = RandomGpt.Model();
        GeneratedToken[] text =
            [.. model.Stream([7], new() { MaxNewTokens = 100, Seed = 2, LogProbabilities = true })];
        var losses = new float[1];
        model.Evaluate([[7, .. text.Select(t => t.Id)]], losses, default);
        Assert.AreEqual(-text.Average(t => (double)t.LogProbability), losses[0], 1e-5);
    }

    [TestMethod]
    public void Prompts_and_tokens_that_cannot_be_are_refused_before_any_work()
    {
        using TrainedGpt model = RandomGpt.Model();
        GenerationOptions strict = new() { LongPrompts = LongPrompts.Error };
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.Stream([1], new() { StopTokens = [23] }));
        Assert.ThrowsExactly<ArgumentException>(() => model.Stream(RandomGpt.Tokens(13), strict));
        Assert.HasCount(256, Ids(model.Stream(RandomGpt.Tokens(12), strict)));
    }

    [TestMethod]
    public void Cancelling_ends_streams_and_batches_with_its_own_exception()
    {
        using TrainedGpt model = RandomGpt.Model(threads: 2);
        using var source = new CancellationTokenSource();
        GenerationOptions endless = new() { MaxNewTokens = int.MaxValue, Seed = 1 };
        int count = 0;
        Assert.ThrowsExactly<OperationCanceledException>(() =>
        {
            foreach (GeneratedToken _ in model.Stream([1], endless, source.Token))
            {
                if (++count == 5)
                    source.Cancel();
            }
        });
        Assert.AreEqual(5, count);

        using var second = new CancellationTokenSource();
        Assert.ThrowsExactly<OperationCanceledException>(() => model.Generate(
            [[1], [2], [3]], endless,
            (number, _) =>
            {
                if (number == 2)
                    second.Cancel();
                return true;
            },
            second.Token));
    }

    [TestMethod]
    public void A_disposed_model_makes_anew_what_it_needs()
    {
        using TrainedGpt model = RandomGpt.Model();
        int[] before = [.. model.Stream([1], Greedy(10)).Select(t => t.Id)];
        model.Dispose();
        model.Dispose();
        CollectionAssert.AreEqual(before, model.Stream([1], Greedy(10)).Select(t => t.Id).ToArray());
    }

    private static GenerationOptions Greedy(int count) => new() { Temperature = 0, MaxNewTokens = count };

    private static int[] Ids(IEnumerable<GeneratedToken> tokens) => [.. tokens.Select(t => t.Id)];

    private static (List<GeneratedToken>[], FinishReason[]) Generate(
        TrainedGpt model, int[][] prompts, GenerationOptions options)
    {
        List<GeneratedToken>[] texts = [.. prompts.Select(_ => new List<GeneratedToken>())];
        FinishReason[] reasons = model.Generate(
            prompts, options,
            (number, token) =>
            {
                texts[number].Add(token);
                return true;
            });
        return (texts, reasons);
    }

    private static void AssertSame(IReadOnlyList<GeneratedToken> expected, IReadOnlyList<GeneratedToken> actual)
    {
        Assert.HasCount(expected.Count, actual);
        for (int i = 0; i < expected.Count; i++)
        {
            Assert.AreEqual(expected[i].Id, actual[i].Id);
            Assert.AreEqual(expected[i].LogProbability, actual[i].LogProbability);
            CollectionAssert.AreEqual(expected[i].Alternatives.ToArray(), actual[i].Alternatives.ToArray());
        }
    }

    private static int Argmax(float[] logits) => Array.IndexOf(logits, logits.Max());

    // By torch, all at once and without a cache.
    private static float[] LastLogits(GptNetwork network, HostWeights weights, IReadOnlyList<int> tokens) =>
        TinyGpt.Forward(network, weights, tokens).Logits[^network.VocabularySize..];
}
