using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>A type of values that tables can hold, between ML.NET and what is learned: numbers and texts.</summary>
internal abstract class TableItem(string name, PrimitiveDataViewType type)
{
    private static readonly TableItem[] s_all =
    [
        new TableItem<float>("Single", NumberDataViewType.Single, NumberStep.Plain, v => (float)v),
        new TableItem<double>("Double", NumberDataViewType.Double, v => v, v => v),
        new TableItem<sbyte>("SByte", NumberDataViewType.SByte, v => v, v => (sbyte)v),
        new TableItem<byte>("Byte", NumberDataViewType.Byte, v => v, v => (byte)v),
        new TableItem<short>("Int16", NumberDataViewType.Int16, v => v, v => (short)v),
        new TableItem<ushort>("UInt16", NumberDataViewType.UInt16, v => v, v => (ushort)v),
        new TableItem<int>("Int32", NumberDataViewType.Int32, v => v, v => (int)v),
        new TableItem<uint>("UInt32", NumberDataViewType.UInt32, v => v, v => (uint)v),
        new TableItem<long>("Int64", NumberDataViewType.Int64, v => v, v => (long)v),
        new TableItem<ulong>("UInt64", NumberDataViewType.UInt64, v => v, v => (ulong)v),
        new TableItem<bool>("Boolean", BooleanDataViewType.Instance, v => v ? 1 : 0, v => v != 0),
        new TableItem<DateTime>("DateTime", DateTimeDataViewType.Instance, TableTimes.Read, TableTimes.ToTime),
        new MomentItem(),
        new TableItem<TimeSpan>("TimeSpan", TimeSpanDataViewType.Instance, v => v.Ticks, TableTimes.ToDuration),
        new TextItem(),
    ];

    /// <summary>What saved models call it.</summary>
    public string Name => name;

    /// <summary>The type in a schema, where the value is no key.</summary>
    public PrimitiveDataViewType Type => type;

    /// <summary>Whether values are texts; otherwise they are numbers.</summary>
    public bool IsText => type is TextDataViewType;

    /// <summary>Whether values are times or durations.</summary>
    public bool IsTime => type is DateTimeDataViewType or DateTimeOffsetDataViewType or TimeSpanDataViewType;

    /// <summary>Whether values are numbers of the precision of Single.</summary>
    public bool IsSingle => type == NumberDataViewType.Single;

    /// <summary>A number as people read it: a time as such.</summary>
    public string Show(double value) => type is TimeSpanDataViewType ? $"{TableTimes.ToDuration(value)}"
        : IsTime ? TableTimes.ToTime(value).ToString("s", CultureInfo.InvariantCulture)
        : IsSingle ? ((float)value).ToString(CultureInfo.InvariantCulture)
        : value.ToString(CultureInfo.InvariantCulture);

    /// <summary>The item of a type, key or not; null for one that tables cannot hold.</summary>
    public static TableItem? Of(DataViewType type) => Array.Find(
        s_all, item => type is KeyDataViewType ? item.Type.RawType == type.RawType : item.Type.Equals(type));

    /// <summary>The item of a name in a saved model, or a <see cref="FormatException"/>.</summary>
    public static TableItem Named(string name) => Array.Find(s_all, item => item.Name == name)
        ?? throw new FormatException("The saved table has a column of a type that this version does not know.");

    /// <summary>
    /// What reads a column of a row into cells, from the first on; the width is null for a scalar. Values come from
    /// another getter where one is given.
    /// </summary>
    public abstract Action Reader(
        DataViewRow row, DataViewSchema.Column column, RowCells cells, int first, int? width, Delegate? getter = null);

    /// <summary>The values of an annotation, one for a scalar, and whether they are exactly those.</summary>
    public abstract (TableValues Values, bool AreExact) ReadAnnotation(
        DataViewSchema.Annotations annotations, DataViewSchema.Column annotation);

