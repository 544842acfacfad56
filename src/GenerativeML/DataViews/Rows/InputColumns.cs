using System.Numerics;
using System.Numerics.Tensors;
using System.Runtime.InteropServices;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms.Image;
using VectorKind = Microsoft.ML.SchemaShape.Column.VectorKind;

namespace GenerativeML;

/// <summary>
/// What a model takes a column for: a vector of Single of known size; images, or such a vector; a label, in each row one
/// Single, Boolean or key of known cardinality; a condition, which is a label or a text; a class, which is a key; a text; or a series, in each row a Single or
/// such a vector.
/// </summary>
internal enum InputKind
{
    Vector,
    Image,
    Label,
    Condition,
    Class,
    Text,
    Series,
}

/// <summary>Finds a model's input columns; errors say which is wrong, what was expected and what was found.</summary>
internal static class InputColumns
{
    private const int MaxKeys = 1 << 20;

    /// <summary>Finds the column <paramref name="name"/>, of any width.</summary>
    public static RowField Describe(DataViewSchema schema, string name, InputKind kind, string parameter) =>
        Describe(schema, name, kind, Expected(kind), parameter);

    /// <summary>Finds a column of images, whose format the column may have to complete.</summary>
    public static RowField Describe(DataViewSchema schema, string name, ImageFormat images, string parameter)
    {
        if (schema.GetColumnOrNull(name) is not DataViewSchema.Column column)
            throw Missing(name, Expected(InputKind.Image), schema, parameter);
        ImageFormat format = images.Of(column.Type, name, parameter);
        return new(name, FieldKind.Single, (int)Math.Min(format.Shape!.Length, int.MaxValue)) { Image = format };
    }

    /// <summary>Finds the column that a model trained on <paramref name="field"/> reads.</summary>
    public static DataViewSchema.Column Find(DataViewSchema schema, RowField field, string parameter)
    {
        if (field.Table is { } table)
        {
            string type = $"{table.Type.ToType()}";
            DataViewSchema.Column cells = schema.GetColumnOrNull(field.Name) ?? throw Missing(field.Name, type, schema, parameter);
            return cells.Type.Equals(table.Type.ToType())
                ? cells
                : throw Mismatch(field.Name, type, cells.Type.ToString()!, unknownSize: false, parameter);
        }
        if (field.Image is { } images)
        {
            RowField picture = Describe(schema, field.Name, images with { IsPicture = false }, parameter);
            return picture.Image == images ? schema[field.Name] : throw Mismatch(
                field.Name, images.Type.ToString()!, schema[field.Name].Type.ToString()!, unknownSize: false, parameter);
        }
        if (field.IfMissing is { } wayOut && schema.GetColumnOrNull(field.Name) is null)
            throw Missing(field.Name, Expected(InputKind.Label), schema, parameter, wayOut);
        InputKind kind = field.Caption is not null ? InputKind.Text
            : field.IsCondition ? InputKind.Label
            : field.IsSeries ? InputKind.Series
            : field.Kind == FieldKind.Text ? InputKind.Text : InputKind.Vector;
        string vector = $"Vector<Single, {field.Width}>";
        RowField found = Describe(
            schema, field.Name, kind, kind == InputKind.Vector ? vector : Expected(kind), parameter);
        DataViewSchema.Column column = schema[field.Name];
        bool fits = field.Caption is not null || (field.Categories is null
            ? found.Width == field.Width
            : NumberDataViewType.Single.Equals(column.Type));
        return fits
            ? column
            : throw Mismatch(
                field.Name,
                kind == InputKind.Vector ? vector
                    : kind == InputKind.Series ? field.Width == 1 ? $"Single or {vector}" : vector
                    : field.Categories is not null ? "Single"
                    : field.Width > 1 ? $"a key with {field.Width} values"
                    : "Single or Boolean",
                column.Type.ToString()!, unknownSize: false, parameter);
    }

