namespace GenerativeML.Tests;

/// <summary>Each control against a distribution worked out by hand, and the draws against their distribution.</summary>
[TestClass]
public sealed class TokenSamplerTests
{
    // Probabilities 0.4, 0.3, 0.2, 0.1.
    private static readonly float[] Logits = Logs(0.4, 0.3, 0.2, 0.1);

    [TestMethod]
    public void Without_controls_the_distribution_is_the_models() =>
        AssertDistribution(new(), Logits, (0, 0.4), (1, 0.3), (2, 0.2), (3, 0.1));

    [TestMethod]
    public void Temperature_raises_probabilities_to_its_inverse()
    {
        // 0.16 : 0.09 : 0.04 : 0.01.
        AssertDistribution(
            new() { Temperature = 0.5f }, Logits, (0, 16 / 30.0), (1, 9 / 30.0), (2, 4 / 30.0), (3, 1 / 30.0));
        // √0.64 : √0.36.
        AssertDistribution(new() { Temperature = 2 }, Logs(0.64, 0.36), (0, 8 / 14.0), (1, 6 / 14.0));
    }

    [TestMethod]
    public void A_temperature_close_to_zero_leaves_the_likeliest() =>
        AssertDistribution(new() { Temperature = 1e-30f }, Logits, (0, 1), (1, 0), (2, 0), (3, 0));

    [TestMethod]
    public void TopK_keeps_the_likeliest()
    {
        AssertDistribution(new() { TopK = 2 }, Logits, (0, 4 / 7.0), (1, 3 / 7.0));
        AssertDistribution(new() { TopK = 1 }, Logs(0.1, 0.6, 0.3), (1, 1));
        AssertDistribution(new() { TopK = 9 }, Logits, (0, 0.4), (1, 0.3), (2, 0.2), (3, 0.1));
    }

    [TestMethod]
    public void Of_equally_likely_tokens_TopK_keeps_those_with_the_lowest_numbers() => AssertDistribution(
        new() { TopK = 3 }, Logs(0.1, 0.2, 0.1, 0.1, 0.2, 0.1, 0.2), (1, 1 / 3.0), (4, 1 / 3.0), (6, 1 / 3.0));

    [TestMethod]
    public void TopP_keeps_the_likeliest_up_to_the_one_that_reaches_it()
    {
        AssertDistribution(new() { TopP = 0.65f }, Logits, (0, 4 / 7.0), (1, 3 / 7.0));
        AssertDistribution(new() { TopP = 0.75f }, Logits, (0, 4 / 9.0), (1, 3 / 9.0), (2, 2 / 9.0));
        AssertDistribution(new() { TopP = 0.3f }, Logits, (0, 1));
        AssertDistribution(new() { TopP = 1e-6f }, Logs(0.2, 0.5, 0.3), (1, 1));
    }

    [TestMethod]
    public void MinP_keeps_what_is_likely_enough_beside_the_likeliest()
    {
        AssertDistribution(new() { MinP = 0.49f }, Logits, (0, 4 / 9.0), (1, 3 / 9.0), (2, 2 / 9.0));
        AssertDistribution(new() { MinP = 0.6f }, Logits, (0, 4 / 7.0), (1, 3 / 7.0));
        AssertDistribution(new() { MinP = 1 }, Logs(0.4, 0.4, 0.2), (0, 0.5), (1, 0.5));
    }

    [TestMethod]
    public void TypicalP_keeps_what_is_closest_to_the_entropy()
    {
        // −log p: 0.916, 1.204, 1.609, 2.303; entropy 1.280; distances 0.364, 0.076, 0.329, 1.023.
        AssertDistribution(new() { TypicalP = 0.25f }, Logits, (1, 1));
        AssertDistribution(new() { TypicalP = 0.45f }, Logits, (1, 0.6), (2, 0.4));
        AssertDistribution(new() { TypicalP = 0.85f }, Logits, (0, 4 / 9.0), (1, 3 / 9.0), (2, 2 / 9.0));
    }

    [TestMethod]
    public void Controls_follow_each_other_on_what_is_left()
    {
        // TopK leaves 4/9, 3/9, 2/9; of these TopP 0.75 leaves the first two (7/9), MinP 0.7 both, with 3/4.
        AssertDistribution(new() { TopK = 3, TopP = 0.75f, MinP = 0.7f }, Logits, (0, 4 / 7.0), (1, 3 / 7.0));
        AssertDistribution(new() { TopK = 3, TopP = 0.75f, MinP = 0.8f }, Logits, (0, 1));
        // Temperature comes first: squared, the first has 16/30, more than half.
        AssertDistribution(new() { Temperature = 0.5f, TopP = 0.5f }, Logits, (0, 1));
    }

    [TestMethod]
    public void Biases_are_added_and_minus_infinity_forbids() => AssertDistribution(
        new() { LogitBias = new Dictionary<int, float> { [0] = float.NegativeInfinity, [3] = MathF.Log(5) } },
        Logits, (1, 0.3), (2, 0.2), (3, 0.5));

    [TestMethod]
    public void The_repetition_penalty_makes_what_was_there_less_likely_whatever_the_sign()
    {
        var sampler = new TokenSampler(new() { RepetitionPenalty = 2 }, 4, seed: 0);
        sampler.AddPrompt(0);
        sampler.AddPrompt(1);
        sampler.AddPrompt(1);
        float[] logits = [3, -1, 3, -1];
        sampler.Penalize(logits);
        CollectionAssert.AreEqual(new float[] { 1.5f, -2, 3, -1 }, logits);
    }

