using GenerativeML;
using Spectre.Console;

namespace AnomalyDetection;

/// <summary>What the sample prints.</summary>
internal static class Report
{
    /// <summary>What was found in the file.</summary>
    public static void Data(Readings file)
    {
        if (Console.IsOutputRedirected)
            AnsiConsole.Profile.Width = 120;
        string leftOut = file.LeftOut.Length == 0 ? "" : $"; left out: {string.Join(", ", file.LeftOut)}";
        string rows = file.RowCount is long count ? $"{count}" : "over a million";
        AnsiConsole.MarkupLineInterpolated($"[bold]{file.Name}[/]: {rows} rows, {file.Features.Length} features{leftOut}");
        foreach (string note in file.Notes)
            AnsiConsole.MarkupLineInterpolated($"[yellow]{note}[/]");
    }

    /// <summary>A bar while <paramref name="train"/> runs.</summary>
    public static T Training<T>(Func<IProgress<TrainingProgress>, T> train) => AnsiConsole.Progress()
        .Columns(
            new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
        .Start(context => train(new Bar(context.AddTask("training"))));

    /// <summary>How well the held-out rows were judged; without labels, only how many were flagged.</summary>
    public static void Figures(DetectionReport report)
    {
        Console.WriteLine($"\nOf the rows held out of training:\n{report}");
        if (report.AnomalousRows > 0 && report.NormalRows == 0)
            Console.WriteLine("By the label every row is an anomaly: is it the right column?");
        foreach (AnomalyKind kind in report.Kinds.Take(12))
            Console.WriteLine($"  flagged of {kind.Name}: {kind.Flagged} of {kind.Rows}");
    }

    /// <summary>The strangest rows, and what made them strange.</summary>
    public static void Strangest(DetectionReport report)
    {
        Table table = new Table().Border(TableBorder.Simple).Title("The strangest rows, and why")
            .AddColumn(new TableColumn("row").RightAligned()).AddColumn(new TableColumn("score").RightAligned())
            .AddColumn("label").AddColumn("what made it strange: value (usual value), share of the score");
        foreach (StrangeRow row in report.Strangest)
        {
            string reasons = string.Join("\n", row.Reasons.Select(r => $"{r.Feature} {r.Value:G4} ({r.Usual:G4}), {r.Share:P0}"));
            table.AddRow($"{row.Row}", $"{row.Score:G4}", Markup.Escape(row.Label ?? ""), Markup.Escape(reasons));
        }
        AnsiConsole.Write(table);
    }

    private sealed class Bar(ProgressTask task) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            task.Description = $"epoch {value.Epoch} of {value.Epochs}, {value.RowsPerSecond:N0} rows/s";
            task.MaxValue = Math.Max(1, value.Steps);
            task.Value = value.IsLast ? task.MaxValue : value.Step; // it may stop early
        }
    }
}
