namespace GenerativeML;

/// <summary>The element type of a field of a row; a text is of any length, and its field one wide.</summary>
internal enum FieldKind
{
    Single,
    Double,
    Int64,
    Text,
}

/// <summary>One named, fixed-width part of a row, as a network sees it.</summary>
internal sealed record RowField(string Name, FieldKind Kind, int Width)
{
    /// <summary>
    /// Whether it is a condition, one value in each row: a number or truth value, or a key, with a slot for each of its
    /// values.
    /// </summary>
    public bool IsCondition { get; init; }

    /// <summary>Whether it is a step of a series: a vector, or of width one a single number.</summary>
    public bool IsSeries { get; init; }

    /// <summary>The format of images; null for others.</summary>
    public ImageFormat? Image { get; init; }

    /// <summary>How the texts of a condition become numbers; null for others.</summary>
    public CaptionFormat? Caption { get; init; }

    /// <summary>The column of a table, as numbers and codes of categories that were seen; null for others.</summary>
    public TableSchemaColumn? Table { get; init; }

    /// <summary>The values of a number that is a category, ascending, with a slot each; null for others.</summary>
    public IReadOnlyList<float>? Categories { get; init; }

    /// <summary>What to do where a trained model's rows lack the column, a sentence after a space; null where nothing is known.</summary>
    public string? IfMissing { get; init; }
}

/// <summary>Rows that can be read again and again, always the same and in the same order.</summary>
internal interface IRowSource
{
    /// <summary>What a row holds.</summary>
    IReadOnlyList<RowField> Fields { get; }

    /// <summary>
    /// Kinds of rows that take turns, one of each in order; so they do in every shuffled epoch, and a batch has as many of
    /// each, but for one.
    /// </summary>
    int Strata => 1;

    /// <summary>Starts a pass over all rows.</summary>
    IRowReader Open();
}

/// <summary>One pass over the rows of an <see cref="IRowSource"/>; used by one thread at a time.</summary>
internal interface IRowReader : IDisposable
{
    /// <summary>Reads up to so many rows into a block, from one on; fewer, and then none, only at the end.</summary>
    int Read(RowBlock block, int start, int count);
}

/// <summary>Turns rows of a Single field, (rows × width), into what networks see of them, in place.</summary>
internal delegate void RowTransform(int field, Span<float> rows);

/// <summary>Host memory for rows: each field is one dense, row-major array, (Capacity × Width).</summary>
internal sealed class RowBlock(IReadOnlyList<RowField> fields, int capacity)
{
    private readonly Array[] _storage = [.. fields.Select(f => Allocate(f.Kind, checked(capacity * f.Width)))];

    /// <summary>The fields, in order.</summary>
    public IReadOnlyList<RowField> Fields => fields;

    /// <summary>The number of rows there is room for.</summary>
    public int Capacity => capacity;

    /// <summary>The whole array of a <see cref="FieldKind.Single"/> field, (Capacity × Width).</summary>
    public Span<float> Singles(int field) => (float[])_storage[field];

    /// <summary>The whole array of a <see cref="FieldKind.Int64"/> field, (Capacity × Width).</summary>
    public Span<long> Int64s(int field) => (long[])_storage[field];

    /// <summary>The whole array of a <see cref="FieldKind.Text"/> field, (Capacity).</summary>
    public Span<string> Texts(int field) => (string[])_storage[field];

    /// <summary>Row <paramref name="row"/> of a <see cref="FieldKind.Single"/> field, (Width).</summary>
    public Span<float> SingleRow(int field, int row) => Row<float>(field, row);

    /// <summary>Row <paramref name="row"/> of a <see cref="FieldKind.Double"/> field, (Width).</summary>
    public Span<double> DoubleRow(int field, int row) => Row<double>(field, row);

    /// <summary>Row <paramref name="row"/> of an <see cref="FieldKind.Int64"/> field, (Width).</summary>
    public Span<long> Int64Row(int field, int row) => Row<long>(field, row);

    /// <summary>Copies one row, all fields, to a row of another block with the same fields.</summary>
    public void CopyRow(int from, RowBlock target, int to)
    {
        for (int f = 0; f < _storage.Length; f++)
        {
            int width = fields[f].Width;
            Array.Copy(_storage[f], from * width, target._storage[f], to * width, width);
        }
    }

    /// <summary>Turns the first rows of all Single fields into what networks see of them; null: leaves them.</summary>
    public void Apply(RowTransform? transform, int rows)
    {
        for (int f = 0; f < _storage.Length; f++)
        {
            if (fields[f].Kind == FieldKind.Single)
                transform?.Invoke(f, Singles(f)[..(rows * fields[f].Width)]);
        }
    }

    private static Array Allocate(FieldKind kind, int size) => kind switch
    {
        FieldKind.Single => new float[size],
        FieldKind.Double => new double[size],
        FieldKind.Int64 => new long[size],
        _ => new string[size],
    };

    private Span<T> Row<T>(int field, int row)
    {
        int width = fields[field].Width;
        return ((T[])_storage[field]).AsSpan(row * width, width);
    }
}
