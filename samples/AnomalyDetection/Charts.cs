using OxyPlot;
using OxyPlot.Annotations;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace AnomalyDetection;

/// <summary>The page's two drawings, as SVG.</summary>
internal static class Charts
{
    private const int Bins = 44;
    private static readonly OxyColor s_normal = OxyColor.Parse("#3b7dd8"), s_anomaly = OxyColor.Parse("#e0663a");
    private static readonly OxyColor s_soft = OxyColor.Parse("#5d6878"), s_line = OxyColor.Parse("#dde2e8");

    /// <summary>
    /// How many normal (blue) and how many anomalous rows have which score. Rows are counted by the logarithm, as
    /// anomalies are few, and scores where they are positive and spread over more than a few times the least.
    /// </summary>
    public static string Histogram(List<Outcome> outcomes, double threshold)
    {
        double least = Math.Min(outcomes.Min(o => o.Score), threshold);
        double most = Math.Max(outcomes.Max(o => o.Score), threshold);
        bool logarithmic = least > 0 && most > 3 * least;
        Func<double, double> scale = logarithmic ? Math.Log : x => x, unscale = logarithmic ? Math.Exp : x => x;
        (double low, double high) = (scale(least), Math.Max(scale(most), scale(least) + 1e-6));

        Axis scores = logarithmic ? new LogarithmicAxis() : new LinearAxis();
        (scores.Minimum, scores.Maximum) = (unscale(low), unscale(high));
        PlotModel model = Plot(
            scores, logarithmic ? "score (logarithmic)" : "score", new LogarithmicAxis { Minimum = 0.5 },
            "rows (logarithmic)");
        foreach (bool anomalous in outcomes.Any(o => o.IsAnomaly) ? [false, true] : new[] { false })
        {
            var bars = new RectangleBarSeries
            {
                FillColor = anomalous ? s_anomaly : s_normal, StrokeThickness = 0,
            };
            double inset = anomalous ? 0.25 : 0.04; // anomalies are slimmer, so that both are seen
            foreach (var bin in outcomes.Where(o => o.IsAnomaly == anomalous).CountBy(
                o => Math.Clamp((int)((scale(o.Score) - low) / (high - low) * Bins), 0, Bins - 1)))
            {
                double Edge(double at) => unscale(low + (bin.Key + at) * (high - low) / Bins);
                bars.Items.Add(new RectangleBarItem(Edge(inset), 0.5, Edge(1 - inset), bin.Value));
            }
            model.Series.Add(bars);
        }
        model.Annotations.Add(new LineAnnotation
        {
            Type = LineAnnotationType.Vertical, X = threshold, Text = $"threshold {threshold:G3}", Color = s_soft,
            TextColor = s_soft, TextOrientation = AnnotationTextOrientation.Horizontal, LineStyle = LineStyle.Dash,
            TextHorizontalAlignment = scale(threshold) > (low + high) / 2
                ? HorizontalAlignment.Right
                : HorizontalAlignment.Left,
        });
        return Svg(model, "histogram", 640, 360);
    }

    /// <summary>
    /// The ROC curve: lowering the threshold step by step, which share of the anomalies is found for which share of the
    /// normal rows wrongly flagged. A dot marks the detector's own threshold.
    /// </summary>
    public static string Roc(List<Outcome> outcomes)
    {
        double anomalies = outcomes.Count(o => o.IsAnomaly), normals = outcomes.Count - anomalies;
        PlotModel model = Plot(
            new LinearAxis { Minimum = 0, Maximum = 1, StringFormat = "P0" }, "false alarms, share of the normal rows",
            new LinearAxis { Minimum = 0, Maximum = 1.02, StringFormat = "P0" }, "found, share of the anomalies");
        var curve = new AreaSeries
        {
            Color = s_anomaly, StrokeThickness = 2.5, Fill = OxyColor.FromAColor(30, s_anomaly),
        };
        double found = 0, wrong = 0;
        curve.Points.Add(new(0, 0));
        foreach (IGrouping<float, Outcome> step in outcomes.GroupBy(o => o.Score).OrderByDescending(step => step.Key))
        {
            int hits = step.Count(o => o.IsAnomaly);
            (found, wrong) = (found + hits, wrong + step.Count() - hits);
            curve.Points.Add(new(wrong / normals, found / anomalies));
        }
        curve.Points2.AddRange([new(0, 0), new(1, 0)]);
        model.Series.Add(curve);
        model.Annotations.Add(new LineAnnotation { Slope = 1, Color = s_soft, LineStyle = LineStyle.Dot });
        model.Annotations.Add(new PointAnnotation
        {
            X = outcomes.Count(o => o.Flagged && !o.IsAnomaly) / normals,
            Y = outcomes.Count(o => o.Flagged && o.IsAnomaly) / anomalies,
            Fill = OxyColors.White, Stroke = s_soft, StrokeThickness = 2, Size = 5, Text = "at the threshold",
            TextColor = s_soft, TextHorizontalAlignment = HorizontalAlignment.Left, TextMargin = 12,
            TextVerticalAlignment = VerticalAlignment.Middle,
        });
        return Svg(model, "roc", 420, 360);
    }

    private static PlotModel Plot(Axis x, string below, Axis y, string beside)
    {
        var model = new PlotModel
        {
            DefaultFont = "system-ui, sans-serif", PlotAreaBorderThickness = new(0, 0, 0, 1),
            PlotAreaBorderColor = s_soft, TextColor = s_soft,
        };
        (x.Position, x.Title, y.Position, y.Title) = (AxisPosition.Bottom, below, AxisPosition.Left, beside);
        foreach (Axis axis in (Axis[])[x, y])
        {
            axis.TicklineColor = s_soft;
            axis.MinorTickSize = 0;
            axis.AxisTitleDistance = 14;
            axis.MajorGridlineStyle = axis == y ? LineStyle.Solid : LineStyle.None;
            axis.MajorGridlineColor = s_line;
            model.Axes.Add(axis);
        }
        return model;
    }

    /// <summary>The drawing, which scales with the page, and whose parts are named apart from another's.</summary>
    private static string Svg(PlotModel model, string name, int width, int height) =>
        new SvgExporter { Width = width, Height = height, IsDocument = false }.ExportToString(model)
            .Replace("<svg ", $"<svg viewBox=\"0 0 {width} {height}\" role=\"img\" ", StringComparison.Ordinal)
            .Replace("id=\"clipPath", $"id=\"{name}", StringComparison.Ordinal)
            .Replace("#clipPath", $"#{name}", StringComparison.Ordinal);
}
