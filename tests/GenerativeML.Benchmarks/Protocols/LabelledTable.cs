using System.Globalization;

namespace GenerativeML.Benchmarks;

/// <summary>A table of numbers whose last column says which rows are anomalies.</summary>
/// <param name="Name">The file's name without its extension.</param>
/// <param name="Rows">The rows, in file order, each with all its features.</param>
/// <param name="IsAnomaly">Whether each row's label is other than zero.</param>
internal sealed record LabelledTable(string Name, double[][] Rows, bool[] IsAnomaly)
{
    /// <summary>The number of features.</summary>
    public int Width => Rows[0].Length;

    /// <summary>The tables of a folder, by name; of some names, without extension, where any are given.</summary>
    public static FileInfo[] Files(DirectoryInfo folder, string[] only) =>
    [
        .. folder.GetFiles("*.csv").OrderBy(file => file.Name, StringComparer.OrdinalIgnoreCase)
            .Where(file => only.Length == 0 || only.Contains(Path.GetFileNameWithoutExtension(file.Name))),
    ];

    /// <summary>Reads a CSV file of numbers with a header.</summary>
    /// <exception cref="InvalidDataException">A row is too long, too short, or holds what is not a number.</exception>
    public static LabelledTable Read(string path)
    {
        List<double[]> rows = [];
        List<bool> labels = [];
        int width = File.ReadLines(path).First().Split(',').Length - 1;
        foreach (string line in File.ReadLines(path).Skip(1).Where(line => line.Length > 0))
        {
            string[] values = line.Split(',');
            if (values.Length != width + 1)
                throw new InvalidDataException($"{path}, row {rows.Count}: {values.Length} values, not {width + 1}.");
            double[] numbers = new double[values.Length];
            for (int i = 0; i < values.Length; i++)
            {
                if (!double.TryParse(values[i], CultureInfo.InvariantCulture, out numbers[i]))
                    throw new InvalidDataException($"{path}, row {rows.Count}: '{values[i]}' is not a number.");
            }
            rows.Add(numbers[..^1]);
            labels.Add(numbers[^1] != 0);
        }
        return rows.Count == 0
            ? throw new InvalidDataException($"{path} has no rows.")
            : new LabelledTable(Path.GetFileNameWithoutExtension(path), [.. rows], [.. labels]);
    }
}
