using System.CommandLine;
using System.Globalization;
using GenerativeML;
using ImageGeneration;
using Microsoft.ML;
using Microsoft.ML.Data;

// Trains a model on pictures, shows on the way what it draws, and writes pictures of its own with a page that judges them.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Option<string?> data = new("--data")
{
    Description = "A folder of pictures, or an IDX file such as MNIST's. Default: shapes that the sample draws.",
};
Option<string> model = new("--model") { Description = "gan, vae or diffusion.", DefaultValueFactory = _ => "gan" };
Option<int> size = new("--size") { Description = "Height and width of the pictures.", DefaultValueFactory = _ => 32 };
Option<bool> grey = new("--grey") { Description = "Of one channel, and not of three." };
Option<int?> epochs = new("--epochs") { Description = "Passes over the pictures. Default: by their number." };
Option<int> count = new("--count") { Description = "Pictures to write.", DefaultValueFactory = _ => 100 };
Option<int> seed = new("--seed") { Description = "Decides training and pictures.", DefaultValueFactory = _ => 1 };
Option<DirectoryInfo> output = new("--out")
{
    Description = "Where pictures, sheets and the model go.", DefaultValueFactory = _ => new("out"),
};
model.AcceptOnlyFromAmong("gan", "vae", "diffusion");
RootCommand root = new("Trains a model on pictures and writes new ones.") { data, model, size, grey, epochs, count, seed, output };
root.SetAction(parsed =>
{
    string folder = parsed.GetValue(output)!.FullName;
    Directory.CreateDirectory(folder);
    var ml = new MLContext(parsed.GetValue(seed));
    IDataView pictures = Pictures.Load(ml, parsed.GetValue(data), parsed.GetValue(seed));
    int side = parsed.GetValue(size);
    var shape = new ImageShape(parsed.GetValue(grey) ? 1 : 3, side, side);
    IDataGenerator trained = parsed.GetValue(model) switch { "gan" => Gan(), "vae" => Vae(), _ => Diffusion() };
    ml.Model.Save((ITransformer)trained, inputSchema: null, Path.Combine(folder, "model.zip")); // a schema of images cannot be saved

    IDataView made = trained.Generate(parsed.GetValue(count), seed: 7);
    made.SaveImages("Image", Path.Combine(folder, "pictures"));
    made.SaveGrid("Image", Path.Combine(folder, "sheet.png"));
    Console.WriteLine("judging them, which trains a small classifier");
    ImageQualityReport report = ImageQualityReport.Compare(
        pictures, trained.Generate(2000, seed: 8), "Image", new() { ImageShape = shape, MaximumRows = 2000 });
    report.SaveHtml(Path.Combine(folder, "report.html"));
    Console.WriteLine($"{report}\n\nsheet.png, report.html, model.zip and {parsed.GetValue(count)} pictures are in {folder}");

    IDataGenerator Gan() => ml.Generative.ImageGan(new ImageGanOptions
    {
        FeatureColumnName = "Image",
        ImageShape = shape,
        NonFiniteValues = NonFiniteValues.DropRow, // files that are no pictures
        Epochs = parsed.GetValue(epochs),
        StageEnded = stage =>
        {
            GanFigures at = stage.Figures;
            string sheet = Path.Combine(folder, $"step-{at.Step:D6}.png");
            Sheet(ml, stage.Generate(64), shape, sheet);
            Console.WriteLine(
                $"step {at.Step} of {stage.Steps}: losses of discriminator {at.DiscriminatorLoss:F3} and generator {at.GeneratorLoss:F3}, {sheet}");
        },
    }).Fit(pictures);

    IDataGenerator Vae() => ml.Generative.ImageVae(new ImageVaeOptions
    {
        FeatureColumnName = "Image",
        ImageShape = shape,
        NonFiniteValues = NonFiniteValues.DropRow,
        Epochs = parsed.GetValue(epochs),
        Progress = new Progress<TrainingProgress>(Console.WriteLine),
    }).Fit(pictures);

    IDataGenerator Diffusion() => ml.Generative.ImageDiffusion(new ImageDiffusionOptions
    {
        FeatureColumnName = "Image",
        ImageShape = shape,
        NonFiniteValues = NonFiniteValues.DropRow,
        Epochs = parsed.GetValue(epochs),
        Progress = new Progress<TrainingProgress>(Console.WriteLine),
    }).Fit(pictures);
});
return root.Parse(args).Invoke();

static void Sheet(MLContext ml, float[] rows, ImageShape shape, string path)
{
    int width = shape.Channels * shape.Height * shape.Width;
    SchemaDefinition schema = SchemaDefinition.Create(typeof(Numbers));
    schema["Image"].ColumnType = new VectorDataViewType(NumberDataViewType.Single, shape.Channels, shape.Height, shape.Width);
    ml.Data.LoadFromEnumerable(rows.Chunk(width).Select(image => new Numbers { Image = image }), schema)
        .SaveGrid("Image", path, imageShape: shape);
}

internal sealed class Numbers
{
    public float[] Image { get; set; } = [];
}
