using System.CommandLine;

namespace AnomalyDetection;

/// <summary>What the user asks for.</summary>
/// <param name="Data">The table; null for the simulated pump.</param>
/// <param name="Label">The column that tells anomalies; null for none.</param>
/// <param name="Ignored">Columns to leave out.</param>
/// <param name="Contamination">The share of the training rows to flag.</param>
/// <param name="Epochs">Passes over the training rows; null for as many as the trainer sees fit.</param>
/// <param name="Seed">Decides the split, the simulation and the training.</param>
/// <param name="Folder">Where the model and the picture go.</param>
internal sealed record Settings(
    string? Data, string? Label, string[] Ignored, double Contamination, int? Epochs, int Seed, string Folder);

/// <summary>The sample's commands and options.</summary>
internal static class CommandLine
{
    private static readonly Option<FileInfo?> Data = new("--data")
    {
        Description = "A CSV file with a header (comma, semicolon or tab). Default: a simulated pump.",
    };

    private static readonly Option<string?> Label = new("--label")
    {
        Description = "The column that tells anomalies: 0, none, normal, no, false or empty is normal.",
    };

    private static readonly Option<string[]> Ignored = new("--ignore")
    {
        Description = "Columns to leave out.",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<double> Contamination = new("--contamination")
    {
        Description = "The share of the training rows to flag.",
        DefaultValueFactory = _ => 0.05,
    };

    private static readonly Option<int?> Epochs = new("--epochs")
    {
        Description = "Passes over the training rows. Default: by their number.",
    };

    private static readonly Option<int> Seed = new("--seed")
    {
        Description = "Decides the split, the simulation and the training.",
        DefaultValueFactory = _ => 1,
    };

    private static readonly Option<DirectoryInfo> Out = new("--out")
    {
        Description = "Where the model and the picture go.",
        DefaultValueFactory = _ => new("out"),
    };

    private static readonly Argument<string> Model = new("model"), Scores = new("scores");

    /// <summary>Runs what <paramref name="args"/> ask for: training, or scoring again in a second process.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(string[] args, Func<Settings, int> train, Func<string, CsvFile, string, int> scoreAgain)
    {
        RootCommand root = new(
            "Finds the strange rows of a table with an autoencoder, and says what made them strange.")
        {
            Data, Label, Ignored, Contamination, Epochs, Seed, Out,
        };
        root.SetAction(parsed => train(new Settings(
            parsed.GetValue(Data)?.FullName,
            parsed.GetValue(Label),
            parsed.GetValue(Ignored) ?? [],
            parsed.GetValue(Contamination),
            parsed.GetValue(Epochs),
            parsed.GetValue(Seed),
            Directory.CreateDirectory(parsed.GetValue(Out)!.FullName).FullName)));

        Command again = new("score-again", "Scores a file with a saved model, and compares with the scores before.")
        {
            Model, Scores, Data, Label, Ignored,
        };
        again.SetAction(parsed => scoreAgain(
            parsed.GetRequiredValue(Model),
            new CsvFile(
                parsed.GetRequiredValue(Data)!.FullName, parsed.GetValue(Label), parsed.GetValue(Ignored) ?? []),
            parsed.GetRequiredValue(Scores)));
        root.Subcommands.Add(again);

        try
        {
            return root.Parse(args).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
        }
        catch (Exception e) when (e is InvalidDataException or IOException or ArgumentException)
        {
            Console.Error.WriteLine(e.Message);
            return 2;
        }
    }
}
