using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// The columns that a generator of vectors was trained on, as ML.NET sees them: the vector, and its conditions.
/// </summary>
internal sealed record VectorSchema
{
    /// <summary>The vector first, then the conditions.</summary>
    public required IReadOnlyList<VectorSchemaColumn> Columns { get; init; }

    /// <summary>For each place in the generated schema, the number of the column there.</summary>
    public required IReadOnlyList<int> Order { get; init; }

    /// <summary>Takes the columns of the training data, the vector first.</summary>
    public static VectorSchema Of(IReadOnlyList<DataViewSchema.Column> columns) => new()
    {
        Columns =
        [
            .. columns.Select(c => new VectorSchemaColumn
            {
                Name = c.Name,
                Type = TableType.Of(c.Type)!,
                Annotations = TableAnnotation.All(c.Annotations),
            }),
        ],
        Order = [.. Enumerable.Range(0, columns.Count).OrderBy(c => columns[c].Index)],
    };

    /// <summary>The schema of generated rows, type for type and annotation for annotation.</summary>
    public DataViewSchema ToSchema()
    {
        var builder = new DataViewSchema.Builder();
        foreach (VectorSchemaColumn column in Order.Select(c => Columns[c]))
            builder.AddColumn(column.Name, column.Type.ToType(), TableAnnotation.Build(column.Annotations));
        return builder.ToSchema();
    }

    /// <summary>Checks a schema that came from a file against the fields of the model that came with it.</summary>
    /// <exception cref="FormatException">It does not fit them.</exception>
    public void Check(IReadOnlyList<RowField> fields)
    {
        foreach (VectorSchemaColumn column in Columns)
        {
            column.Type.Check();
            foreach (TableAnnotation annotation in column.Annotations)
                annotation.Check();
        }
        bool sound = Columns.Count == fields.Count
            && Columns.Zip(fields).All(pair => pair.First.Fits(pair.Second))
            && Order.Order().SequenceEqual(Enumerable.Range(0, Columns.Count));
        if (!sound)
            throw new FormatException("The saved model's columns do not fit its networks.");
    }
}

/// <summary>A column of a <see cref="VectorSchema"/>.</summary>
internal sealed record VectorSchemaColumn
{
    private const string KeyValues = "KeyValues";

    public required string Name { get; init; }

    public required TableType Type { get; init; }

    public required IReadOnlyList<TableAnnotation> Annotations { get; init; }

    /// <summary>The values of a key, where they are known.</summary>
    public TableValues? Keys => Type.KeyCount > 0
        ? Annotations.FirstOrDefault(a => a.Name == KeyValues && (ulong)a.Values.Count == Type.KeyCount)?.Values
        : null;

    /// <summary>Whether a model's field is what is read of such a column.</summary>
    public bool Fits(RowField field)
    {
        bool vector = Type.Dimensions is not null;
        bool number = Type.KeyCount == 0 && Type.Item is "Single" || !vector && Type.Item == "Boolean";
        long slots = Type.KeyCount > 0 ? (long)Math.Min(Type.KeyCount, long.MaxValue)
            : field.Categories is { } categories && Type.Item == "Single" ? categories.Count
            : Type.Size;
        return Name == field.Name && vector != field.IsLabel && (number || !vector && Type.KeyCount > 0)
            && slots == field.Width;
    }
}
