using System.Text;

namespace GenerativeML.Tests;

/// <summary>Text from tokens: whole characters, stop strings, and the same whichever way it is asked for.</summary>
[TestClass]
public sealed class TextGeneratorTests
{
    private const string Difficult = "naïve 😀, 👩‍🚀 日本 \u00A0\t done";

    private static readonly GenerationOptions Greedy = new() { Temperature = 0 };

    [TestMethod]
    public void Pieces_are_whole_characters_though_tokens_are_bytes()
    {
        using TrainedGpt model = Saying(Difficult);
        string[] pieces = [.. Generator(model, Bytes()).Stream("?", Greedy)];
        Assert.AreEqual(Difficult, string.Concat(pieces));
        Assert.IsGreaterThan(10, pieces.Length);
        foreach (string piece in pieces)
        {
            Assert.AreNotEqual("", piece);
            Assert.IsFalse(char.IsLowSurrogate(piece[0]) || char.IsHighSurrogate(piece[^1]), "half a pair");
            Assert.DoesNotContain("\uFFFD", piece);
        }
    }

    [TestMethod]
    [DataRow("ab😀", 5, "ab")]
    [DataRow("日本", 5, "日")]
    public void A_text_that_ends_within_a_character_leaves_it_out(string said, int tokens, string expected)
    {
        using TrainedGpt model = Saying(said);
        var generator = Generator(model, Bytes());
        GenerationOptions options = Greedy with { MaxNewTokens = tokens };
        GeneratedText text = generator.Generate("?", options);
        Assert.AreEqual(expected, text.Text);
        Assert.HasCount(tokens, text.Tokens);
        Assert.AreEqual(FinishReason.Length, text.FinishReason);
        Assert.AreEqual(expected, string.Concat(generator.Stream("?", options)));
    }

    [TestMethod]
    [DataRow("one STOP two", new[] { "STOP" }, "one ")]
    [DataRow("one STOP two", new[] { "two", "TO", "STOP" }, "one S")]
    [DataRow("one STO two", new[] { "STOP" }, "one STO two")]
    [DataRow("one ST", new[] { "STOP" }, "one ST")]
    [DataRow("aaaab", new[] { "aab" }, "aa")]
    [DataRow("ababac", new[] { "abac" }, "ab")]
    [DataRow("x😀y😁z", new[] { "😁" }, "x😀y")]
    [DataRow("STOP", new[] { "S" }, "")]
    [DataRow("line\n\nnext", new[] { "\n\n" }, "line")]
    public void Nothing_of_a_stop_string_is_ever_shown(string said, string[] stops, string expected)
    {
        using TrainedGpt model = Saying(said);
        var generator = Generator(model, Bytes());
        GenerationOptions options = Greedy with { StopStrings = stops };
        Assert.AreEqual(expected, string.Concat(generator.Stream("?", options)));
        GeneratedText whole = generator.Generate("?", options);
        Assert.AreEqual(expected, whole.Text);
        bool stopped = stops.Any(said.Contains);
        Assert.AreEqual(stopped ? FinishReason.StopString : FinishReason.StopToken, whole.FinishReason);
        if (stopped)
            Assert.IsLessThanOrEqualTo(Encoding.UTF8.GetByteCount(said), whole.Tokens.Count, "no token after it");
    }

    [TestMethod]
    public void Pieces_are_given_as_soon_as_they_are_certain()
    {
        using TrainedGpt model = Saying("a STay STOP b");
        GenerationOptions options = Greedy with { StopStrings = ["STOP"] };
        string[] pieces = [.. Generator(model, Bytes()).Stream("?", options)];
        CollectionAssert.AreEqual(new[] { "a", " ", "STa", "y", " " }, pieces);
    }

