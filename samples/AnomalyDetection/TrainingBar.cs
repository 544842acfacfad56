using GenerativeML;
using Spectre.Console;

namespace AnomalyDetection;

/// <summary>A progress bar fed by the trainer.</summary>
internal sealed class TrainingBar : IProgress<TrainingProgress>
{
    private readonly ProgressTask _task;

    private TrainingBar(ProgressTask task) => _task = task;

    /// <summary>Shows a bar while <paramref name="train"/> runs.</summary>
    public static T Show<T>(Func<IProgress<TrainingProgress>, T> train) =>
        AnsiConsole.Progress()
            .Columns(
                new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context => train(new TrainingBar(context.AddTask("training"))));

    /// <inheritdoc/>
    public void Report(TrainingProgress value)
    {
        string loss = value.Losses.TryGetValue("loss", out double mean) ? $", loss {mean:F4}" : "";
        _task.Description = $"epoch {value.Epoch} of {value.Epochs}{loss}, {value.RowsPerSecond:N0} rows/s";
        _task.MaxValue = Math.Max(1, value.Steps);
        _task.Value = value.IsLast ? _task.MaxValue : value.Step; // it may stop early
    }
}
