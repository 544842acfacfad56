using System.Globalization;
using System.Text.Json;

namespace GenerativeML.Benchmarks;

/// <summary>A series of the Numenta Anomaly Benchmark, with the windows, first and last row, that hold its anomalies.</summary>
/// <param name="Name">Folder and file.</param>
/// <param name="Values">In the order of time.</param>
/// <param name="Windows">Rows, both ends inclusive.</param>
internal sealed record NabSeries(string Name, float[] Values, IReadOnlyList<(int First, int Last)> Windows)
{
    /// <summary>Rows at the beginning that are not scored: 15 %, of 5000 at most.</summary>
    public int Probation => NabScorer.Probation(Values.Length);

    /// <summary>Whether each row lies in a window.</summary>
    public bool[] IsAnomaly => [.. Enumerable.Range(0, Values.Length).Select(t => Windows.Any(w => t >= w.First && t <= w.Last))];

    /// <summary>Reads all series of a folder with <c>combined_windows.json</c>, those that are there, by name.</summary>
    public static NabSeries[] ReadAll(DirectoryInfo folder)
    {
        using JsonDocument windows = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder.FullName, "combined_windows.json")));
        return
        [
            .. windows.RootElement.EnumerateObject().OrderBy(series => series.Name, StringComparer.Ordinal)
                .Select(series => (series.Name, File: Path.Combine(folder.FullName, series.Name), series.Value))
                .Where(series => File.Exists(series.File))
                .Select(series => Read(series.Name, File.ReadLines(series.File), series.Value)),
        ];
    }

    private static NabSeries Read(string name, IEnumerable<string> lines, JsonElement windows)
    {
        string[][] rows = [.. lines.Skip(1).Select(line => line.Split(','))];
        DateTime[] times = [.. rows.Select(row => Time(row[0]))];
        return new(
            name, [.. rows.Select(row => float.Parse(row[1], CultureInfo.InvariantCulture))],
            [
                .. windows.EnumerateArray().Select(window =>
                    (Array.IndexOf(times, Time(window[0].GetString()!)), Array.IndexOf(times, Time(window[1].GetString()!)))),
            ]);

        static DateTime Time(string text) => DateTime.Parse(text, CultureInfo.InvariantCulture);
    }
}

/// <summary>
/// The scores of the Numenta Anomaly Benchmark (Lavin and Ahmad 2015): a detection in a window of an anomaly counts the more
/// the earlier it is, and only the best one of a window; one elsewhere costs, the more the farther it is behind a window;
/// and so does a window without any.
/// </summary>
/// <param name="Detected">What a window's best detection counts at most.</param>
/// <param name="False">What a detection far from a window costs.</param>
/// <param name="Missed">What a window without a detection costs.</param>
internal sealed record NabScorer(double Detected = 1, double False = 0.11, double Missed = 1)
{
    /// <summary>Rows at the beginning of so many that are not scored.</summary>
    public static int Probation(int rows) => (int)Math.Min(Math.Floor(0.15 * rows), 0.15 * 5000);

    /// <summary>What a detection counts by where it is in its window, −1 at its beginning and 0 at its end, or behind it.</summary>
    public static double Sigmoid(double position) => position > 3 ? -1 : 2 / (1 + Math.Exp(5 * position)) - 1;

    /// <summary>What a detection in each row of a series counts, weighted, and in which window it is; −1 for none.</summary>
    public (double Value, int Window)[] Rows(NabSeries series)
    {
        var rows = new (double, int)[series.Values.Length];
        (int First, int Last)[] windows = [.. series.Windows.OrderBy(w => w.First)];
        int next = 0, before = -1;
        for (int t = 0; t < rows.Length; t++)
        {
            if (next < windows.Length && t >= windows[next].First)
            {
                (int first, int last) = windows[next];
                double place = -(last - t + 1) / (double)(last - first + 1);
                rows[t] = (Detected * Sigmoid(place) / Sigmoid(-1), next);
                if (t == last)
                    before = next++;
            }
            else
            {
                double cost = before < 0
                    ? -1 : Sigmoid((t - windows[before].Last) / (double)(windows[before].Last - windows[before].First));
                rows[t] = (False * cost, -1);
            }
        }
        return rows;
    }

    /// <summary>
    /// The score at each threshold that makes a difference, from the highest down, where 100 is a perfect detector's and 0
    /// that of one that never says anything; rows whose score is the threshold or higher are detections.
    /// </summary>
    public IEnumerable<(double Threshold, double Score, int Found, int Falsely)> Sweep(IReadOnlyList<(NabSeries Series, float[] Scores)> results)
    {
        var all = new List<(float Score, double Value, int Window)>();
        int windows = 0;
        foreach ((NabSeries series, float[] scores) in results)
        {
            (double Value, int Window)[] rows = Rows(series);
            for (int t = series.Probation; t < rows.Length; t++)
                all.Add((scores[t], rows[t].Value, rows[t].Window < 0 ? -1 : windows + rows[t].Window));
            windows += series.Windows.Count;
        }
        double none = -Missed * windows, sum = none;
        double[] best = [.. Enumerable.Repeat(-Missed, windows)];
        bool[] found = new bool[windows];
        int falsely = 0;
        double threshold = double.PositiveInfinity;
        foreach ((float score, double value, int window) in all.OrderByDescending(row => row.Score))
        {
            if (score != threshold)
            {
                yield return (threshold, Normal(sum), found.Count(true), falsely);
                threshold = score;
            }
            if (window < 0)
            {
                sum += value;
                falsely++;
            }
            else if (value > best[window])
            {
                sum += value - best[window];
                (best[window], found[window]) = (value, true);
            }
        }
        yield return (threshold, Normal(sum), found.Count(true), falsely);

        double Normal(double raw) => 100 * (raw - none) / (Detected * windows - none);
    }

    /// <summary>The highest score that one threshold for all series gives.</summary>
    public (double Threshold, double Score, int Found, int Falsely) Best(IReadOnlyList<(NabSeries, float[])> results) =>
        Sweep(results).MaxBy(point => point.Score);

    /// <summary>The score with a threshold.</summary>
    public (double Threshold, double Score, int Found, int Falsely) At(double threshold, IReadOnlyList<(NabSeries, float[])> results) =>
        Sweep(results).Last(point => point.Threshold >= threshold);
}
