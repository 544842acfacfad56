using System.CommandLine;
using System.Globalization;
using AnomalyDetection;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;
using Spectre.Console;

// Finds the strange rows of a table: trains an autoencoder on half of the rows, without looking at any label, and
// scores all of them. Where the file has labels they grade the result on the other half.

Option<FileInfo?> dataOption = new("--data") { Description = "A CSV file with a header (comma, semicolon or tab). Default: a simulated pump." };
Option<string?> labelOption = new("--label") { Description = "The column that tells anomalies: 0, none, normal, no, false or empty is normal." };
Option<string[]> ignoreOption = new("--ignore") { Description = "Columns to leave out.", AllowMultipleArgumentsPerToken = true };
Option<double> contaminationOption = new("--contamination") { Description = "The share of the training rows to flag.", DefaultValueFactory = _ => 0.05 };
Option<int?> epochsOption = new("--epochs") { Description = "Passes over the training rows. Default: by their number." };
Option<int> seedOption = new("--seed") { Description = "Decides the split, the simulation and the training.", DefaultValueFactory = _ => 1 };
Option<DirectoryInfo> outOption = new("--out") { Description = "Where the model and the picture go.", DefaultValueFactory = _ => new("out") };
RootCommand root = new("Finds the strange rows of a table with an autoencoder, and says what is strange about them.")
{
    dataOption, labelOption, ignoreOption, contaminationOption, epochsOption, seedOption, outOption,
};

Argument<string> modelArgument = new("model"), scoresArgument = new("scores");
Command scoreAgain = new("score-again", "Loads a model, scores a file, and compares with the scores of the run that saved it.")
{
    modelArgument, scoresArgument, dataOption, labelOption, ignoreOption,
};
root.Subcommands.Add(scoreAgain);

root.SetAction(Run);
scoreAgain.SetAction(parsed => Scoring.Again(
    parsed.GetRequiredValue(modelArgument),
    new CsvFile(parsed.GetRequiredValue(dataOption)!.FullName, parsed.GetValue(labelOption), parsed.GetValue(ignoreOption) ?? []),
    parsed.GetRequiredValue(scoresArgument)));
try
{
    Report.PlainWhereRedirected();
    return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (Exception e) when (e is InvalidDataException or IOException or ArgumentException)
{
    Console.Error.WriteLine(e.Message);
    return 2;
}

int Run(ParseResult parsed)
{
    CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
    int seed = parsed.GetValue(seedOption);
    string folder = Directory.CreateDirectory(parsed.GetValue(outOption)!.FullName).FullName;
    string? path = parsed.GetValue(dataOption)?.FullName, label = parsed.GetValue(labelOption);
    if (path is null)
    {
        (path, label) = (Path.Combine(folder, "pump.csv"), PumpSimulation.Label);
        new PumpSimulation(seed).Write(path);
    }
    string[] ignored = parsed.GetValue(ignoreOption) ?? [];
    CsvFile file = new(path, label, ignored);
    Report.Data(path, file);

    // Load, split, and build the pipeline.
    MLContext ml = new(seed);
    IDataView rows = file.Load(ml);
    DataOperationsCatalog.TrainTestData halves = ml.Data.TrainTestSplit(rows, testFraction: 0.5, seed: seed);
    TransformerChain<AutoencoderTransformer> detector = TrainingBar.Show(progress => ml.Transforms
        .Concatenate("Readings", file.Features)
        .Append(ml.Transforms.NormalizeMeanVariance("Features", "Readings", fixZero: false))
        .Append(ml.AnomalyDetection.Trainers.Autoencoder(new AutoencoderTrainer.Options
        {
            Contamination = parsed.GetValue(contaminationOption),
            Epochs = parsed.GetValue(epochsOption),
            Seed = seed,
            FeatureScoreColumnName = nameof(ScoredRow.FeatureScore),
            NonFiniteValues = NonFiniteValues.Replace, // a missing reading counts as an average one
            Progress = progress,
        }))
        .Fit(halves.TrainSet));

    // Grade it on the rows that it has not seen; look for the strangest among all.
    List<Outcome> outcomes = Detection.Outcomes(ml, detector.Transform(halves.TestSet));
    AnomalyDetectionMetrics? metrics = Detection.Grade(ml, outcomes);
    (float[] scores, List<StrangeRow> strangest) = Detection.Strangest(ml, detector.Transform(rows), file.Features, count: 10);
    double threshold = detector.LastTransformer.Threshold;
    Report.Metrics(outcomes, metrics, threshold);
    Report.Strangest(strangest);

    // Save the model and the picture; then a second process loads the one and must find the same scores.
    string model = Path.Combine(folder, "detector.zip"), picture = Path.Combine(folder, "report.html");
    ml.Model.Save(detector, rows.Schema, model);
    File.WriteAllText(picture, new HtmlReport(Path.GetFileName(path), file, outcomes, metrics, threshold, strangest).Write());
    Report.Files(model, picture);

    string written = Path.Combine(folder, "scores.bin");
    Scoring.Write(written, scores);
    string[] again = ["score-again", model, written, "--data", path];
    again = label is null ? again : [.. again, "--label", label];
    return Scoring.InSecondProcess(ignored.Length == 0 ? again : [.. again, "--ignore", .. ignored]);
}
