using GenerativeML;
using Microsoft.ML.Data;
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
    public static void Metrics(List<Outcome> outcomes, AnomalyDetectionMetrics? metrics, double threshold)
    {
        Grades grades = new(outcomes);
        Table table = new Table().Border(TableBorder.Simple).HideHeaders()
            .AddColumn("").AddColumn(new TableColumn("").RightAligned());
        table.AddRow("rows held out of training", $"{outcomes.Count}");
        table.AddRow($"flagged, above the threshold of {threshold:G4}", $"{grades.Flagged}");
        if (metrics is not null)
        {
            table.AddRow("anomalies among them, by the labels", $"{grades.Anomalies}");
            table.AddRow("[bold]AUROC[/]", $"[bold]{metrics.AreaUnderRocCurve:F4}[/]");
            table.AddRow("detection rate at 10 false alarms", $"{metrics.DetectionRateAtFalsePositiveCount:P1}");
            table.AddRow("precision and recall of the flag", $"{grades.Precision:P1}, {grades.Recall:P1}");
            table.AddRow("F1 of the flag", $"{grades.F1:F3}");
            foreach ((string kind, int found, int all) in grades.Kinds)
                table.AddRow(Markup.Escape($"  flagged of {kind}"), $"{found} of {all}");
        }
        AnsiConsole.Write(table);
    }

    /// <summary>The strangest rows, and what made them strange.</summary>
    public static void Strangest(List<StrangeRow> rows)
    {
        Table table = new Table().Border(TableBorder.Simple).Title("The strangest rows, and why")
            .AddColumn(new TableColumn("row").RightAligned()).AddColumn(new TableColumn("score").RightAligned())
            .AddColumn("label").AddColumn("what made it strange: value (usual value), share of the score");
        foreach (StrangeRow row in rows)
        {
            string reasons = string.Join(
                "\n", row.Reasons.Select(r => $"{r.Feature} {r.Shown} ({r.Usual:G4}), {r.Share:P0}"));
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
