using System.Globalization;
using System.Text;

namespace AnomalyDetection;

/// <summary>
/// How many normal and how many anomalous rows have which score. Both axes are logarithmic, as scores spread over
/// orders of magnitude and anomalies are few; the score's is linear where a score is not positive.
/// </summary>
internal sealed class HistogramDrawing
{
    private const int Width = 640, Height = 360, Left = 52, Right = 16, Top = 34, Bottom = 46, Bins = 44;

    private readonly List<Outcome> _outcomes;
    private readonly double _threshold, _low, _high;
    private readonly bool _logarithmic;
    private readonly int[] _normal = new int[Bins], _anomalous = new int[Bins];
    private readonly int _most;

    public HistogramDrawing(List<Outcome> outcomes, double threshold)
    {
        (_outcomes, _threshold) = (outcomes, threshold);
        double least = outcomes.Min(o => o.Score), most = outcomes.Max(o => o.Score);
        _logarithmic = least > 0 && most > 3 * least;
        _low = Scale(Math.Min(least, threshold > 0 || !_logarithmic ? threshold : least));
        _high = Scale(Math.Max(most, threshold));
        if (_high <= _low)
            (_low, _high) = (_low - 0.5, _low + 0.5);
        foreach (Outcome o in outcomes)
        {
            int bin = Math.Clamp((int)((Scale(o.Score) - _low) / (_high - _low) * Bins), 0, Bins - 1);
            (o.IsAnomaly ? _anomalous : _normal)[bin]++;
        }
        _most = Math.Max(_normal.Max(), _anomalous.Max());
    }

    public string Draw()
    {
        var svg = new StringBuilder();
        void Add(string element) => svg.Append(element).Append('\n');
        Add(Invariant($"""<svg viewBox="0 0 {Width} {Height}" role="img" aria-label="Histogram of scores">"""));

        foreach (int count in CountTicks())
        {
            Add(Invariant($"""<path class="grid" d="M{Left} {Y(count):F1}H{Width - Right}"/>"""));
            Add(Invariant($"""<text x="{Left - 8}" y="{Y(count) + 4:F1}" text-anchor="end">{count}</text>"""));
        }
        Bars(_normal, "normal", 0.92, Add);
        Bars(_anomalous, "anomaly", 0.5, Add); // slimmer, so that both are seen where they overlap

        Add(Invariant($"""<path class="axis" d="M{Left} {Height - Bottom}H{Width - Right}"/>"""));
        foreach (double tick in ScoreTicks())
        {
            Add(Invariant($"""<path class="axis" d="M{X(tick):F1} {Height - Bottom}v5"/>"""));
            Add(Invariant($"""<text x="{X(tick):F1}" y="{Height - Bottom + 19}" text-anchor="middle">{tick:G3}</text>"""));
        }
        Add(Invariant($"""<text x="{(Left + Width - Right) / 2}" y="{Height - 6}" text-anchor="middle">score{(_logarithmic ? " (logarithmic)" : "")}</text>"""));
        Add(Invariant($"""<text transform="translate(13 {(Top + Height - Bottom) / 2}) rotate(-90)" text-anchor="middle">rows (logarithmic)</text>"""));

        bool nearRight = X(_threshold) > Width - 140;
        Add(Invariant($"""<path class="mark" d="M{X(_threshold):F1} {Top - 8}V{Height - Bottom}"/>"""));
        Add(Invariant($"""<text class="strong" x="{X(_threshold) + (nearRight ? -7 : 7):F1}" y="{Top}" text-anchor="{(nearRight ? "end" : "start")}">threshold {_threshold:G3}</text>"""));
        Legend(Add);
        return svg.Append("</svg>").ToString();
    }

    private void Bars(int[] counts, string style, double share, Action<string> add)
    {
        double bin = (double)(Width - Left - Right) / Bins, width = share * bin;
        for (int i = 0; i < Bins; i++)
        {
            if (counts[i] == 0)
                continue;
            double x = Left + i * bin + (bin - width) / 2, y = Y(counts[i]);
            add(Invariant($"""<rect class="{style}" x="{x:F1}" y="{y:F1}" width="{width:F1}" height="{Height - Bottom - y:F1}"/>"""));
        }
    }

    private void Legend(Action<string> add)
    {
        if (!_outcomes.Any(o => o.IsAnomaly))
            return;
        add(Invariant($"""<rect class="normal" x="{Left + 4}" y="6" width="12" height="12" rx="2"/><text x="{Left + 21}" y="16">normal</text>"""));
        add(Invariant($"""<rect class="anomaly" x="{Left + 78}" y="6" width="12" height="12" rx="2"/><text x="{Left + 95}" y="16">anomaly, by the labels</text>"""));
    }

    private double Scale(double score) => _logarithmic ? Math.Log10(score) : score;

    private double X(double score) => Left + (Scale(score) - _low) / (_high - _low) * (Width - Left - Right);

    /// <summary>A bar of one row is still seen: the axis begins at half a row.</summary>
    private double Y(double count) =>
        Height - Bottom - Math.Log(count / 0.5) / Math.Log(_most * 1.25 / 0.5) * (Height - Top - Bottom);

    private IEnumerable<int> CountTicks()
    {
        for (int tick = 1; tick <= _most; tick *= 10)
            yield return tick;
    }

    private IEnumerable<double> ScoreTicks()
    {
        if (!_logarithmic)
            return Enumerable.Range(0, 6).Select(i => _low + i * (_high - _low) / 5);
        IEnumerable<double> powers = Enumerable.Range((int)Math.Floor(_low), (int)Math.Ceiling(_high - _low) + 2).Select(p => Math.Pow(10, p));
        double[] steps = _high - _low > 3 ? [1] : [1, 2, 5];
        return powers.SelectMany(p => steps.Select(s => s * p)).Where(t => Scale(t) >= _low && Scale(t) <= _high);
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
