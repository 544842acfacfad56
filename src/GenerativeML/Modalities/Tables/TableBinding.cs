using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>The columns of a data view that a table is made of, checked against the options before any work.</summary>
internal sealed class TableBinding
{
    private const string Hint = $" Choose the columns to learn by the option {nameof(TabularOptions.ColumnNames)}.";

    private readonly int[] _columnOf; // of each field
    private readonly Dictionary<int, IdentifierKind> _identifiers = []; // of the fields that the options name

    /// <exception cref="ArgumentOutOfRangeException">A column is missing, or no table can hold it.</exception>
    public TableBinding(DataViewSchema schema, TabularOptions options, string parameter)
    {
        DataViewSchema.Column[] visible = [.. schema.Where(c => !c.IsHidden)];
        Check(options, [.. visible.Select(c => c.Name)], parameter);
        Columns = [.. visible.Where(c => options.ColumnNames?.Contains(c.Name) ?? true)];
        Types = [.. Columns.Select(c => TypeOf(c, parameter))];
        FieldNames = [.. Columns.SelectMany(TableCells.NamesOf)];
        _columnOf = [.. Types.SelectMany((type, c) => Enumerable.Repeat(c, (int)type.Size))];
        if (options.LabelColumnName is string label)
            Label = Field(label, nameof(options.LabelColumnName), parameter);
        Categorical = [.. (options.CategoricalColumnNames ?? []).SelectMany(name => FieldsOf(name, parameter))];
        foreach ((string name, IdentifierKind kind) in options.Identifiers ?? [])
            _identifiers[Field(name, nameof(options.Identifiers), parameter)] = Checked(name, kind);
        foreach (TableConstraint constraint in options.Constraints ?? [])
        {
            foreach (string name in constraint.ColumnNames)
            {
                int field = Field(name, nameof(options.Constraints), parameter);
                if (constraint is not TableConstraint.FixedCombinations && !IsQuantity(field))
                {
                    throw new ArgumentOutOfRangeException(parameter,
                        $"The constraint {constraint} needs a number or a time in column '{name}', but that holds "
                        + $"{TypeOf(field).ToType()}.");
                }
            }
            if (constraint is TableConstraint.AtMost order && KindOf(order.Lower) != KindOf(order.Upper))
            {
                throw new ArgumentOutOfRangeException(parameter,
                    $"The constraint {order} compares {KindOf(order.Lower)} with {KindOf(order.Upper)}.");
            }
        }

        IdentifierKind Checked(string name, IdentifierKind kind)
        {
            int field = Field(name, nameof(options.Identifiers), parameter);
            bool fits = kind == IdentifierKind.None || TypeOf(field).Dimensions is null && (ItemOf(field).IsText
                ? kind != IdentifierKind.Sequence
                : kind == IdentifierKind.Sequence && IsQuantity(field) && !ItemOf(field).IsTime);
            return fits ? kind : throw new ArgumentOutOfRangeException(parameter,
                $"Option {nameof(options.Identifiers)} makes column '{name}' a {kind}, which needs a scalar of "
                + $"{(kind == IdentifierKind.Sequence ? "numbers" : "text")}, but that holds {TypeOf(field).ToType()}.");
        }

        string KindOf(string name) => ItemOf(Field(name, nameof(options.Constraints), parameter)) switch
        {
            { IsTime: false } => "numbers",
            { Type: TimeSpanDataViewType } => "durations",
            _ => "times",
        };
    }

    /// <summary>The columns, in the order of the schema.</summary>
    public IReadOnlyList<DataViewSchema.Column> Columns { get; }

    /// <summary>Their types.</summary>
    public IReadOnlyList<TableType> Types { get; }

    /// <summary>The names of all fields: a scalar's column, a vector's column and slot.</summary>
    public IReadOnlyList<string> FieldNames { get; }

    /// <summary>The label's field, or null.</summary>
    public int? Label { get; }

    /// <summary>The fields that the options make categories of.</summary>
    public IReadOnlyList<int> Categorical { get; }