    [TestMethod]
    public void Frequency_counts_what_was_generated_and_presence_does_not_count()
    {
        GenerationOptions options = new() { Temperature = 0, FrequencyPenalty = 0.5f, PresencePenalty = 0.25f };
        var sampler = new TokenSampler(options, 3, seed: 0);
        sampler.AddPrompt(0); // what the prompt has is not counted
        int[] drawn = [.. Enumerable.Range(0, 5).Select(_ => sampler.Next([0, 2, 1]))];
        // 1: 2, then 1.25; 0.75 loses to token 2 with 1, which has 0.25 from then on. 1: 0.75, then 0.25 as token 2: a
        // tie, which the lower number wins.
        CollectionAssert.AreEqual(new[] { 1, 1, 2, 1, 1 }, drawn);
        float[] logits = [0, 2, 1];
        sampler.Penalize(logits);
        CollectionAssert.AreEqual(new[] { 0, 2 - 4 * 0.5f - 0.25f, 1 - 0.5f - 0.25f }, logits);
    }

    [TestMethod]
    public void Temperature_zero_takes_the_likeliest_and_of_equal_ones_the_lowest_number()
    {
        var sampler = new TokenSampler(new() { Temperature = 0 }, 5, seed: 0);
        Assert.AreEqual(1, sampler.Next([1, 3, 2, 3, float.NegativeInfinity]));
        GenerationOptions biases = new() { Temperature = 0, LogitBias = new Dictionary<int, float> { [2] = 2 } };
        var biased = new TokenSampler(biases, 3, seed: 0);
        Assert.AreEqual(2, biased.Next([1, 3, 2]));
    }

    [TestMethod]
    [DataRow(0f)]
    [DataRow(1f)]
    public void Where_everything_is_forbidden_or_not_a_number_there_is_an_error(float temperature)
    {
        Assert.ThrowsExactly<InvalidOperationException>(
            () => new TokenSampler(new(), 2, seed: 0).Next([float.PositiveInfinity, 1]));
        GenerationOptions none = new() { Temperature = temperature };
        foreach (float logit in (float[])[float.NegativeInfinity, float.NaN])
        {
            var sampler = new TokenSampler(none, 2, seed: 0);
            Assert.ThrowsExactly<InvalidOperationException>(() => sampler.Next([logit, logit]));
        }
    }

    [TestMethod]
    public void Draws_follow_their_distribution()
    {
        const int draws = 20_000;
        var sampler = new TokenSampler(new() { TopK = 6 }, 8, seed: 3);
        float[] logits = Logs(0.02, 0.25, 0.01, 0.2, 0.15, 0.12, 0.05, 0.2);
        double[] expected = [0, 0.25, 0, 0.2, 0.15, 0.12, 0.05, 0.2];
        var counts = new int[8];
        for (int i = 0; i < draws; i++)
            counts[sampler.Next([.. logits])]++;

        Assert.AreEqual(0, counts[0] + counts[2]);
        double sum = expected.Sum(), chiSquare = 0;
        for (int token = 0; token < 8; token++)
        {
            double often = draws * expected[token] / sum;
            chiSquare += often > 0 ? Math.Pow(counts[token] - often, 2) / often : 0;
        }
        // Of five degrees of freedom: exceeded in one of a thousand seeds.
        Assert.IsLessThan(20.5, chiSquare);
        // And not the same every time either.
        Assert.IsGreaterThan(0.1, chiSquare);
    }

    [TestMethod]
    public void The_seed_decides_the_draws()
    {
        int[] first = Draws(1), again = Draws(1), other = Draws(2);
        CollectionAssert.AreEqual(first, again);
        CollectionAssert.AreNotEqual(first, other);

        static int[] Draws(int seed)
        {
            var sampler = new TokenSampler(new(), 4, seed);
            return [.. Enumerable.Range(0, 50).Select(_ => sampler.Next([.. Logits]))];
        }
    }

    [TestMethod]
    public void The_largest_of_many_are_those_of_sorting()
    {
        var random = new SplitMix64(5);
        Candidate[] all = [.. Enumerable.Range(0, 500).Select(i => new Candidate(i, random.Next(60)))];
        int[] sorted = [.. all.OrderByDescending(c => c.Weight).ThenBy(c => c.Token).Take(70).Select(c => c.Token)];
        int[] largest = [.. TokenSampler.Largest(all, 70).ToArray().Select(c => c.Token)];
        CollectionAssert.AreEqual(sorted, largest);
    }

    private static void AssertDistribution(
        GenerationOptions options, float[] logits, params (int Token, double Probability)[] expected)
    {
        options.Validate();
        var sampler = new TokenSampler(options, logits.Length, seed: 0);
        float[] penalized = [.. logits];
        sampler.Penalize(penalized);
        Candidate[] actual = [.. sampler.Distribution(penalized).ToArray().OrderBy(c => c.Token)];
        CollectionAssert.AreEqual(expected.Select(e => e.Token).ToArray(), actual.Select(c => c.Token).ToArray());
        foreach (((int token, double probability), Candidate candidate) in expected.Zip(actual))
            Assert.AreEqual(probability, candidate.Weight, 1e-5, $"token {token}");
    }

    // Shifted: only differences of logits matter.
    private static float[] Logs(params double[] probabilities) =>
        [.. probabilities.Select(p => (float)Math.Log(p) + 3)];
}
