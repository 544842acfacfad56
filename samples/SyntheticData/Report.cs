using DataFiles;
using GenerativeML;
using Spectre.Console;

namespace SyntheticData;

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
    public static void Data(TableFile table)
    {
        int numbers = table.Columns.Count(column => column.IsNumeric);
        string name = Path.GetFileName(table.Path), rows = table.RowCount is long count ? $"{count}" : "over a million";
        AnsiConsole.MarkupLineInterpolated(
            $"[bold]{name}[/]: {rows} rows; {numbers} columns of numbers, {table.Columns.Count - numbers} of others");
        foreach (string note in table.Notes)
            AnsiConsole.MarkupLineInterpolated($"[yellow]{note}[/]");
    }

    /// <summary>A bar while <paramref name="train"/> runs.</summary>
    public static T Training<T>(Func<IProgress<TrainingProgress>, T> train) => AnsiConsole.Progress()
        .Columns(
            new TaskDescriptionColumn(), new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn())
        .Start(context => train(new Steps(context.AddTask("training"))));

    /// <summary>The figures, with what they mean.</summary>
    public static void Quality(SyntheticDataReport report)
    {
        Table table = new Table().Border(TableBorder.Simple).Title("Is it any good?")
            .AddColumn("").AddColumn("").AddColumn("");
        foreach (ReportVerdict verdict in report.Verdicts)
        {
            string colour = verdict.Level switch
            {
                VerdictLevel.Good => "green",
                VerdictLevel.Fair => "yellow",
                _ => "red",
            };
            table.AddRow(
                $"[{colour}]{verdict.Level.ToString().ToLowerInvariant()}[/]",
                Markup.Escape(verdict.Topic),
                Markup.Escape(verdict.Text));
        }
        AnsiConsole.Write(table);
    }

    /// <summary>What a classifier is worth that was trained on real rows, on synthetic ones, and on both.</summary>
    public static void Classifiers(LabelUtility? utility)
    {
        if (utility is null)
            return;
        Table table = new Table().Border(TableBorder.Simple)
            .Title($"A classifier of '{Markup.Escape(utility.Label)}', tested on real rows that it never saw")
            .AddColumn("trained on").AddColumn(new TableColumn("AUROC").RightAligned())
            .AddColumn(new TableColumn("F1").RightAligned());
        foreach ((string name, ClassifierQuality quality) in new[]
        {
            ("real rows", utility.Real), ("synthetic rows", utility.Synthetic), ("both", utility.Both),
        })
        {
            table.AddRow(name, $"{quality.Auroc:F4}", $"{quality.F1:F4}");
        }
        AnsiConsole.Write(table);
    }

    /// <summary>Where the results are.</summary>
    public static void Files(params (string What, string Path)[] files)
    {
        foreach ((string what, string path) in files)
            Console.WriteLine($"{what + ":",-18}{path}");
    }

    private sealed class Steps(ProgressTask task) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            task.Description = $"epoch {value.Epoch} of {value.Epochs}, {value.RowsPerSecond:N0} rows/s";
            task.MaxValue = Math.Max(1, value.Steps);
            task.Value = value.IsLast ? task.MaxValue : value.Step; // it may stop early
        }
    }
}
