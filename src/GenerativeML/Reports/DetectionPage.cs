using System.Net;
using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;
using static System.FormattableString;

namespace GenerativeML;

/// <summary>A detection report as one page that needs no other file.</summary>
internal sealed class DetectionPage(DetectionReport report, string title)
{
    private const string Style = """
        .pair { display: grid; gap: 0 16px; grid-template-columns: 1fr 1fr; }
        .pair > div { display: grid; grid-template-rows: subgrid; grid-row: span 2; } .pair svg { max-width: 640px; margin: 0 auto; }
        @media screen and (max-width: 900px) { .pair { grid-template-columns: 1fr; } }
        @media print { .pair h2 { font-size: 14px; white-space: nowrap; } }
        .tag { border-radius: 99px; padding: 1px 9px; border: 1px solid var(--made); color: var(--made); }
        .bar { display: block; height: 4px; border-radius: 2px; background: var(--made); margin-top: 3px; }
        """;

    private readonly bool _labelled = report.NormalRows + report.AnomalousRows > 0;

    /// <summary>The whole page.</summary>
    public string Write() => ReportPage.Html(title, $"""
        <div class="figures">{string.Concat(report.Figures().Select(f => $"""<div class="card"><b>{f.Value}</b>{f.Name}</div>"""))}</div>
        {(_labelled && report.Curve.Count == 0 ? OneKind() : "")}
        <h2>How strange the rows are{Key()}</h2>
        <div class="card">{Histogram()}</div>
        {(report.Curve.Count == 0 ? "" : Curves())}
        {(report.LatentMap.Count == 0 ? "" : Map())}
        <h2>The strangest rows{(report.Strangest.Any(row => row.Reasons.Count > 0) ? ", and what made them strange" : "")}</h2>
        <div class="card">{Strangest()}</div>
        {(report.Kinds.Count == 0 ? "" : Kinds())}
        """, Style);

    private string OneKind() => $"""
        <p class="faint">The label calls every row {(report.NormalRows == 0 ? "anomalous" : "normal")}: there are no two kinds to be told apart,
        and no area under a curve.</p>
        """;

    private string Key() => !_labelled ? "" : """
        <span class="key" style="background:var(--real)"></span>normal
        <span class="key" style="background:var(--made)"></span>anomalous, by the label
        """;

    private string Histogram()
    {
        ScoreBin first = report.Histogram[0], last = report.Histogram[^1];
        bool logarithmic = report.IsLogarithmic;
        Axis scores = logarithmic ? new LogarithmicAxis() : new LinearAxis();
        double? threshold = report.Threshold is { } at && double.IsFinite(at) && (!logarithmic || at > 0) ? at : null;
        (scores.Minimum, scores.Maximum) = (Math.Min(first.From, threshold ?? first.From), Math.Max(last.To, threshold ?? last.To));
        PlotModel model = Charts.Model(
            scores, logarithmic ? "score (logarithmic)" : "score", new LogarithmicAxis { Minimum = 0.5 }, "rows (logarithmic)");

        // Anomalies are slimmer, so that both are seen.
        (OxyColor Colour, double Inset, Func<ScoreBin, long> Rows)[] kinds =
            [(Charts.Lines[0], 0.04, bin => bin.Unlabelled), (Charts.Real, 0.04, bin => bin.Normal), (Charts.Made, 0.25, bin => bin.Anomalous)];
        foreach ((OxyColor colour, double inset, Func<ScoreBin, long> rows) in kinds)
        {
            var bars = new RectangleBarSeries { FillColor = colour, StrokeThickness = 0 };
            foreach (ScoreBin bin in report.Histogram.Where(bin => rows(bin) > 0))
                bars.Items.Add(new(Between(bin, inset), 0.5, Between(bin, 1 - inset), rows(bin)));
            model.Series.Add(bars);
        }
        if (threshold is double line)
        {
            bool right = report.Histogram.Count(bin => bin.From < line) > report.Histogram.Count / 2;
            model.Annotations.Add(new LineAnnotation
            {
                Type = LineAnnotationType.Vertical, X = line, Text = Invariant($"threshold {line:G3}"), Color = Charts.Faint,
                TextColor = Charts.Faint, TextOrientation = AnnotationTextOrientation.Horizontal, TextMargin = 16, LineStyle = LineStyle.Dash,
                TextHorizontalAlignment = right ? HorizontalAlignment.Right : HorizontalAlignment.Left,
            });
        }
        return Charts.Svg(model, "scores", "Numbers of rows by their scores", 900, 300);

        double Between(ScoreBin bin, double share) => logarithmic
            ? bin.From * Math.Pow(bin.To / bin.From, share)
            : bin.From + share * (bin.To - bin.From);
    }

