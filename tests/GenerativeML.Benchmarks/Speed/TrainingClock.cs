using System.Diagnostics;

namespace GenerativeML.Benchmarks;

/// <summary>
/// What a product's training says of itself while it runs: how long its steps take, and what its losses are.
/// </summary>
/// <param name="skipped">The first so many steps are not timed, so that what is set up in them does not count.</param>
internal sealed class TrainingClock(int skipped) : IProgress<TrainingProgress>
{
    private readonly List<TrainingProgress> _reports = [];
    private readonly long _made = Stopwatch.GetTimestamp();
    private TimeSpan _last;

    /// <summary>Steps made.</summary>
    public long Steps => _reports.Count > 0 ? _reports[^1].Step : 0;

    /// <summary>Seconds from when this clock was made to the last step.</summary>
    public double SecondsInAll => _last.TotalSeconds;

    /// <summary>Seconds of a step, after those that are skipped.</summary>
    /// <exception cref="InvalidOperationException">Nothing was reported.</exception>
    public double SecondsPerStep
    {
        get
        {
            if (_reports.Count == 0)
                throw new InvalidOperationException("Training has not reported anything.");
            TrainingProgress last = _reports[^1];
            // A run that is over before its first report is timed as a whole.
            TrainingProgress? first = _reports.FirstOrDefault(r => r.Step >= skipped && r.Step < last.Step);
            return (last.Elapsed - (first?.Elapsed ?? TimeSpan.Zero)).TotalSeconds / (last.Step - (first?.Step ?? 0));
        }
    }

    /// <summary>
    /// How many steps come before those that losses are means of: half of all, or as many as the reports allow. The
    /// first steps' losses tell more of the initial weights than of the work.
    /// </summary>
    public long LossesFrom =>
        (_reports.FirstOrDefault(r => r.Step >= Steps / 2 && r.Step < Steps)
            ?? _reports.LastOrDefault(r => r.Step < Steps))?.Step ?? 0;

    /// <inheritdoc />
    public void Report(TrainingProgress value)
    {
        _last = Stopwatch.GetElapsedTime(_made);
        // The last report repeats an earlier one where no step came between them.
        if (value.Step > Steps)
            _reports.Add(value);
    }

    /// <summary>The mean of a loss over the last half of the steps, or what of it was reported by itself.</summary>
    public double Loss(string name)
    {
        long from = LossesFrom, before = 0;
        double sum = 0;
        foreach (TrainingProgress report in _reports)
        {
            if (report.Step > from)
                sum += report.Losses[name] * (report.Step - before);
            before = report.Step;
        }
        return sum / (Steps - from);
    }

    /// <summary>The same mean of the losses of single steps.</summary>
    public double Mean(IEnumerable<double> losses) => losses.Skip((int)LossesFrom).Average();
}
