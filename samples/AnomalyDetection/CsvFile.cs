using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using Samples;

namespace AnomalyDetection;

/// <summary>
/// What must be known about a delimited text file with a header before ML.NET can load it: the separator, which
/// columns are numbers, and where the label is.
/// </summary>
internal sealed class CsvFile
{
    private static readonly string[] Missing = ["", "?", "nan", "na", "null"];
    private static readonly string[] MeansNormal = ["", "none", "normal", "false", "no", "ok"];

    private static readonly char[] Separators = [',', ';', '\t'];

    private readonly string _path;
    private readonly char _separator;
    private readonly int[] _featureIndices;
    private readonly int _labelIndex;

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
        using IEnumerator<string> lines = File.ReadLines(path).Where(line => line.Trim().Length > 0).GetEnumerator();
        if (!lines.MoveNext())
            throw new InvalidDataException($"{path} is empty.");
        _separator = Separators.MaxBy(c => lines.Current.Count(x => x == c));
        string[] header = CsvLine.Split(lines.Current, _separator);
        foreach (string name in ignored.Append(label).OfType<string>().Where(name => !header.Contains(name)))
            throw new InvalidDataException($"{path} has no column '{name}'; it has: {string.Join(", ", header)}.");

        bool[] numeric = [.. header.Select(name => name != label && !ignored.Contains(name))];
        bool[] everPresent = new bool[header.Length];
        _labelIndex = label is null ? -1 : Array.IndexOf(header, label);
        for (; lines.MoveNext(); RowCount++)
        {
            string[] values = CsvLine.Split(lines.Current, _separator);
            if (values.Length != header.Length)
                throw new InvalidDataException(
                    $"{path}, row {RowCount + 1}: {values.Length} values under {header.Length} column names.");
            for (int i = 0; i < values.Length; i++)
            {
                if (Missing.Contains(values[i].ToLowerInvariant()))
                    continue;
                everPresent[i] = true;
                numeric[i] = numeric[i] && float.TryParse(values[i], CultureInfo.InvariantCulture, out _);
            }
        }

        _featureIndices = [.. Enumerable.Range(0, header.Length).Where(i => numeric[i] && everPresent[i])];
        Features = [.. _featureIndices.Select(i => header[i])];
        LeftOut = [.. header.Except(Features).Where(name => name != label)];
        if (Features.Length == 0)
            throw new InvalidDataException($"{path} has no column of numbers, with a point as the decimal sign.");
    }

    /// <summary>The number of rows after the header.</summary>
    public int RowCount { get; }

    /// <summary>The numeric columns, in the file's order.</summary>
    public string[] Features { get; }

    /// <summary>The columns that are neither a feature nor the label.</summary>
    public string[] LeftOut { get; }

    /// <summary>Whether there is a label column.</summary>
    public bool HasLabel => _labelIndex >= 0;

    /// <summary>Whether a label makes a row an anomaly: anything but zero, nothing, "none", "normal", "no"…</summary>
    public static bool IsAnomaly(string label) =>
        !MeansNormal.Contains(label.ToLowerInvariant())
        && !(double.TryParse(label, CultureInfo.InvariantCulture, out double number) && number == 0);

    /// <summary>
    /// The file as ML.NET reads it: a Single column for each feature, and the label as text, if there is one.
    /// </summary>
    public IDataView Load(MLContext ml)
    {
        IEnumerable<TextLoader.Column> columns = Features.Zip(
            _featureIndices, (name, index) => new TextLoader.Column(name, DataKind.Single, index));
        if (HasLabel)
            columns = columns.Append(new TextLoader.Column(nameof(ScoredRow.Label), DataKind.String, _labelIndex));
        return ml.Data.LoadFromTextFile(_path, new TextLoader.Options
        {
            Columns = [.. columns],
            Separators = [_separator],
            HasHeader = true,
            AllowQuoting = true,
            TrimWhitespace = true,
            MissingRealsAsNaNs = true, // otherwise a missing number is read as zero
        });
    }
}
