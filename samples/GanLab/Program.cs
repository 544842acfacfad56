using System.CommandLine;
using System.Globalization;
using GanLab;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Spectre.Console;

// Trains a GAN, a normalising flow or a diffusion model on points in the plane, shows how it goes, and writes an animation of it.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Option<string> shape = new("--shape") { Description = "What the points look like.", DefaultValueFactory = _ => "ring" };
Option<string> model = new("--model") { Description = "What is trained.", DefaultValueFactory = _ => "gan" };
Option<GanObjective> objective = new("--objective")
{
    Description = "The game that a GAN plays.",
    DefaultValueFactory = _ => GanObjective.NonSaturating,
};
Option<int?> epochs = new("--epochs") { Description = "Passes over the points. Default: by their number." };
Option<int> seed = new("--seed") { DefaultValueFactory = _ => 1, Description = "Decides points and training." };
Option<FileInfo> page = new("--out")
{
    Description = "The animation.",
    DefaultValueFactory = _ => new("points.html"),
};
shape.AcceptOnlyFromAmong([.. Shapes.Names]);
model.AcceptOnlyFromAmong("gan", "flow", "diffusion");
RootCommand root = new("Trains a model on points in the plane and draws how it learns.")
{
    shape, model, objective, epochs, seed, page,
};
root.SetAction(parsed =>
{
    string name = parsed.GetValue(shape)!;
    int number = parsed.GetValue(seed);
    Animation animation = parsed.GetValue(model) switch
    {
        "flow" => FlowLab.Train(name, parsed.GetValue(epochs) ?? 16, number),
        "diffusion" => DiffusionLab.Train(name, parsed.GetValue(epochs) ?? 64, number),
        _ => Train(name, parsed.GetValue(objective), parsed.GetValue(epochs), number),
    };
    FileInfo file = parsed.GetValue(page)!;
    File.WriteAllText(file.FullName, animation.Write());
    AnsiConsole.WriteLine($"The animation is in {file.FullName}");
});
return root.Parse(args).Invoke();

Animation Train(string name, GanObjective game, int? passes, int number)
{
    float[][] points = Shapes.Sample(name, 10_000, number);
    var animation = new Animation(
        $"{game} on a {name}", "the more the discriminator takes what lies there for real", points);
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
    animation.Verdict = [.. report!.Verdict()];
    foreach (string sentence in animation.Verdict)
        AnsiConsole.WriteLine(sentence);
    return animation;

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
                animation.Add(
                    $"step {at.Step} of {stage.Steps}: distance {at.SlicedWasserstein:F3}, coverage {at.Coverage:P0}, losses {at.DiscriminatorLoss:F2} and {at.GeneratorLoss:F2}",
                    stage.Discriminate, stage.Generate(Animation.Shown).Chunk(2));
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
