namespace AnomalyDetection;

/// <summary>How the flags fare against the labels.</summary>
internal sealed class Grades
{
    /// <summary>Counts the flags and the labels of <paramref name="outcomes"/>.</summary>
    public Grades(IReadOnlyCollection<Outcome> outcomes)
    {
        Flagged = outcomes.Count(o => o.Flagged);
        Anomalies = outcomes.Count(o => o.IsAnomaly);
        int found = outcomes.Count(o => o.Flagged && o.IsAnomaly);
        Precision = Flagged == 0 ? 0 : (double)found / Flagged;
        Recall = Anomalies == 0 ? 0 : (double)found / Anomalies;
        F1 = found == 0 ? 0 : 2 * Precision * Recall / (Precision + Recall);

        var kinds = outcomes.Where(o => o.IsAnomaly).GroupBy(o => o.Label!).OrderBy(kind => kind.Key).ToArray();
        Kinds = kinds.Length is < 2 or > 12
            ? []
            : [.. kinds.Select(kind => (kind.Key, kind.Count(o => o.Flagged), kind.Count()))];
    }

    /// <summary>How many rows are flagged.</summary>
    public int Flagged { get; }

    /// <summary>How many rows are anomalies.</summary>
    public int Anomalies { get; }

    /// <summary>Which share of the flagged rows are anomalies.</summary>
    public double Precision { get; }

    /// <summary>Which share of the anomalies are flagged.</summary>
    public double Recall { get; }

    /// <summary>The harmonic mean of <see cref="Precision"/> and <see cref="Recall"/>.</summary>
    public double F1 { get; }

    /// <summary>For each kind of anomaly, how many are flagged; empty where the labels do not tell kinds.</summary>
    public IReadOnlyList<(string Kind, int Found, int All)> Kinds { get; }
}
