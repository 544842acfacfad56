using System.Net;
using System.Text;
using static System.FormattableString;

namespace GenerativeML;

/// <summary>A report as one page that needs no other file.</summary>
internal sealed class ReportPage(SyntheticDataReport report, string title)
{
    private const int MaxDrawnColumns = 60, MaxHeatColumns = 40, Bins = 36, MaxCategories = 16;

    private const string Style = """
        :root { --page: #f4f5f7; --card: #ffffff; --text: #20262e; --faint: #66707c;
                --rule: #d9dee4; --real: #7a8aa0; --made: #d2602a; --good: #2c8a57; --fair: #b07a12; --poor: #c23b3b; }
        @media screen and (prefers-color-scheme: dark) {
          :root { color-scheme: dark; --page: #15181c; --card: #1e2329; --text: #e4e8ec; --faint: #98a2ae; --rule: #353c45;
                  --real: #8d9db3; --made: #f0874f; --good: #58c08a; --fair: #e0ad4a; --poor: #ef7070; } }
        body { margin: 0; padding: 28px; background: var(--page); color: var(--text);
               font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 1180px; margin: auto; } h1 { margin: 0 0 4px; } h2 { margin: 34px 0 10px; font-size: 18px; }
        .faint { color: var(--faint); } .card { background: var(--card); border: 1px solid var(--rule);
               border-radius: 8px; padding: 12px 14px; min-width: 0; }
        .figures, .columns { display: grid; gap: 12px; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
        .figures b { display: block; font-size: 23px; }
        .columns { grid-template-columns: repeat(auto-fill, minmax(265px, 1fr)); }
        .verdict { display: grid; grid-template-columns: 72px 160px 1fr; gap: 10px; padding: 7px 0;
               border-top: 1px solid var(--rule); } .verdict:first-child { border: 0; }
        .Good { color: var(--good); } .Fair { color: var(--fair); } .Poor { color: var(--poor); }
        .columns h3 { margin: 0; font-size: 14px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
        svg { display: block; width: 100%; height: auto; margin-top: 6px; }
        .key { display: inline-block; width: 11px; height: 11px; margin: 0 5px 0 14px; }
        .maps { display: grid; gap: 16px; grid-template-columns: 1fr 1fr; }
        @media (max-width: 900px) { .maps { grid-template-columns: 1fr; } }
        .map { overflow-x: auto; } .map table { border-collapse: collapse; font-size: 11px; width: 100%; }
        .map td { min-width: 14px; height: 20px; padding: 0; } .map tbody th, .map thead th:first-child { width: 1%; }
        .map th { font-weight: 400; text-align: right; padding-right: 7px; white-space: nowrap; color: var(--faint); }
        .map thead th { height: 96px; vertical-align: bottom; padding: 0; } .map thead span { writing-mode: vertical-rl;
               transform: rotate(180deg); }
        .scale span { display: inline-block; width: 160px; height: 11px; border: 1px solid var(--rule);
               background: linear-gradient(to right, rgb(45,100,200), var(--card), rgb(196,60,40)); }
        .list { width: 100%; border-collapse: collapse; }
        .list td, .list th { padding: 4px 12px 4px 0; text-align: left; border-bottom: 1px solid var(--rule); }
        @media print { :root { --page: #ffffff; } body { padding: 0; font-size: 12px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
          h2 { break-after: avoid; margin-top: 20px; } .figures b { font-size: 18px; }
          .figures { grid-template-columns: repeat(5, 1fr); } .columns { grid-template-columns: repeat(3, 1fr); }
          .maps { grid-template-columns: 1fr 1fr; } .map td { min-width: 0; height: 13px; } .map th { font-size: 8px; }
          .scale, .list tr:last-child { break-before: avoid; }
          .figures .card, .columns .card, .pair .card, .map, .verdict, svg, tr { break-inside: avoid; } }
        .list .n { text-align: right; font-variant-numeric: tabular-nums; }
        """;

    private readonly TableLikeness _likeness = new(report.Real, report.Synthetic);

    /// <summary>A page of a report: it needs no other file, is light or dark as its reader likes, and light on paper.</summary>
    /// <param name="title">Title and heading, as text.</param>
    /// <param name="body">What follows the heading, as HTML.</param>
    /// <param name="style">What the page adds to the style of all.</param>
    public static string Html(string title, string body, string style = "") => $"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{Text(title)}</title>
        <style>
        {Style}
        {style}
        </style>
        </head>
        <body>
        <main>
        <h1>{Text(title)}</h1>
        {body}
        </main>
        </body>
        </html>

