using Microsoft.ML.Tokenizers;

namespace GenerativeML.Tests.Bert;

[TestClass]
public sealed class WordPieceTests
{
    // The vocabulary and the examples of the tests that BERT's reference implementation publishes.
    private static readonly string[] s_pieces =
        ["[UNK]", "[CLS]", "[SEP]", "want", "##want", "##ed", "wa", "un", "runn", "##ing", ",", "[PAD]", "[MASK]"];

    [TestMethod]
    [DataRow("UNwant\u00E9d,running", "un ##want ##ed , runn ##ing")]
    [DataRow("unwanted running", "un ##want ##ed runn ##ing")]
    [DataRow("unwantedX running", "[UNK] runn ##ing")]
    [DataRow("", "")]
    [DataRow("  \t\n", "")]
    public void Words_are_taken_apart_as_the_reference_does(string text, string expected) =>
        Assert.AreEqual(expected, Encoded(s_pieces, text, lowerCase: true));

    [TestMethod]
    [DataRow(" \tHeLLo!how  \n Are yoU?  ", true, "hello ! how are you ?")]
    [DataRow("H\u00E9llo", true, "hello")]
    [DataRow("He\u0301llo", true, "hello")]
    [DataRow(" \tH\u00E4LLo!how  \n Are yoU?  ", true, "hallo ! how are you ?")]
    [DataRow(" \tHeLLo!how  \n Are yoU?  ", false, "HeLLo ! how Are yoU ?")]
    [DataRow("ah\u535A\u63A8zz", true, "ah \u535A \u63A8 zz")]
    [DataRow("hel\u0000lo\uFFFD zz", true, "hello zz")]
    [DataRow("\u0400\u0419 \u1EA4", true, "\u0435\u0438 a")]
    [DataRow("are+you=$zz <ah>", false, "are + you = $ zz < ah >")]
    [DataRow("zz_ah 5\u20AC \u201Czz\u201D", false, "zz _ ah [UNK] \u201C zz \u201D")]
    public void Text_is_cleaned_and_split_as_the_reference_does_without_globalization_data_too(
        string text, bool lowerCase, string expected)
    {
        string[] pieces =
        [
            .. s_pieces, "hello", "hallo", "!", "how", "are", "you", "?", "HeLLo", "Are", "yoU", "ah", "\u535A", "\u63A8", "zz",
            "\u0435\u0438", "a", "+", "=", "$", "<", ">", "_", "\u201C", "\u201D",
        ];
        Assert.AreEqual(expected, Encoded(pieces, text, lowerCase));
    }

    [TestMethod]
    public void A_file_is_read_line_by_line_and_one_that_is_none_is_refused()
    {
        string path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, string.Join("\r\n", s_pieces) + "\r\n");
            WordPieceVocabulary read = WordPieceVocabulary.Load(path);
            CollectionAssert.AreEqual(s_pieces, read.Tokens.ToArray());
            Assert.IsTrue(read.LowerCase);
            File.WriteAllText(path, "a\nb\n");
            StringAssert.Contains(Assert.Throws<ArgumentException>(() => WordPieceVocabulary.Load(path)).Message, "[MASK]");
        }
        finally
        {
            File.Delete(path);
        }
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => new WordPieceVocabulary([.. s_pieces, "un"], true)).Message, "'un'");
        StringAssert.Contains(
            Assert.Throws<ArgumentException>(() => new WordPieceVocabulary([.. s_pieces, ""], true)).Message, "empty");
    }

    [TestMethod]
    public void A_mask_in_a_text_is_one_token_whatever_the_case()
    {
        WordPieceVocabulary pieces = new(s_pieces, lowerCase: true);
        var vocabulary = new MaskedVocabulary(SavedMaskedVocabulary.CodecOf(pieces, null), pieces);
        CollectionAssert.AreEqual(new[] { 7, 4, 12, 10, 12 }, vocabulary.EncodeMasked("unwant [MASK],[MASK]"));
        CollectionAssert.AreEqual(new[] { true, false }, new[] { vocabulary.GoesOn(7, 4), vocabulary.GoesOn(4, 8) });
        Assert.Throws<ArgumentException>(() => SavedMaskedVocabulary.CodecOf(pieces, 5));
    }

    private static string Encoded(string[] pieces, string text, bool lowerCase)
    {
        Tokenizer tokenizer = new WordPieceVocabulary(pieces, lowerCase).Tokenizer;
        return string.Join(' ', tokenizer.EncodeToIds(text).Select(id => pieces[id]));
    }
}