    /// <summary>Checks what is known of a column before any data is there: all but a vector's size.</summary>
    public static void Check(SchemaShape shape, string name, InputKind kind, string parameter)
    {
        foreach (SchemaShape.Column column in shape.Where(c => c.Name == name))
        {
            bool single = NumberDataViewType.Single.Equals(column.ItemType);
            bool scalar = column.Kind == VectorKind.Scalar;
            bool fits = kind switch
            {
                InputKind.Image when column.ItemType is ImageDataViewType => scalar,
                InputKind.Vector or InputKind.Image => column.Kind == VectorKind.Vector && !column.IsKey && single,
                InputKind.Series => column.Kind != VectorKind.VariableVector && !column.IsKey && single,
                InputKind.Class => scalar && column.IsKey,
                InputKind.Condition when column.ItemType is TextDataViewType => scalar && !column.IsKey,
                InputKind.Label or InputKind.Condition =>
                    scalar && (column.IsKey || single || column.ItemType is BooleanDataViewType),
                _ => scalar && !column.IsKey && column.ItemType is TextDataViewType,
            };
            if (fits)
                return;
            string item = column.IsKey ? $"Key<{column.ItemType}>" : column.ItemType.ToString()!;
            bool unknownSize = column.Kind == VectorKind.VariableVector;
            throw Mismatch(
                name, Expected(kind), scalar ? item : $"Vector<{item}>", unknownSize, parameter, scalar ? WayOut(kind) : "");
        }
        throw Missing(name, Expected(kind), shape.Select(c => c.Name), parameter);
    }

    private static RowField Describe(
        DataViewSchema schema, string name, InputKind kind, string expected, string parameter)
    {
        if (schema.GetColumnOrNull(name) is not DataViewSchema.Column column)
            throw Missing(name, expected, schema, parameter);
        int width = Width(column.Type, kind);
        bool unknownSize = kind is InputKind.Vector or InputKind.Series && column.Type is VectorDataViewType { IsKnownSize: false };
        FieldKind field = kind == InputKind.Text ? FieldKind.Text : FieldKind.Single;
        return width > 0
            ? new(name, field, width) { IsCondition = kind is InputKind.Label or InputKind.Condition or InputKind.Class }
            : throw Mismatch(
                name, expected, column.Type.ToString()!, unknownSize, parameter,
                column.Type is VectorDataViewType ? "" : WayOut(kind));
    }

    // How a value of another type becomes one of a kind.
    private static string WayOut(InputKind kind) => kind switch
    {
        InputKind.Label or InputKind.Condition =>
            " MapValueToKey makes a key of texts and whole numbers, and ConvertType a Single of numbers.",
        InputKind.Class => " MapValueToKey makes a key of texts and numbers.",
        _ => "",
    };

    /// <summary>The names of a vector's slots, as many as are known.</summary>
    public static ReadOnlyMemory<char>[] SlotNames(DataViewSchema.Column column)
    {
        VBuffer<ReadOnlyMemory<char>> names = default;
        if (column.HasSlotNames())
            column.GetSlotNames(ref names);
        return [.. names.DenseValues()];
    }

    /// <summary>A slot in a message: by its number, and by its name where it has one.</summary>
    public static string SlotText(DataViewSchema.Column column, int slot) =>
        SlotNames(column).ElementAtOrDefault(slot) is { IsEmpty: false } name
            ? FormattableString.Invariant($"slot {slot}, '{name}',")
            : FormattableString.Invariant($"slot {slot}");

    /// <summary>The slots that a column of a type takes; zero for types that do not fit.</summary>
    private static int Width(DataViewType type, InputKind kind) => (kind, type) switch
    {
        (InputKind.Vector or InputKind.Series, VectorDataViewType vector) =>
            NumberDataViewType.Single.Equals(vector.ItemType) ? vector.Size : 0,
        (InputKind.Label or InputKind.Condition or InputKind.Class, KeyDataViewType key) => key.Count is > 0 and <= MaxKeys ? (int)key.Count : 0,
        (InputKind.Label or InputKind.Condition, BooleanDataViewType) => 1,
        (InputKind.Text or InputKind.Condition, TextDataViewType) => 1,
        (InputKind.Label or InputKind.Condition or InputKind.Series, _) => NumberDataViewType.Single.Equals(type) ? 1 : 0,
        _ => 0,
    };

    /// <summary>What is expected in a column of a kind.</summary>
    public static string Expected(InputKind kind) => kind switch
    {
        InputKind.Vector => "a vector of Single of known size",
        InputKind.Series => "a Single, or a vector of Single of known size,",
        InputKind.Image => "images, or a vector of Single of known size,",
        InputKind.Label => "a label, which is a Single, a Boolean or a key of known cardinality,",
        InputKind.Condition => "a text, or a label, which is a Single, a Boolean or a key of known cardinality,",
        InputKind.Class => $"a key of 1 to {MaxKeys} values",
        _ => "a text",
    };

