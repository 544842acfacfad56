using System.CommandLine;

namespace SyntheticData;

/// <summary>What the user asks for.</summary>
/// <param name="Data">The table; null for one that the sample makes.</param>
/// <param name="Label">The column that classifiers predict; null for none.</param>
/// <param name="HasHeader">Whether the first row names the columns; null where types tell.</param>
/// <param name="Text">Columns that are text whatever they hold.</param>
/// <param name="Rows">Synthetic rows to write; null for as many as there are real ones, at most a million.</param>
/// <param name="Method">What generates: diffusion, gan or vae.</param>
/// <param name="Epochs">Passes over the training rows; null for as many as the trainer sees fit.</param>
/// <param name="Seed">Decides the split, the training and the rows.</param>
/// <param name="Folder">Where the synthetic table, the report and the model go.</param>
internal sealed record Settings(
    string? Data, string? Label, bool? HasHeader, string[] Text, long? Rows, string Method, int? Epochs, int Seed, string Folder);

/// <summary>The sample's options.</summary>
internal static class CommandLine
{
    private static readonly Option<FileInfo?> Data = new("--data")
    {
        Description = "A table: delimited text, with a header or without, or Parquet. Default: loans that the sample makes up.",
    };

    private static readonly Option<string?> Label = new("--label")
    {
        Description = "The column that classifiers predict, by name or by number from zero.",
    };

    private static readonly Option<string?> Header = new("--header")
    {
        Description = "Whether the first row names the columns: yes or no. Default: told by types.",
    };

    private static readonly Option<string[]> Text = new("--text")
    {
        Description = "Columns that are text whatever they hold, such as post codes.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [],
    };

    private static readonly Option<long?> Rows = new("--rows")
    {
        Description = "Synthetic rows to write. Default: as many as there are real ones, or a million where these are more.",
    };

    private static readonly Option<string> Method = new("--method")
    {
        Description = "What generates.",
        DefaultValueFactory = _ => "vae",
    };

    private static readonly Option<int?> Epochs = new("--epochs")
    {
        Description = "Passes over the training rows. Default: by their number.",
    };

    private static readonly Option<int> Seed = new("--seed")
    {
        Description = "Decides the split, the training and the rows.",
        DefaultValueFactory = _ => 1,
    };

    private static readonly Option<DirectoryInfo> Out = new("--out")
    {
        Description = "Where the synthetic table, the report and the model go.",
        DefaultValueFactory = _ => new("out"),
    };

    /// <summary>Runs what <paramref name="args"/> ask for.</summary>
    /// <returns>The exit code.</returns>
    public static int Run(string[] args, Func<Settings, int> generate)
    {
        RootCommand root = new("Learns a table, writes a synthetic one of any size, and says whether it is any good.")
        {
            Data, Label, Header, Text, Rows, Method, Epochs, Seed, Out,
        };
        Header.AcceptOnlyFromAmong("yes", "no");
        Method.AcceptOnlyFromAmong("diffusion", "gan", "vae");
        root.SetAction(parsed => generate(new Settings(
            parsed.GetValue(Data)?.FullName,
            parsed.GetValue(Label),
            parsed.GetValue(Header) is string header ? header == "yes" : null,
            parsed.GetValue(Text)!,
            parsed.GetValue(Rows),
            parsed.GetValue(Method)!,
            parsed.GetValue(Epochs),
            parsed.GetValue(Seed),
            Directory.CreateDirectory(parsed.GetValue(Out)!.FullName).FullName)));
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
    }
}
