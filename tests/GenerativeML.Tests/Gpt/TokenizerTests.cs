using System.Buffers;
using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace GenerativeML.Tests.Gpt;

/// <summary>
/// The package's own tokenizers: text in, the same text out, and what is done with what they do not know.
/// </summary>
[TestClass]
public sealed class TokenizerTests
{
    private const string Odd = "a é 日本 😀\u0000 \r\n\t👩‍👧 e\u0301 \U0010FFFF";

    public static IEnumerable<object[]> Tokenizers =>
    [
        [new CharacterTokenizer(Odd)],
        [new CharacterTokenizer("abc", UnknownCharacters.Bytes, endOfText: true)],
        [new ByteTokenizer()],
        [new ByteTokenizer(endOfText: true)],
        [new WordTokenizer(["a", " a", "e\u0301", " 日本"], endOfText: true)],
        [WordTokenizer.Train([Odd, Odd], endOfText: false)],
        [BytePairTokenizer.Train([Odd, "aaaa bbbb aaaa bbbb"], new() { VocabularySize = 270 })],
    ];

    [TestMethod]
    [DynamicData(nameof(Tokenizers))]
    public void Any_text_comes_back_whole_and_piece_by_piece(GptTokenizer tokenizer)
    {
        foreach (string text in new[] { Odd, "", "a", "\uD83D\uDE00" })
        {
            IReadOnlyList<int> ids = tokenizer.EncodeToIds(text);
            Assert.IsTrue(ids.All(id => id >= 0 && id < tokenizer.VocabularySize));
            Assert.AreEqual(text, tokenizer.Decode(ids));
            Assert.AreEqual(ids.Count, tokenizer.CountTokens(text));
            CollectionAssert.AreEqual(ids.ToArray(), tokenizer.EncodeToIds(text.AsSpan()).ToArray());
            CollectionAssert.AreEqual(
                ids.ToArray(), tokenizer.EncodeToTokens(text, out _).Select(token => token.Id).ToArray());

            var assembler = new TextInProgress(tokenizer, [], []);
            string[] pieces = [.. ids.Select(assembler.Add)];
            Assert.AreEqual(text, string.Concat(pieces) + assembler.End());
            Assert.IsFalse(pieces.Any(p => p.Length > 0 && (char.IsLowSurrogate(p[0]) || char.IsHighSurrogate(p[^1]))));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Tokenizers))]
    public void What_fits_is_decoded_and_counted(GptTokenizer tokenizer)
    {
        int[] ids = [.. tokenizer.EncodeToIds("a日a")];
        var text = new char[3];
        Assert.AreEqual(OperationStatus.Done, tokenizer.Decode(ids, text, out int consumed, out int written));
        Assert.AreEqual((ids.Length, "a日a"), (consumed, new string(text, 0, written)));
        Assert.AreEqual(
            OperationStatus.DestinationTooSmall, tokenizer.Decode(ids, text.AsSpan(0, 2), out consumed, out written));
        Assert.AreEqual("a日", new string(text, 0, written));
        Assert.AreEqual("a日", tokenizer.Decode(ids[..consumed]));
        Assert.AreEqual(OperationStatus.InvalidData, tokenizer.Decode([tokenizer.VocabularySize], text, out _, out _));
        Assert.ThrowsExactly<InvalidOperationException>(() => tokenizer.Decode([-1]));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => tokenizer.GetBytes(tokenizer.VocabularySize).ToArray());
    }

    [TestMethod]
    [DynamicData(nameof(Tokenizers))]
    public void No_more_tokens_are_made_than_asked_for_and_characters_stay_whole(GptTokenizer tokenizer)
    {
        for (int most = 1; most <= 5; most++)
        {
            IReadOnlyList<int> ids = tokenizer.EncodeToIds("a a a", most, out string? normalized, out int consumed);
            Assert.IsNull(normalized);
            Assert.IsTrue(ids.Count <= most);
            Assert.AreEqual("a a a"[..consumed], tokenizer.Decode(ids));
        }
    }

    [TestMethod]
    [DynamicData(nameof(Tokenizers))]
    public void A_tokenizer_comes_back_from_what_is_saved_of_it(GptTokenizer tokenizer)
    {
        JsonSerializerOptions options = ModelJson.Options;
        string json = JsonSerializer.Serialize(tokenizer.ToSaved(), options);
        GptTokenizer back = JsonSerializer.Deserialize<SavedTokenizer>(json, options)!.Restore();
        Assert.AreEqual(tokenizer.GetType(), back.GetType());
        Assert.AreEqual(tokenizer.VocabularySize, back.VocabularySize);
        Assert.AreEqual(tokenizer.EndOfTextId, back.EndOfTextId);
        CollectionAssert.AreEqual(tokenizer.EncodeToIds(Odd).ToArray(), back.EncodeToIds(Odd).ToArray());
        for (int id = 0; id < tokenizer.VocabularySize; id++)
            CollectionAssert.AreEqual(tokenizer.GetBytes(id).ToArray(), back.GetBytes(id).ToArray());
    }

    [TestMethod]
    public void Characters_are_numbered_by_their_code_points()
    {
        var tokenizer = new CharacterTokenizer("hello 😀", UnknownCharacters.Error);
        Assert.AreEqual(" ehlo😀", tokenizer.Characters);
        Assert.AreEqual(6, tokenizer.VocabularySize);
        CollectionAssert.AreEqual(new[] { 2, 1, 3, 3, 4, 0, 5 }, tokenizer.EncodeToIds("hello 😀").ToArray());
        IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens("😀o", out _);
        CollectionAssert.AreEqual(
            new EncodedToken[] { new(5, "😀", 0..2), new(4, "o", 2..3) }, tokens.ToArray());
    }

    [TestMethod]
    public void Words_are_one_token_with_the_space_before_them_and_all_else_is_bytes()
    {
        string[] lines = ["core.42 of cores, core 7", "no core of 3cores", "the of"];
        WordTokenizer tokenizer = WordTokenizer.Train(lines);
        // " of" is there three times, " core" twice, and "core", " cores", "cores", "no" and "the" once.
        CollectionAssert.AreEqual(new[] { " of", " core" }, tokenizer.Words.ToArray());
        Assert.AreEqual((259, 258), (tokenizer.VocabularySize, tokenizer.EndOfTextId!.Value));
        Assert.AreEqual(
            "[c][o][r][e][.][4][2]< of>[ ][c][o][r][e][s][,]< core>[ ][7]", Shown(lines[0]));
        // What begins as a word does and goes on is another word; marks go on, too.
        Assert.AreEqual("[ ][o][f][x][ ][o][f][C3][A9]", Shown(" ofx ofé"));
        Assert.AreEqual("[ ][c][o][r][e][CC][81]", Shown(" core\u0301"));
        Assert.AreEqual("[ ]< of>[\t][o][f]", Shown("  of\tof"));

        IReadOnlyList<EncodedToken> tokens = tokenizer.EncodeToTokens("é of", out _);
        CollectionAssert.AreEqual(
            new EncodedToken[] { new(0xC3, "é", 0..1), new(0xA9, "é", 0..1), new(256, " of", 1..4) }, tokens.ToArray());
        CollectionAssert.AreEqual(
            new[] { " b", " a" }, WordTokenizer.Train(["c b b a a b"], 258, minFrequency: 1, endOfText: false).Words.ToArray());

        foreach (string wrong in new[] { "", "a b", "4", "a4", "a ", " " })
            Assert.ThrowsExactly<ArgumentException>(() => new WordTokenizer([wrong]));
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => new WordTokenizer(["a", "b", "a"])).Message, "'a' is there twice");
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => WordTokenizer.Train(["a"], 256));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => WordTokenizer.Train(["a"], minFrequency: 0));

        string Shown(string text) => string.Concat(tokenizer.EncodeToIds(text).Select(id =>
            id >= 256 ? $"<{tokenizer.Decode([id])}>" : id < 128 ? $"[{(char)id}]" : $"[{id:X2}]"));
    }

    [TestMethod]
    public void Unknown_characters_are_an_error_or_replaced_or_bytes()
    {
        var strict = new CharacterTokenizer("abc", UnknownCharacters.Error);
        Assert.AreEqual(3, strict.VocabularySize);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => strict.EncodeToIds("ab😀"));
        StringAssert.Contains(error.Message, "'😀' (U+1F600) at position 2");

        var lenient = new CharacterTokenizer("abc", UnknownCharacters.Replace, endOfText: true);
        Assert.AreEqual((5, 4), (lenient.VocabularySize, lenient.EndOfTextId!.Value));
        Assert.AreEqual("ab\uFFFD", lenient.Decode(lenient.EncodeToIds("ab😀")));
        Assert.AreEqual("a\uFFFD", lenient.Decode(lenient.EncodeToIds("a\uD83D")));

        var exact = new CharacterTokenizer("abc", UnknownCharacters.Bytes);
        Assert.AreEqual(259, exact.VocabularySize);
        CollectionAssert.AreEqual(
            new[] { 0, 3 + 0xF0, 3 + 0x9F, 3 + 0x98, 3 + 0x80 }, exact.EncodeToIds("a😀").ToArray());
        CollectionAssert.AreEqual(new[] { 0 }, exact.EncodeToIds("a😀", 3, out _, out int consumed).ToArray());
        Assert.AreEqual(1, consumed);
    }

    [TestMethod]
    public void The_end_of_a_text_has_no_text_and_is_made_of_none()
    {
        var tokenizer = new ByteTokenizer(endOfText: true);
        Assert.AreEqual(256, tokenizer.EndOfTextId);
        Assert.AreEqual("ab", tokenizer.Decode(['a', 256, 'b']));
        BytePairTokenizer pairs = BytePairTokenizer.Train(["abab abab"], new() { VocabularySize = 260 });
        int end = pairs.EndOfTextId!.Value;
        Assert.AreEqual("<|endoftext|>", pairs.Tokens[end]);
        Assert.AreEqual("", pairs.Decode([end]));
        Assert.IsFalse(pairs.EncodeToIds("x<|endoftext|>").Contains(end));
    }

    [TestMethod]
    public void Text_of_any_other_tokenizer_is_put_together_with_what_stands_before()
    {
        var text = new TextInProgress(new Words(), [0, 1], []);
        Assert.AreEqual(" you", text.Add(2));
        Assert.AreEqual(" all", text.Add(3));
        Assert.AreEqual("", text.End());
        var start = new TextInProgress(new Words(), [], []);
        Assert.AreEqual("how are" + string.Concat(Enumerable.Repeat(" you all", 20)), string.Concat(
            new[] { 0, 1 }.Concat(Enumerable.Repeat(new[] { 2, 3 }, 20).SelectMany(pair => pair)).Select(start.Add)));
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => TokenCodec.For(new Words(), null, null)).Message, "VocabularySize");
        StringAssert.Contains(
            Assert.Throws<InvalidOperationException>(
                () => TokenCodec.For(new Words(), vocabularySize: 2, endOfText: null).Encode("you")).Message,
            "token 2");
    }

    /// <summary>Puts spaces between words when it decodes, as tokenizers of words do.</summary>
    private sealed class Words : Tokenizer
    {
        private static readonly string[] s_words = ["how", "are", "you", "all"];

        public override OperationStatus Decode(
            IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
        {
            int[] all = [.. ids];
            idsConsumed = all.Length;
            string text = string.Join(' ', all.Select(id => s_words[id]));
            charsWritten = text.Length;
            return text.TryCopyTo(destination) ? OperationStatus.Done : OperationStatus.DestinationTooSmall;
        }

        protected override EncodeResults<EncodedToken> EncodeToTokens(
            string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) => new()
            {
                Tokens =
                [
                    .. (text ?? textSpan.ToString()).Split(' ').Select(
                        word => new EncodedToken(Array.IndexOf(s_words, word), word, ..)),
                ],
            };
    }
}