    /// <summary>Adds an annotation of given values.</summary>
    public abstract void AddAnnotation(
        DataViewSchema.Annotations.Builder builder, string name, DataViewType annotationType, TableValues values);

    /// <summary>A getter of generated values: of decoded fields, one for a scalar, of the row that is named.</summary>
    public abstract Delegate Getter(
        IEnumerable<(TableField Field, double[] Values)> fields, bool vector, IBatchPosition at);
}

/// <summary>Values, as numbers or as texts: one of the two is there.</summary>
internal sealed record TableValues
{
    [JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
    public IReadOnlyList<double>? Numbers { get; init; }

    public IReadOnlyList<string>? Texts { get; init; }

    /// <summary>Minutes by which each moment is ahead of universal time; null where none is.</summary>
    public IReadOnlyList<int>? Offsets { get; init; }

    /// <summary>How many there are.</summary>
    [JsonIgnore]
    public int Count => Numbers?.Count ?? Texts?.Count ?? 0;

    /// <summary>What a key stands for: its value, or its number where it has none; null for a missing one.</summary>
    public static object? OfKey(TableValues? keys, double key) => key == 0 ? null
        : !(key <= keys?.Count) ? key
        : keys.Texts is null ? keys.Numbers![(int)key - 1]
        : keys.Texts[(int)key - 1];

    /// <summary>Whether they are of the form in which an item's values are learned.</summary>
    public bool Fits(TableItem item) => item.IsText
        ? Numbers is null && Texts?.Contains(null!) == false
        : Texts is null && Numbers is not null && (Offsets is null || Offsets.Count == Numbers.Count);
}

/// <summary>The values of one row, each as a number or as a text.</summary>
internal sealed class RowCells(int fields)
{
    public double[] Numbers { get; } = new double[fields];

    public ReadOnlyMemory<char>[] Texts { get; } = new ReadOnlyMemory<char>[fields];

    /// <summary>Minutes by which moments are ahead of universal time.</summary>
    public int[] Offsets { get; } = new int[fields];

    /// <summary>The field of the first number that was infinite, and is missing now.</summary>
    public int? Infinite { get; set; }

    /// <summary>Where the number is not exactly the value, as with whole numbers beyond 2^53.</summary>
    public bool[] Inexact { get; } = new bool[fields];
}

// Ticks from the beginning of 2000, which doubles hold exactly for 28 years before and after; whole milliseconds for
// centuries, and whole seconds always.
/// <summary>Times as numbers.</summary>
internal static class TableTimes
{
    private static readonly DateTime s_epoch = new(2000, 1, 1);

    /// <summary>NaN for the least time there is, which programs use for none.</summary>
    public static double Read(DateTime time) => time == DateTime.MinValue ? double.NaN : time.Ticks - s_epoch.Ticks;

    /// <summary>The least time there is for NaN.</summary>
    public static DateTime ToTime(double ticks) => double.IsNaN(ticks)
        ? DateTime.MinValue
        : new DateTime(Math.Clamp(ToTicks(ticks) + s_epoch.Ticks, 0, DateTime.MaxValue.Ticks));

    /// <summary>The closest duration there is.</summary>
    public static TimeSpan ToDuration(double ticks) => new(ToTicks(ticks));

