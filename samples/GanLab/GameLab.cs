using GenerativeML;
using Microsoft.ML;
using Spectre.Console;

namespace GanLab;

/// <summary>GANs on points in the plane: one by the game that is asked for, or all games side by side.</summary>
internal static class GameLab
{
    private const string Shades = "the more the discriminator takes what lies there for real";

    /// <summary>One GAN, stage by stage.</summary>
    public static Animation Train(string shape, GanObjective game, int? epochs, int seed)
    {
        float[][] points = Shapes.Sample(shape, 10_000, seed);
        var animation = new Animation($"{game} on a {shape}", Shades, points);
        Table table = new Table().AddColumns("step", "loss D", "loss G", "distance", "MMD", "coverage");
        GanReport? report = null;
        Live(table, say => report = Fit(animation.Add(), points, game, epochs, seed, stage =>
        {
            GanFigures at = stage.Figures;
            table.AddRow(
                $"{at.Step}", $"{at.DiscriminatorLoss:F3}", $"{at.GeneratorLoss:F3}", $"{at.SlicedWasserstein:F4}",
                $"{at.MeanDiscrepancy:F4}", $"{at.Coverage:P0}");
            say(Progress(game, stage));
        }));
        foreach (string sentence in report!.Verdict())
            AnsiConsole.WriteLine(sentence);
        return animation;
    }

    /// <summary>A GAN for each game, on the same points by the same seed, and else by the defaults of the game.</summary>
    public static Animation Compare(string shape, int? epochs, int seed)
    {
        float[][] points = Shapes.Sample(shape, 10_000, seed);
        GanObjective[] games = Enum.GetValues<GanObjective>();
        var animation = new Animation($"{games.Length} games on a {shape}", Shades, points);
        Table table = new Table().AddColumns("game", "distance", "MMD", "coverage");
        Live(table, say =>
        {
            foreach (GanObjective game in games)
            {
                GanReport report = Fit(animation.Add($"{game}"), points, game, epochs, seed, stage => say(Progress(game, stage)));
                GanFigures last = report.Stages[^1];
                table.AddRow($"{game}", $"{last.SlicedWasserstein:F4}", $"{last.MeanDiscrepancy:F4}", $"{last.Coverage:P0}");
                if (game == games[^1])
                {
                    table.AddRow(
                        "held-back points", $"{report.ReferenceSlicedWasserstein:F4}", $"{report.ReferenceMeanDiscrepancy:F4}",
                        $"{report.ReferenceCoverage:P0}");
                }
                say($"{game}: done");
            }
        });
        return animation;
    }

    private static GanReport Fit(
        Animation.Training pictures, float[][] points, GanObjective game, int? epochs, int seed, Action<GanStage> each)
    {
        var ml = new MLContext(seed);
        using GanTransformer gan = ml.Generative.Gan(new GanOptions
        {
            Objective = game,
            Epochs = epochs,
            StageEnded = stage =>
            {
                GanFigures at = stage.Figures;
                each(stage);
                pictures.Add(
                    $"step {at.Step} of {stage.Steps}: distance {at.SlicedWasserstein:F3}, coverage {at.Coverage:P0}, losses of discriminator {at.DiscriminatorLoss:F2} and generator {at.GeneratorLoss:F2}",
                    stage.Discriminate, stage.Generate(Animation.Shown).Chunk(2));
            },
        }).Fit(ml.Data.LoadFromEnumerable(points.Select(p => new PlanePoint { Features = p })));
        pictures.Verdict = [.. gan.Report.Verdict()];
        return gan.Report;
    }

    private static string Progress(GanObjective game, GanStage stage) =>
        $"{game}: step {stage.Figures.Step} of {stage.Steps}, losses of discriminator {stage.Figures.DiscriminatorLoss:F3} and generator {stage.Figures.GeneratorLoss:F3}";

    // A table that is drawn again and again, with how far training is below it, is for a terminal; a file gets a line each time,
    // and the table once.
    private static void Live(Table table, Action<Action<string>> fill)
    {
        if (Console.IsOutputRedirected)
        {
            fill(Console.WriteLine);
            AnsiConsole.Write(table);
        }
        else
        {
            AnsiConsole.Live(table).Start(live => fill(progress =>
            {
                table.Caption(progress);
                live.Refresh();
            }));
        }
    }
}