    /// <summary>The error for a column that a schema lacks.</summary>
    public static ArgumentOutOfRangeException Missing(
        string name, string expected, DataViewSchema schema, string parameter, string wayOut = "") =>
        Missing(name, expected, schema.Where(c => !c.IsHidden).Select(c => c.Name), parameter, wayOut);

    /// <summary>The same where the names of those that there are are known.</summary>
    public static ArgumentOutOfRangeException Missing(
        string name, string expected, IEnumerable<string> present, string parameter, string wayOut = "")
    {
        string columns = string.Join(", ", present.Take(20).Select(c => $"'{c}'"));
        return new(parameter, $"Column '{name}' is missing: {expected} is expected there, and the data has "
            + (columns.Length == 0 ? "no columns." : $"the columns {columns}.") + wayOut);
    }

    /// <summary>The error for a column of the wrong type.</summary>
    public static ArgumentOutOfRangeException Mismatch(
        string name, string expected, string found, bool unknownSize, string parameter, string wayOut = "") =>
        new(parameter, $"Column '{name}' is of the wrong type: expected {expected.TrimEnd(',')}, found {found}"
            + (unknownSize
                ? ", whose size may differ from row to row. A float[] property gets a size from [VectorType(n)]."
                : ".") + wayOut);
}

/// <summary>Checks the names of columns that options give.</summary>
internal static class ColumnNames
{
    /// <summary>Checks that every name can be one and that no two columns would be added under the same.</summary>
    public static void Check(IEnumerable<string> read, IEnumerable<string?> added)
    {
        string[] inputs = [.. read], outputs = [.. added.OfType<string>()];
        if (inputs.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException("The name of the input column is empty.");
        if (outputs.Any(string.IsNullOrWhiteSpace))
            throw new ArgumentException("The name of an added column is empty.");
        if (Twice(inputs) is string readTwice)
            throw new ArgumentException($"Column '{readTwice}' is named twice as input.");
        if (Twice(outputs) is string addedTwice)
            throw new ArgumentException($"Two columns would be added under the name '{addedTwice}'.");

        static string? Twice(string[] names) => names.GroupBy(n => n).FirstOrDefault(g => g.Count() > 1)?.Key;
    }
}

/// <summary>Copies a column's current value into a row of a field, and says whether all of it is finite.</summary>
internal delegate bool FieldReader(RowBlock block, int field, int row);

/// <summary>Reads columns of the row that a cursor stands on into the slots of fields.</summary>
internal static class FieldReaders
{
    /// <summary>A reader for a column, whose values come from another getter where one is given.</summary>
    public static FieldReader Open(
        DataViewRow input, DataViewSchema.Column column, RowField field, Delegate? getter = null)
    {
        if (field.Table is { } table)
            return Cells(input, column, table, getter);
        return column.Type switch
        {
            VectorDataViewType => Vector(Getter<VBuffer<float>>(), column.Name),
            ImageDataViewType => Picture(Getter<MLImage>(), field.Image!),
            TextDataViewType when field.Caption is { } caption => Caption(Getter<ReadOnlyMemory<char>>(), caption),
            TextDataViewType => Text(Getter<ReadOnlyMemory<char>>()),
            BooleanDataViewType => Number(Getter<bool>(), value => value ? 1 : 0),
            KeyDataViewType key when key.RawType == typeof(byte) => Key(Getter<byte>()),
            KeyDataViewType key when key.RawType == typeof(ushort) => Key(Getter<ushort>()),
            KeyDataViewType key when key.RawType == typeof(uint) => Key(Getter<uint>()),
            KeyDataViewType => Key(Getter<ulong>()),
            _ when field.Categories is { } categories => Category(Getter<float>(), [.. categories]),
            _ => Number(Getter<float>(), value => value),
        };

        ValueGetter<T> Getter<T>() => (ValueGetter<T>?)getter ?? input.GetGetter<T>(column);
    }

    /// <summary>
    /// Cells of a table: numbers, NaN where they are missing or infinite; the code of a category, NaN where none is
    /// there and none was missing in training, −1 for one that was never seen.
    /// </summary>
    private static FieldReader Cells(
        DataViewRow input, DataViewSchema.Column column, TableSchemaColumn table, Delegate? getter)
    {
        TableItem item = TableItem.Named(table.Type.Item);
        var cells = new RowCells(table.Fields.Count);
        Action read = item.Reader(
            input, column, cells, 0, table.Type.Dimensions is null ? null : table.Fields.Count, getter);
        CategoryIndex?[] categories =
            [.. table.Fields.Select(f => f.Categories is null ? null : CategoryIndex.Of(f.Categories))];
        return (block, field, row) =>
        {
            read();
            Span<double> values = block.DoubleRow(field, row);
            for (int i = 0; i < values.Length; i++)
            {
                int code = categories[i]?.Find(cells, i) ?? -1;
                bool isMissing = item.IsText ? cells.Texts[i].IsEmpty
                    : !double.IsFinite(cells.Numbers[i]) || table.Type.KeyCount > 0 && cells.Numbers[i] == 0;
                values[i] = code >= 0 ? code
                    : isMissing ? double.NaN
                    : categories[i] is null ? cells.Numbers[i] : -1;
            }
            return true;
        };
    }