    /// <summary>Checks what is known of columns before any data is there.</summary>
    /// <exception cref="ArgumentOutOfRangeException">As the constructor.</exception>
    public static void Check(SchemaShape shape, TabularOptions options, string parameter)
    {
        Check(options, [.. shape.Select(c => c.Name)], parameter);
        foreach (SchemaShape.Column column in shape)
        {
            if (options.ColumnNames?.Contains(column.Name) == false)
                continue;
            bool variable = column.Kind == SchemaShape.Column.VectorKind.VariableVector;
            if (variable || TableItem.Of(column.ItemType) is null)
            {
                string found = variable ? $"Vector<{column.ItemType}>" : $"{column.ItemType}";
                throw Unsupported(column.Name, found, variable, parameter);
            }
        }
    }

    /// <summary>The type of a field's column.</summary>
    public TableType TypeOf(int field) => Types[_columnOf[field]];

    /// <summary>The item of a field's type.</summary>
    public TableItem ItemOf(int field) => TableItem.Named(TypeOf(field).Item);

    /// <summary>Whether a field's values are numbers or times, which can be compared.</summary>
    public bool IsQuantity(int field) =>
        TypeOf(field).KeyCount == 0 && ItemOf(field) is { IsText: false, Type: not BooleanDataViewType };

    /// <summary>What the options say of a field as an identifier; null for nothing.</summary>
    public IdentifierKind? IdentifierOf(int field) =>
        _identifiers.TryGetValue(field, out IdentifierKind kind) ? kind : null;

    /// <summary>Whether values decide if a field is an identifier, as far as options go.</summary>
    public bool MayBeIdentifier(int field) => IdentifierOf(field) is null && field != Label
        && !Categorical.Contains(field) && TypeOf(field) is { Dimensions: null, KeyCount: 0 }
        && ItemOf(field) is { IsTime: false, Type: not BooleanDataViewType };

    private int Field(string name, string option, string parameter)
    {
        int field = FieldNames.ToList().IndexOf(name);
        if (field >= 0)
            return field;
        string? slot = FieldNames.FirstOrDefault(n => n.StartsWith(name + ".", StringComparison.Ordinal));
        throw new ArgumentOutOfRangeException(parameter, $"Option {option} names column '{name}', which is "
            + (slot is not null && Columns.Any(c => c.Name == name)
                ? $"a vector: a scalar is expected, or one slot, as '{slot}'."
                : "not among the columns to learn."));
    }

    private int[] FieldsOf(string column, string parameter)
    {
        int[] fields = [.. Enumerable.Range(0, _columnOf.Length).Where(f => Columns[_columnOf[f]].Name == column)];
        return fields.Length > 0 ? fields : [Field(column, nameof(TabularOptions.CategoricalColumnNames), parameter)];
    }

    private static void Check(TabularOptions options, IReadOnlyList<string> present, string parameter)
    {
        foreach ((string option, string name) in (options.ColumnNames ?? [])
            .Select(name => (nameof(options.ColumnNames), name))
            .Append((nameof(options.LabelColumnName), options.LabelColumnName!)))
        {
            if (name is null || present.Contains(name))
                continue;
            string columns = string.Join(", ", present.Take(20).Select(c => $"'{c}'"));
            throw new ArgumentOutOfRangeException(parameter,
                $"Column '{name}', which option {option} names, is missing: the data has "
                + (columns.Length == 0 ? "no columns." : $"the columns {columns}."));
        }
        if (present.Count == 0)
            throw new ArgumentOutOfRangeException(parameter, "The data has no columns to learn.");
    }

    private static TableType TypeOf(DataViewSchema.Column column, string parameter)
    {
        bool variable = column.Type is VectorDataViewType { IsKnownSize: false };
        return !variable && TableType.Of(column.Type) is { KeyCount: <= 1UL << 53 } type
            ? type
            : throw Unsupported(column.Name, column.Type.ToString()!, variable, parameter);
    }

    private static ArgumentOutOfRangeException Unsupported(
        string column, string found, bool variable, string parameter) =>
        new(parameter, $"Column '{column}' is of a type that a table cannot hold: expected numbers, Boolean, text, a"
            + $" key, a time, or a vector of known size of these, found {found}"
            + (variable ? ", whose size may differ from row to row." : ".") + Hint);
}