        """;

    /// <summary>The whole page.</summary>
    public string Write() => Html(title, $"""
        <div class="faint">{Invariant($"{report.RealRows:N0} real rows, {report.SyntheticRows:N0} synthetic ones")},
        {report.Columns.Count} columns{Sampled()}</div>
        <h2>In figures</h2>
        <div class="figures">{Figures()}</div>
        <h2>In words</h2>
        <div class="card">{Words()}</div>
        <h2>Single columns<span class="key" style="background:var(--real)"></span>real
        <span class="key" style="border:2px solid var(--made)"></span>synthetic</h2>
        <div class="columns">{Columns()}</div>
        <h2>How columns go together</h2>
        <div class="maps">{HeatMap("real", report.Real)}{HeatMap("synthetic", report.Synthetic)}</div>
        <p class="faint scale">−1 <span></span> 1. Two columns of numbers: their correlation. Others: Cramér's V, from 0
        to 1, numbers in ten bins.</p>
        <h2>The pairs that are least alike</h2>
        <div class="card">{WorstPairs()}</div>
        """);

    private string Sampled() =>
        report.Real.SourceRows > report.Real.Rows || report.Synthetic.SourceRows > report.Synthetic.Rows
            ? Invariant($"; compared by {report.Real.Rows:N0} and {report.Synthetic.Rows:N0} rows drawn at random")
            : "";

    private string Figures()
    {
        List<(string Name, string Value)> figures =
        [
            ("column shapes", Invariant($"{report.MeanShape:F3}")),
            ("pair trends", Invariant($"{report.MeanTrend:F3}")),
            ("coverage", Invariant($"{report.MeanCoverage:F3}")),
            ("new rows", Invariant($"{report.NewRowShare:P1}")),
        ];
        if (report.ClosestRecords is ClosestRecords closest)
            figures.Add(("distance, by the hold-out's", Invariant($"{closest.Ratio:F2}")));
        if (report.DetectionAuroc is double detection)
            figures.Add(("detection AUROC", Invariant($"{detection:F3}")));
        if (report.Utility is LabelUtility utility)
        {
            figures.Add(("AUROC, trained on real", Invariant($"{utility.Real.Auroc:F3}")));
            figures.Add(("trained on synthetic", Invariant($"{utility.Synthetic.Auroc:F3}")));
            figures.Add(("trained on both", Invariant($"{utility.Both.Auroc:F3}")));
        }
        return string.Concat(figures.Select(f => $"""<div class="card"><b>{f.Value}</b>{f.Name}</div>"""));
    }

    private string Words() => string.Concat(report.Verdicts.Select(verdict => $"""
        <div class="verdict"><b class="{verdict.Level}">{verdict.Level.ToString().ToLowerInvariant()}</b>
        <span>{verdict.Topic}</span><span>{Text(verdict.Text)}</span></div>
        """));

    private string Columns()
    {
        int more = report.Columns.Count - MaxDrawnColumns;
        return string.Concat(report.Columns.Take(MaxDrawnColumns).Select(Column))
            + (more > 0 ? Invariant($"""<div class="faint">and {more:N0} more columns</div>""") : "");
    }

    private string Column(ColumnComparison column, int number)
    {
        if (column.IsIdentifier)
        {
            return $"""
                <div class="card"><h3 title="{Text(column.Name)}">{Text(column.Name)}</h3>
                <div class="faint">{Invariant($"tells rows apart: {column.RealValueShare:P1} are real values")}</div></div>
                """;
        }
        number -= report.Columns.Take(number).Count(earlier => earlier.IsIdentifier); // among those that are compared
        (double[] real, double[] made, string scale) = column.IsNumeric ? Numbers(number) : Categories(number);
        string missing = column.RealMissing + column.SyntheticMissing > 0
            ? Invariant($", missing {column.RealMissing:P1} and {column.SyntheticMissing:P1}")
            : "";
        string figures = column.IsEmpty
            ? "empty in the real table"
            : Invariant($"shape {column.Shape:F3}, coverage {column.Coverage:F2}");
        return $"""
            <div class="card"><h3 title="{Text(column.Name)}">{Text(column.Name)}</h3>
            <div class="faint">{figures}{missing}</div>
            {Charts.Svg(Charts.Bars(real, made), Invariant($"column{number}-"), $"Shares of {column.Name}", 260, 90)}
            <div class="faint">{Text(scale)}</div></div>
            """;
    }

    /// <summary>Shares in bins over the middle 99 % of both columns; the rest is in the outer ones.</summary>
    private (double[] Real, double[] Synthetic, string Scale) Numbers(int column)
    {
        double[] a = report.Real.Sorted(column), b = report.Synthetic.Sorted(column);
        double[][] there = [.. new[] { a, b }.Where(x => x.Length > 0)];
        if (there.Length == 0)
            return (new double[1], new double[1], "all missing");
        double low = there.Min(x => x[x.Length / 200]), high = there.Max(x => x[x.Length - 1 - x.Length / 200]);
        (double least, double most) = (there.Min(x => x[0]), there.Max(x => x[^1]));
        return (Shares(a), Shares(b), Range(low, high) + (least < low || most > high
            ? $"; beyond the ends {Range(least, most)}"
            : ""));

        static string Range(double from, double to) => Invariant($"{from:#,0.###} to {to:#,0.###}");

        double[] Shares(double[] numbers)
        {
            double[] shares = new double[Bins];
            foreach (double number in numbers)
            {
                int bin = high > low ? (int)Math.Clamp((number - low) / (high - low) * Bins, 0, Bins - 1) : Bins / 2;
                shares[bin] += 1.0 / numbers.Length;
            }
            return shares;
        }
    }

    /// <summary>Shares of the categories that are most frequent in the real column, and the others together.</summary>
    private (double[] Real, double[] Synthetic, string Scale) Categories(int column)
    {
        int[] a = report.Real.Counts(column), b = report.Synthetic.Counts(column);
        int[] order =
            [.. Enumerable.Range(0, a.Length).OrderByDescending(code => a[code]).ThenByDescending(code => b[code])];
        IEnumerable<string> names = order.Take(4).Select(code => report.Real.Columns[column].Categories[code] switch
        {
            "" => "(empty)",
            { Length: > 20 } name => name[..19] + "…",
            var name => name,
        });
        return (
            Shares(a, report.Real.Rows),
            Shares(b, report.Synthetic.Rows),
            string.Join(", ", names) + (order.Length > 4 ? $", … ({order.Length} categories)" : ""));

        double[] Shares(int[] counts, double rows) =>
        [
            .. order.Take(MaxCategories).Select(code => counts[code] / rows),
            .. order.Length > MaxCategories
                ? new[] { order.Skip(MaxCategories).Sum(code => counts[code]) / rows }
                : [],
        ];
    }

    private string HeatMap(string name, ReportTable table)
    {
        string[] names = [.. report.Real.Columns.Take(MaxHeatColumns).Select(column => Text(
            column.Name.Length <= 18 ? column.Name : column.Name[..17] + "…"))];
        double[][] associations = [.. names.Select((_, i) =>
            Enumerable.Range(0, i).Select(j => _likeness.Association(table, j, i)).ToArray())];
        StringBuilder html = new($"""<div class="card map"><b>{name}</b><table><thead><tr><th></th>""");
        foreach (string column in names)
            html.Append($"<th><span>{column}</span></th>");
        html.Append("</tr></thead>");
        for (int i = 0; i < names.Length; i++)
        {
            html.Append($"<tr><th>{names[i]}</th>");
            for (int j = 0; j < names.Length; j++)
            {
                double value = i == j ? 1 : associations[Math.Max(i, j)][Math.Min(i, j)];
                html.Append(Invariant($"""<td style="background:{Colour(value)}" title="{value:F2}"></td>"""));
            }
            html.Append("</tr>");
        }
        return html.Append("</table></div>").ToString();
    }

    private string WorstPairs() =>
        """<table class="list"><tr><th>column</th><th>column</th><th class="n">alike</th></tr>"""
        + string.Concat(report.Pairs.OrderBy(pair => pair.Trend).Take(10).Select(pair =>
            $"<tr><td>{Text(pair.First)}</td><td>{Text(pair.Second)}</td>"
            + Invariant($"""<td class="n">{pair.Trend:F3}</td></tr>""")))
        + "</table>";

    private static string Colour(double value) =>
        value >= 0 ? Invariant($"rgba(196,60,40,{value:F2})") : Invariant($"rgba(45,100,200,{-value:F2})");

    internal static string Text(string text) => WebUtility.HtmlEncode(text);
}
