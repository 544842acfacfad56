namespace GenerativeML.Rows;

/// <summary>
/// Host memory for the outputs of a batch: one dense, row-major array for each output that somebody asked for.
/// </summary>
internal sealed class OutputBlock
{
    private readonly Array?[] _storage;

    public OutputBlock(IReadOnlyList<OutputColumn> columns, IReadOnlyList<bool> wanted, int capacity)
    {
        Columns = columns;
        _storage = new Array?[columns.Count];
        for (int i = 0; i < columns.Count; i++)
        {
            if (!wanted[i])
                continue;
            int size = checked(capacity * Math.Max(1, columns[i].Width));
            _storage[i] = columns[i].Kind switch
            {
                OutputKind.Single => new float[size],
                OutputKind.Boolean => new bool[size],
                _ => new string[size],
            };
        }
    }

    public IReadOnlyList<OutputColumn> Columns { get; }

    /// <summary>Whether output <paramref name="column"/> is to be computed.</summary>
    public bool IsWanted(int column) => _storage[column] is not null;

    /// <summary>The array of a wanted Single output, (rows × width).</summary>
    public Span<float> Singles(int column) => (float[])_storage[column]!;

    /// <summary>The array of a wanted Boolean output, (rows × width).</summary>
    public Span<bool> Booleans(int column) => (bool[])_storage[column]!;

    /// <summary>The array of a wanted Text output, (rows × width).</summary>
    public Span<string> Texts(int column) => (string[])_storage[column]!;
}
