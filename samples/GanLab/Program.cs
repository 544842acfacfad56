using System.CommandLine;
using System.Globalization;
using GanLab;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Spectre.Console;

// Trains a GAN on points in the plane, shows how it goes while it goes, and writes an animation of it.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Option<string> shape = new("--shape") { Description = "What the points look like.", DefaultValueFactory = _ => "ring" };
Option<GanObjective> objective = new("--objective")
{
    Description = "The game that is played.",
    DefaultValueFactory = _ => GanObjective.NonSaturating,
};
Option<int?> epochs = new("--epochs") { Description = "Passes over the points. Default: by their number." };
Option<int> seed = new("--seed") { DefaultValueFactory = _ => 1, Description = "Decides points and training." };
Option<FileInfo> page = new("--out")
{
    Description = "The animation.",
    DefaultValueFactory = _ => new("gan.html"),
};
shape.AcceptOnlyFromAmong([.. Shapes.Names]);
RootCommand root = new("Trains a GAN on points in the plane and draws how it learns.") { shape, objective, epochs, seed, page };
root.SetAction(parsed => Train(
    parsed.GetValue(shape)!, parsed.GetValue(objective), parsed.GetValue(epochs), parsed.GetValue(seed),
    parsed.GetValue(page)!));
return root.Parse(args).Invoke();

void Train(string name, GanObjective game, int? passes, int number, FileInfo file)
{
    float[][] points = Shapes.Sample(name, 10_000, number);
    var animation = new Animation($"{game} on a {name}", points);
    Table table = new Table().AddColumns("step", "loss D", "loss G", "distance", "MMD", "coverage");
    var ml = new MLContext(number);
    IDataView rows = ml.Data.LoadFromEnumerable(points.Select(p => new PlanePoint { Features = p }));

    GanReport? report = null;
    // A table that is drawn again and again is for a terminal; a file gets it once.
    if (Console.IsOutputRedirected)
    {
        Fit(() => { });
        AnsiConsole.Write(table);
    }
    else
    {
        AnsiConsole.Live(table).Start(live => Fit(live.Refresh));
    }
    foreach (string sentence in report!.Verdict())
        AnsiConsole.WriteLine(sentence);
    File.WriteAllText(file.FullName, animation.Write(report.Verdict()));
    AnsiConsole.WriteLine($"The animation is in {file.FullName}");

    void Fit(Action refresh)
    {
        using GanTransformer gan = ml.Generative.Gan(new GanOptions
        {
            Objective = game,
            Epochs = passes,
            StageEnded = stage =>
            {
                GanFigures at = stage.Figures;
                table.AddRow(
                    $"{at.Step}", $"{at.DiscriminatorLoss:F3}", $"{at.GeneratorLoss:F3}", $"{at.SlicedWasserstein:F4}",
                    $"{at.MeanDiscrepancy:F4}", $"{at.Coverage:P0}");
                refresh();
                animation.Add(stage);
            },
        }).Fit(rows);
        report = gan.Report;
    }
}

/// <summary>A point as ML.NET reads it.</summary>
internal sealed class PlanePoint
{
    [VectorType(2)]
    public float[] Features { get; set; } = [];
}
