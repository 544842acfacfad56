using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>The columns of a table as ML.NET sees them, with all that it takes to make them again.</summary>
internal sealed record TableSchema(IReadOnlyList<TableSchemaColumn> Columns)
{
    /// <summary>All fields of all columns, in order: what a row holds.</summary>
    [JsonIgnore]
    public IReadOnlyList<TableField> Fields => [.. Columns.SelectMany(c => c.Fields)];

    /// <summary>The schema, type for type and annotation for annotation.</summary>
    public DataViewSchema ToSchema()
    {
        var builder = new DataViewSchema.Builder();
        foreach (TableSchemaColumn column in Columns)
            builder.AddColumn(column.Name, column.Type.ToType(), TableAnnotation.Build(column.Annotations));
        return builder.ToSchema();
    }

    /// <summary>Checks a schema that came from a file, or throws a <see cref="FormatException"/>.</summary>
    public void Check()
    {
        foreach (TableSchemaColumn column in Columns)
            column.Check();
        TableType.Require(
            Columns.Select(c => c.Name).Distinct().Count() == Columns.Count, "two columns have one name");
    }
}

/// <summary>A column of a table, with one field for a scalar, or one for each feature of a vector.</summary>
internal sealed record TableSchemaColumn(
    string Name, TableType Type, IReadOnlyList<TableAnnotation> Annotations, IReadOnlyList<TableField> Fields)
{
    public void Check()
    {
        Type.Check();
        TableType.Require(
            Name.Length > 0 && Fields.Count > 0 && Type.Size == Fields.Count,
            "a column has no name, or another number of values than its type");
        foreach (TableAnnotation annotation in Annotations)
            annotation.Check();
        foreach (TableField field in Fields)
            field.Check(Type);
    }
}

/// <summary>A named value of a column, or a vector of them: key values, slot names, whatever it had.</summary>
internal sealed record TableAnnotation(string Name, TableType Type, TableValues Values)
{
    /// <summary>The annotations of a column, but for those of types that tables cannot hold.</summary>
    /// <exception cref="InvalidOperationException">A value of one cannot be kept exactly.</exception>
    public static IReadOnlyList<TableAnnotation> All(DataViewSchema.Annotations annotations, string? column = null)
    {
        var all = new List<TableAnnotation>();
        foreach (DataViewSchema.Column annotation in annotations.Schema)
        {
            if (TableType.Of(annotation.Type) is not TableType type)
                continue;
            (TableValues values, bool exact) = TableItem.Named(type.Item).ReadAnnotation(annotations, annotation);
            if (!exact)
            {
                throw new InvalidOperationException(
                    $"Annotation '{annotation.Name}'{(column is null ? "" : $" of column '{column}'")} has values of"
                    + $" type {annotation.Type} that doubles do not hold exactly, so it cannot be kept: leave it out.");
            }
            all.Add(new TableAnnotation(annotation.Name, type, values));
        }
        return all;
    }

    /// <summary>The way back.</summary>
    public static DataViewSchema.Annotations Build(IReadOnlyList<TableAnnotation> all)
    {
        var builder = new DataViewSchema.Annotations.Builder();
        foreach ((string name, TableType type, TableValues values) in all)
            TableItem.Named(type.Item).AddAnnotation(builder, name, type.ToType(), values);
        return builder.ToAnnotations();
    }

    public void Check()
    {
        Type.Check();
        TableType.Require(
            Name.Length > 0 && Values.Fits(TableItem.Named(Type.Item))
                && (Type.Size == 0 || Values.Count == Type.Size),
            "an annotation does not fit its type");
    }
}

/// <summary>
/// One number or category of each row: what is known of it, the value of each code, null for numbers, and by how many
/// minutes moments are ahead of universal time; or what makes new values of an identifier.
/// </summary>
internal sealed record TableField(
    TableColumn Column, TableValues? Categories = null, int OffsetMinutes = 0, Identifier? Identifier = null)
{
    public void Check(TableType type)
    {
        Column.Check();
        TableItem item = TableItem.Named(type.Item);
        if (Column.Kind == TableColumnKind.Identifier)
            Identifier?.Check(item);
        bool isIdentifier = Column.Kind == TableColumnKind.Identifier && Identifier is not null && Categories is null
            && type is { Dimensions: null, KeyCount: 0 };
        bool sound = isIdentifier || Identifier is null && OffsetMinutes is >= -14 * 60 and <= 14 * 60 && (Column.Kind == TableColumnKind.Categorical
            ? Categories?.Fits(item) == true && Categories.Count == Column.Categories
            : Column.Kind == TableColumnKind.Continuous && Categories is null && !item.IsText && type.KeyCount == 0
                && Column.IsTime == item.IsTime && Column.IsSingle == item.IsSingle);
        TableType.Require(sound, "a column's categories do not fit its type");
    }
}

/// <summary>A type: its item's name, how many values a key has, or zero, and a vector's dimensions, or null.</summary>
internal sealed record TableType(string Item, ulong KeyCount = 0, IReadOnlyList<int>? Dimensions = null)
{
    /// <summary>Values of a row: one for a scalar, zero for a vector of unknown size.</summary>
    [JsonIgnore]
    public long Size => Dimensions?.Aggregate(1L, (size, d) => size > int.MaxValue ? size : size * d) ?? 1;

    /// <summary>A type that tables can hold, as saved; null for another.</summary>
    public static TableType? Of(DataViewType type)
    {
        var vector = type as VectorDataViewType;
        DataViewType item = vector?.ItemType ?? type;
        return TableItem.Of(item) is TableItem known
            ? new TableType(known.Name, (item as KeyDataViewType)?.Count ?? 0, vector?.Dimensions)
            : null;
    }

    public DataViewType ToType()
    {
        PrimitiveDataViewType item = TableItem.Named(Item).Type;
        if (KeyCount > 0)
            item = new KeyDataViewType(item.RawType, KeyCount);
        return Dimensions is null ? item : new VectorDataViewType(item, Dimensions.ToArray());
    }

    public void Check()
    {
        ulong keys = Type.GetTypeCode(TableItem.Named(Item).Type.RawType) switch
        {
            TypeCode.Byte => byte.MaxValue,
            TypeCode.UInt16 => ushort.MaxValue,
            TypeCode.UInt32 => uint.MaxValue,
            TypeCode.UInt64 => ulong.MaxValue,
            _ => 0,
        };
        bool sound = KeyCount <= keys
            && (Dimensions is null || Dimensions.Count > 0 && Dimensions.All(d => d >= 0) && Size <= int.MaxValue);
        Require(sound, "a column's type is none");
    }

    /// <summary>What has to hold of a saved table, or else this is said to be wrong with it.</summary>
    public static void Require(bool sound, string wrong)
    {
        if (!sound)
            throw new FormatException($"The saved table is damaged: {wrong}.");
    }
}
