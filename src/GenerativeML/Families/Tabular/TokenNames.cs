using System.Globalization;

namespace GenerativeML;

/// <summary>What the tokens of a table's columns stand for, as people read it.</summary>
internal sealed class TokenNames(TokenTable tokens, TableMapping mapping, ConditionResolver resolver)
{
    private const string Missing = "(missing)", Others = "(others)";

    /// <summary>The values of a field of the data, by their codes.</summary>
    public string[] ValuesOf(int field) => Different(
        resolver.ValuesOf(field).Select(v => v is null ? Missing : Convert.ToString(v, CultureInfo.InvariantCulture)!));

    /// <summary>The tokens of a position: values, bins of numbers as <c>30 to 35.5</c>, modes with what an offset is worth.</summary>
    public string[] Of(int position)
    {
        int column = tokens.Order[position];
        int[] fields = [.. Enumerable.Range(0, mapping.Data.Columns.Count).Where(f => mapping.ColumnOf(f) == column)];
        if (tokens.Columns[position] is CategoryTokens categories)
        {
            string[][] values = [.. fields.Select(ValuesOf)];
            return Different(Enumerable.Range(0, categories.Count).Select(token => categories.CodesOf(token).ToArray() is [var (code, _)]
                ? mapping.CombinationOf(fields[0]) is { } combination
                    ? string.Join(" + ", combination.Rows[code].Select((own, i) => values[i][own]))
                    : values[0][code]
                : Others));
        }
        TableItem item = resolver.ItemOf(fields[0]);
        bool isGap = mapping.Plan.Differences.Any(d => d.Upper == fields[0]);
        if (tokens.Columns[position] is NumberModes modes)
        {
            return Different(Enumerable.Range(0, modes.Count).Select(token => modes.SpreadOf(token) is not var (mean, reach) ? Missing
                : string.Create(CultureInfo.InvariantCulture, $"{mean} + {reach} · offset")));
        }
        var numbers = (NumberTokens)tokens.Columns[position];
        return Different(Enumerable.Range(0, numbers.Count).Select(token => numbers.RangeOf(token) is not var (low, high) ? Missing
            : low == high ? Show(low)
            : $"{Show(low)} to {Show(high)}"));

        string Show(double value) => isGap ? value.ToString(CultureInfo.InvariantCulture) : item.Show(value);
    }

    private static string[] Different(IEnumerable<string> names)
    {
        var taken = new HashSet<string>();
        return [.. names.Select(name =>
        {
            string free = name;
            for (int i = 2; !taken.Add(free); i++)
                free = string.Create(CultureInfo.InvariantCulture, $"{name} ({i})");
            return free;
        })];
    }
}
