using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace GenerativeML;

/// <summary>
/// Encodes frequent words as one token each, with the space before them, and all else, digits and punctuation among it, as
/// its UTF-8 bytes: for texts of few words that come again and again between numbers, such as lines of a log.
/// </summary>
/// <remarks>
/// A word is a run of letters and their marks. Any text can be encoded and comes back as it was; halves of surrogate pairs,
/// which no text should have, become U+FFFD. The first 256 tokens are the bytes; the words follow, then the token between
/// documents, if there is one.
/// </remarks>
public sealed class WordTokenizer : ScalarTokenizer
{
    private const int Bytes = 256;

    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> _ids;

    /// <summary>Creates a tokenizer of given words.</summary>
    /// <param name="words">
    /// The words, each once, in the order of their numbers, which begin at 256: runs of letters, with or without a space before.
    /// </param>
    /// <param name="endOfText">Whether there is a token that stands between documents. Default: no.</param>
    /// <exception cref="ArgumentException">One of them is no word, or is there twice.</exception>
    public WordTokenizer(IEnumerable<string> words, bool endOfText = false)
        : this(Checked(words), endOfText)
    {
    }

    private WordTokenizer(string[] words, bool endOfText)
        : base([], UnknownCharacters.Bytes, words, endOfText)
    {
        Words = words;
        _ids = words.Select((word, i) => KeyValuePair.Create(word, Bytes + i)).ToDictionary(StringComparer.Ordinal)
            .GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>The words in the order of their numbers, of which the first is 256.</summary>
    public IReadOnlyList<string> Words { get; }

    /// <summary>Learns the words of texts: the most frequent, of equally frequent ones the first by their characters.</summary>
    /// <param name="texts">The texts; read once, and not kept.</param>
    /// <param name="vocabularySize">
    /// The most tokens, bytes and the one between documents among them. From 257 to 1,000,000. Default 4096.
    /// </param>
    /// <param name="minFrequency">
    /// How often a word must occur. At least 1. Default 2: rarer ones are spelled, as are those of texts to come that no
    /// training text had, so that a model learns what to expect of them.
    /// </param>
    /// <param name="endOfText">Whether there is a token that stands between documents. Default: yes.</param>
    /// <param name="cancellationToken">Stops the learning.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static WordTokenizer Train(
        IEnumerable<string> texts, int vocabularySize = 4096, long minFrequency = 2, bool endOfText = true,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(texts);
        OptionChecks.Within(vocabularySize, Bytes + 1, 1_000_000);
        OptionChecks.AtLeast(minFrequency, 1);
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        Dictionary<string, long>.AlternateLookup<ReadOnlySpan<char>> lookup = counts.GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (string text in texts)
        {
            cancellationToken.ThrowIfCancellationRequested();
            for (int at = 0; at < text.Length;)
            {
                int length = WordLength(text, at);
                if (length > 0)
                    CollectionsMarshal.GetValueRefOrAddDefault(lookup, text.AsSpan(at, length), out _)++;
                at += Math.Max(1, length);
            }
        }
        IEnumerable<string> words = counts.Where(word => word.Value >= minFrequency)
            .OrderByDescending(word => word.Value).ThenBy(word => word.Key, StringComparer.Ordinal).Select(word => word.Key);
        return new([.. words.Take(vocabularySize - Bytes - (endOfText ? 1 : 0))], endOfText);
    }

    internal override SavedTokenizer ToSaved() =>
        new() { Kind = TokenizerKind.Words, Tokens = Words, EndOfText = EndOfTextId is not null };

    private protected override bool Word(ReadOnlySpan<char> text, int at, out int id, out int length)
    {
        length = WordLength(text, at);
        return _ids.TryGetValue(text.Slice(at, length), out id);
    }

    // The characters of the word that begins there, with a space before it; 0: none does. A word's inside begins none.
    private static int WordLength(ReadOnlySpan<char> text, int at)
    {
        int end = at + (text[at] == ' ' ? 1 : 0);
        if (at > 0 && end == at && IsOfWord(text[..at], last: true, out _))
            return 0;
        int letters = end;
        while (end < text.Length && IsOfWord(text[end..], last: false, out int length))
            end += length;
        return end > letters ? end - at : 0;
    }

    private static bool IsOfWord(ReadOnlySpan<char> text, bool last, out int length)
    {
        _ = last ? Rune.DecodeLastFromUtf16(text, out Rune rune, out length) : Rune.DecodeFromUtf16(text, out rune, out length);
        return Rune.IsLetter(rune)
            || Rune.GetUnicodeCategory(rune) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark;
    }

    private static string[] Checked(IEnumerable<string> words)
    {
        ArgumentNullException.ThrowIfNull(words);
        string[] all = [.. words];
        foreach (string word in all)
        {
            if (string.IsNullOrEmpty(word) || WordLength(word, 0) != word.Length)
                throw new ArgumentException($"'{word}' is no run of letters, with or without a space before it.", nameof(words));
        }
        IGrouping<string, string>? twice = all.GroupBy(word => word, StringComparer.Ordinal).FirstOrDefault(group => group.Count() > 1);
        return twice is null ? all : throw new ArgumentException($"The word '{twice.Key}' is there twice.", nameof(words));
    }
}
