using TorchSharp;

namespace GenerativeML.Tests;

[TestClass]
public class TokenWindowsTests
{
    [TestMethod]
    [DataRow(100)]
    [DataRow(70_000)]
    public void A_corpus_gives_back_what_was_added_over_pages_and_of_either_width(int vocabulary)
    {
        var corpus = new TokenCorpus(vocabulary);
        int[] tokens = [.. Enumerable.Range(0, 1_300_000).Select(i => (int)(i * 7919L % vocabulary))];
        corpus.Add(tokens.AsSpan(0, 777));
        corpus.Add(tokens.AsSpan(777));
        Assert.AreEqual(tokens.Length, corpus.Count);
        foreach (int start in new[] { 0, 770, (1 << 20) - 3, tokens.Length - 10 })
        {
            long[] copy = new long[10];
            corpus.CopyTo(start, copy);
            CollectionAssert.AreEqual(tokens[start..(start + 10)].Select(t => (long)t).ToArray(), copy);
        }
    }

    [TestMethod]
    public void Texts_beyond_the_budget_are_refused()
    {
        var corpus = new TokenCorpus(5, budgetBytes: 3 << 20); // a page and a half
        InvalidOperationException error = Assert.ThrowsExactly<InvalidOperationException>(
            () => corpus.Add(new int[1_100_000]));
        StringAssert.Contains(error.Message, "CacheBudgetBytes");
    }

    [TestMethod]
    public void Validation_covers_each_token_of_the_end_once_and_training_stays_before_it()
    {
        var corpus = new TokenCorpus(1000);
        corpus.Add([.. Enumerable.Range(0, 1000)]);
        using var windows = new TokenWindows(corpus, 7, 0.1, 0, torch.CPU);
        List<long> targets = [];
        double weight = 0;
        foreach (Batch batch in windows.Validation(3))
        {
            using torch.Tensor tokens = batch[0];
            foreach (long[] row in Rows(tokens))
            {
                for (int i = 1; i < row.Length; i++)
                    Assert.AreEqual(row[i - 1] + 1, row[i]);
                targets.AddRange(row[1..]);
            }
            weight += batch.Weight;
        }
        CollectionAssert.AreEqual(Enumerable.Range(901, 99).Select(i => (long)i).ToArray(), targets);
        Assert.AreEqual(99, weight);

        HashSet<long> seen = [];
        for (int epoch = 0; epoch < 60; epoch++)
        {
            foreach (Batch batch in windows.Epoch(epoch, 5, 0, default))
                seen.UnionWith(Rows(batch[0]).SelectMany(r => r));
        }
        Assert.AreEqual(899, seen.Max());
        Assert.AreEqual(0, seen.Min());
    }

    [TestMethod]
    public void An_epoch_may_begin_in_its_middle_and_holds_the_same_windows()
    {
        using var windows = new TokenWindows(TinyGpt.Corpus(300), 8, 0, 4, torch.CPU);
        long[][] All(long skip) =>
            [.. windows.Epoch(2, 3, skip, default).Select(b => Rows(b[0]).SelectMany(r => r).ToArray())];
        long[][] whole = All(0), rest = All(5);
        Assert.HasCount(13, whole);
        Assert.HasCount(8, rest);
        for (int i = 0; i < rest.Length; i++)
            CollectionAssert.AreEqual(whole[i + 5], rest[i]);
    }

    [TestMethod]
    public void Where_documents_start_about_half_of_the_windows_do()
    {
        var corpus = new TokenCorpus(10_000);
        for (int document = 0; document < 100; document++)
        {
            corpus.StartDocument();
            corpus.Add([.. Enumerable.Range(100 * document, 100)]);
        }
        using var windows = new TokenWindows(corpus, 10, 0, 1, torch.CPU);
        long[] first = [.. windows.Epoch(0, 10, 0, default).SelectMany(b => Rows(b[0])).Select(r => r[0])];
        int starts = first.Count(t => t % 100 == 0);
        Assert.IsTrue(starts > 0.42 * first.Length && starts < 0.6 * first.Length, $"{starts} of {first.Length}");
    }

    private static long[][] Rows(torch.Tensor tokens)
    {
        long[] all = tokens.data<long>().ToArray();
        return [.. all.Chunk((int)tokens.shape[1])];
    }
}