    /// <summary>A vector of Single; sparse ones become dense.</summary>
    private static FieldReader Vector(ValueGetter<VBuffer<float>> getter, string column)
    {
        VBuffer<float> buffer = default;
        return (block, field, row) =>
        {
            Span<float> values = block.SingleRow(field, row);
            getter(ref buffer);
            if (buffer.Length != values.Length)
            {
                throw new InvalidOperationException(
                    $"Column '{column}' promises {values.Length} values in each row, but a row has {buffer.Length}.");
            }
            buffer.CopyTo(values);
            return float.IsFinite(TensorPrimitives.MaxMagnitude<float>(values)); // NaN if there is one
        };
    }

    /// <summary>The current row's picture; null for none, and for one that whoever loads it cannot read.</summary>
    public static void Read(ValueGetter<MLImage> getter, ref MLImage? image)
    {
        try
        {
            getter(ref image!);
            _ = image?.Pixels.Length; // of one that was disposed there are none
        }
        catch (Exception unreadable) when (unreadable is ArgumentException or InvalidOperationException or IOException
            or UnauthorizedAccessException or ExternalException)
        {
            image = null;
        }
    }

    /// <summary>A picture, resized; NaN for none, and for one that whoever loads it cannot read.</summary>
    private static FieldReader Picture(ValueGetter<MLImage> getter, ImageFormat format)
    {
        MLImage? image = null;
        return (block, field, row) =>
        {
            Span<float> values = block.SingleRow(field, row);
            Read(getter, ref image);
            if (image is null)
            {
                values.Fill(float.NaN);
                return false;
            }
            ImagePixels.Read(image, format, values);
            return true;
        };
    }

    private static FieldReader Number<T>(ValueGetter<T> getter, Func<T, float> convert) => (block, field, row) =>
    {
        T value = default!;
        getter(ref value);
        float number = block.SingleRow(field, row)[0] = convert(value);
        return float.IsFinite(number);
    };

    /// <summary>One slot for each value that is known; others are as NaN is.</summary>
    private static FieldReader Category(ValueGetter<float> getter, float[] categories) => (block, field, row) =>
    {
        float value = 0;
        getter(ref value);
        int category = Array.IndexOf(categories, value);
        // NaN, so that a replacement, which is each slot's mean, is each category's share.
        block.SingleRow(field, row).Fill(category >= 0 ? 0 : float.NaN);
        if (category >= 0)
            block.SingleRow(field, row)[category] = 1;
        return category >= 0;
    };

    /// <summary>A caption's tokens; NaN for an empty one, and for one that is too long.</summary>
    private static FieldReader Caption(ValueGetter<ReadOnlyMemory<char>> getter, CaptionFormat format)
    {
        ReadOnlyMemory<char> value = default;
        return (block, field, row) =>
        {
            getter(ref value);
            Span<float> slots = block.SingleRow(field, row);
            bool read = format.TryEncode(value.ToString(), slots);
            if (!read)
                slots.Fill(float.NaN);
            return read;
        };
    }

    private static FieldReader Text(ValueGetter<ReadOnlyMemory<char>> getter)
    {
        ReadOnlyMemory<char> value = default;
        return (block, field, row) =>
        {
            getter(ref value);
            block.Texts(field)[row] = value.ToString();
            return true;
        };
    }

    /// <summary>One slot for each value of the key; keys count from one, and zero is a missing one.</summary>
    private static FieldReader Key<T>(ValueGetter<T> getter)
        where T : struct, IBinaryInteger<T> => (block, field, row) =>
        {
            Span<float> slots = block.SingleRow(field, row);
            T value = T.Zero;
            getter(ref value);
            ulong key = ulong.CreateTruncating(value);
            slots.Clear();
            if (key > 0 && key <= (ulong)slots.Length)
                slots[(int)key - 1] = 1;
            return true;
        };
}