    private string Curves()
    {
        double chance = (double)report.AnomalousRows / (report.NormalRows + report.AnomalousRows);
        PlotModel roc = Charts.Model(Share(), "false alarms, share of the normal rows", Share(), "found, share of the anomalies");
        var area = new AreaSeries { Color = Charts.Made, Color2 = OxyColors.Transparent, StrokeThickness = 2.2, Fill = OxyColor.FromAColor(30, Charts.Made) };
        area.Points.AddRange([new(0, 0), .. report.Curve.Select(p => new DataPoint(p.FalseAlarmRate, p.Recall))]);
        area.Points2.AddRange([new(0, 0), new(1, 0)]);
        roc.Series.Add(area);
        roc.Annotations.Add(new LineAnnotation { Slope = 1, Color = Charts.Faint, LineStyle = LineStyle.Dot });

        PlotModel precision = Charts.Model(Share(), "recall, share of the anomalies that is found", Share(), "precision, anomalies among the flagged");
        // In steps, as its area is computed: up to a recall, the precision is that at this recall.
        var line = new StairStepSeries { Color = Charts.Made, StrokeThickness = 2.2 };
        double recall = 0;
        foreach (DetectionPoint point in report.Curve.Where(p => p.Recall > 0))
        {
            line.Points.Add(new(recall, point.Precision));
            recall = point.Recall;
        }
        line.Points.Add(new(recall, report.Curve[^1].Precision));
        precision.Series.Add(line);
        precision.Annotations.Add(new LineAnnotation
        {
            Type = LineAnnotationType.Horizontal, Y = chance, Color = Charts.Faint, LineStyle = LineStyle.Dot,
        });
        if (report.Precision is double exact && !double.IsNaN(exact))
        {
            Mark(roc, report.FalseAlarmRate!.Value, report.Recall!.Value);
            Mark(precision, report.Recall.Value, exact);
        }
        string error = report.AurocError > 0 ? Invariant($", exact to {report.AurocError:G1}") : "";
        return Invariant($"""
            <div class="pair">
            <div><h2>Anomalies found against false alarms</h2><div class="card">{Charts.Svg(roc, "roc", "ROC curve", 540, 400)}
            <div class="faint">Area {report.Auroc:F4}{error}; by chance 0.5, the thin line.</div></div></div>
            <div><h2>Precision against recall</h2><div class="card">{Charts.Svg(precision, "precision", "Precision-recall curve", 540, 400)}
            <div class="faint">Average precision {report.AveragePrecision:F4}; by chance {chance:G3}, the thin line.</div></div></div>
            </div>
            """);

        static LinearAxis Share() => new() { Minimum = 0, Maximum = 1.02, StringFormat = "P0", MajorStep = 0.2 };

        static void Mark(PlotModel model, double x, double y) => model.Annotations.Add(new PointAnnotation
        {
            X = x, Y = y, Fill = OxyColors.White, Stroke = Charts.Faint, StrokeThickness = 2, Size = 5, Text = "at the threshold",
            TextColor = Charts.Faint, TextMargin = 12, TextVerticalAlignment = VerticalAlignment.Middle,
            TextHorizontalAlignment = x > 0.6 ? HorizontalAlignment.Right : HorizontalAlignment.Left,
        });
    }

