using System.CommandLine;
using System.Globalization;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using TextToImage;

// Learns pictures with their captions, and draws what captions ask for that it has never seen.

const int Shown = 8; // pictures of a caption on the sheet

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Option<string?> data = new("--data") { Description = "A folder with MNIST, to be told in words. Default: scenes that the sample draws." };
Option<int> count = new("--count") { Description = "Scenes to train on.", DefaultValueFactory = _ => 20_000 };
Option<int?> epochs = new("--epochs") { Description = "Passes over the pictures. Default: by their number." };
Option<FileInfo?> model = new("--model") { Description = "Draws with a model that was saved by an earlier run, of the same pictures and seed." };
Option<string[]> captions = new("--caption") { Description = "What to draw, eight times each. Default: some that are judged.", DefaultValueFactory = _ => [] };
Option<double> guidance = new("--guidance") { Description = "How much pictures are to show it.", DefaultValueFactory = _ => 3 };
Option<int> judged = new("--judge") { Description = "Of how many captions pictures are judged.", DefaultValueFactory = _ => 200 };
Option<int> seed = new("--seed") { Description = "Decides scenes, training and pictures.", DefaultValueFactory = _ => 1 };
Option<DirectoryInfo> output = new("--out") { Description = "Where the sheet and the model go.", DefaultValueFactory = _ => new("out") };
RootCommand root = new("Learns pictures with captions, and draws what captions ask for.")
{
    data, count, epochs, model, captions, guidance, judged, seed, output,
};
root.SetAction(parsed =>
{
    string folder = parsed.GetValue(output)!.FullName;
    Directory.CreateDirectory(folder);
    int start = parsed.GetValue(seed);
    var ml = new MLContext(start);
    string? digits = parsed.GetValue(data);
    bool isScenes = digits is null;
    Captioned[] pictures = isScenes ? [.. Scenes.Draw(parsed.GetValue(count), start, heldOut: false)] : [.. Digits.Read(digits!)];
    ImageShape shape = isScenes ? new(3, Scenes.Side, Scenes.Side) : new(1, 28, 28);
    using DiffusionTransformer made = parsed.GetValue(model) is { } file
        ? (DiffusionTransformer)ml.Model.Load(file.FullName, out _)
        : Train(ml, pictures, shape, parsed.GetValue(epochs), isScenes, Path.Combine(folder, "model.zip"));
    made.Sampling = made.Sampling with { GuidanceScale = parsed.GetValue(guidance) };

    // Scenes by captions that are held out, whose words come together in none that it learned from; digits as they come.
    int most = parsed.GetValue(judged);
    Captioned[] real = isScenes ? [.. Scenes.Draw(Math.Max(most, 10), start + 1, heldOut: true)] : [.. Digits.Read(digits!, test: true)];
    string[] wanted = parsed.GetValue(captions)!;
    if (wanted.Length == 0)
        wanted = isScenes ? [.. real.Take(10).Select(scene => scene.Caption)] : ["a seven", "a thick slanted seven", "a thin upright two", "a thick eight", "a slanted one"];
    Captioned[] sheet = [.. wanted.SelectMany(caption => Make(caption, Shown))];
    ml.Data.LoadFromEnumerable(sheet).SaveGrid("Image", Path.Combine(folder, "sheet.png"), wanted.Length, Shown);
    Console.WriteLine($"sheet.png in {folder}, row by row:\n  {string.Join("\n  ", wanted)}");
    if (most == 0)
        return;

    var judge = new PictureJudge(ml, shape, pictures, isScenes ? Scenes.Answers : Digits.Answers);
    string[] asked = [.. real.Take(most).Select(picture => picture.Caption)];
    bool[][] right = judge.IsRight([.. asked.SelectMany(caption => Make(caption, 1))]), truly = judge.IsRight(real);
    Console.WriteLine(isScenes
        ? $"of {asked.Length} captions never seen, pictures have the right colours at the right places for {right.Count(r => r[0])}, and the "
            + $"right shapes and numbers, too, for {right.Count(r => r.All(yes => yes))}; of drawn scenes of such captions the judge says "
            + $"{truly.Count(r => r[0])} and {truly.Count(r => r.All(yes => yes))} of {real.Length}"
        : $"of {asked.Length} captions, {right.Count(r => r[0])} pictures show the right digit; of real pictures that the judge has not "
            + $"seen it says so of {truly.Count(r => r[0])} of {real.Length}");

    IEnumerable<Captioned> Make(string caption, int rows) =>
        made.Generate(rows, start, new RowCondition().Equal("Caption", caption)).GetColumn<MLImage>("Image").ToArray()
            .Select(image => new Captioned { Image = image, Caption = caption });
});
return root.Parse(args).Invoke();

static DiffusionTransformer Train(MLContext ml, Captioned[] pictures, ImageShape shape, int? epochs, bool isScenes, string path)
{
    var options = new ImageDiffusionOptions
    {
        FeatureColumnName = "Image",
        ConditionColumnNames = ["Caption"],
        ImageShape = shape,
        Epochs = epochs,
        Progress = new Progress<TrainingProgress>(Console.WriteLine),
    };
    if (isScenes) // shapes need many steps
        options = options with { BatchSize = 16 };
    DiffusionTransformer model = ml.Generative.ImageDiffusion(options).Fit(ml.Data.LoadFromEnumerable(pictures));
    ml.Model.Save(model, inputSchema: null, path); // a schema of images cannot be saved
    return model;
}
