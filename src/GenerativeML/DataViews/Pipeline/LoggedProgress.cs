using System.Diagnostics;
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
        channel.Info(MessageSensitivity.None, value.ToString());
    }
}
