using System.Text;
using Microsoft.ML.Tokenizers;

namespace GenerativeML.Tests.Gpt;

/// <summary>Byte-pair vocabularies that are learned from a text.</summary>
[TestClass]
public sealed class BytePairTrainingTests
{
    [TestMethod]
    public void The_merges_are_those_that_counting_anew_each_time_gives()
    {
        var random = new Random(5);
        for (int round = 0; round < 20; round++)
        {
            string[] texts = [.. Enumerable.Range(0, 30).Select(_ => Text(random))];
            BytePairTokenizer learned = BytePairTokenizer.Train(
                texts, new() { VocabularySize = 300, EndOfText = false });
            CollectionAssert.AreEqual(MergesByCounting(texts, 300 - 256, 2), learned.Merges.ToArray());
        }
    }

    [TestMethod]
    public void The_library_joins_what_was_learned_to_be_joined()
    {
        string text = "low low low low low lower lower newest newest newest newest newest newest widest widest widest";
        BytePairTokenizer learned = BytePairTokenizer.Train([text], new() { VocabularySize = 266, EndOfText = false });
        CollectionAssert.AreEqual(
            new[] { "e s", "es t", "l o", "lo w", "e w", "n ew", "Ġ low", "Ġ new", "Ġnew est", "d est" },
            learned.Merges.ToArray());
        IReadOnlyList<EncodedToken> tokens = learned.EncodeToTokens(" low newest slow", out _);
        CollectionAssert.AreEqual(
            new[] { "Ġlow", "Ġnewest", "Ġ", "s", "low" }, tokens.Select(t => t.Value).ToArray());
    }

    [TestMethod]
    public void Learning_stops_where_no_pair_is_frequent_enough_and_when_told_to()
    {
        BytePairTokenizer few = BytePairTokenizer.Train(
            ["ab ab cd"], new() { VocabularySize = 5000, MinFrequency = 2 });
        CollectionAssert.AreEqual(new[] { "a b" }, few.Merges.ToArray());
        Assert.AreEqual(258, few.VocabularySize);
        Assert.AreEqual(257, BytePairTokenizer.Train([]).VocabularySize);

        using var source = new CancellationTokenSource();
        var shares = new List<double>();
        BytePairTokenizer.Train(
            [Text(new Random(1)) + string.Concat(Enumerable.Range(0, 3000).Select(i => $" w{i % 977}"))],
            new() { VocabularySize = 600, Progress = new Listener(shares.Add) });
        Assert.AreEqual(1, shares[^1]);
        Assert.IsTrue(shares.Count > 3 && shares.Zip(shares.Skip(1)).All(p => p.First <= p.Second));
        source.Cancel();
        Assert.Throws<OperationCanceledException>(
            () => BytePairTokenizer.Train(["ab ab"], new() { CancellationToken = source.Token }));
        Assert.Throws<ArgumentOutOfRangeException>(
            () => BytePairTokenizer.Train(["a"], new() { VocabularySize = 256 }));
    }

