
namespace GenerativeML;

/// <summary>Numbers the combinations of some fields' codes as they come.</summary>
internal sealed class CombinationIndex
{
    private readonly Dictionary<(int, int), int>[] _steps; // first code and second → pair, pair and third → triple, …
    private readonly List<IReadOnlyList<int>> _rows = [];

    /// <param name="fields">The fields, in rising order.</param>
    public CombinationIndex(IReadOnlyList<int> fields)
    {
        Fields = fields;
        _steps = [.. fields.Skip(1).Select(_ => new Dictionary<(int, int), int>())];
    }

    /// <summary>An index of combinations that are known.</summary>
    public CombinationIndex(TableCombination combination)
        : this(combination.Fields)
    {
        foreach (IReadOnlyList<int> row in combination.Rows)
            Add(row);
    }

    /// <summary>The fields.</summary>
    public IReadOnlyList<int> Fields { get; }

    /// <summary>The combinations so far, by code.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Rows => _rows;

    /// <summary>The code of a combination, a new one if it was not there.</summary>
    public int Add(IReadOnlyList<int> codes)
    {
        int code = codes[0];
        for (int i = 1; i < codes.Count; i++)
        {
            Dictionary<(int, int), int> step = _steps[i - 1];
            if (!step.TryGetValue((code, codes[i]), out int next))
            {
                step.Add((code, codes[i]), next = step.Count);
                if (i == codes.Count - 1)
                    _rows.Add([.. codes]);
            }
            code = next;
        }
        return code;
    }

    /// <summary>The code of a row of a block.</summary>
    /// <exception cref="InvalidOperationException">There is no such combination.</exception>
    public int Find(TableBlock block, int row)
    {
        int code = block.Codes(Fields[0])[row];
        for (int i = 1; i < Fields.Count; i++)
        {
            if (!_steps[i - 1].TryGetValue((code, block.Codes(Fields[i])[row]), out code))
                throw TableReader.Changed(block.Shape.Columns[Fields[i]].Name);
        }
        return code;
    }
}
