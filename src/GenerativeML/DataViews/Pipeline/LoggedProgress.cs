using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Runtime;

namespace GenerativeML;

/// <summary>
/// Hands progress on to its listener and now and then writes a line to <c>MLContext.Log</c>: the first report, then one
/// every few seconds, then the last.
/// </summary>
internal sealed class LoggedProgress(IChannel channel, IProgress<TrainingProgress>? listener) : IProgress<TrainingProgress>
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);

    private long? _logged;

    public void Report(TrainingProgress value)
    {
        listener?.Report(value);
        if (_logged is long last && !value.IsLast && Stopwatch.GetElapsedTime(last) < s_interval)
            return;
        _logged = Stopwatch.GetTimestamp();
        channel.Info(MessageSensitivity.None, Describe(value));
    }

    private static string Describe(TrainingProgress at)
    {
        CultureInfo plain = CultureInfo.InvariantCulture;
        string losses = string.Join(", ", at.Losses.Select(loss => string.Create(plain, $"{loss.Key} {loss.Value:G4}")));
        string validation = string.Concat(
            at.Validation.Select(loss => string.Create(plain, $", validation {loss.Key} {loss.Value:G4}")));
        string time = at.IsLast
            ? string.Create(plain, $"done in {at.Elapsed.TotalSeconds:F1} s")
            : string.Create(plain, $"{at.RowsPerSecond:F0} rows/s, {at.Remaining.TotalSeconds:F0} s left");
        return string.Create(
            plain, $"Epoch {at.Epoch}/{at.Epochs}, step {at.Step}/{at.Steps}: {losses}{validation}; {time}");
    }
}
