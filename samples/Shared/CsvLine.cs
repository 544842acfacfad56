using System.Text;

namespace Samples;

/// <summary>A line of a delimited text file.</summary>
internal static class CsvLine
{
    /// <summary>
    /// Splits a line at the separators outside double quotes; a doubled quote inside them stands for itself.
    /// </summary>
    public static string[] Split(string line, char separator)
    {
        if (!line.Contains('"'))
            return [.. line.Split(separator).Select(value => value.Trim())];
        var values = new List<string>();
        var value = new StringBuilder();
        bool quoted = false;
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] == '"' && quoted && i + 1 < line.Length && line[i + 1] == '"')
                value.Append(line[++i]);
            else if (line[i] == '"')
                quoted = !quoted;
            else if (line[i] == separator && !quoted)
                Take();
            else
                value.Append(line[i]);
        }
        Take();
        return [.. values];

        void Take()
        {
            values.Add(value.ToString().Trim());
            value.Clear();
        }
    }
}
