using GenerativeML.Torch;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML.Rows;

/// <summary>
/// Finds a model's input columns in a schema, and says what is wrong where a column is missing or of another type:
/// which column, what was expected, what was found.
/// </summary>
internal static class InputColumns
{
    /// <summary>Finds the vector-of-Single column <paramref name="name"/>, of any known size.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static RowField Describe(DataViewSchema schema, string name, string parameter)
    {
        DataViewSchema.Column column = Find(schema, name, width: null, parameter);
        return new(name, FieldKind.Single, ((VectorDataViewType)column.Type).Size);
    }

    /// <summary>Finds the column that a model trained on <paramref name="field"/> reads.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such column.</exception>
    public static DataViewSchema.Column Find(DataViewSchema schema, RowField field, string parameter) =>
        Find(schema, field.Name, field.Width, parameter);

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
            throw Mismatch(name, width: null, found, unknownSize, parameter);
        }
        throw Missing(name, width: null, shape.Select(c => c.Name), parameter);
    }

    private static DataViewSchema.Column Find(DataViewSchema schema, string name, int? width, string parameter)
    {
        if (schema.GetColumnOrNull(name) is not DataViewSchema.Column column)
            throw Missing(name, width, schema.Where(c => !c.IsHidden).Select(c => c.Name), parameter);

        var vector = column.Type as VectorDataViewType;
        if (vector is not null && vector.IsKnownSize
            && NumberDataViewType.Single.Equals(vector.ItemType)
            && (width is null || vector.Size == width))
        {
            return column;
        }
        throw Mismatch(name, width, column.Type.ToString()!, vector is { IsKnownSize: false }, parameter);
    }

    private static string Expected(int? width) =>
        width is int n ? $"Vector<Single, {n}>" : "a vector of Single of known size";

    private static ArgumentOutOfRangeException Missing(
        string name, int? width, IEnumerable<string> present, string parameter)
    {
        string columns = string.Join(", ", present.Take(20).Select(c => $"'{c}'"));
        return new(parameter, $"Column '{name}' is missing: {Expected(width)} is expected there, and the data has "
            + (columns.Length == 0 ? "no columns." : $"the columns {columns}."));
    }

    private static ArgumentOutOfRangeException Mismatch(
        string name, int? width, string found, bool unknownSize, string parameter) =>
        new(parameter, $"Column '{name}' is of the wrong type: expected {Expected(width)}, found {found}"
            + (unknownSize
                ? ", whose size may differ from row to row. A float[] property gets a size from [VectorType(n)]."
                : "."));
}
