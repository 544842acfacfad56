namespace Microsoft.ML.Data;

/// <summary>How rows of one schema become rows of another, row by row.</summary>
internal abstract class RowMapping(DataViewSchema inputSchema)
{
    public DataViewSchema InputSchema => inputSchema;

    public abstract DataViewSchema OutputSchema { get; }

    /// <summary>The input column that an output column is, or null where it is computed.</summary>
    public abstract int? SourceOf(int column);

    public virtual IEnumerable<int> DependenciesOf(int column) => [SourceOf(column).Value];

    public virtual Delegate MakeGetter(DataViewRow input, int column) => throw new NotSupportedException();

    public DataViewSchema.Column[] InputsFor(IEnumerable<DataViewSchema.Column> outputs)
    {
        bool[] active = ColumnSets.Flags(OutputSchema, outputs);
        HashSet<int> inputs = [.. OutputSchema.Where(c => active[c.Index]).SelectMany(c => DependenciesOf(c.Index))];
        return [.. InputSchema.Where(c => inputs.Contains(c.Index))];
    }
}

/// <summary>
/// All input columns and some computed ones: new names at the end, each other one right behind the column that it hides.
/// </summary>
internal sealed class AddedColumns : RowMapping
{
    private readonly List<int> _origins;
    private readonly RowMapper _mapper;

    public AddedColumns(DataViewSchema inputSchema, RowMapper mapper)
        : base(inputSchema)
    {
        _mapper = mapper;
        List<DataViewSchema.DetachedColumn> columns = [.. inputSchema.Select(c => new DataViewSchema.DetachedColumn(c))];
        _origins = [.. Enumerable.Range(0, columns.Count)];
        for (int i = 0; i < mapper.Columns.Length; i++)
        {
            int last = columns.FindLastIndex(c => c.Name == mapper.Columns[i].Name);
            int at = last < 0 ? columns.Count : last + 1;
            columns.Insert(at, mapper.Columns[i]);
            _origins.Insert(at, ~i);
        }

        DataViewSchema.Builder builder = new();
        builder.AddColumns(columns);
        OutputSchema = builder.ToSchema();
    }

    public override DataViewSchema OutputSchema { get; }

    public override int? SourceOf(int column) => _origins[column] >= 0 ? _origins[column] : null;

    public override IEnumerable<int> DependenciesOf(int column)
        => _origins[column] >= 0 ? [_origins[column]] : _mapper.DependenciesOf(~_origins[column]);

    public override Delegate MakeGetter(DataViewRow input, int column) => _mapper.MakeGetter(input, ~_origins[column]);
}

/// <summary>The columns that a transformer adds to rows of one schema.</summary>
internal abstract class RowMapper
{
    public abstract DataViewSchema.DetachedColumn[] Columns { get; }

    public abstract IEnumerable<int> DependenciesOf(int added);

    public abstract Delegate MakeGetter(DataViewRow input, int added);
}

/// <summary>Some of the columns.</summary>
internal sealed class SelectedColumns : RowMapping
{
    private readonly int[] _sources;

    public SelectedColumns(DataViewSchema inputSchema, IEnumerable<DataViewSchema.Column> kept)
        : base(inputSchema)
    {
        DataViewSchema.Column[] columns = [.. kept];
        _sources = [.. columns.Select(c => c.Index)];
        DataViewSchema.Builder builder = new();
        builder.AddColumns(columns);
        OutputSchema = builder.ToSchema();
    }

    public override DataViewSchema OutputSchema { get; }

    public override int? SourceOf(int column) => _sources[column];
}
