using System.Buffers;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace GenerativeML.Tests.Platform;

/// <summary>Microsoft.ML.Tokenizers: byte-pair encoding of bytes, and what a tokenizer of one's own inherits.</summary>
[TestClass]
public sealed class TokenizerTests
{
    private static readonly (string Token, int Id)[] s_vocabulary =
        [("a", 0), ("b", 1), ("Ġ", 2), ("ab", 3), ("Ġab", 4), ("abab", 5), ("Ã", 6), ("©", 7), ("Ã©", 8)];

    [TestMethod]
    public void The_earliest_merge_goes_first_and_the_leftmost_of_its_pairs()
    {
        BpeTokenizer tokenizer = Small("a b", "Ġ ab", "ab ab");
        CollectionAssert.AreEqual(new[] { 5, 4 }, tokenizer.EncodeToIds("abab ab").ToArray());
        CollectionAssert.AreEqual(new[] { 5, 3, 0 }, tokenizer.EncodeToIds("abababa").ToArray());
        BpeTokenizer bySpaceFirst = Small("a b", "ab ab", "Ġ ab");
        CollectionAssert.AreEqual(new[] { 2, 5 }, bySpaceFirst.EncodeToIds(" abab").ToArray());
    }

    [TestMethod]
    public void Tokens_know_the_characters_they_come_from()
    {
        BpeTokenizer tokenizer = Small("a b", "Ġ ab");
        IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens("ab éb ab", out string? normalized);
        Assert.IsNull(normalized);
        CollectionAssert.AreEqual(
            new EncodedToken[]
            {
                new(3, "ab", 0..2), new(2, "Ġ", 2..3), new(6, "Ã", 3..4), new(7, "©", 3..4), new(1, "b", 4..5),
                new(4, "Ġab", 5..8),
            },
            tokens.ToArray());
    }

    [TestMethod]
    public void What_the_vocabulary_lacks_is_left_out_in_silence()
    {
        BpeTokenizer tokenizer = Small("a b");
        CollectionAssert.AreEqual(new[] { 3, 3 }, tokenizer.EncodeToIds("abxab").ToArray());
        Assert.AreEqual("abab", tokenizer.Decode([3, 99, 3]));
    }