    private string Map()
    {
        PlotModel model = Charts.Model(new LinearAxis(), "first component", new LinearAxis(), "second component");
        string key;
        if (_labelled)
        {
            foreach ((bool? kind, OxyColor colour) in new (bool?, OxyColor)[] { (null, Charts.Lines[0]), (false, Charts.Real), (true, Charts.Made) })
                model.Series.Add(Points(report.LatentMap.Where(point => point.IsAnomaly == kind), colour));
            key = "The colours are those above.";
        }
        else
        {
            // By rank: a few high scores would leave one colour to all others. The highest are drawn last.
            const int Shades = 32;
            float[] scores = [.. report.LatentMap.Select(point => point.Score).Order()];
            foreach (IGrouping<int, LatentPoint> shade in report.LatentMap
                .GroupBy(point => Array.BinarySearch(scores, point.Score) * Shades / scores.Length).OrderBy(group => group.Key))
            {
                model.Series.Add(Points(shade, OxyColor.Interpolate(Charts.Lines[0], Charts.Lines[1], shade.Key / (Shades - 1.0))));
            }
            key = "The redder, the higher the score's rank.";
        }
        return Invariant($"""
            <h2>How rows lie in the latent space</h2>
            <div class="card">{Charts.Svg(model, "map", "Rows by the first two principal components of the latent vectors", 900, 480)}
            <div class="faint">{report.LatentMap.Count:N0} of {report.Rows:N0} rows; the plane has {report.LatentMapShare:P0} of their variance. {key}</div></div>
            """);

        static ScatterSeries Points(IEnumerable<LatentPoint> points, OxyColor colour)
        {
            var series = new ScatterSeries { MarkerType = MarkerType.Circle, MarkerSize = 2.4, MarkerFill = colour, MarkerStrokeThickness = 0 };
            series.Points.AddRange(points.Select(point => new ScatterPoint(point.X, point.Y)));
            return series;
        }
    }

    private string Strangest()
    {
        bool labels = report.Strangest.Any(row => row.Label is not null);
        return $"""
            <table class="list"><tr><th class="n">row</th><th class="n">score</th>{(labels ? "<th>label</th>" : "")}<th colspan="3"></th></tr>
            {string.Concat(report.Strangest.Select(row =>
                Invariant($"""<tr><td class="n">{row.Row}</td><td class="n">{row.Score:G4}</td>""")
                + (labels ? $"<td>{Text(row.Label ?? "")}</td>" : "") + string.Concat(row.Reasons.Select(Reason)) + "</tr>\n"))}</table>
            """;
    }

    private static string Reason(FeatureReason reason)
    {
        string value = reason.Value is not float there ? "" : float.IsNaN(there) ? " <b>missing</b>" : Invariant($" <b>{there:G4}</b>");
        string usual = reason.Usual is double mean ? Invariant($"usually {mean:G4} · ") : "";
        return Invariant($"""
            <td>{Text(reason.Feature)}{value}<br><small class="faint">{usual}{reason.Share:P0} of the score</small>{Bar(reason.Share)}</td>
            """);
    }

    private string Kinds() => $"""
        <h2>How many of each kind are flagged</h2>
        <div class="card"><table class="list">{string.Concat(report.Kinds.Take(50).Select(kind => Invariant(
            $"""<tr><td><span class="tag">{Text(kind.Name)}</span></td><td class="n">{kind.Flagged:N0} of {kind.Rows:N0}</td>""")
            + $"""<td style="width:60%">{Bar((double)kind.Flagged / kind.Rows)}</td></tr>"""))}</table>
        {(report.Kinds.Count > 50 ? Invariant($"""<div class="faint">and {report.Kinds.Count - 50:N0} more kinds</div>""") : "")}</div>
        """;

    private static string Bar(double share) => Invariant($"""<span class="bar" style="width:{Math.Clamp(100 * share, 0.5, 100):F1}%"></span>""");

    private static string Text(string text) => WebUtility.HtmlEncode(text);
}