    [TestMethod]
    public void Whatever_comes_stream_and_text_and_batch_are_the_same()
    {
        // Random bytes: mostly not valid UTF-8.
        using TrainedGpt model = RandomGpt.Model(RandomGpt.Network(vocabulary: 257));
        var generator = Generator(model, Bytes());
        string[] prompts = ["", "a", "longer than the window of this model", "日本", "😀"];
        for (int seed = 0; seed < 12; seed++)
        {
            GenerationOptions options = new() { MaxNewTokens = 60, Seed = seed, StopStrings = ["q", "\uFFFDx", "ab"] };
            IReadOnlyList<GeneratedText> batch = generator.Generate(prompts, options);
            for (int i = 0; i < prompts.Length; i++)
            {
                GeneratedText alone = generator.Generate(prompts[i], options);
                Assert.AreEqual(alone.Text, batch[i].Text);
                Assert.AreEqual(alone.FinishReason, batch[i].FinishReason);
                CollectionAssert.AreEqual(Ids(alone), Ids(batch[i]));
                Assert.AreEqual(alone.Text, string.Concat(generator.Stream(prompts[i], options)));

                byte[] bytes = [.. Ids(alone).Where(id => id < 256).Select(id => (byte)id)];
                // What is no UTF-8 becomes U+FFFD, but for the beginning of a character at the end.
                char[] characters = new char[bytes.Length + 4];
                string whole = new(characters, 0, Encoding.UTF8.GetDecoder().GetChars(bytes, characters, flush: false));
                string[] found = [.. options.StopStrings.Where(whole.Contains)];
                int end = found.Select(s => whole.IndexOf(s, StringComparison.Ordinal)).Append(whole.Length).Min();
                Assert.AreEqual(whole[..end], alone.Text);
            }
        }
    }

    [TestMethod]
    public void The_end_of_a_document_ends_the_text_and_starts_an_empty_prompt()
    {
        using TrainedGpt model = Saying("short");
        var generator = Generator(model, Bytes());
        GeneratedText text = generator.Generate("", Greedy);
        Assert.AreEqual("short", text.ToString());
        Assert.AreEqual(FinishReason.StopToken, text.FinishReason);
        Assert.HasCount(5, text.Tokens);
    }

    [TestMethod]
    public void Prompts_that_cannot_be_continued_are_refused_when_asked()
    {
        using TrainedGpt model = Saying("short");
        var generator = Generator(model, Bytes(endOfText: false));
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => generator.Generate("")).Message, "empty");
        Assert.ThrowsExactly<ArgumentException>(() => generator.Stream(""));
        Assert.ThrowsExactly<ArgumentException>(() => generator.StreamAsync(""));
        Assert.ThrowsExactly<ArgumentNullException>(() => generator.Stream(null!));
        Assert.ThrowsExactly<ArgumentException>(
            () => generator.Generate(new string('a', 100), new() { LongPrompts = LongPrompts.Error }));
        Assert.AreEqual(1, generator.Generate(new string('a', 100), new() { MaxNewTokens = 1 }).Tokens.Count);
        Assert.ThrowsExactly<ArgumentException>(() => generator.Generate("a", new() { Temperature = 0, TopK = 3 }));
    }

    [TestMethod]
    public async Task The_asynchronous_stream_gives_the_same_pieces_and_can_be_cancelled()
    {
        using TrainedGpt model = Saying(Difficult);
        var generator = Generator(model, Bytes());
        List<string> pieces = [];
        await foreach (string piece in generator.StreamAsync("?", Greedy))
            pieces.Add(piece);
        CollectionAssert.AreEqual(generator.Stream("?", Greedy).ToArray(), pieces);

        using var source = new CancellationTokenSource();
        pieces.Clear();
        await Assert.ThrowsAsync<OperationCanceledException>(async () =>
        {
            await foreach (string piece in generator.StreamAsync("?", Greedy).WithCancellation(source.Token))
            {
                pieces.Add(piece);
                await source.CancelAsync();
            }
        });
        Assert.HasCount(1, pieces);
    }

    private static GptTransformer Generator(TrainedGpt model, TokenCodec codec) => new(new TextModel(model, codec));

    private static TokenCodec Bytes(bool endOfText = true) =>
        TokenCodec.For(new ByteTokenizer(endOfText), vocabularySize: 257);

    // Says a text, whatever the one-token prompt, and then ends the document.
    private static TrainedGpt Saying(string text) => ScriptedGpt.Model(257, [.. Bytes().Encode(text), 256]);

    private static int[] Ids(GeneratedText text) => [.. text.Tokens.Select(t => t.Id)];
}
