using System.Globalization;
using System.Text;

namespace AnomalyDetection;

/// <summary>
/// The ROC curve: lowering the threshold step by step, which share of the anomalies is found for which share of the
/// normal rows wrongly flagged. A dot marks the detector's own threshold.
/// </summary>
internal sealed class RocDrawing(List<Outcome> outcomes, double area)
{
    private const int Width = 420, Height = 360, Left = 56, Right = 24, Top = 14, Bottom = 46, PointsAtMost = 600;

    public string Draw()
    {
        string curve = string.Join("L", Points().Select(p => Invariant($"{X(p.False):F1} {Y(p.True):F1}")));
        (double False, double True) own = AtOwnThreshold();
        var svg = new StringBuilder();
        void Add(string element) => svg.Append(element).Append('\n');
        Add(Invariant($"""<svg viewBox="0 0 {Width} {Height}" role="img" aria-label="ROC curve">"""));
        for (int tick = 0; tick <= 4; tick++)
        {
            double share = tick / 4.0;
            Add(Invariant($"""<path class="grid" d="M{X(share):F1} {Y(0):F1}V{Y(1):F1}M{X(0):F1} {Y(share):F1}H{X(1):F1}"/>"""));
            Add(Invariant($"""<text x="{X(share):F1}" y="{Y(0) + 19:F1}" text-anchor="middle">{25 * tick}%</text>"""));
            Add(Invariant($"""<text x="{X(0) - 8:F1}" y="{Y(share) + 4:F1}" text-anchor="end">{25 * tick}%</text>"""));
        }
        Add(Invariant($"""<path class="area" d="M{X(0):F1} {Y(0):F1}L{curve}L{X(1):F1} {Y(0):F1}Z"/>"""));
        Add(Invariant($"""<path class="chance" d="M{X(0):F1} {Y(0):F1}L{X(1):F1} {Y(1):F1}"/>"""));
        Add($"""<path class="curve" d="M{curve}" stroke-linejoin="round"/>""");
        Add(Invariant($"""<path class="axis" d="M{X(0):F1} {Y(1):F1}V{Y(0):F1}H{X(1):F1}"/>"""));
        Add(Invariant($"""<circle class="dot" cx="{X(own.False):F1}" cy="{Y(own.True):F1}" r="5"/>"""));
        bool left = own.False > 0.6;
        Add(Invariant($"""<text class="strong" x="{X(own.False) + (left ? -11 : 11):F1}" y="{Math.Min(Y(own.True) + 17, Y(0.03)):F1}" text-anchor="{(left ? "end" : "start")}">at the threshold</text>"""));
        Add(Invariant($"""<text class="strong" x="{X(0.96):F1}" y="{Y(0.05):F1}" text-anchor="end" font-size="17">AUROC {area:F4}</text>"""));
        Add(Invariant($"""<text x="{(X(0) + X(1)) / 2:F1}" y="{Height - 6}" text-anchor="middle">false alarms, share of the normal rows</text>"""));
        Add(Invariant($"""<text transform="translate(12 {(Y(0) + Y(1)) / 2:F1}) rotate(-90)" text-anchor="middle">found, share of the anomalies</text>"""));
        return svg.Append("</svg>").ToString();
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

    private (double False, double True) AtOwnThreshold() =>
        (outcomes.Where(o => !o.IsAnomaly).Average(o => o.Flagged ? 1.0 : 0),
            outcomes.Where(o => o.IsAnomaly).Average(o => o.Flagged ? 1.0 : 0));

    private static double X(double share) => Left + share * (Width - Left - Right);

    private static double Y(double share) => Height - Bottom - share * (Height - Top - Bottom);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
