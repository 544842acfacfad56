using GenerativeML;

namespace GenerativeML.TestWorker;

/// <summary>Sets an event as soon as training reports anything.</summary>
internal sealed class Signal(ManualResetEventSlim heard) : IProgress<TrainingProgress>
{
    public void Report(TrainingProgress value) => heard.Set();
}
