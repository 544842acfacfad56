using System.Globalization;
using DataFiles;
using GenerativeML;
using Microsoft.ML;
using SyntheticData;

// Learns a table of numbers and texts, writes a synthetic table of any size with the same columns, and says whether it
// is any good: how much it is like the real one, whether it keeps the secrets of single rows, and what a classifier
// learns from it.

CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
Report.PlainWhereRedirected();
return CommandLine.Run(args, LearnAndGenerate);

static int LearnAndGenerate(Settings settings)
{
    (string? path, string? label) = (settings.Data, settings.Label);
    if (path is null)
    {
        (path, label) = (Path.Combine(settings.Folder, "loans.csv"), Loans.Label);
        Loans.Write(path, rows: 4000, settings.Seed);
    }
    TableFile table = TableFile.Open(path, new()
    {
        AsText = label is null ? settings.Text : [.. settings.Text, label], HasHeader = settings.HasHeader,
    });
    label = label is null ? null : table.Names[table.ColumnOf(label)];
    Report.Data(table);

    // Rows that the generator never sees test what its own are worth.
    MLContext ml = new(settings.Seed);
    DataOperationsCatalog.TrainTestData parts = ml.Data.TrainTestSplit(table, testFraction: 0.2, seed: settings.Seed);
    IDataView real = table.RowCount is null ? parts.TrainSet : ml.Data.Cache(parts.TrainSet);

    using TabularTransformer generator = Report.Training(progress => Trainer(ml, settings, label, progress).Fit(real));

    // Nothing is made before it is read: any number of rows can be written.
    long rows = settings.Rows ?? table.RowCount ?? 1_000_000;
    string synthetic = Path.Combine(settings.Folder, "synthetic.csv");
    table.Save(generator.Generate(rows, settings.Seed), synthetic);

    SyntheticDataReport report = SyntheticDataReport.Compare(
        real,
        generator.Generate(real.GetRowCount() ?? rows, settings.Seed),
        new() { HoldOut = parts.TestSet, LabelColumnName = label, Seed = settings.Seed });
    Report.Quality(report);
    Report.Classifiers(report.Utility);

    string page = Path.Combine(settings.Folder, "report.html"), model = Path.Combine(settings.Folder, "generator.zip");
    report.SaveHtml(page, $"Synthetic rows of {Path.GetFileName(path)}");
    ml.Model.Save(generator, real.Schema, model);
    Report.Files(($"{rows} rows", synthetic), ("report", page), ("model", model));
    return 0;
}

static IEstimator<TabularTransformer> Trainer(
    MLContext ml, Settings settings, string? label, IProgress<TrainingProgress> progress) => settings.Method switch
{
    "diffusion" => ml.Generative.TabularDiffusion(new TabularDiffusionOptions
    {
        LabelColumnName = label,
        Epochs = settings.Epochs,
        Seed = settings.Seed,
        Progress = progress,
    }),
    "gan" => ml.Generative.TabularGan(new TabularGanOptions
    {
        LabelColumnName = label,
        Epochs = settings.Epochs,
        Seed = settings.Seed,
        Progress = progress,
    }),
    _ => ml.Generative.TabularVae(new TabularVaeOptions
    {
        LabelColumnName = label,
        Epochs = settings.Epochs,
        Seed = settings.Seed,
        Progress = progress,
    }),
};
