namespace AnomalyDetection;

/// <summary>
/// The ROC curve: lowering the threshold step by step, which share of the anomalies is found for which share of the
/// normal rows wrongly flagged. A dot marks the detector's own threshold.
/// </summary>
internal sealed class RocDrawing(List<Outcome> outcomes, double area)
{
    private const int Width = 420, Height = 360, Left = 56, Right = 396, Top = 14, Bottom = 314, PointsAtMost = 600;

    public string Draw()
    {
        var svg = new Svg(Width, Height, "ROC curve");
        for (int tick = 0; tick <= 100; tick += 25)
        {
            double share = tick / 100.0;
            svg.Path("grid", $"M{X(share):F1} {Bottom}V{Top}M{Left} {Y(share):F1}H{Right}");
            svg.Text(X(share), Bottom + 19, $"{tick}%", "middle");
            svg.Text(Left - 8, Y(share) + 4, $"{tick}%", "end");
        }

        string curve = string.Join("L", Points().Select(p => Svg.I($"{X(p.False):F1} {Y(p.True):F1}")));
        svg.Path("area", $"M{Left} {Bottom}L{curve}L{Right} {Bottom}Z");
        svg.Path("chance", $"M{Left} {Bottom}L{Right} {Top}");
        svg.Path("curve", "M" + curve);
        svg.Path("axis", $"M{Left} {Top}V{Bottom}H{Right}");

        (double x, double y) = (X(FlaggedShare(ofAnomalies: false)), Y(FlaggedShare(ofAnomalies: true)));
        bool before = x > X(0.6);
        svg.Circle("dot", x, y, 5);
        (double beside, string anchor) = before ? (x - 11, "end") : (x + 11, "start");
        svg.Text(beside, Math.Min(y + 17, Y(0.12)), "at the threshold", anchor, "strong");
        svg.Text(X(0.96), Y(0.05), Svg.I($"AUROC {area:F4}"), "end", "strong large");
        svg.Text((Left + Right) / 2, Height - 6, "false alarms, share of the normal rows", "middle");
        svg.TextUpwards(12, (Top + Bottom) / 2, "found, share of the anomalies");
        return svg.ToString();
    }

    /// <summary>The curve's corners; rows of equal score are one step, and long curves are thinned out.</summary>
    private List<(double False, double True)> Points()
    {
        double anomalies = outcomes.Count(o => o.IsAnomaly), normals = outcomes.Count - anomalies;
        int found = 0, wrong = 0;
        List<(double False, double True)> points = [(0, 0)];
        foreach (IGrouping<float, Outcome> step in outcomes.GroupBy(o => o.Score).OrderByDescending(step => step.Key))
        {
            int hits = step.Count(o => o.IsAnomaly);
            found += hits;
            wrong += step.Count() - hits;
            points.Add((wrong / normals, found / anomalies));
        }
        int every = Math.Max(1, points.Count / PointsAtMost);
        return [.. points.Where((_, i) => i % every == 0 || i == points.Count - 1)];
    }

    private double FlaggedShare(bool ofAnomalies) =>
        outcomes.Where(o => o.IsAnomaly == ofAnomalies).Average(o => o.Flagged ? 1.0 : 0);

    private static double X(double share) => Left + share * (Right - Left);

    private static double Y(double share) => Bottom - share * (Bottom - Top);
}
