using System.CommandLine;
using System.Globalization;
using GanLab;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Spectre.Console;

// Trains GANs, a normalising flow or a diffusion model on points in the plane, shows how it goes, and writes an animation of it.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Option<string> shape = new("--shape") { Description = "What the points look like.", DefaultValueFactory = _ => "ring" };
Option<string> model = new("--model") { Description = "What is trained: games are all that a GAN can play, side by side.", DefaultValueFactory = _ => "gan" };
Option<GanObjective> objective = new("--objective")
{
    Description = "The game that a GAN plays, by model gan.",
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
model.AcceptOnlyFromAmong("gan", "games", "flow", "diffusion");
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
        "games" => GameLab.Compare(name, parsed.GetValue(epochs), number),
        _ => GameLab.Train(name, parsed.GetValue(objective), parsed.GetValue(epochs), number),
    };
    FileInfo file = parsed.GetValue(page)!;
    File.WriteAllText(file.FullName, animation.Write());
    AnsiConsole.WriteLine($"The animation is in {file.FullName}");
});
return root.Parse(args).Invoke();

/// <summary>A point as ML.NET reads it.</summary>
internal sealed class PlanePoint
{
    [VectorType(2)]
    public float[] Features { get; set; } = [];
}
