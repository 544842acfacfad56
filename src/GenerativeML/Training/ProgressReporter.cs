using System.Diagnostics;

namespace GenerativeML;

/// <summary>Decides when a report is due and works out its rates.</summary>
internal sealed class ProgressReporter(TrainingRun run, long steps, bool onCpu, TimeProvider? time = null)
{
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly long _began = (time ?? TimeProvider.System).GetTimestamp();
    private long _counted, _total, _rows; // steps, rows, and rows since the last report
    private long _warm, _last; // when the first step was done, and the last report made

    /// <summary>Counts a step and its rows.</summary>
    public void Count(int rows)
    {
        _total += rows;
        // The first step compiles and allocates: no later one takes as long.
        if (_counted++ == 0)
            _warm = _last = _time.GetTimestamp();
        else
            _rows += rows;
    }

    /// <summary>Whether it is time for a report.</summary>
    public bool IsDue =>
        run.Progress is not null && _counted > 1 && _time.GetElapsedTime(_last) >= run.ReportInterval;

    public void Report(
        long step, int epoch, IReadOnlyDictionary<string, double> losses,
        IReadOnlyDictionary<string, double> validation, double rate, TimeSpan dataWait, bool last)
    {
        if (run.Progress is null)
            return;
        TimeSpan elapsed = _time.GetElapsedTime(_began);
        TimeSpan perStep = _counted > 1
            ? _time.GetElapsedTime(_warm) / (_counted - 1)
            : elapsed / Math.Max(1, _counted);
        (long rows, TimeSpan since) = _rows > 0 ? (_rows, _time.GetElapsedTime(_last)) : (_total, elapsed);
        run.Progress.Report(new TrainingProgress
        {
            Step = step,
            Steps = steps,
            Epoch = epoch,
            Epochs = run.Epochs,
            Losses = losses,
            Validation = validation,
            LearningRate = rate,
            RowsPerSecond = rows / Math.Max(since.TotalSeconds, 1e-6),
            Elapsed = elapsed,
            Remaining = last ? TimeSpan.Zero : perStep * (steps - step),
            DataWait = dataWait,
            PeakDeviceBytes = onCpu ? PeakOfProcess() : null,
            IsLast = last,
        });
        _last = _time.GetTimestamp();
        _rows = 0;
    }

    private static long PeakOfProcess()
    {
        using Process self = Process.GetCurrentProcess();
        return self.PeakWorkingSet64;
    }
}
