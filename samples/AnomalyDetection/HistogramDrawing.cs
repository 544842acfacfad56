namespace AnomalyDetection;

/// <summary>
/// How many normal and how many anomalous rows have which score. Both axes are logarithmic, as scores spread over
/// orders of magnitude and anomalies are few; the score's is linear where a score is not positive.
/// </summary>
internal sealed class HistogramDrawing
{
    private const int Width = 640, Height = 360, Left = 52, Right = 624, Top = 34, Bottom = 314, Bins = 44;

    private readonly double _threshold, _low, _high;
    private readonly bool _logarithmic;
    private readonly int[] _normal = new int[Bins], _anomalous = new int[Bins];
    private readonly int _most;

    public HistogramDrawing(List<Outcome> outcomes, double threshold)
    {
        _threshold = threshold;
        double least = outcomes.Min(o => o.Score), most = outcomes.Max(o => o.Score);
        _logarithmic = least > 0 && threshold > 0 && most > 3 * least;
        _low = Scale(Math.Min(least, threshold));
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
        var svg = new Svg(Width, Height, "Histogram of scores");
        for (int count = 1; count <= _most; count *= 10)
        {
            svg.Path("grid", $"M{Left} {Y(count):F1}H{Right}");
            svg.Text(Left - 8, Y(count) + 4, $"{count}", "end");
        }
        Bars(svg, _normal, "normal", 0.92);
        Bars(svg, _anomalous, "anomaly", 0.5); // slimmer, so that both are seen where they overlap

        svg.Path("axis", $"M{Left} {Bottom}H{Right}");
        foreach (double tick in ScoreTicks())
        {
            svg.Path("axis", $"M{X(tick):F1} {Bottom}v5");
            svg.Text(X(tick), Bottom + 19, Svg.I($"{tick:G3}"), "middle");
        }
        svg.Text((Left + Right) / 2, Height - 6, _logarithmic ? "score (logarithmic)" : "score", "middle");
        svg.TextUpwards(13, (Top + Bottom) / 2, "rows (logarithmic)");

        double at = X(_threshold);
        svg.Path("mark", $"M{at:F1} {Top - 8}V{Bottom}");
        bool before = at > Width - 140;
        svg.Text(at + (before ? -7 : 7), Top, Svg.I($"threshold {_threshold:G3}"), before ? "end" : "start", "strong");
        if (_anomalous.Any(count => count > 0))
            Legend(svg);
        return svg.ToString();
    }

    private void Bars(Svg svg, int[] counts, string style, double share)
    {
        double bin = (double)(Right - Left) / Bins, width = share * bin;
        for (int i = 0; i < Bins; i++)
        {
            double y = Y(counts[i]);
            if (counts[i] > 0)
                svg.Rectangle(style, Left + i * bin + (bin - width) / 2, y, width, Bottom - y);
        }
    }

    private static void Legend(Svg svg)
    {
        svg.Rectangle("normal", Left + 4, 6, 12, 12);
        svg.Text(Left + 21, 16, "normal");
        svg.Rectangle("anomaly", Left + 78, 6, 12, 12);
        svg.Text(Left + 95, 16, "anomaly, by the labels");
    }

    private double Scale(double score) => _logarithmic ? Math.Log10(score) : score;

    private double X(double score) => Left + (Scale(score) - _low) / (_high - _low) * (Right - Left);

    /// <summary>A bar of one row is still seen: the axis begins at half a row.</summary>
    private double Y(double count) => Bottom - Math.Log(count / 0.5) / Math.Log(_most * 1.25 / 0.5) * (Bottom - Top);

    private IEnumerable<double> ScoreTicks()
    {
        if (!_logarithmic)
            return Enumerable.Range(0, 6).Select(i => _low + i * (_high - _low) / 5);
        double[] steps = _high - _low > 3 ? [1] : [1, 2, 5];
        return Enumerable.Range((int)Math.Floor(_low), (int)Math.Ceiling(_high - _low) + 2)
            .SelectMany(power => steps.Select(step => step * Math.Pow(10, power)))
            .Where(tick => Scale(tick) >= _low && Scale(tick) <= _high);
    }
}
