using System.Text.RegularExpressions;

namespace GenerativeML.Tests.Reports;

/// <summary>What a page may not ask for: it is opened where there is no network, and sent as one file.</summary>
internal static partial class OnePage
{
    /// <summary>Checks that a page asks for no other file, nor for a script; pictures within it are data.</summary>
    public static void AssertWhole(string html)
    {
        StringAssert.StartsWith(html, "<!doctype html>");
        Match other = Elsewhere().Match(html);
        Assert.IsFalse(other.Success, $"the page asks for something else: {html[other.Index..Math.Min(html.Length, other.Index + 80)]}");
        Assert.Contains("@media print", html);
        Assert.Contains("prefers-color-scheme: dark", html);
    }

    [GeneratedRegex("""<script|<link|<iframe|<object|<embed|src\s*=\s*["']?(?!["']?data:)|srcset|href\s*=\s*["'](?!#)|url\(["']?(?!#|data:)|@import|https?:""", RegexOptions.IgnoreCase)]
    private static partial Regex Elsewhere();
}
