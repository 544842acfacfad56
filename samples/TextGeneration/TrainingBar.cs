using GenerativeML;
using Spectre.Console;

namespace TextGeneration;

/// <summary>A progress bar fed by the trainer, with samples of text above it.</summary>
internal sealed class TrainingBar : IProgress<TrainingProgress>, IProgress<TrainingSample>
{
    private readonly ProgressTask _task;

    private TrainingBar(ProgressTask task) => _task = task;

    /// <summary>The validation loss at the end, in nats for each token.</summary>
    public double ValidationLoss { get; private set; } = double.NaN;

    /// <summary>Shows a bar while <paramref name="train"/> runs.</summary>
    public static T Show<T>(Func<TrainingBar, T> train) =>
        AnsiConsole.Progress()
            .Columns(
                new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
            .Start(context => train(new TrainingBar(context.AddTask("training"))));

    /// <inheritdoc/>
    public void Report(TrainingProgress value)
    {
        if (value.Validation.TryGetValue("loss", out double validation))
            ValidationLoss = validation;
        string loss = value.Losses.TryGetValue("loss", out double mean) ? $", loss {mean:F3}" : "";
        _task.Description = $"step {value.Step} of {value.Steps}{loss}";
        _task.MaxValue = Math.Max(1, value.Steps);
        _task.Value = value.IsLast ? _task.MaxValue : value.Step; // it may stop early
    }

    /// <inheritdoc/>
    public void Report(TrainingSample value) =>
        AnsiConsole.MarkupLineInterpolated($"[grey]after {value.Step} steps:[/] {value.Text.ReplaceLineEndings(" ")}");
}