    private static long ToTicks(double ticks) => (long)Math.Clamp(ticks, long.MinValue / 2, long.MaxValue / 2);
}

/// <summary>Values that are learned as numbers; NaN is a missing one, and so is the zero of a key.</summary>
internal class TableItem<T>(string name, PrimitiveDataViewType type, Func<T, double> read, Func<double, T> write)
    : TableItem(name, type)
    where T : IEquatable<T>
{
    /// <summary>Takes a value into the form in which it is learned.</summary>
    protected virtual void Take(T value, RowCells cells, int field)
    {
        double number = cells.Numbers[field] = read(value);
        cells.Inexact[field] = !write(number).Equals(value);
    }

    /// <summary>The values from that form.</summary>
    protected virtual T[] Restored(TableValues values) => [.. (values.Numbers ?? []).Select(write)];

    /// <summary>A value as a field has it.</summary>
    protected virtual T OfField(T value, TableField field) => value;

    public override Action Reader(
        DataViewRow row, DataViewSchema.Column column, RowCells cells, int first, int? width, Delegate? getter = null)
    {
        if (width is not int size)
        {
            ValueGetter<T> scalar = (ValueGetter<T>?)getter ?? row.GetGetter<T>(column);
            T value = default!;
            return () =>
            {
                scalar(ref value);
                Take(value, cells, first);
            };
        }
        ValueGetter<VBuffer<T>> vector = (ValueGetter<VBuffer<T>>?)getter ?? row.GetGetter<VBuffer<T>>(column);
        VBuffer<T> buffer = default;
        var values = new T[size];
        return () =>
        {
            vector(ref buffer);
            if (buffer.Length != size)
            {
                throw new InvalidOperationException(
                    $"Column '{column.Name}' promises {size} values in each row, but a row has {buffer.Length}.");
            }
            buffer.CopyTo(values);
            for (int i = 0; i < size; i++)
                Take(values[i], cells, first + i);
        };
    }

    public override (TableValues Values, bool AreExact) ReadAnnotation(
        DataViewSchema.Annotations annotations, DataViewSchema.Column annotation)
    {
        T[] values = annotation.Type is VectorDataViewType ? [.. Value<VBuffer<T>>().DenseValues()] : [Value<T>()];
        var cells = new RowCells(values.Length);
        for (int i = 0; i < values.Length; i++)
            Take(values[i], cells, i);
        TableValues learned = IsText
            ? new() { Texts = [.. cells.Texts.Select(text => text.ToString())] }
            : new() { Numbers = cells.Numbers, Offsets = cells.Offsets.Any(o => o != 0) ? cells.Offsets : null };
        return (learned, !cells.Inexact.Contains(true));

        TValue Value<TValue>()
        {
            TValue value = default!;
            annotations.GetValue(annotation.Name, ref value);
            return value;
        }
    }

    public override void AddAnnotation(
        DataViewSchema.Annotations.Builder builder, string name, DataViewType annotationType, TableValues values)
    {
        T[] restored = Restored(values);
        Delegate getter = annotationType is VectorDataViewType
            ? (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
                VBuffer<T>.Copy(restored, 0, ref value, restored.Length))
            : (ValueGetter<T>)((ref T value) => value = restored[0]);
        builder.Add(name, annotationType, getter);
    }

    public override Delegate Getter(
        IEnumerable<(TableField Field, double[] Values)> fields, bool vector, IBatchPosition at)
    {
        Func<int, T>[] cells = [.. fields.Select(f => CellsOf(f.Field, f.Values))];
        if (!vector)
            return (ValueGetter<T>)((ref T value) => value = cells[0](at.Row));
        return (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
        {
            int row = at.Row;
            VBufferEditor<T> editor = VBufferEditor.Create(ref value, cells.Length);
            for (int i = 0; i < cells.Length; i++)
                editor.Values[i] = cells[i](row);
            value = editor.Commit();
        });
    }

    private Func<int, T> CellsOf(TableField field, double[] values)
    {
        if (field.Categories is not TableValues categories)
            return row => OfField(write(values[row]), field);
        T[] restored = [.. Restored(categories).Select(value => OfField(value, field))];
        return row => restored[(int)values[row]];
    }
}

/// <summary>Times with an offset, which is the same in all rows of a column.</summary>
internal sealed class MomentItem() : TableItem<DateTimeOffset>(
    "DateTimeOffset", DateTimeOffsetDataViewType.Instance, v => TableTimes.Read(v.UtcDateTime),
    v => new DateTimeOffset(TableTimes.ToTime(v), TimeSpan.Zero))
{
    protected override void Take(DateTimeOffset value, RowCells cells, int field)
    {
        base.Take(value, cells, field);
        cells.Offsets[field] = value.TotalOffsetMinutes;
    }

    protected override DateTimeOffset[] Restored(TableValues values)
    {
        DateTimeOffset[] moments = base.Restored(values);
        return values.Offsets is null
            ? moments
            : [.. moments.Zip(values.Offsets, (moment, minutes) => moment.ToOffset(TimeSpan.FromMinutes(minutes)))];
    }

    protected override DateTimeOffset OfField(DateTimeOffset value, TableField field) =>
        value == DateTimeOffset.MinValue ? value : value.ToOffset(TimeSpan.FromMinutes(field.OffsetMinutes));
}

/// <summary>Texts, which are always categories; the empty one is missing.</summary>
internal sealed class TextItem() : TableItem<ReadOnlyMemory<char>>(
    "Text", TextDataViewType.Instance, _ => throw new NotSupportedException(), _ => throw new NotSupportedException())
{
    protected override void Take(ReadOnlyMemory<char> value, RowCells cells, int field) => cells.Texts[field] = value;

    protected override ReadOnlyMemory<char>[] Restored(TableValues values) =>
        [.. (values.Texts ?? []).Select(text => text.AsMemory())];
}

/// <summary>The cells of one column in the row of a cursor: one for a scalar, or one for each feature.</summary>
internal sealed class TableCells
{
    private readonly RowCells _values;
    private readonly Action _read;
    private readonly Func<int, object?> _value;

