using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;
using nietras.SeparatedValues;

namespace SyntheticData;

/// <summary>
/// A delimited text file with columns of any kind, with or without a header: its rows, and how ML.NET loads files
/// like it.
/// </summary>
internal sealed class CsvTable
{
    private static readonly string[] Missing = ["", "?"];

    private readonly DataKind[] _kinds;

    private CsvTable(string[] names, string[][] rows, char separator, bool hasHeader)
    {
        Names = names;
        Rows = rows;
        Separator = separator;
        HasHeader = hasHeader;
        _kinds = [.. Enumerable.Range(0, names.Length).Select(KindOf)];
    }

    /// <summary>The columns' names; without a header, their numbers from zero.</summary>
    public string[] Names { get; }

    /// <summary>The rows, as text.</summary>
    public string[][] Rows { get; }

    /// <summary>Semicolon, tab, bar or comma, whichever separates the first line.</summary>
    public char Separator { get; }

    /// <summary>Whether the first line names the columns: none of its values is a number.</summary>
    public bool HasHeader { get; }

    /// <summary>Whether a column holds numbers.</summary>
    public bool IsNumeric(int column) => _kinds[column] != DataKind.String;

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It has no rows, or ragged rows, or a name twice.</exception>
    public static CsvTable Read(string path)
    {
        using SepReader reader = Sep.Reader(o => o with { HasHeader = false, Unescape = true, Trim = SepTrim.All })
            .FromText(string.Join('\n', File.ReadLines(path).Where(line => line.Trim().Length > 0 && line[0] != '#')));
        string[][] rows = [.. reader.Enumerate(row => row[..].ToStringsArray())];
        if (rows.Length == 0)
            throw new InvalidDataException($"{path} is empty.");
        bool hasHeader = !rows[0].Any(value => !Missing.Contains(value) && Number(value) is not null);
        string[] names = hasHeader
            ? rows[0]
            : [.. Enumerable.Range(0, rows[0].Length).Select(i => i.ToString(CultureInfo.InvariantCulture))];
        if (names.GroupBy(name => name).FirstOrDefault(same => same.Count() > 1)?.Key is string twice)
            throw new InvalidDataException($"{path} has two columns of the name '{twice}'.");
        rows = hasHeader ? rows[1..] : rows;
        return rows.Length == 0
            ? throw new InvalidDataException($"{path} has no rows.")
            : new CsvTable(names, rows, reader.Spec.Sep.Separator, hasHeader);
    }

    /// <summary>The number of a column, by its name or its number from zero.</summary>
    /// <exception cref="InvalidDataException">There is no such column.</exception>
    public int ColumnOf(string nameOrNumber)
    {
        int column = Array.IndexOf(Names, nameOrNumber);
        if (column < 0 && int.TryParse(nameOrNumber, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
            column = number < Names.Length ? number : -1;
        return column >= 0
            ? column
            : throw new InvalidDataException(
                $"There is no column '{nameOrNumber}'; there are: {string.Join(", ", Names)}.");
    }

    /// <summary>Writes some of the rows, in the order given, to a file like this one.</summary>
    public void Write(string path, IEnumerable<int> rows)
    {
        using SepWriter file = Sep.New(Separator).Writer(o => o with { WriteHeader = HasHeader, Escape = true })
            .ToFile(path);
        foreach (int row in rows)
        {
            using SepWriter.Row line = file.NewRow();
            line[Names].Set(Rows[row]);
        }
    }

    /// <summary>
    /// Loads a file like this one: numbers with a type that holds them, everything else as text;
    /// <paramref name="asText"/> is text whatever it holds, as a label should be.
    /// </summary>
    public IDataView Load(MLContext ml, string path, int asText = -1)
    {
        DataKind[] kinds = [.. _kinds.Select((kind, i) => i == asText ? DataKind.String : kind)];
        return ml.Data.LoadFromTextFile(path, new TextLoader.Options
        {
            Columns = [.. Names.Select((name, i) => new TextLoader.Column(name, kinds[i], i))],
            Separators = [Separator],
            HasHeader = HasHeader,
            AllowQuoting = true,
            TrimWhitespace = true,
            MissingRealsAsNaNs = true, // otherwise a missing number is read as zero
        });
    }

    /// <summary>Writes rows as a file like this one.</summary>
    public void Save(MLContext ml, IDataView rows, string path)
    {
        using FileStream file = File.Create(path);
        ml.Data.SaveAsText(rows, file, Separator, headerRow: HasHeader, schema: false, forceDense: true);
    }

    /// <summary>
    /// Whole numbers without a gap are integers; other numbers have the precision that all of them need.
    /// </summary>
    private DataKind KindOf(int column)
    {
        string[] there = [.. Rows.Select(row => row[column]).Where(value => !Missing.Contains(value))];
        double?[] numbers = [.. there.Select(Number)];
        if (numbers.Length == 0 || numbers.Contains(null))
            return DataKind.String;
        bool whole = numbers.All(n => n == Math.Round(n!.Value) && Math.Abs(n.Value) <= int.MaxValue);
        if (whole && there.Length == Rows.Length)
            return DataKind.Int32;
        bool fitsSingle = numbers.All(n => double.Parse(
            ((float)n!.Value).ToString("R", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) == n);
        return fitsSingle ? DataKind.Single : DataKind.Double;
    }

    private static double? Number(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            && double.IsFinite(value)
            ? value
            : null;
}
