using System.Globalization;
using AnomalyDetection;
using GenerativeML;
using Microsoft.ML;
using Microsoft.ML.Data;

// Finds the strange rows of a table: trains an autoencoder on half of the rows, without looking at any label, and
// scores all of them. Where the file has labels they grade the result on the other half.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Report.PlainWhereRedirected();
return CommandLine.Run(args, TrainAndShow, Scoring.Again);

int TrainAndShow(Settings settings)
{
    (string? path, string? label) = (settings.Data, settings.Label);
    if (path is null)
    {
        (path, label) = (Path.Combine(settings.Folder, "pump.csv"), PumpSimulation.Label);
        new PumpSimulation(settings.Seed).Write(path);
    }
    CsvFile file = new(path, label, settings.Ignored);
    Report.Data(path, file);

    // Load, split, and train a pipeline.
    MLContext ml = new(settings.Seed);
    IDataView rows = file.Load(ml);
    DataOperationsCatalog.TrainTestData halves = ml.Data.TrainTestSplit(rows, testFraction: 0.5, seed: settings.Seed);
    using TransformerChain<VectorTransformer> detector = TrainingBar.Show(progress => ml.Transforms
        .Concatenate("Readings", file.Features)
        .Append(ml.Transforms.NormalizeMeanVariance("Features", "Readings", fixZero: false))
        .Append(ml.AnomalyDetection.Trainers.Autoencoder(new AutoencoderOptions
        {
            Contamination = settings.Contamination,
            Epochs = settings.Epochs,
            Seed = settings.Seed,
            FeatureScoreColumnName = nameof(ScoredRow.FeatureScore),
            NonFiniteValues = NonFiniteValues.Replace, // for readings that are missing
            Progress = progress,
        }))
        .Fit(halves.TrainSet));

    // Grade it on the rows that it has not seen; look for the strangest among all.
    List<Outcome> outcomes = Detection.Outcomes(ml, detector.Transform(halves.TestSet));
    AnomalyDetectionMetrics? metrics = Detection.Grade(ml, outcomes);
    (float[] scores, List<StrangeRow> strangest) = Detection.Strangest(
        ml, detector.Transform(rows), file.Features, count: 10);
    float threshold = detector.LastTransformer.Threshold;
    Report.Metrics(outcomes, metrics, threshold);
    Report.Strangest(strangest);

    // Save the model and the picture; then a second process loads the model alone, and must find the same scores.
    string model = Path.Combine(settings.Folder, "detector.zip");
    string picture = Path.Combine(settings.Folder, "report.html");
    ml.Model.Save(detector, rows.Schema, model);
    var page = new HtmlReport(Path.GetFileName(path), file, outcomes, metrics, threshold, strangest);
    File.WriteAllText(picture, page.Write());
    Report.Files(model, picture);

    string written = Path.Combine(settings.Folder, "scores.bin");
    Scoring.Write(written, scores);
    List<string> again = ["score-again", model, written, "--data", path];
    if (label is not null)
        again.AddRange(["--label", label]);
    if (settings.Ignored.Length > 0)
        again.AddRange(["--ignore", .. settings.Ignored]);
    return Scoring.InSecondProcess([.. again]);
}
