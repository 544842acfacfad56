using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// The cells of one column of the row that a cursor stands on, as people read them: one for a scalar, one for each
/// feature of a vector. Numbers and times are numbers, NaN where one is missing; Booleans, text and keys are text, empty where
/// one is missing.
/// </summary>
internal sealed class TableCells
{
    private const string KeyValues = "KeyValues";

    private readonly RowCells _values;
    private readonly Action _read;
    private readonly Func<int, object> _value;

    /// <summary>A reader for a column that is active in <paramref name="row"/>.</summary>
    public TableCells(DataViewRow row, DataViewSchema.Column column)
    {
        int? width = (column.Type as VectorDataViewType)?.Size;
        TableItem item = TableItem.Of(ItemType(column))!;
        Count = width ?? 1;
        _values = new RowCells(Count);
        _read = item.Reader(row, column, _values, 0, width);
        _value = ItemType(column) switch
        {
            TextDataViewType => cell => _values.Texts[cell].ToString(),
            BooleanDataViewType => cell => _values.Numbers[cell] != 0,
            KeyDataViewType => Keys(column),
            _ => cell => Number(cell),
        };
    }

    /// <summary>The number of cells.</summary>
    public int Count { get; }

    /// <summary>Whether a column holds numbers or times, or else categories.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is of a type that no table can hold.</exception>
    public static bool AreNumbers(DataViewSchema.Column column, string parameter)
    {
        if (column.Type is VectorDataViewType { IsKnownSize: false } || TableItem.Of(ItemType(column)) is null)
        {
            throw new ArgumentOutOfRangeException(
                parameter,
                $"Column '{column.Name}' is of the wrong type: expected numbers, Boolean, text, a key, a time, or a "
                + $"vector of these of known size, found {column.Type}.");
        }
        return ItemType(column) is not (BooleanDataViewType or TextDataViewType or KeyDataViewType);
    }

    /// <summary>The names of a column's cells: its own name, or that and the slot's.</summary>
    public static string[] NamesOf(DataViewSchema.Column column)
    {
        if (column.Type is not VectorDataViewType vector)
            return [column.Name];
        VBuffer<ReadOnlyMemory<char>> slots = default;
        if (column.HasSlotNames())
            column.GetSlotNames(ref slots);
        ReadOnlyMemory<char>[] names = [.. slots.DenseValues()];
        return
        [
            .. Enumerable.Range(0, vector.Size).Select(i => i < names.Length && !names[i].IsEmpty
                ? $"{column.Name}.{names[i]}"
                : string.Create(CultureInfo.InvariantCulture, $"{column.Name}.{i}")),
        ];
    }

    /// <summary>Reads the cells of the current row.</summary>
    public void Read() => _read();

    /// <summary>A cell that was read, of a column of numbers.</summary>
    public double Number(int cell) => double.IsFinite(_values.Numbers[cell]) ? _values.Numbers[cell] : double.NaN;

    /// <summary>A cell that was read, of any column.</summary>
    public string Text(int cell) => _value(cell) switch
    {
        string text => text,
        bool flag => flag ? "true" : "false",
        var number => ((double)number).ToString(CultureInfo.InvariantCulture),
    };

    /// <summary>
    /// A cell that was read, as conditions name it: a number, Boolean or text; null where it is missing.
    /// </summary>
    public object? Value(int cell) => _value(cell) is var value and not ("" or double.NaN) ? value : null;

    /// <summary>Keys go by their values, where the column tells them, and by their number from one otherwise.</summary>
    private Func<int, object> Keys(DataViewSchema.Column column)
    {
        object[] values = [];
        if (column.Annotations.Schema.GetColumnOrNull(KeyValues) is DataViewSchema.Column annotation
            && TableType.Of(annotation.Type) is TableType type)
        {
            (TableValues told, _) = TableItem.Named(type.Item).ReadAnnotation(column.Annotations, annotation);
            values = told.Texts is not null ? [.. told.Texts] : [.. (told.Numbers ?? []).Cast<object>()];
        }
        return cell => _values.Numbers[cell] switch
        {
            0 => "",
            var key when key <= values.Length => values[(int)key - 1],
            var key => key,
        };
    }

    private static DataViewType ItemType(DataViewSchema.Column column) =>
        (column.Type as VectorDataViewType)?.ItemType ?? column.Type;
}
