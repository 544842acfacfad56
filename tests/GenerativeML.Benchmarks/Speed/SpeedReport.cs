using System.Text.Json;
using System.Text.Json.Serialization;

namespace GenerativeML.Benchmarks;

/// <summary>The results as a table.</summary>
internal static class SpeedReport
{
    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        // A loss that is not a number is a result, too.
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    /// <summary>What is above the columns.</summary>
    public static string Header { get; } =
        $"{"work",-20} {"against",-12} {"ours, median (least to most)",32} {"theirs",32}   "
        + $"{"ratio (rounds)",-20} {"wanted",-10} GFLOP/s";

    /// <summary>One result, with what it was that did not agree.</summary>
    public static string Line(SpeedResult result)
    {
        string times = $"{result.Work,-20} {result.Against,-12} {Times(result.Ours),32} {Times(result.Theirs),32}   ";
        if (result.Ratio is not Spread ratio)
        {
            IEnumerable<string> wrong = result.Agreements.Where(a => !a.Holds).Select(a =>
                $"\n  {a.What}: ours {a.Ours:G5}, theirs {a.Theirs:G5}, "
                + $"apart by {a.Difference:G3} where {a.Allowed:G3} is noise");
            return $"{times}NOT COMPARED: the two did not do the same{string.Concat(wrong)}";
        }
        string wanted = result.Wanted is double least ? $"{least:F1} {(ratio.Median >= least ? "met" : "missed")}" : "";
        string rate = result.Gflops is double gflops ? $"{gflops,7:F0}" : "";
        string spread = $"{ratio.Median:F2} ({ratio.Least:F2} to {ratio.Most:F2})";
        string by = string.Join(", ", result.Agreements.Select(a => $"{a.What} {a.Ours:G4} and {a.Theirs:G4}"));
        return $"{times}{spread,-20} {wanted,-10} {rate}".TrimEnd() + "\n"
            + $"  {result.Title}; {by}; the other with {result.PeerSetting}";
    }

    /// <summary>Writes all of it as JSON.</summary>
    public static void Write(string path, object results) =>
        File.WriteAllText(path, JsonSerializer.Serialize(results, Json) + "\n");

    /// <summary>Median, least and most.</summary>
    public static string Times(Spread seconds)
    {
        (double factor, string unit) = seconds.Median switch
        {
            >= 1 => (1.0, "s"),
            >= 1e-3 => (1e3, "ms"),
            _ => (1e6, "µs"),
        };
        return $"{factor * seconds.Median:F2} {unit} ({factor * seconds.Least:F2} to {factor * seconds.Most:F2})";
    }
}
