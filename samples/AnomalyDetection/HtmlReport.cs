using System.Net;
using System.Text;
using Microsoft.ML.Data;

namespace AnomalyDetection;

/// <summary>One page that needs no other file: what was found, in figures, two drawings and a table.</summary>
internal sealed class HtmlReport(
    string name, CsvFile file, List<Outcome> outcomes, AnomalyDetectionMetrics? metrics, double threshold,
    List<StrangeRow> strangest)
{
    private const string Style = """
        :root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1c2430; --soft: #5d6878;
                --line: #dde2e8; --normal: #3b7dd8; --anomaly: #e0663a; }
        @media (prefers-color-scheme: dark) {
          :root { --page: #14181e; --card: #1d232c; --ink: #e6eaf0; --soft: #9aa6b5;
                  --line: #343d49; --normal: #6ba4f2; --anomaly: #f58a5f; } }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 1120px; margin: 0 auto; padding: 32px 24px 48px; }
        h1 { font-size: 26px; margin: 0; } h2 { font-size: 16px; margin: 0 0 8px; }
        p { margin: 4px 0 20px; color: var(--soft); }
        section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px 20px;
                  min-width: 0; }
        .tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px;
                 margin-bottom: 16px; }
        .tiles section { padding: 12px 16px; } .tiles span { color: var(--soft); }
        .tiles b { display: block; font-size: 24px; line-height: 1.3; }
        .charts { display: grid; grid-template-columns: 3fr 2fr; gap: 16px; margin-bottom: 16px; }
        @media (max-width: 800px) { .charts { grid-template-columns: 1fr; } }
        .one { grid-template-columns: 1fr; } .one svg { max-width: 760px; margin: 0 auto; }
        svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
        svg text { fill: var(--soft); } svg .strong { fill: var(--ink); font-weight: 600; }
        svg .large { font-size: 17px; }
        .axis { stroke: var(--soft); fill: none; } .grid { stroke: var(--line); fill: none; }
        .normal { fill: var(--normal); } .anomaly { fill: var(--anomaly); }
        .mark { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 5 4; fill: none; }
        .curve { stroke: var(--anomaly); stroke-width: 2.5; stroke-linejoin: round; fill: none; }
        .area { fill: var(--anomaly); fill-opacity: .12; }
        .chance { stroke: var(--soft); stroke-dasharray: 3 4; fill: none; }
        .dot { fill: var(--card); stroke: var(--ink); stroke-width: 2; }
        .wide { overflow-x: auto; margin-bottom: 16px; }
        table { border-collapse: collapse; width: 100%; }
        th { text-align: left; font-weight: 600; color: var(--soft); }
        th, td { padding: 7px 12px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
        tr:last-child td { border-bottom: 0; }
        .number { text-align: right; font-variant-numeric: tabular-nums; padding-right: 20px; }
        .tag { border-radius: 99px; padding: 1px 9px; border: 1px solid var(--line); white-space: nowrap; }
        .tag.hit { border-color: var(--anomaly); color: var(--anomaly); }
        .bar { display: block; height: 4px; border-radius: 2px; background: var(--anomaly); margin-top: 3px; }
        .thick { height: 10px; margin-top: 6px; }
        small { color: var(--soft); }
        """;

    /// <summary>The whole page.</summary>
    public string Write() => $"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Strange rows of {Text(name)}</title>
        <style>
        {Style}
        </style>
        </head>
        <body>
        <main>
        <h1>Strange rows of {Text(name)}</h1>
        <p>An autoencoder learned one half of {file.RowCount:N0} rows ({file.Features.Length} features) without any
        label. Figures and drawings are about the other half, which it had not seen; the strangest rows are the whole
        file's.</p>
        <div class="tiles">{Tiles()}</div>
        {Charts()}
        <section class="wide"><h2>The strangest rows, and what made them strange</h2>{Rows()}</section>
        {Kinds()}
        </main>
        </body>
        </html>

        """;

    private string Tiles()
    {
        var grades = new Grades(outcomes);
        string counts = Tile("rows scored", $"{outcomes.Count:N0}") + Tile("flagged", $"{grades.Flagged:N0}");
        return metrics is null
            ? counts
            : Tile("AUROC", $"{metrics.AreaUnderRocCurve:F3}") + Tile("precision", $"{grades.Precision:P0}")
                + Tile("recall", $"{grades.Recall:P0}") + Tile("F1", $"{grades.F1:F2}") + counts;
    }

    private static string Tile(string label, string value) => $"<section><b>{value}</b><span>{label}</span></section>";

    private string Charts()
    {
        string histogram = Chart("How strange the rows are", new HistogramDrawing(outcomes, threshold).Draw());
        if (metrics is null)
            return $"""<div class="charts one">{histogram}</div>""";
        string curve = new RocDrawing(outcomes, metrics.AreaUnderRocCurve).Draw();
        return $"""<div class="charts">{histogram}{Chart("Anomalies found against false alarms", curve)}</div>""";
    }

    private static string Chart(string title, string drawing) => $"<section><h2>{title}</h2>{drawing}</section>";

    private string Rows()
    {
        bool labels = strangest.Any(row => row.Label is not null);
        var html = new StringBuilder("""<table><tr><th class="number">row</th><th class="number">score</th>""");
        html.Append(labels ? "<th>label</th>" : "").Append("<th>most</th><th>then</th><th>and</th></tr>");
        foreach (StrangeRow row in strangest)
        {
            html.Append($"""<tr><td class="number">{row.Row}</td><td class="number">{row.Score:G4}</td>""");
            if (labels)
                html.Append($"<td>{Tag(row.Label ?? "")}</td>");
            foreach (Reason r in row.Reasons)
            {
                html.Append($"""
                    <td>{Text(r.Feature)} <b>{r.Shown}</b><br>
                    <small>usually {r.Usual:G4} · {r.Share:P0} of the score</small>
                    <span class="bar" style="width:{Math.Clamp(100 * r.Share, 1, 100):F0}%"></span></td>
                    """);
            }
            html.Append("</tr>\n");
        }
        return html.Append("</table>").ToString();
    }

    private string Kinds()
    {
        var kinds = new Grades(outcomes).Kinds;
        if (kinds.Count == 0)
            return "";
        var html = new StringBuilder("""<section class="wide"><h2>How many of each kind are flagged</h2><table>""");
        foreach ((string kind, int found, int all) in kinds)
        {
            html.Append($"""
                <tr><td>{Tag(kind)}</td><td class="number">{found} of {all}</td>
                <td style="width:60%"><span class="bar thick" style="width:{100.0 * found / all:F0}%"></span></td></tr>
                """);
        }
        return html.Append("</table></section>").ToString();
    }

    private static string Tag(string label) =>
        $"""<span class="tag{(CsvFile.IsAnomaly(label) ? " hit" : "")}">{Text(label)}</span>""";

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
