using System.Numerics;
using System.Runtime.InteropServices;

namespace GenerativeML;

/// <summary>
/// How a text is written, whatever it is about: in numbers that need no language model and no list of words. Words are
/// runs of letters; sentences end in a full stop, question mark or exclamation mark with a space behind.
/// </summary>
internal static class TextStyle
{
    private const string Marks = ",.:;'\"()-–?!£$%[]/&*\n";

    private const int LongestWord = 12, VocabularyBins = 17;

    private static readonly int[] s_sentences = [10, 20, 30]; // words: the limits of shares

    private static readonly string[] s_names =
    [
        "Word.Length", .. Enumerable.Range(1, LongestWord).Select(i => $"Word.{i}"),
        "Word.Distinct", "Word.Once", "Word.Concentration", "Pair.Distinct", "Capital.Share", "Capital.Once",
        "Sentence.Length", "Sentence.LogLength", "Sentence.LogLength.Deviation", "Sentence.Quote",
        .. s_sentences.Select(i => $"Sentence.{i}"),
        .. Marks.Select(mark => mark == '\n' ? "Mark.LineBreak" : $"Mark.{mark}"),
        "Letter.Upper", "Digit", "Number.1", "Number.2", "Number.4",
    ];

    private static readonly string[] s_vocabulary =
    [
        .. Enumerable.Range(0, VocabularyBins).Select(i => $"Token.{i}"),
        .. Enumerable.Range(0, VocabularyBins).Select(i => $"Token.Capital.{i}"),
    ];

    /// <summary>The names of the features, in order, for a tokenizer's texts.</summary>
    public static IReadOnlyList<string> Names(TokenCodec codec) => codec.Tokenizer is BytePairTokenizer ? [.. s_names, .. s_vocabulary] : s_names;

    /// <summary>Fills in the features of a text and its tokens; NaN where there is no word.</summary>
    public static void Fill(string text, ReadOnlySpan<int> tokens, TokenCodec codec, Span<float> features)
    {
        List<string> words = [], numbers = [];
        List<int> sentences = [0];
        List<bool> quotes = [false];
        Dictionary<char, int> marks = [];
        int upper = 0, letters = 0, digits = 0;
        for (int i = 0; i < text.Length;)
        {
            int start = i;
            if (char.IsLetter(text[i]))
            {
                for (; i < text.Length && char.IsLetter(text[i]); i++)
                    upper += char.IsUpper(text[i]) ? 1 : 0;
                words.Add(text[start..i]);
                letters += i - start;
                sentences[^1]++;
                continue;
            }
            if (char.IsDigit(text[i]))
            {
                while (i < text.Length && char.IsDigit(text[i]))
                    i++;
                numbers.Add(text[start..i]);
                digits += i - start;
                continue;
            }
            CollectionsMarshal.GetValueRefOrAddDefault(marks, text[i], out _)++;
            quotes[^1] |= text[i] is '"' or '“' or '”';
            if (text[i] is '.' or '?' or '!' && i + 1 < text.Length && char.IsWhiteSpace(text[i + 1]) && sentences[^1] > 0)
            {
                sentences.Add(0);
                quotes.Add(false);
            }
            i++;
        }
        if (words.Count == 0)
        {
            features.Fill(float.NaN);
            return;
        }
        if (sentences.Count > 1) // the last may be cut short
        {
            sentences.RemoveAt(sentences.Count - 1);
            quotes.RemoveAt(quotes.Count - 1);
        }
        int next = 0;
        double all = words.Count;
        Add(features, letters / all);
        for (int length = 1; length <= LongestWord; length++)
            Add(features, words.Count(w => Math.Min(w.Length, LongestWord) == length) / all);
        string[] lower = [.. words.Select(w => w.ToLowerInvariant())];
        int[] counts = [.. lower.CountBy(w => w).Select(c => c.Value)];
        Add(features, counts.Length / all);
        Add(features, counts.Count(c => c == 1) / all);
        Add(features, counts.Sum(c => (double)c * c) / (all * all));
        Add(features, lower.Zip(lower.Skip(1)).Distinct().Count() / Math.Max(1, all - 1));
        int[] capitals = [.. words.Where(w => char.IsUpper(w[0])).CountBy(w => w).Select(c => c.Value)];
        Add(features, capitals.Sum() / all);
        Add(features, capitals.Count(c => c == 1) / (double)Math.Max(1, capitals.Length));
        double[] logs = [.. sentences.Select(n => Math.Log(n + 1))];
        Add(features, sentences.Average());
        double mean = logs.Average();
        Add(features, mean);
        Add(features, Math.Sqrt(logs.Average(l => (l - mean) * (l - mean))));
        Add(features, quotes.Count(q => q) / (double)quotes.Count);
        foreach (int limit in s_sentences)
            Add(features, sentences.Count(n => n >= limit) / (double)sentences.Count);
        foreach (char mark in Marks)
            Add(features, marks.GetValueOrDefault(mark) / all);
        Add(features, upper / (double)letters);
        Add(features, digits / (double)text.Length);
        foreach (int length in (int[])[1, 2, 4])
            Add(features, numbers.Count(n => n.Length == length) / all);
        if (codec.Tokenizer is BytePairTokenizer tokenizer)
            FillVocabulary(tokens, tokenizer, features[next..]);

        void Add(Span<float> features, double value) => features[next++] = (float)value;
    }

    // The merges of a byte-pair vocabulary are in the order of how frequent they are, so that a token's number says how
    // common it is: how tokens lie on a logarithmic scale of numbers, and how those that begin with a capital letter do.
    private static void FillVocabulary(ReadOnlySpan<int> tokens, BytePairTokenizer tokenizer, Span<float> shares)
    {
        shares.Clear();
        foreach (int token in tokens)
        {
            ReadOnlySpan<byte> bytes = tokenizer.GetBytes(token).TrimStart((byte)' ');
            int bin = Math.Min(BitOperations.Log2((uint)token + 1), VocabularyBins - 1);
            shares[bytes.Length > 0 && bytes[0] is >= (byte)'A' and <= (byte)'Z' ? VocabularyBins + bin : bin] += 1f / tokens.Length;
        }
    }
}
