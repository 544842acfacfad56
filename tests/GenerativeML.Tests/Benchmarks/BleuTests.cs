using GenerativeML.Benchmarks;

namespace GenerativeML.Tests.Benchmarks;

[TestClass]
public sealed class BleuTests
{
    private static readonly string[] Texts =
        ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."];

    private static readonly string[][] References =
    [
        ["The dog bit the man.", "It was not unexpected.", "The man bit him first."],
        ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."],
    ];

    [TestMethod]
    public void Published_examples_of_sacrebleu_come_out()
    {
        Assert.AreEqual(48.530827, Bleu.Score(Texts, References), 1e-6);
        Assert.AreEqual(0, Bleu.Score(["", "", ""], References));
        Assert.AreEqual(100, Bleu.Score(["this is a test"], [["this is a test"]]), 1e-9);
    }

    [TestMethod]
    public void Precisions_of_zero_are_halved_and_short_texts_are_penalised()
    {
        // Three of four words, one of three pairs, no more: 3/4, 1/3, 1/(2·2), 1/(4·1).
        Assert.AreEqual(
            100 * Math.Pow(0.75 / 3 / 4 / 4, 0.25), Bleu.Score(["this is a fest"], [["this is one a test"]]) / Math.Exp(1 - 5 / 4.0),
            1e-9);
        // A perfect beginning: e to the power of 1 − 8/4.
        Assert.AreEqual(100 * Math.Exp(-1), Bleu.Score(["a b c d"], [["a b c d e f g h"]]), 1e-9);
        Assert.AreEqual(0, Bleu.Score(["a b c"], [["a b c"]]), "without a single four words it is not defined");
    }

    [TestMethod]
    public void Words_are_those_of_mteval_13a()
    {
        CollectionAssert.AreEqual(
            "It wasn't 1,000.5 dollars ( or 3 - 4 ) , \" said \" he - well-known - & left .".Split(' '),
            Bleu.Tokenize("It wasn't 1,000.5 dollars (or 3-4), &quot;said&quot; he - well-known - &amp; left."));
        CollectionAssert.AreEqual("Mr . Smith , aged 5 , ran .".Split(' '), Bleu.Tokenize("Mr. Smith, aged 5, ran."));
    }

    [TestMethod]
    public void Pairs_of_a_seed_are_unique_and_right()
    {
        (TextPair[] training, TextPair[] held) = TextPairTasks.Addition(1);
        Assert.HasCount(45_000, training);
        Assert.HasCount(5_000, held);
        HashSet<string> known = [];
        foreach (TextPair pair in training.Concat(held))
        {
            int[] numbers = [.. new string([.. pair.Source.Reverse()]).Split('+').Select(int.Parse)];
            Assert.AreEqual(numbers.Sum(), int.Parse(pair.Target, System.Globalization.CultureInfo.InvariantCulture));
            Assert.IsTrue(known.Add(string.Join('+', numbers.Order())));
        }
        (training, held) = TextPairTasks.Dates(1);
        Assert.HasCount(25_000, training.Concat(held).Select(pair => pair.Source).Distinct().ToArray());
        Assert.AreEqual(held[0].Source, TextPairTasks.Dates(1).Held[0].Source);
        TextPair spelled = training.First(pair => pair.Source.StartsWith("the 2nd day of", StringComparison.Ordinal));
        StringAssert.EndsWith(spelled.Target, "-02");
    }
}
