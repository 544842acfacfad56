using System.Net;
using Microsoft.ML.Data;

namespace AnomalyDetection;

/// <summary>One page that needs no other file: what was found, in figures, two drawings and a table.</summary>
internal sealed class HtmlReport(
    string name, Readings file, List<Outcome> outcomes, AnomalyDetectionMetrics? metrics, double threshold,
    List<StrangeRow> strangest)
{
    private const string Style = """
        body { margin: 0; background: #f6f7f9; color: #1c2430; font: 15px/1.5 system-ui, sans-serif; }
        main { max-width: 1120px; margin: 0 auto; padding: 32px 24px; }
        h1 { font-size: 26px; margin: 0; } h2 { font-size: 16px; margin: 0 0 8px; }
        p, small, th, .tiles span { color: #5d6878; } p { margin: 4px 0 20px; }
        section { background: #fff; border: 1px solid #dde2e8; border-radius: 10px; padding: 16px 20px;
                  overflow-x: auto; margin-bottom: 16px; }
        .tiles, .charts { display: grid; gap: 0 16px; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); }
        .tiles b { display: block; font-size: 24px; line-height: 1.3; }
        .charts { grid-template-columns: 3fr 2fr; } .charts section:only-child { grid-column: span 2; }
        @media (max-width: 800px) { .charts { grid-template-columns: 1fr; } }
        svg { display: block; width: 100%; height: auto; max-width: 800px; margin: auto; }
        table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
        th, td { padding: 7px 16px 7px 0; border-bottom: 1px solid #dde2e8; vertical-align: top; }
        tr:last-child td { border: 0; }
        .tag { border-radius: 99px; padding: 1px 9px; border: 1px solid #dde2e8; white-space: nowrap; }
        .hit { border-color: #e0663a; color: #e0663a; }
        .bar { display: block; height: 4px; border-radius: 2px; background: #e0663a; margin-top: 3px; }
        """;

    private const string Key =
        """<small>: <i style="color:#3b7dd8">■</i> normal, <i style="color:#e0663a">■</i> anomaly, by the labels</small>""";

    private readonly Grades _grades = new(outcomes);

    /// <summary>The whole page.</summary>
    public string Write() => $"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <title>Strange rows of {Text(name)}</title>
        <style>
        {Style}
        </style>
        </head>
        <body><main>
        <h1>Strange rows of {Text(name)}</h1>
        <p>An autoencoder learned one half of {file.RowCount:N0} rows ({file.Features.Length} features) without any
        label. Figures and drawings are about the other half, which it had not seen; the strangest rows are the whole
        file's.</p>
        <div class="tiles">{string.Concat(Figures())}</div>
        <div class="charts">
        {Chart("How strange the rows are" + (metrics is null ? "" : Key), Charts.Histogram(outcomes, threshold))}
        {(metrics is null ? "" : Chart("Anomalies found against false alarms", Charts.Roc(outcomes)))}
        </div>
        <section><h2>The strangest rows, and what made them strange</h2>
        <table><tr><th>row</th><th>score</th><th>label</th><th>most</th><th>then</th><th>and</th></tr>
        {string.Concat(strangest.Select(Row))}</table></section>
        {(_grades.Kinds.Count == 0 ? "" : Kinds())}
        </main></body>
        </html>

        """;

    private string[] Figures() =>
    [
        .. metrics is null ? Array.Empty<string>() :
        [
            Tile("AUROC", $"{metrics.AreaUnderRocCurve:F3}"), Tile("precision", $"{_grades.Precision:P0}"),
            Tile("recall", $"{_grades.Recall:P0}"), Tile("F1", $"{_grades.F1:F2}"),
        ],
        Tile("rows scored", $"{outcomes.Count:N0}"), Tile("flagged", $"{_grades.Flagged:N0}"),
    ];

    private static string Tile(string label, string value) => $"<section><b>{value}</b><span>{label}</span></section>";

    private static string Chart(string title, string drawing) => $"<section><h2>{title}</h2>{drawing}</section>";

    private static string Row(StrangeRow row) => $"""
        <tr><td>{row.Row}</td><td>{row.Score:G4}</td><td>{(row.Label is null ? "" : Tag(row.Label))}</td>
        {string.Concat(row.Reasons.Select(r => $"<td>{Text(r.Feature)} <b>{r.Shown}</b><br>"
            + $"<small>usually {r.Usual:G4} · {r.Share:P0} of the score</small>{Bar(r.Share)}</td>"))}</tr>

        """;

    private string Kinds() => $"""
        <section><h2>How many of each kind are flagged</h2><table>
        {string.Concat(_grades.Kinds.Select(k => $"<tr><td>{Tag(k.Kind)}</td><td>{k.Found} of {k.All}</td>"
            + $"<td style=\"width:60%\">{Bar((double)k.Found / k.All)}</td></tr>"))}
        </table></section>
        """;

    private static string Bar(double share) =>
        $"""<span class="bar" style="width:{Math.Clamp(100 * share, 1, 100):F0}%"></span>""";

    private static string Tag(string label) =>
        $"""<span class="tag{(Readings.IsAnomaly(label) ? " hit" : "")}">{Text(label)}</span>""";

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
