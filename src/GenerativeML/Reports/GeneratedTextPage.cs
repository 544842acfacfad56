using System.Net;
using static System.FormattableString;

namespace GenerativeML;

/// <summary>A text as a language model sees it, with its score.</summary>
internal sealed record InspectedText(string Title, IReadOnlyList<TokenLikelihood> Tokens, float Score);

/// <summary>
/// A page of texts whose tokens are coloured by how much the model expected them: the first ten ranks, the first hundred,
/// the first thousand, and the rest, as GLTR has them (Gehrmann 2019).
/// </summary>
internal sealed class GeneratedTextPage(
    IReadOnlyList<InspectedText> texts, GeneratedTextStatistic statistic, float threshold)
{
    private static readonly (int Rank, string Class)[] s_colours = [(10, "a"), (100, "b"), (1000, "c"), (int.MaxValue, "d")];

    /// <summary>The whole page.</summary>
    public string Write() => ReportPage.Html("Generated or genuine", $"""
        <div class="faint">Each token by its rank among what the model expected there; the pointer on a token shows its
        probability. Score: {statistic}, the higher, the more likely generated; threshold {Number(threshold)}.</div>
        <p><span class="a"> first ten </span> <span class="b"> first hundred </span> <span class="c"> first thousand </span>
        <span class="d"> beyond </span></p>
        {string.Concat(texts.Select(Section))}
        """, """
        .text { white-space: pre-wrap; overflow-wrap: anywhere; line-height: 1.9; }
        .a, .b, .c, .d { border-radius: 3px; padding: 1px 0; }
        .a { background: #2c8a5744; } .b { background: #d9a40055; } .c { background: #c23b3b55; } .d { background: #7b4bd066; }
        """);

    private string Section(InspectedText text)
    {
        TokenLikelihood[] expected = [.. text.Tokens.Where(t => t.Rank > 0)];
        int below = 0;
        IEnumerable<string> shares = s_colours.Select(colour =>
        {
            int within = expected.Count(t => t.Rank > below && t.Rank <= colour.Rank);
            below = colour.Rank;
            return Invariant($"""<span class="{colour.Class}"> {within / (double)Math.Max(1, expected.Length):P0} </span>""");
        });
        return $"""
            <h2>{WebUtility.HtmlEncode(text.Title)}</h2>
            <div class="card"><div class="faint">score {Number(text.Score)}{(text.Score > threshold ? ", above the threshold" : "")};
            {string.Join(' ', shares)} of {Invariant($"{expected.Length}")} tokens</div>
            <div class="text">{string.Concat(text.Tokens.Select(Token))}</div></div>

            """;
    }

    private static string Token(TokenLikelihood token)
    {
        string text = WebUtility.HtmlEncode(token.Text);
        if (token.Rank == 0 || text.Length == 0)
            return text;
        string colour = s_colours.First(c => token.Rank <= c.Rank).Class;
        return Invariant(
            $"""<span class="{colour}" title="rank {token.Rank}, p = {Math.Exp(token.LogProbability):G3}, entropy {token.Entropy:F2}">{text}</span>""");
    }

    private static string Number(float value) => float.IsPositiveInfinity(value) ? "none" : Invariant($"{value:F3}");
}