    [TestMethod]
    public void At_most_so_many_tokens_are_made_and_the_characters_they_take_are_counted()
    {
        BpeTokenizer tokenizer = Small("a b");
        CollectionAssert.AreEqual(
            new[] { 3, 3 }, tokenizer.EncodeToIds("ababab", 2, out _, out int consumed).ToArray());
        Assert.AreEqual(4, consumed);
        Assert.AreEqual(3, tokenizer.CountTokens("ababab"));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => tokenizer.EncodeToIds("ab", 0, out _, out _));
    }

    [TestMethod]
    public void Bytes_are_decoded_together_and_a_part_of_a_character_waits_for_the_rest()
    {
        BpeTokenizer tokenizer = Small("Ã ©");
        Assert.AreEqual("éa", tokenizer.Decode([6, 7, 0]));
        Assert.AreEqual("\uFFFD", tokenizer.Decode([6]));
        var text = new char[8];
        Assert.AreEqual(OperationStatus.Done, tokenizer.Decode([0, 6, 7], text, out int ids, out int characters));
        Assert.AreEqual((3, 2, "aé"), (ids, characters, new string(text, 0, 2)));
        Assert.AreEqual(OperationStatus.Done, tokenizer.Decode([0, 6], text, out ids, out characters));
        Assert.AreEqual((1, 1), (ids, characters));
        Assert.AreEqual(
            OperationStatus.DestinationTooSmall, tokenizer.Decode([3, 3], text.AsSpan(0, 3), out ids, out _));
        Assert.AreEqual(1, ids);
        Assert.AreEqual(OperationStatus.InvalidData, tokenizer.Decode([99], text, out _, out _));
    }

    [TestMethod]
    public void A_merge_needs_its_tokens_and_an_id_is_given_once()
    {
        Assert.ThrowsExactly<InvalidOperationException>(() => Small("a c"));
        Assert.ThrowsExactly<InvalidOperationException>(() => Small("b a"));
        Assert.ThrowsExactly<InvalidOperationException>(() => Small("a"));
        Assert.Throws<ArgumentException>(() => BpeTokenizer.Create(
            new BpeOptions([new("a", 0), new("b", 0)])
            {
                ByteLevel = true, PreTokenizer = RobertaPreTokenizer.Instance,
            }));
    }

    [TestMethod]
    public void Text_is_split_as_GPT_2_splits_it()
    {
        string[] PiecesOf(string text) =>
            [.. RobertaPreTokenizer.Instance.PreTokenize(text).Select(p => text.Substring(p.Offset, p.Length))];

        CollectionAssert.AreEqual(
            new[] { "It", "'s", " 42", "km", "  ", " away", "!?", "\n", "\n", "we", "'ll", " see", " \n" },
            PiecesOf("It's 42km   away!?\n\nwe'll see \n"));
        CollectionAssert.AreEqual(new[] { "été", " 😀", " 二", "²" }, PiecesOf("été 😀 二²"));
    }

    [TestMethod]
    public void A_tokenizer_of_ones_own_inherits_all_from_two_members()
    {
        var tokenizer = new Letters();
        CollectionAssert.AreEqual(new[] { 'h', (int)'i' }, tokenizer.EncodeToIds("hi").ToArray());
        CollectionAssert.AreEqual(new[] { 'h', (int)'i' }, tokenizer.EncodeToIds("hi".AsSpan()).ToArray());
        Assert.AreEqual(2, tokenizer.CountTokens("hi"));
        string longText = new('x', 5000);
        Assert.AreEqual(longText, tokenizer.Decode(longText.Select(c => (int)c)));
        Assert.ThrowsExactly<InvalidOperationException>(() => tokenizer.Decode([-1]));
        Assert.ThrowsExactly<ArgumentNullException>(() => tokenizer.Decode(null!));
    }

    [TestMethod]
    public void GPT_2s_vocabulary_gives_GPT_2s_ids()
    {
        BpeTokenizer gpt2 = Gpt2();
        CollectionAssert.AreEqual(new[] { 15496, 995 }, gpt2.EncodeToIds("Hello world").ToArray());
        CollectionAssert.AreEqual(new[] { 15496, 11, 995, 0 }, gpt2.EncodeToIds("Hello, world!").ToArray());
        CollectionAssert.AreEqual(
            new[] { 83, 1134, 30001, 318, 1049, 0 }, gpt2.EncodeToIds("tiktoken is great!").ToArray());
    }

    [TestMethod]
    public void GPT_2s_vocabulary_gives_any_text_back()
    {
        BpeTokenizer gpt2 = Gpt2();
        string[] texts =
        [
            "plain words, with   spaces\t\r\n\n and\u00A0others", "Ünïcödé ßtraße", "日本語のテキスト",
            "👩‍👩‍👧‍👦 👋🏽 e\u0301 \u0000\u0007",
            "\U0010FFFF\uFFFF\uE000\u200B", new string('a', 3000) + new string(' ', 3000) + "é",
        ];
        foreach (string text in texts)
            Assert.AreEqual(text, gpt2.Decode(gpt2.EncodeToIds(text)));
    }

    private static BpeTokenizer Small(params string[] merges) => BpeTokenizer.Create(
        new BpeOptions(s_vocabulary.Select(token => KeyValuePair.Create(token.Token, token.Id)))
        {
            Merges = merges, ByteLevel = true, PreTokenizer = RobertaPreTokenizer.Instance,
        });

    private static BpeTokenizer Gpt2()
    {
        string vocabulary = File.ReadAllText(TestData.Find("tokenizer/gpt2_encoder.json"));
        return BpeTokenizer.Create(new BpeOptions(JsonSerializer.Deserialize<Dictionary<string, int>>(vocabulary)!)
        {
            Merges = File.ReadLines(TestData.Find("tokenizer/gpt2_vocab.bpe"), Encoding.UTF8).Skip(1),
            ByteLevel = true,
            PreTokenizer = RobertaPreTokenizer.Instance,
        });
    }

    /// <summary>A token is a character, and its number the character's.</summary>
    private sealed class Letters : Tokenizer
    {
        public override OperationStatus Decode(
            IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
        {
            idsConsumed = charsWritten = 0;
            foreach (int id in ids ?? throw new ArgumentNullException(nameof(ids)))
            {
                if (id < 0)
                    return OperationStatus.InvalidData;
                if (charsWritten == destination.Length)
                    return OperationStatus.DestinationTooSmall;
                destination[charsWritten++] = (char)id;
                idsConsumed++;
            }
            return OperationStatus.Done;
        }

        protected override EncodeResults<EncodedToken> EncodeToTokens(
            string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
        {
            string all = text ?? textSpan.ToString();
            return new()
            {
                Tokens = [.. all.Select((c, i) => new EncodedToken(c, c.ToString(), i..(i + 1)))],
                CharsConsumed = all.Length,
            };
        }
    }
}
