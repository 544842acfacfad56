using System.CommandLine;
using System.Globalization;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using TextToImage;

// Learns pictures with their captions, and draws what captions ask for that it has never seen.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Option<string?> data = new("--data") { Description = "A folder with MNIST, to be told in words. Default: scenes that the sample draws." };
Option<int> count = new("--count") { Description = "Scenes to train on.", DefaultValueFactory = _ => 20_000 };
Option<int?> epochs = new("--epochs") { Description = "Passes over the pictures. Default: by their number." };
Option<string[]> captions = new("--caption") { Description = "What to draw, eight times each. Default: captions held out.", DefaultValueFactory = _ => [] };
Option<double> guidance = new("--guidance") { Description = "How much pictures are to show it.", DefaultValueFactory = _ => 3 };
Option<int> judged = new("--judge") { Description = "Of how many captions held out pictures are judged.", DefaultValueFactory = _ => 200 };
Option<int> seed = new("--seed") { Description = "Decides scenes, training and pictures.", DefaultValueFactory = _ => 1 };
Option<DirectoryInfo> output = new("--out") { Description = "Where the sheet and the model go.", DefaultValueFactory = _ => new("out") };
RootCommand root = new("Learns pictures with captions, and draws what captions ask for.") { data, count, epochs, captions, guidance, judged, seed, output };
root.SetAction(parsed =>
{
    string folder = parsed.GetValue(output)!.FullName;
    Directory.CreateDirectory(folder);
    var ml = new MLContext(parsed.GetValue(seed));
    string? digits = parsed.GetValue(data);
    IDataView pictures = ml.Data.LoadFromEnumerable(digits is null
        ? Scenes.Draw(parsed.GetValue(count), parsed.GetValue(seed), heldOut: false)
        : Digits.Read(digits));
    var options = new ImageDiffusionOptions
    {
        FeatureColumnName = "Image",
        ConditionColumnNames = ["Caption"],
        ImageShape = digits is null ? new(3, Scenes.Side, Scenes.Side) : new(1, 28, 28),
        Epochs = parsed.GetValue(epochs),
        Sampling = new() { GuidanceScale = parsed.GetValue(guidance) },
        Progress = new Progress<TrainingProgress>(Console.WriteLine),
    };
    if (digits is null) // shapes need many steps
        options = options with { BatchSize = 16 };
    using DiffusionTransformer model = ml.Generative.ImageDiffusion(options).Fit(pictures);
    ml.Model.Save(model, inputSchema: null, Path.Combine(folder, "model.zip")); // a schema of images cannot be saved

    string[] wanted = parsed.GetValue(captions)!;
    if (wanted.Length == 0)
        wanted = digits is null ? HeldOut(10) : ["a seven", "a thick slanted seven", "a thin upright two", "a thick eight", "a slanted one"];
    Captioned[] sheet = [.. wanted.SelectMany(caption => Make(caption, 8))];
    ml.Data.LoadFromEnumerable(sheet).SaveGrid("Image", Path.Combine(folder, "sheet.png"), wanted.Length, 8);
    Console.WriteLine($"sheet.png in {folder}, row by row:\n  {string.Join("\n  ", wanted)}");
    if (digits is not null || parsed.GetValue(judged) == 0)
        return;

    string[] asked = HeldOut(parsed.GetValue(judged));
    (bool Places, bool Shapes)[] made = [.. asked.SelectMany(caption => Make(caption, 1)).Select(m => Scenes.Judge(m.Image!, m.Caption))];
    // The same rules on scenes that are drawn, whose captions are true.
    (bool Places, bool Shapes)[] drawn =
        [.. Scenes.Draw(asked.Length, parsed.GetValue(seed) + 2, heldOut: true).Select(s => Scenes.Judge(s.Image!, s.Caption))];
    Console.WriteLine(
        $"of {asked.Length} captions never seen, {made.Count(m => m.Places)} pictures have the right colours at the right places, "
        + $"and {made.Count(m => m.Shapes)} the right shapes and numbers, too; of drawn ones {drawn.Count(d => d.Places)} and "
        + $"{drawn.Count(d => d.Shapes)}");

    string[] HeldOut(int most) => [.. Scenes.Draw(most, parsed.GetValue(seed) + 1, heldOut: true).Select(scene => scene.Caption)];

    IEnumerable<Captioned> Make(string caption, int rows) =>
        model.Generate(rows, parsed.GetValue(seed), new RowCondition().Equal("Caption", caption)).GetColumn<MLImage>("Image").ToArray()
            .Select(image => new Captioned { Image = image, Caption = caption });
});
return root.Parse(args).Invoke();
