using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// Finds a model's input columns in a schema, and says what is wrong where a column is missing or of another type:
/// which column, what was expected, what was found.
/// </summary>
internal static class InputColumns
{
    private const int MostKeys = 1 << 20;
    private const string Text = "a text";
    private const string Label = "a label, which is a Single, a Boolean or a key of known cardinality,";

    /// <summary>Finds the vector-of-Single column <paramref name="name"/>, of any known size.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static RowField Describe(DataViewSchema schema, string name, string parameter)
    {
        DataViewSchema.Column column = Find(schema, name, width: null, parameter);
        return new(name, FieldKind.Single, ((VectorDataViewType)column.Type).Size);
    }

    /// <summary>Finds the label column <paramref name="name"/>: Single, Boolean, or a key of known cardinality.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static RowField DescribeLabel(DataViewSchema schema, string name, string parameter)
    {
        if (schema.GetColumnOrNull(name) is not DataViewSchema.Column column)
            throw Missing(name, Label, schema.Where(c => !c.IsHidden).Select(c => c.Name), parameter);
        int width = LabelWidth(column.Type);
        return width > 0
            ? new(name, FieldKind.Single, width) { IsLabel = true }
            : throw Mismatch(name, Label, column.Type.ToString()!, unknownSize: false, parameter);
    }

    /// <summary>Checks what is known of a label column before any data is there.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static void CheckLabel(SchemaShape shape, string name, string parameter)
    {
        foreach (SchemaShape.Column column in shape)
        {
            if (column.Name != name)
                continue;
            bool scalar = column.Kind == SchemaShape.Column.VectorKind.Scalar;
            if (scalar && (column.IsKey || column.ItemType is BooleanDataViewType
                || NumberDataViewType.Single.Equals(column.ItemType)))
            {
                return;
            }
            throw Mismatch(name, Label, $"{column.Kind} of {column.ItemType}", unknownSize: false, parameter);
        }
        throw Missing(name, Label, shape.Select(c => c.Name), parameter);
    }

    /// <summary>Finds the text column <paramref name="name"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static RowField DescribeText(DataViewSchema schema, string name, string parameter)
    {
        if (schema.GetColumnOrNull(name) is not DataViewSchema.Column column)
            throw Missing(name, Text, schema.Where(c => !c.IsHidden).Select(c => c.Name), parameter);
        return column.Type is TextDataViewType
            ? new(name, FieldKind.Text, Width: 1)
            : throw Mismatch(name, Text, column.Type.ToString()!, unknownSize: false, parameter);
    }

    /// <summary>Checks what is known of a text column before any data is there.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static void CheckText(SchemaShape shape, string name, string parameter)
    {
        foreach (SchemaShape.Column column in shape)
        {
            if (column.Name != name)
                continue;
            if (column is { Kind: SchemaShape.Column.VectorKind.Scalar, IsKey: false, ItemType: TextDataViewType })
                return;
            throw Mismatch(name, Text, $"{column.Kind} of {column.ItemType}", unknownSize: false, parameter);
        }
        throw Missing(name, Text, shape.Select(c => c.Name), parameter);
    }

    /// <summary>Finds the column that a model trained on <paramref name="field"/> reads.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static DataViewSchema.Column Find(DataViewSchema schema, RowField field, string parameter)
    {
        if (field.Kind == FieldKind.Text)
            return schema[DescribeText(schema, field.Name, parameter).Name];
        if (!field.IsLabel)
            return Find(schema, field.Name, field.Width, parameter);
        RowField found = DescribeLabel(schema, field.Name, parameter);
        DataViewSchema.Column column = schema[field.Name];
        bool fits = field.Categories is null
            ? found.Width == field.Width
            : NumberDataViewType.Single.Equals(column.Type);
        return fits
            ? column
            : throw Mismatch(
                field.Name,
                field.Categories is not null ? "Single"
                    : field.Width > 1 ? $"a key with {field.Width} values"
                    : "Single or Boolean",
                column.Type.ToString()!, unknownSize: false, parameter);
    }

    /// <summary>Checks what is known of a column before any data is there: all but a vector's size.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static void Check(SchemaShape shape, string name, string parameter)
    {
        foreach (SchemaShape.Column column in shape)
        {
            if (column.Name != name)
                continue;
            bool isVector = column.Kind == SchemaShape.Column.VectorKind.Vector;
            if (isVector && !column.IsKey && NumberDataViewType.Single.Equals(column.ItemType))
                return;
            bool unknownSize = column.Kind == SchemaShape.Column.VectorKind.VariableVector;
            string item = column.IsKey ? $"Key<{column.ItemType}>" : column.ItemType.ToString()!;
            string found = isVector || unknownSize ? $"Vector<{item}>" : item;
            throw Mismatch(name, Expected(null), found, unknownSize, parameter);
        }
        throw Missing(name, Expected(null), shape.Select(c => c.Name), parameter);
    }

    private static DataViewSchema.Column Find(DataViewSchema schema, string name, int? width, string parameter)
    {
        if (schema.GetColumnOrNull(name) is not DataViewSchema.Column column)
            throw Missing(name, Expected(width), schema.Where(c => !c.IsHidden).Select(c => c.Name), parameter);

        var vector = column.Type as VectorDataViewType;
        if (vector is not null && vector.IsKnownSize
            && NumberDataViewType.Single.Equals(vector.ItemType)
            && (width is null || vector.Size == width))
        {
            return column;
        }
        throw Mismatch(name, Expected(width), column.Type.ToString()!, vector is { IsKnownSize: false }, parameter);
    }

    /// <summary>The slots that a label of a type takes; zero for types that are none.</summary>
    private static int LabelWidth(DataViewType type) => type switch
    {
        KeyDataViewType key => key.Count is > 0 and <= MostKeys ? (int)key.Count : 0,
        BooleanDataViewType => 1,
        _ => NumberDataViewType.Single.Equals(type) ? 1 : 0,
    };

    private static string Expected(int? width) =>
        width is int n ? $"Vector<Single, {n}>" : "a vector of Single of known size";

    private static ArgumentOutOfRangeException Missing(
        string name, string expected, IEnumerable<string> present, string parameter)
    {
        string columns = string.Join(", ", present.Take(20).Select(c => $"'{c}'"));
        return new(parameter, $"Column '{name}' is missing: {expected} is expected there, and the data has "
            + (columns.Length == 0 ? "no columns." : $"the columns {columns}."));
    }

    private static ArgumentOutOfRangeException Mismatch(
        string name, string expected, string found, bool unknownSize, string parameter) =>
        new(parameter, $"Column '{name}' is of the wrong type: expected {expected}, found {found}"
            + (unknownSize
                ? ", whose size may differ from row to row. A float[] property gets a size from [VectorType(n)]."
                : "."));
}
