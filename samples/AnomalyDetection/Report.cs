using Microsoft.ML.Data;
using Spectre.Console;

namespace AnomalyDetection;

/// <summary>What the sample prints.</summary>
internal static class Report
{
    /// <summary>Leaves out colours where nobody would see them.</summary>
    public static void PlainWhereRedirected()
    {
        if (!Console.IsOutputRedirected)
            return;
        AnsiConsole.Profile.Capabilities.Ansi = false;
        AnsiConsole.Profile.Capabilities.ColorSystem = ColorSystem.NoColors;
        AnsiConsole.Profile.Width = 120;
    }

    /// <summary>What was found in the file.</summary>
    public static void Data(string path, CsvFile file)
    {
        string leftOut = file.LeftOut.Length == 0 ? "" : $"; left out: {string.Join(", ", file.LeftOut)}";
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{Path.GetFileName(path)}[/]: {file.RowCount} rows, {file.Features.Length} features{leftOut}");
    }

    /// <summary>How well the held-out rows were judged; without labels, only how many were flagged.</summary>
    public static void Metrics(List<Outcome> outcomes, AnomalyDetectionMetrics? metrics, double threshold)
    {
        Grades grades = new(outcomes);
        Table table = new Table().Border(TableBorder.Simple).HideHeaders()
            .AddColumn("").AddColumn(new TableColumn("").RightAligned());
        table.AddRow("rows held out of training", $"{outcomes.Count}");
        table.AddRow("flagged, above the threshold of " + threshold.ToString("G4"), $"{grades.Flagged}");
        if (metrics is not null)
        {
            table.AddRow("anomalies among them, by the labels", $"{grades.Anomalies}");
            table.AddRow("[bold]AUROC[/]", $"[bold]{metrics.AreaUnderRocCurve:F4}[/]");
            table.AddRow("detection rate at 10 false alarms", $"{metrics.DetectionRateAtFalsePositiveCount:P1}");
            table.AddRow("precision of the flag", $"{grades.Precision:P1}");
            table.AddRow("recall of the flag", $"{grades.Recall:P1}");
            table.AddRow("F1 of the flag", $"{grades.F1:F3}");
            foreach ((string kind, int found, int all) in grades.Kinds)
                table.AddRow(Markup.Escape($"  flagged of {kind}"), $"{found} of {all}");
        }
        AnsiConsole.Write(table);
    }

    /// <summary>The strangest rows, and what made them strange.</summary>
    public static void Strangest(List<StrangeRow> rows)
    {
        bool labels = rows.Any(row => row.Label is not null);
        Table table = new Table().Border(TableBorder.Simple).Title("The strangest rows, and why")
            .AddColumn(new TableColumn("row").RightAligned()).AddColumn(new TableColumn("score").RightAligned());
        if (labels)
            table.AddColumn("label");
        table.AddColumn("what made it strange: value (usual value), share of the score");
        foreach (StrangeRow row in rows)
        {
            string reasons = string.Join("\n", row.Reasons.Select(
                r => $"{r.Feature} {r.Shown} ({r.Usual:G4}), {r.Share:P0}"));
            List<string> cells = [$"{row.Row}", $"{row.Score:G4}", reasons];
            if (labels)
                cells.Insert(2, row.Label ?? "");
            table.AddRow([.. cells.Select(Markup.Escape)]);
        }
        AnsiConsole.Write(table);
    }

    /// <summary>Where the results are.</summary>
    public static void Files(string model, string picture)
    {
        Console.WriteLine($"model:   {model}");
        Console.WriteLine($"picture: {picture}");
    }
}
