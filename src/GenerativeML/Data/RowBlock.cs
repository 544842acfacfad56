namespace GenerativeML;

/// <summary>
/// Host memory for a number of rows, field by field: each field is one dense, row-major array of
/// <see cref="Capacity"/> × <see cref="RowField.Width"/> elements.
/// </summary>
internal sealed class RowBlock
{
    private readonly Array[] _storage;

    /// <summary>Allocates room for <paramref name="capacity"/> rows of <paramref name="fields"/>.</summary>
    public RowBlock(IReadOnlyList<RowField> fields, int capacity)
    {
        ArgumentNullException.ThrowIfNull(fields);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(capacity);
        Fields = fields;
        Capacity = capacity;
        _storage = [.. fields.Select(f => Allocate(f.Kind, checked(capacity * f.Width)))];
    }

    /// <summary>The fields, in order.</summary>
    public IReadOnlyList<RowField> Fields { get; }

    /// <summary>The number of rows there is room for.</summary>
    public int Capacity { get; }

    /// <summary>The whole array of a <see cref="FieldKind.Single"/> field, (Capacity × Width).</summary>
    public Span<float> Singles(int field) => (float[])_storage[field];

    /// <summary>The same, for work that is split among threads.</summary>
    public Memory<float> SingleMemory(int field) => (float[])_storage[field];

    /// <summary>The whole array of a <see cref="FieldKind.Int64"/> field, (Capacity × Width).</summary>
    public Span<long> Int64s(int field) => (long[])_storage[field];

    /// <summary>The whole array of a <see cref="FieldKind.Text"/> field, (Capacity).</summary>
    public Span<string> Texts(int field) => (string[])_storage[field];

    /// <summary>Row <paramref name="row"/> of a <see cref="FieldKind.Single"/> field, (Width).</summary>
    public Span<float> SingleRow(int field, int row) => Row<float>(field, row);

    /// <summary>Row <paramref name="row"/> of an <see cref="FieldKind.Int64"/> field, (Width).</summary>
    public Span<long> Int64Row(int field, int row) => Row<long>(field, row);

    /// <summary>Copies one row, all fields, to a row of another block with the same fields.</summary>
    public void CopyRow(int from, RowBlock target, int to)
    {
        ArgumentNullException.ThrowIfNull(target);
        for (int f = 0; f < _storage.Length; f++)
        {
            int width = Fields[f].Width;
            Array.Copy(_storage[f], from * width, target._storage[f], to * width, width);
        }
    }

    /// <summary>Turns the first rows of all Single fields into what networks see of them; null: leaves them.</summary>
    public void Apply(RowTransform? transform, int rows)
    {
        if (transform is null)
            return;
        for (int f = 0; f < _storage.Length; f++)
        {
            if (Fields[f].Kind == FieldKind.Single)
                transform(f, Singles(f)[..(rows * Fields[f].Width)]);
        }
    }

    private static Array Allocate(FieldKind kind, int size) => kind switch
    {
        FieldKind.Single => new float[size],
        FieldKind.Int64 => new long[size],
        _ => new string[size],
    };

    private Span<T> Row<T>(int field, int row)
    {
        int width = Fields[field].Width;
        return ((T[])_storage[field]).AsSpan(row * width, width);
    }
}
