using System.Diagnostics;

namespace GenerativeML.Benchmarks;

/// <summary>Writes a line now and then while a model trains, beside the results.</summary>
internal sealed class ProgressLines : IProgress<TrainingProgress>
{
    private long? _last;

    /// <inheritdoc/>
    public void Report(TrainingProgress value)
    {
        if (!value.IsLast && _last is long last && Stopwatch.GetElapsedTime(last).TotalSeconds < 10)
            return;
        _last = Stopwatch.GetTimestamp();
        Console.Error.WriteLine(value);
    }
}
