using System.Globalization;
using System.Net;
using System.Text;

namespace GenerativeML;

/// <summary>A report as one page that needs no other file.</summary>
internal sealed class ReportPage(SyntheticDataReport report, string title)
{
    private const int MostDrawnColumns = 60, MostHeatColumns = 40;

    private const string Style = """
        :root { color-scheme: light dark; --page: #f4f5f7; --card: #ffffff; --text: #20262e; --faint: #66707c;
                --rule: #d9dee4; --real: #7a8aa0; --made: #d2602a; --good: #2c8a57; --fair: #b07a12; --poor: #c23b3b; }
        @media (prefers-color-scheme: dark) {
          :root { --page: #15181c; --card: #1e2329; --text: #e4e8ec; --faint: #98a2ae; --rule: #353c45;
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
        .real { fill: var(--real); fill-opacity: .55; } .made { fill: none; stroke: var(--made); stroke-width: 1.6; }
        .key { display: inline-block; width: 11px; height: 11px; margin: 0 5px 0 14px; }
        .maps { display: grid; gap: 16px; grid-template-columns: 1fr 1fr; }
        @media (max-width: 900px) { .maps { grid-template-columns: 1fr; } }
        .map { overflow-x: auto; } .map table { border-collapse: collapse; font-size: 11px; }
        .map td { width: 20px; min-width: 14px; height: 20px; padding: 0; }
        .map th { font-weight: 400; text-align: right; padding-right: 7px; white-space: nowrap; color: var(--faint); }
        .map thead th { height: 96px; vertical-align: bottom; padding: 0; } .map thead span { writing-mode: vertical-rl;
               transform: rotate(180deg); }
        .list { width: 100%; border-collapse: collapse; }
        .list td, .list th { padding: 4px 12px 4px 0; text-align: left; border-bottom: 1px solid var(--rule); }
        .list .n { text-align: right; font-variant-numeric: tabular-nums; }
        """;

    private readonly PairTrends _trends = new(report.Real, report.Synthetic);

    /// <summary>The whole page.</summary>
    public string Write() => $"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{Text(title)}</title>
        <style>
        {Style}
        </style>
        </head>
        <body>
        <main>
        <h1>{Text(title)}</h1>
        <div class="faint">{I($"{report.RealRows:N0} real rows, {report.SyntheticRows:N0} synthetic ones")},
        {report.Columns.Count} columns{Sampled()}</div>
        <h2>In figures</h2>
        <div class="figures">{Figures()}</div>
        <h2>In words</h2>
        <div class="card">{Words()}</div>
        <h2>Single columns<span class="key" style="background:var(--real)"></span>real
        <span class="key" style="border:2px solid var(--made)"></span>synthetic</h2>
        <div class="columns">{Columns()}</div>
        <h2>How columns go together</h2>
        <div class="maps">{HeatMap(true)}{HeatMap(false)}</div>
        <p class="faint">Two columns of numbers: their correlation, from −1 (blue) to 1 (red). Others: Cramér's V, from
        0 to 1, numbers in ten bins.</p>
        <h2>The pairs that are least alike</h2>
        <div class="card">{WorstPairs()}</div>
        </main>
        </body>
        </html>