    [TestMethod]
    public void A_vocabulary_comes_back_from_its_two_files_which_the_library_reads_too()
    {
        string folder = Directory.CreateTempSubdirectory("generativeml-").FullName;
        try
        {
            string vocabulary = Path.Combine(folder, "vocab.json"), merges = Path.Combine(folder, "merges.txt");
            BytePairTokenizer learned = BytePairTokenizer.Train(
                ["é😀 \" \\ < é😀 \" \\ <"], new() { VocabularySize = 280 });
            learned.Save(vocabulary, merges);
            BytePairTokenizer back = BytePairTokenizer.Load(vocabulary, merges);
            CollectionAssert.AreEqual(learned.Tokens.ToArray(), back.Tokens.ToArray());
            CollectionAssert.AreEqual(learned.Merges.ToArray(), back.Merges.ToArray());
            Assert.AreEqual("#version: 0.2", File.ReadLines(merges).First());

            File.WriteAllText(vocabulary, "{\"a\": 1}");
            Assert.Throws<FormatException>(() => BytePairTokenizer.Load(vocabulary, merges));
            File.WriteAllText(vocabulary, "[");
            Assert.Throws<FormatException>(() => BytePairTokenizer.Load(vocabulary, merges));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void What_the_library_would_pass_over_in_silence_is_refused()
    {
        Dictionary<string, int> bytes = BytePairTokenizer.Train([]).Tokens.Select((t, id) => (t, id)).ToDictionary();
        Refused("'a b'", bytes, "a b");
        Refused("'a'", bytes, "a");
        Refused("'Ġ'", bytes.Where(t => t.Key != "Ġ").Select((t, id) => (t.Key, id)).ToDictionary());
        Refused("'é x'", bytes.Append(new("é x", 257)).ToDictionary());
        Refused("each once", bytes.Append(new("ab", 999)).ToDictionary());
        Refused("twice", bytes.Append(new("ab", 257)).ToDictionary(), "a b", "a b");

        static void Refused(string named, Dictionary<string, int> vocabulary, params string[] merges) =>
            StringAssert.Contains(
                Assert.Throws<ArgumentException>(() => BytePairTokenizer.Create(vocabulary, merges)).Message, named);
    }

    [TestMethod]
    public void GPT_2s_files_give_GPT_2s_ids()
    {
        BytePairTokenizer gpt2 = BytePairTokenizer.Load(
            TestData.Find("tokenizer/gpt2_encoder.json"), TestData.Find("tokenizer/gpt2_vocab.bpe"));
        Assert.AreEqual((50257, 50256), (gpt2.VocabularySize, gpt2.EndOfTextId!.Value));
        CollectionAssert.AreEqual(new[] { 15496, 995 }, gpt2.EncodeToIds("Hello world").ToArray());
        string odd = "Ünïcödé 日本語 👩‍👩‍👧‍👦 e\u0301\u0000\r\n\n  x\u00A0y '' it's 'LL 12345²";
        CollectionAssert.AreEqual(
            EncodeByRank(gpt2, odd), gpt2.EncodeToIds(odd).ToArray());
        Assert.AreEqual(odd, gpt2.Decode(gpt2.EncodeToIds(odd)));
        Assert.AreEqual("a\uFFFDb", gpt2.Decode(gpt2.EncodeToIds("a\uD800b")));
    }

    private static string Text(Random random) => string.Concat(
        Enumerable.Range(0, random.Next(1, 12)).Select(_ => (random.Next(4) == 0 ? " " : "")
            + string.Concat(Enumerable.Range(0, random.Next(1, 6)).Select(_ => "aabcé"[random.Next(5)]))));

    private static int[] EncodeByRank(BytePairTokenizer tokenizer, string text)
    {
        var ranks = tokenizer.Merges.Select((merge, rank) => (merge, rank)).ToDictionary();
        Dictionary<string, int> ids = tokenizer.Tokens.Select((token, id) => (token, id)).ToDictionary();
        var result = new List<int>();
        foreach (List<string> word in Words([text], tokenizer.Tokens))
        {
            while (true)
            {
                (int Rank, int At) best = Enumerable.Range(0, word.Count - 1)
                    .Select(i => (ranks.GetValueOrDefault($"{word[i]} {word[i + 1]}", int.MaxValue), i))
                    .DefaultIfEmpty((int.MaxValue, 0)).Min();
                if (best.Rank == int.MaxValue)
                    break;
                word[best.At] += word[best.At + 1];
                word.RemoveAt(best.At + 1);
            }
            result.AddRange(word.Select(token => ids[token]));
        }
        return [.. result];
    }

    private static string[] MergesByCounting(string[] texts, int count, long least)
    {
        string[] bytes = [.. BytePairTokenizer.Train([]).Tokens];
        List<string> tokens = [.. bytes[..256]];
        List<List<string>> words = Words(texts, tokens);
        var merges = new List<string>();
        while (merges.Count < count)
        {
            var best = words.SelectMany(w => w.Zip(w.Skip(1))).GroupBy(p => p)
                .Select(g => (Count: g.LongCount(), g.Key.First, g.Key.Second))
                .OrderByDescending(p => p.Count).ThenBy(p => tokens.IndexOf(p.First))
                .ThenBy(p => tokens.IndexOf(p.Second))
                .FirstOrDefault();
            if (best.Count < least)
                break;
            merges.Add($"{best.First} {best.Second}");
            tokens.Add(best.First + best.Second);
            foreach (List<string> word in words)
            {
                for (int i = 0; i + 1 < word.Count; i++)
                {
                    if ((word[i], word[i + 1]) != (best.First, best.Second))
                        continue;
                    word[i] += word[i + 1];
                    word.RemoveAt(i + 1);
                }
            }
        }
        return [.. merges];
    }

    /// <summary>Each word of the texts as the tokens of its single bytes.</summary>
    private static List<List<string>> Words(string[] texts, IReadOnlyList<string> tokens)
    {
        string[] byValue = new string[256];
        int other = 0;
        for (int b = 0; b < 256; b++)
        {
            bool visible = b is > 32 and < 127 or > 160 and not 173;
            byValue[b] = ((char)(visible ? b : 256 + other++)).ToString();
        }
        Assert.IsTrue(byValue.All(tokens.Contains));
        return
        [
            .. texts.SelectMany(text => RobertaPreTokenizer.Instance.PreTokenize(text).Select(
                p => Encoding.UTF8.GetBytes(text.Substring(p.Offset, p.Length)).Select(b => byValue[b]).ToList())),
        ];
    }

    private sealed class Listener(Action<double> heard) : IProgress<double>
    {
        public void Report(double value) => heard(value);
    }
}
