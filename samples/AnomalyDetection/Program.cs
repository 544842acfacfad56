using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using AnomalyDetection;
using DataFiles;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;

// Finds the strange rows of a table: trains an autoencoder on half of the rows, without looking at any label, and
// scores all of them. Where the file has labels they grade the result on the other half. Or the strange ones among
// pictures, and where they are: --images.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Option<FileInfo?> data = new("--data")
{
    Description = "A table: delimited text, with a header or without, or Parquet. Default: a simulated pump.",
};
Option<string?> label = new("--label")
{
    Description = "The column that tells anomalies: 0, none, normal, no, false or empty is normal.",
};
Option<string?> header = new("--header") { Description = "Whether the first row names the columns: yes or no. Default: told by types." };
header.AcceptOnlyFromAmong("yes", "no");
Option<string[]> ignored = new("--ignore")
{
    Description = "Columns to leave out.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [],
};
Option<string[]> text = new("--text")
{
    Description = "Columns that are text whatever they hold.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [],
};
Option<string?> images = new("--images")
{
    Description = "Pictures instead of a table: a folder with train, of sound things, and test, with a folder for each kind, good "
        + "among them; or any folder. Without one: plates that the sample draws.",
    Arity = ArgumentArity.ZeroOrOne,
};
Option<int> size = new("--size") { Description = "Height and width that pictures are brought to.", DefaultValueFactory = _ => Plates.Side };
Option<bool> grey = new("--grey") { Description = "Pictures are seen without colours, in a third of the time." };
Option<double> contamination = new("--contamination")
{
    Description = "The share of the training rows to flag.", DefaultValueFactory = _ => 0.05,
};
Option<int?> epochs = new("--epochs") { Description = "Passes over the training rows. Default: by their number." };
Option<int> seed = new("--seed")
{
    Description = "Decides the split, the simulation and the training.", DefaultValueFactory = _ => 1,
};
Option<DirectoryInfo> folder = new("--out")
{
    Description = "Where the model and the page go.", DefaultValueFactory = _ => new("out"),
};
RootCommand root = new("Finds the strange rows of a table, or strange pictures, with an autoencoder, and says what made them strange.")
{
    data, label, header, ignored, text, images, size, grey, contamination, epochs, seed, folder,
};
root.Validators.Add(result =>
{
    bool isOfPictures = result.GetResult(images) is not null;
    Option[] others = isOfPictures ? [data, label, header, ignored, text] : [size, grey];
    foreach (Option other in others.Where(option => result.GetResult(option) is { Implicit: false }))
        result.AddError($"{other.Name} is for {(isOfPictures ? "tables, not for --images" : "pictures: it goes with --images")}.");
});
root.SetAction(TrainAndShow);
Argument<string> model = new("model"), rows = new("rows"), scores = new("scores");
Command again = new("score-again", "In a second process: are the scores the same?") { model, rows, scores };
again.SetAction(parsed => ScoreAgain(parsed.GetValue(model)!, parsed.GetValue(rows)!, parsed.GetValue(scores)!));
root.Subcommands.Add(again);
try
{
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (e.GetBaseException() is InvalidDataException or IOException or ArgumentException
    or InvalidOperationException)
{
    Console.Error.WriteLine(e.GetBaseException().Message); // ML.NET wraps what a file's rows throw; training refuses others
    return 2;
}

int TrainAndShow(ParseResult asked)
{
    string target = Directory.CreateDirectory(asked.GetValue(folder)!.FullName).FullName;
    int number = asked.GetValue(seed);
    if (asked.GetResult(images) is not null)
    {
        (string? pictures, int side) = (asked.GetValue(images), asked.GetValue(size));
        var shape = new ImageShape(pictures is null || asked.GetValue(grey) ? 1 : 3, side, side);
        Inspection.Run(
            new(number), pictures, shape, asked.GetValue(contamination), asked.GetValue(epochs), number, target);
        return 0;
    }
    (string? path, string? labelColumn) = (asked.GetValue(data)?.FullName, asked.GetValue(label));
    if (path is null)
    {
        (path, labelColumn) = (Path.Combine(target, "pump.csv"), PumpSimulation.Label);
        new PumpSimulation(number).Write(path);
    }
    Readings file = new(
        TableFile.Open(path, new() { AsText = asked.GetValue(text)!, HasHeader = asked.GetValue(header) is string named ? named == "yes" : null }),
        labelColumn, asked.GetValue(ignored)!);
    Report.Data(file);

    // Load, split, and train a pipeline.
    MLContext ml = new(number);
    IDataView table = file.Load(ml);
    DataOperationsCatalog.TrainTestData halves = ml.Data.TrainTestSplit(table, testFraction: 0.5, seed: number);
    using var detector = Report.Training(progress => ml.Transforms.Concatenate("Readings", file.Features)
        .Append(ml.Transforms.NormalizeMeanVariance("Features", "Readings", fixZero: false))
        .Append(ml.AnomalyDetection.Trainers.Autoencoder(new()
        {
            Contamination = asked.GetValue(contamination),
            Epochs = asked.GetValue(epochs),
            Seed = number,
            FeatureScoreColumnName = "FeatureScore",
            LatentColumnName = "Latent",
            NonFiniteValues = NonFiniteValues.Replace, // for readings that are missing
            Progress = progress,
        }))
        .Fit(halves.TrainSet));

    // Grade it on the rows that it has not seen; look for the strangest among all.
    DetectionReportOptions options = new()
    {
        LabelColumnName = file.IsLabelled ? file.Label : null, FeatureScoreColumnName = "FeatureScore", FeatureColumnName = "Readings",
        LatentColumnName = "Latent", Threshold = detector.LastTransformer.Threshold,
    };
    DetectionReport report = DetectionReport.Create(detector.Transform(halves.TestSet), options) with
    {
        Strangest = DetectionReport.Create(detector.Transform(table), options).Strangest,
    };
    Report.Figures(report);
    Report.Strangest(report);

    (string saved, string page) = (Path.Combine(target, "detector.zip"), Path.Combine(target, "report.html"));
    ml.Model.Save(detector, table.Schema, saved);
    report.SaveHtml(page, $"Strange rows of {file.Name}");
    Console.WriteLine($"model:   {saved}\npicture: {page}");

    // A second process loads the model alone, and must find the same scores of the first rows.
    IDataView some = ml.Data.TakeRows(table, 100_000);
    (string view, string found) = (Path.Combine(target, "rows.idv"), Path.Combine(target, "scores.txt"));
    using (FileStream stream = File.Create(view))
        ml.Data.SaveAsBinary(some, stream);
    File.WriteAllLines(found, detector.Transform(some).GetColumn<float>("Score").Select(score => score.ToString("R")));
    string program = Environment.ProcessPath!;
    string[] self = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [typeof(Readings).Assembly.Location] : [];
    using Process second = Process.Start(program, [.. self, "score-again", saved, view, found]);
    second.WaitForExit();
    return second.ExitCode;
}

// All that a program has to do that uses a detector. It names no type of the package that trained it: ML.NET finds that
// by what the file says.
static int ScoreAgain(string model, string rows, string scores)
{
    var ml = new MLContext();
    ITransformer detector = ml.Model.Load(model, out _);
    IDataView scored = detector.Transform(ml.Data.LoadFromBinary(rows));
    float[] now = [.. scored.GetColumn<float>("Score")];
    int different = now.Zip(File.ReadLines(scores).Select(float.Parse)).Count(pair => pair.First != pair.Second);
    Console.WriteLine($"Process {Environment.ProcessId} loaded the model and scored {now.Length} rows: "
        + (different == 0 ? "same scores" : $"{different} scores differ"));
    return different == 0 ? 0 : 1;
}