        """;

    private string Sampled() =>
        report.Real.SourceRows > report.Real.Rows || report.Synthetic.SourceRows > report.Synthetic.Rows
            ? I($"; compared by {report.Real.Rows:N0} and {report.Synthetic.Rows:N0} rows drawn at random")
            : "";

    private string Figures()
    {
        StringBuilder html = new();
        void Add(string name, string value) => html.Append($"""<div class="card"><b>{value}</b>{name}</div>""");
        Add("column shapes", I($"{report.MeanShape:F3}"));
        Add("pair trends", I($"{report.MeanTrend:F3}"));
        Add("coverage", I($"{report.MeanCoverage:F3}"));
        Add("new rows", I($"{report.NewRowShare:P1}"));
        if (report.ClosestRecords is ClosestRecords closest)
            Add("distance, by the hold-out's", I($"{closest.Ratio:F2}"));
        if (report.DetectionAuroc is double detection)
            Add("detection AUROC", I($"{detection:F3}"));
        if (report.Utility is LabelUtility utility)
        {
            Add("AUROC, trained on real", I($"{utility.Real.Auroc:F3}"));
            Add("trained on synthetic", I($"{utility.Synthetic.Auroc:F3}"));
            Add("trained on both", I($"{utility.Both.Auroc:F3}"));
        }
        return html.ToString();
    }

    private string Words() => string.Concat(report.Verdicts.Select(verdict => $"""
        <div class="verdict"><b class="{verdict.Level}">{verdict.Level.ToString().ToLowerInvariant()}</b>
        <span>{verdict.Topic}</span><span>{Text(verdict.Text)}</span></div>
        """));

    private string Columns()
    {
        StringBuilder html = new();
        foreach (int c in Enumerable.Range(0, Math.Min(report.Columns.Count, MostDrawnColumns)))
        {
            ColumnComparison column = report.Columns[c];
            (double[] real, double[] made, string scale) = column.IsNumeric
                ? ReportHistograms.OfNumbers(report.Real, report.Synthetic, c)
                : ReportHistograms.OfCategories(report.Real, report.Synthetic, c);
            string missing = column.RealMissing + column.SyntheticMissing > 0
                ? I($", missing {column.RealMissing:P1} and {column.SyntheticMissing:P1}")
                : "";
            html.Append($"""
                <div class="card"><h3 title="{Text(column.Name)}">{Text(column.Name)}</h3>
                <div class="faint">{I($"shape {column.Shape:F3}, coverage {column.Coverage:F2}")}{missing}</div>
                {Histogram(real, made)}
                <div class="faint">{Text(scale)}</div></div>
                """);
        }
        if (report.Columns.Count > MostDrawnColumns)
        {
            int more = report.Columns.Count - MostDrawnColumns;
            html.Append(I($"""<div class="faint">and {more:N0} more columns</div>"""));
        }
        return html.ToString();
    }

    private static string Histogram(double[] real, double[] made)
    {
        const double Width = 260, Height = 90;
        double most = Math.Max(Math.Max(real.Max(), made.Max()), 1e-12), step = Width / real.Length;
        StringBuilder html = new(I($"""<svg viewBox="0 -2 {Width} {Height + 3}" role="img">"""));
        for (int i = 0; i < real.Length; i++)
        {
            double height = Height * real[i] / most;
            html.Append(I($"""<rect class="real" x="{i * step:F1}" y="{Height - height:F1}" width="{step:F2}" """));
            html.Append(I($"""height="{height:F1}"/>"""));
        }
        StringBuilder line = new(I($"M0 {Height}"));
        for (int i = 0; i < made.Length; i++)
            line.Append(I($"V{Height - Height * made[i] / most:F1}H{(i + 1) * step:F1}"));
        return html.Append($"""<path class="made" d="{line}V{I($"{Height}")}"/></svg>""").ToString();
    }

    private string HeatMap(bool inReal)
    {
        int count = Math.Min(report.Columns.Count, MostHeatColumns);
        StringBuilder html = new($"""<div class="card map"><b>{(inReal ? "real" : "synthetic")}</b>""");
        html.Append("<table><thead><tr><th></th>");
        for (int j = 0; j < count; j++)
            html.Append($"<th><span>{Text(Short(report.Columns[j].Name))}</span></th>");
        html.Append("</tr></thead>");
        for (int i = 0; i < count; i++)
        {
            html.Append($"<tr><th>{Text(Short(report.Columns[i].Name))}</th>");
            for (int j = 0; j < count; j++)
            {
                double value = i == j ? 1 : _trends.Association(inReal, Math.Min(i, j), Math.Max(i, j));
                html.Append(I($"""<td style="background:{Colour(value)}" title="{value:F2}"></td>"""));
            }
            html.Append("</tr>");
        }
        return html.Append("</table></div>").ToString();
    }

    private string WorstPairs()
    {
        StringBuilder html = new("""<table class="list"><tr><th>column</th><th>column</th>""");
        html.Append("""<th class="n">alike</th></tr>""");
        foreach (PairComparison pair in report.Pairs.OrderBy(pair => pair.Trend).Take(10))
        {
            html.Append($"<tr><td>{Text(pair.First)}</td><td>{Text(pair.Second)}</td>")
                .Append(I($"""<td class="n">{pair.Trend:F3}</td></tr>"""));
        }
        return html.Append("</table>").ToString();
    }

    private static string Colour(double value) => double.IsNaN(value) ? "transparent"
        : value >= 0 ? I($"rgba(196,60,40,{value:F2})")
        : I($"rgba(45,100,200,{-value:F2})");

    private static string Short(string name) => name.Length <= 18 ? name : name[..17] + "…";

    private static string Text(string text) => WebUtility.HtmlEncode(text);

    private static string I(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
