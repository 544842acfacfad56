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
            string[] names = CategoriesOf(position);
            return Different(Enumerable.Range(0, categories.Count).Select(
                token => categories.CodesOf(token).ToArray() is [var (code, _)] ? names[code] : Others));
        }
        TableItem item = resolver.ItemOf(fields[0]);
        bool isGap = mapping.Plan.Differences.Any(d => d.Upper == fields[0]), hasDays = mapping.HasDays(fields[0]);
        if (tokens.Columns[position] is NumberModes modes)
        {
            return Different(Enumerable.Range(0, modes.Count).Select(token => modes.SpreadOf(token) is not var (mean, reach) ? Missing
                : $"{Show(mean)} + {Distance(reach)}{(hasDays ? " days" : "")} · offset"));
        }
        var numbers = (NumberTokens)tokens.Columns[position];
        return Different(Enumerable.Range(0, numbers.Count).Select(token => numbers.RangeOf(token) is not var (low, high) ? Missing
            : low == high ? Show(low)
            : $"{Show(low)} to {Show(high)}"));

        string Show(double value) => isGap ? Distance(value) : item.Show(hasDays ? CalendarNumber.OfDay(value) : value);

        string Distance(double value) => item.IsTime
            ? $"{TableTimes.ToDuration(value)}"
            : value.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>The values that share a token because each is rare; null where there are none.</summary>
    public string[]? RareOf(int position)
    {
        if (tokens.Columns[position] is not CategoryTokens categories)
            return null;
        int[] rare = [.. categories.CodesOf(categories.Count - 1).Select(code => code.Code)];
        string[] names = rare.Length > 1 ? CategoriesOf(position) : [];
        return rare.Length > 1 ? Array.ConvertAll(rare, code => names[code]) : null;
    }

    /// <summary>The columns from the greatest of which a column is learned as a distance; null where it is learned itself.</summary>
    public string[]? AboveOf(int position) =>
        mapping.Plan.Differences.FirstOrDefault(d => mapping.ColumnOf(d.Upper) == tokens.Order[position])?.Lowers
            .Select(lower => mapping.Data.Columns[lower].Name).ToArray();

    // What the codes of a column's categories, or of combinations of them, stand for.
    private string[] CategoriesOf(int position)
    {
        int column = tokens.Order[position];
        int[] fields = [.. Enumerable.Range(0, mapping.Data.Columns.Count).Where(f => mapping.ColumnOf(f) == column)];
        string[][] values = [.. fields.Select(ValuesOf)];
        return mapping.CombinationOf(fields[0]) is { } combination
            ? [.. combination.Rows.Select(row => string.Join(" + ", row.Select((own, i) => values[i][own])))]
            : values[0];
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
