using System.Diagnostics;

namespace GenerativeML;

/// <summary>Decides when a report is due and works out its rates.</summary>
internal sealed class ProgressReporter(
    IProgress<TrainingProgress>? progress, long steps, int epochs, long firstStep, bool onCpu)
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);

    private readonly long _began = Stopwatch.GetTimestamp();
    private long _last = Stopwatch.GetTimestamp();
    private long _rows;

    /// <summary>Counts the rows of a step.</summary>
    public void Count(int rows) => _rows += rows;

    /// <summary>Whether it is time for a report.</summary>
    public bool IsDue => progress is not null && Stopwatch.GetElapsedTime(_last) >= Interval;

    public void Report(
        long step, int epoch, IReadOnlyDictionary<string, double> losses,
        IReadOnlyDictionary<string, double> validation, double rate, TimeSpan dataWait, bool last)
    {
        if (progress is null)
            return;
        TimeSpan elapsed = Stopwatch.GetElapsedTime(_began);
        double since = Stopwatch.GetElapsedTime(_last).TotalSeconds;
        long done = Math.Max(1, step - firstStep);
        progress.Report(new TrainingProgress
        {
            Step = step,
            Steps = steps,
            Epoch = epoch,
            Epochs = epochs,
            Losses = losses,
            Validation = validation,
            LearningRate = rate,
            RowsPerSecond = since > 0 ? _rows / since : 0,
            Elapsed = elapsed,
            Remaining = last ? TimeSpan.Zero : elapsed * ((steps - step) / (double)done),
            DataWait = dataWait,
            PeakDeviceBytes = onCpu ? PeakOfProcess() : null,
            IsLast = last,
        });
        _last = Stopwatch.GetTimestamp();
        _rows = 0;
    }

    private static long PeakOfProcess()
    {
        using Process self = Process.GetCurrentProcess();
        return self.PeakWorkingSet64;
    }
}