    /// <summary>A reader for a column that is active in <paramref name="row"/>.</summary>
    public TableCells(DataViewRow row, DataViewSchema.Column column)
    {
        int? width = (column.Type as VectorDataViewType)?.Size;
        TableItem item = TableItem.Of(ItemType(column))!;
        Count = width ?? 1;
        _values = new RowCells(Count);
        _read = item.Reader(row, column, _values, 0, width);
        TableValues? keys = KeysOf(column);
        _value = ItemType(column) switch
        {
            TextDataViewType => cell => _values.Texts[cell].ToString(),
            BooleanDataViewType => cell => _values.Numbers[cell] != 0,
            KeyDataViewType => cell => TableValues.OfKey(keys, _values.Numbers[cell]),
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
        ReadOnlyMemory<char>[] names = InputColumns.SlotNames(column);
        return
        [
            .. Enumerable.Range(0, vector.Size).Select(i => i < names.Length && !names[i].IsEmpty
                ? $"{column.Name}.{names[i]}"
                : string.Create(CultureInfo.InvariantCulture, $"{column.Name}.{i}")),
        ];
    }

    /// <summary>Reads the cells of the current row.</summary>
    public void Read() => _read();

    /// <summary>A cell of a column of numbers or times; NaN where it is missing.</summary>
    public double Number(int cell) => double.IsFinite(_values.Numbers[cell]) ? _values.Numbers[cell] : double.NaN;

    /// <summary>A cell of any column as people read it; empty where it is missing.</summary>
    public string Text(int cell) => _value(cell) switch
    {
        bool flag => flag ? "true" : "false",
        var value => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    /// <summary>A cell as conditions name it: a number, Boolean or text; null where it is missing.</summary>
    public object? Value(int cell) => _value(cell) is var value and not ("" or double.NaN) ? value : null;

    /// <summary>What the keys of a column stand for; null where it does not say.</summary>
    public static TableValues? KeysOf(DataViewSchema.Column column) =>
        column.Annotations.Schema.GetColumnOrNull("KeyValues") is DataViewSchema.Column keys
            && TableType.Of(keys.Type) is TableType type
            ? TableItem.Named(type.Item).ReadAnnotation(column.Annotations, keys).Values
            : null;

    private static DataViewType ItemType(DataViewSchema.Column column) =>
        (column.Type as VectorDataViewType)?.ItemType ?? column.Type;
}
