using System.Globalization;

namespace GenerativeML.Benchmarks;

/// <summary>A text and what is to be made of it.</summary>
internal sealed class TextPair
{
    /// <summary>The text that is given.</summary>
    public string Source { get; set; } = "";

    /// <summary>The text to be made of it.</summary>
    public string Target { get; set; } = "";
}

/// <summary>Tasks whose pairs are drawn from a seed; those held back are none of the others.</summary>
internal static class TextPairTasks
{
    private static readonly DateTime First = new(1900, 1, 1);
    private static readonly int Days = (new DateTime(2100, 1, 1) - First).Days;

    private static readonly string[] Spellings =
    [
        "d MMMM yyyy", "MMMM d, yyyy", "d MMM yyyy", "MMM d, yyyy", "dd/MM/yyyy", "dd.MM.yyyy", "yyyy/MM/dd", "yyyyMMdd",
        "dddd, d MMMM yyyy", "ddd MMM d yyyy", "d# 'of' MMMM yyyy", "'the' d# 'day of' MMMM, yyyy",
    ];

    /// <summary>
    /// Sums of two numbers of up to three digits, as keras' addition_rnn draws them: 50,000 questions, of which none has the
    /// numbers of another, the tenth part held back; the question is written backwards.
    /// </summary>
    public static (TextPair[] Training, TextPair[] Held) Addition(int seed)
    {
        var random = new Random(seed);
        return Draw(50_000, 5_000, random, () =>
        {
            (int a, int b) = (Number(), Number());
            string question = string.Create(CultureInfo.InvariantCulture, $"{a}+{b}");
            return (
                $"{Math.Min(a, b)}+{Math.Max(a, b)}",
                new() { Source = new([.. question.Reverse()]), Target = (a + b).ToString(CultureInfo.InvariantCulture) });
        });

        int Number()
        {
            int number = 0;
            for (int digits = random.Next(1, 4); digits > 0; digits--)
                number = 10 * number + random.Next(10);
            return number;
        }
    }

    /// <summary>
    /// Days from 1900 to 2099 in twelve spellings, to be written as ISO 8601 has them: 20,000 to train on and 5,000 held back,
    /// of which none has a spelling of a day that is among the others.
    /// </summary>
    public static (TextPair[] Training, TextPair[] Held) Dates(int seed)
    {
        var random = new Random(seed);
        return Draw(25_000, 5_000, random, () =>
        {
            (int day, int spelling) = (random.Next(Days), random.Next(Spellings.Length));
            DateTime date = First.AddDays(day);
            string spelled = date.ToString(Spellings[spelling], CultureInfo.InvariantCulture)
                .Replace("#", Ordinal(date.Day), StringComparison.Ordinal);
            return (
                spelled, new() { Source = spelled, Target = date.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture) });
        });

        static string Ordinal(int day) => (day % 10, day / 10) switch
        {
            (_, 1) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
    }

    // Of what there is little of, such as sums of one digit, most is drawn early: what is held back is drawn from all.
    private static (TextPair[] Training, TextPair[] Held) Draw(
        int count, int held, Random random, Func<(string Key, TextPair Pair)> draw)
    {
        HashSet<string> known = [];
        List<TextPair> pairs = [];
        while (pairs.Count < count)
        {
            (string key, TextPair pair) = draw();
            if (known.Add(key))
                pairs.Add(pair);
        }
        TextPair[] all = [.. pairs];
        random.Shuffle(all);
        return (all[held..], all[..held]);
    }
}
