using System.Text.RegularExpressions;

namespace GenerativeML.Benchmarks;

/// <summary>
/// BLEU of a corpus (Papineni 2002) as sacrebleu defines it by default: mixed case, tokens as mteval-v13a makes them, n-grams
/// up to four words, a precision of zero smoothed to half of the last such one (Chen and Cherry 2014, method 3), the closest
/// reference's length. From 0 to 100.
/// </summary>
internal static partial class Bleu
{
    private const int Order = 4;

    /// <summary>The score of texts, each against one reference or several.</summary>
    public static double Score(IReadOnlyList<string> texts, params IReadOnlyList<IReadOnlyList<string>> references)
    {
        long[] right = new long[Order], total = new long[Order];
        long length = 0, wanted = 0;
        for (int i = 0; i < texts.Count; i++)
        {
            string[] words = Tokenize(texts[i]);
            string[][] against = [.. references.Select(reference => Tokenize(reference[i]))];
            length += words.Length;
            wanted += against.Select(a => a.Length).OrderBy(n => Math.Abs(n - words.Length)).ThenBy(n => n).First();
            for (int n = 1; n <= Order; n++)
            {
                Dictionary<string, int>[] known = [.. against.Select(a => Count(a, n))];
                foreach ((string gram, int count) in Count(words, n))
                {
                    total[n - 1] += count;
                    right[n - 1] += Math.Min(count, known.Max(k => k.GetValueOrDefault(gram)));
                }
            }
        }
        if (right.Sum() == 0)
            return 0;
        double logarithms = 0, smoothed = 1;
        for (int n = 0; n < Order; n++)
        {
            if (total[n] == 0)
                return 0;
            double precision = right[n] > 0 ? right[n] / (double)total[n] : 1 / ((smoothed *= 2) * total[n]);
            logarithms += Math.Log(precision) / Order;
        }
        double brevity = length < wanted ? Math.Exp(1 - wanted / (double)length) : 1;
        return 100 * brevity * Math.Exp(logarithms);
    }

    /// <summary>A text's words: all punctuation but that within numbers, apostrophes and dashes stands alone.</summary>
    public static string[] Tokenize(string text)
    {
        text = text.TrimEnd().Replace("<skipped>", "", StringComparison.Ordinal).Replace("-\n", "", StringComparison.Ordinal)
            .Replace('\n', ' ').Replace("&quot;", "\"", StringComparison.Ordinal).Replace("&amp;", "&", StringComparison.Ordinal)
            .Replace("&lt;", "<", StringComparison.Ordinal).Replace("&gt;", ">", StringComparison.Ordinal);
        text = Symbols().Replace($" {text} ", " $& ");
        text = AfterOther().Replace(text, "$1 $2 ");
        text = BeforeOther().Replace(text, " $1 $2");
        text = DashAfterDigit().Replace(text, "$1 - ");
        return text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
    }

    private static Dictionary<string, int> Count(string[] words, int n)
    {
        Dictionary<string, int> counts = [];
        for (int i = 0; i + n <= words.Length; i++)
        {
            string gram = string.Join(' ', words.AsSpan(i, n)!);
            counts[gram] = counts.GetValueOrDefault(gram) + 1;
        }
        return counts;
    }

    // ASCII's punctuation but the apostrophe, comma, dash and full stop.
    [GeneratedRegex("""[!-&(-+/:-@\[-`{-~]""")]
    private static partial Regex Symbols();

    [GeneratedRegex("([^0-9])([.,])")]
    private static partial Regex AfterOther();

    [GeneratedRegex("([.,])([^0-9])")]
    private static partial Regex BeforeOther();

    [GeneratedRegex("([0-9])-")]
    private static partial Regex DashAfterDigit();
}
