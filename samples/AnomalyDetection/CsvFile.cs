using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using nietras.SeparatedValues;

namespace AnomalyDetection;

/// <summary>
/// What must be known about a delimited text file with a header before ML.NET can load it: the separator, which
/// columns are numbers, and where the label is.
/// </summary>
internal sealed class CsvFile
{
    private static readonly string[] Missing = ["", "?", "nan", "na", "null"];
    private static readonly string[] MeansNormal = ["", "none", "normal", "false", "no", "ok"];

    private readonly string _path;
    private readonly char _separator;
    private readonly TextLoader.Column[] _columns;

    /// <summary>Reads the file once, to find the columns in which every value that is there is a number.</summary>
    /// <param name="path">The file.</param>
    /// <param name="label">The column that says whether a row is an anomaly, or null where nobody knows.</param>
    /// <param name="ignored">Columns to leave out.</param>
    /// <exception cref="InvalidDataException">
    /// The file is empty or ragged, or has no such label or no numeric column.
    /// </exception>
    public CsvFile(string path, string? label, IReadOnlyCollection<string> ignored)
    {
        _path = path;
        using SepReader reader = Sep.Reader(o => o with { Unescape = true, Trim = SepTrim.All })
            .FromText(string.Join('\n', File.ReadLines(path).Where(line => line.Trim().Length > 0)));
        _separator = reader.Spec.Sep.Separator;
        string[] header = [.. reader.Header.ColNames];
        foreach (string name in ignored.Append(label).OfType<string>().Where(name => !header.Contains(name)))
            throw new InvalidDataException($"{path} has no column '{name}'; it has: {string.Join(", ", header)}.");

        bool[] numeric = [.. header.Select(name => name != label && !ignored.Contains(name))];
        bool[] everPresent = new bool[header.Length];
        foreach (SepReader.Row row in reader)
        {
            RowCount++;
            for (int i = 0; i < header.Length; i++)
            {
                string value = row[i].ToString();
                if (Missing.Contains(value.ToLowerInvariant()))
                    continue;
                everPresent[i] = true;
                numeric[i] = numeric[i] && float.TryParse(value, CultureInfo.InvariantCulture, out _);
            }
        }

        int[] features = [.. Enumerable.Range(0, header.Length).Where(i => numeric[i] && everPresent[i])];
        Features = [.. features.Select(i => header[i])];
        LeftOut = [.. header.Except(Features).Where(name => name != label)];
        if (Features.Length == 0)
            throw new InvalidDataException($"{path} has no column of numbers, with a point as the decimal sign.");
        _columns =
        [
            .. features.Select(i => new TextLoader.Column(header[i], DataKind.Single, i)),
            .. label is null
                ? Array.Empty<TextLoader.Column>()
                : [new TextLoader.Column(nameof(ScoredRow.Label), DataKind.String, Array.IndexOf(header, label))],
        ];
    }

    /// <summary>The number of rows after the header.</summary>
    public int RowCount { get; }

    /// <summary>The numeric columns, in the file's order.</summary>
    public string[] Features { get; }

    /// <summary>The columns that are neither a feature nor the label.</summary>
    public string[] LeftOut { get; }

    /// <summary>Whether a label makes a row an anomaly: anything but zero, nothing, "none", "normal", "no"…</summary>
    public static bool IsAnomaly(string label) =>
        !MeansNormal.Contains(label.ToLowerInvariant())
        && !(double.TryParse(label, CultureInfo.InvariantCulture, out double number) && number == 0);

    /// <summary>
    /// The file as ML.NET reads it: a Single column for each feature, and the label as text, if there is one.
    /// </summary>
    public IDataView Load(MLContext ml) => ml.Data.LoadFromTextFile(_path, new TextLoader.Options
    {
        Columns = _columns,
        Separators = [_separator],
        HasHeader = true,
        AllowQuoting = true,
        TrimWhitespace = true,
        MissingRealsAsNaNs = true, // otherwise a missing number is read as zero
    });
}
