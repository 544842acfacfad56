using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// A type of values that tables can hold, between ML.NET and the two forms in which values are learned: numbers and
/// texts. Times are numbers of ticks, see <see cref="TableTimes"/>.
/// </summary>
internal abstract class TableItem(string name, PrimitiveDataViewType type)
{
    private static readonly TableItem[] s_all =
    [
        new NumberItem<float>("Single", NumberDataViewType.Single, NumberStep.Plain, v => (float)v),
        new NumberItem<double>("Double", NumberDataViewType.Double, v => v, v => v),
        new NumberItem<sbyte>("SByte", NumberDataViewType.SByte, v => v, v => (sbyte)v),
        new NumberItem<byte>("Byte", NumberDataViewType.Byte, v => v, v => (byte)v),
        new NumberItem<short>("Int16", NumberDataViewType.Int16, v => v, v => (short)v),
        new NumberItem<ushort>("UInt16", NumberDataViewType.UInt16, v => v, v => (ushort)v),
        new NumberItem<int>("Int32", NumberDataViewType.Int32, v => v, v => (int)v),
        new NumberItem<uint>("UInt32", NumberDataViewType.UInt32, v => v, v => (uint)v),
        new NumberItem<long>("Int64", NumberDataViewType.Int64, v => v, v => (long)v),
        new NumberItem<ulong>("UInt64", NumberDataViewType.UInt64, v => v, v => (ulong)v),
        new NumberItem<bool>("Boolean", BooleanDataViewType.Instance, v => v ? 1 : 0, v => v != 0),
        new NumberItem<DateTime>("DateTime", DateTimeDataViewType.Instance, TableTimes.Read, TableTimes.ToTime),
        new MomentItem(),
        new NumberItem<TimeSpan>("TimeSpan", TimeSpanDataViewType.Instance, v => v.Ticks, TableTimes.ToDuration),
        new TextItem(),
    ];

    /// <summary>What saved models call it.</summary>
    public string Name => name;

    /// <summary>The type in a schema, where the value is no key.</summary>
    public PrimitiveDataViewType Type => type;

    /// <summary>Whether values are texts; otherwise they are numbers.</summary>
    public bool IsText => this is TextItem;

    /// <summary>Whether values are times or durations.</summary>
    public bool IsTime => type is DateTimeDataViewType or DateTimeOffsetDataViewType or TimeSpanDataViewType;

    /// <summary>Whether values are numbers of the precision of Single.</summary>
    public bool IsSingle => type == NumberDataViewType.Single;

    /// <summary>The item of a type, key or not; null for one that tables cannot hold.</summary>
    public static TableItem? Of(DataViewType type) => Array.Find(
        s_all, item => type is KeyDataViewType ? item.Type.RawType == type.RawType : item.Type.Equals(type));

    /// <summary>The item of a name in a saved model.</summary>
    /// <exception cref="FormatException">There is none.</exception>
    public static TableItem Named(string name) => Array.Find(s_all, item => item.Name == name)
        ?? throw new FormatException("The saved table has a column of a type that this version does not know.");

    /// <summary>
    /// What reads a column of the row that <paramref name="row"/> stands on into <paramref name="cells"/>, from number
    /// <paramref name="first"/> on; <paramref name="width"/> is null for a scalar.
    /// </summary>
    public abstract Action Reader(DataViewRow row, DataViewSchema.Column column, RowCells cells, int first, int? width);

    /// <summary>The values of an annotation, one for a scalar, and whether they are exactly those.</summary>
    public abstract (TableValues Values, bool AreExact) ReadAnnotation(
        DataViewSchema.Annotations annotations, DataViewSchema.Column annotation);

    /// <summary>Adds an annotation of given values.</summary>
    public abstract void AddAnnotation(
        DataViewSchema.Annotations.Builder builder, string name, DataViewType annotationType, TableValues values);

    /// <summary>
    /// A <see cref="ValueGetter{TValue}"/> over decoded fields, one for a scalar, of the row that <paramref name="at"/>
    /// names.
    /// </summary>
    public abstract Delegate Getter(IReadOnlyList<DecodedField> fields, bool vector, IBatchPosition at);
}

/// <summary>Values, as numbers or as texts: one of the two is there.</summary>
internal sealed record TableValues
{
    [JsonNumberHandling(JsonNumberHandling.AllowNamedFloatingPointLiterals)]
    public IReadOnlyList<double>? Numbers { get; init; }

    public IReadOnlyList<string>? Texts { get; init; }

    /// <summary>How many there are.</summary>
    [JsonIgnore]
    public int Count => Numbers?.Count ?? Texts?.Count ?? 0;

    /// <summary>Whether they are of the form in which an item's values are learned.</summary>
    public bool Fits(TableItem item) => item.IsText
        ? Numbers is null && Texts is not null && Texts.All(t => t is not null)
        : Texts is null && Numbers is not null;
}

/// <summary>The values of one row, each as a number or as a text.</summary>
internal sealed class RowCells(int fields)
{
    public double[] Numbers { get; } = new double[fields];

    public ReadOnlyMemory<char>[] Texts { get; } = new ReadOnlyMemory<char>[fields];

    /// <summary>Minutes by which moments are ahead of universal time.</summary>
    public int[] Offsets { get; } = new int[fields];

    /// <summary>Where the number is not exactly the value, as with whole numbers beyond 2^53.</summary>
    public bool[] Inexact { get; } = new bool[fields];
}

/// <summary>A field's values in a block of generated rows.</summary>
internal sealed record DecodedField(TableField Table, TableBlock Block, int Column);

/// <summary>
/// Times as ticks from the beginning of 2000, which doubles hold exactly for 28 years before and after; whole
/// milliseconds for centuries, and whole seconds always.
/// </summary>
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

    private static long ToTicks(double ticks) => ticks switch
    {
        >= long.MaxValue / 2 => long.MaxValue / 2,
        <= long.MinValue / 2 => long.MinValue / 2,
        _ => (long)ticks,
    };
}

/// <summary>What the items of all types do in the same way.</summary>
internal abstract class TypedItem<T>(string name, PrimitiveDataViewType type) : TableItem(name, type)
{
    /// <summary>Takes a value into the form in which it is learned.</summary>
    protected abstract void Take(T value, RowCells cells, int field);

    /// <summary>The values in the form in which they are learned, and whether nothing of them is lost.</summary>
    protected abstract (TableValues Values, bool AreExact) Learned(IReadOnlyList<T> values);

    /// <summary>The values from that form.</summary>
    protected abstract T[] Restored(TableValues values);

    /// <summary>The values of a field of numbers that was generated, row by row.</summary>
    protected abstract Func<int, T> Decoded(DecodedField field);

    /// <summary>A value as a field has it.</summary>
    protected virtual T OfField(T value, TableField field) => value;

    public override Action Reader(
        DataViewRow row, DataViewSchema.Column column, RowCells cells, int first, int? width)
    {
        if (width is not int size)
        {
            ValueGetter<T> scalar = row.GetGetter<T>(column);
            T value = default!;
            return () =>
            {
                scalar(ref value);
                Take(value, cells, first);
            };
        }
        ValueGetter<VBuffer<T>> vector = row.GetGetter<VBuffer<T>>(column);
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
        if (annotation.Type is VectorDataViewType)
        {
            VBuffer<T> buffer = default;
            annotations.GetValue(annotation.Name, ref buffer);
            return Learned([.. buffer.DenseValues()]);
        }
        T value = default!;
        annotations.GetValue(annotation.Name, ref value);
        return Learned([value]);
    }

    public override void AddAnnotation(
        DataViewSchema.Annotations.Builder builder, string name, DataViewType annotationType, TableValues values)
    {
        T[] restored = Restored(values);
        if (annotationType is VectorDataViewType)
        {
            builder.Add(name, annotationType, (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
                VBuffer<T>.Copy(restored, 0, ref value, restored.Length)));
        }
        else
        {
            builder.Add(name, annotationType, (ValueGetter<T>)((ref T value) => value = restored[0]));
        }
    }

    public override Delegate Getter(IReadOnlyList<DecodedField> fields, bool vector, IBatchPosition at)
    {
        Func<int, T>[] cells = [.. fields.Select(CellsOf)];
        if (!vector)
        {
            Func<int, T> scalar = cells[0];
            return (ValueGetter<T>)((ref T value) => value = scalar(at.Row));
        }
        return (ValueGetter<VBuffer<T>>)((ref VBuffer<T> value) =>
        {
            int row = at.Row;
            VBufferEditor<T> editor = VBufferEditor.Create(ref value, cells.Length);
            for (int i = 0; i < cells.Length; i++)
                editor.Values[i] = cells[i](row);
            value = editor.Commit();
        });
    }

    private Func<int, T> CellsOf(DecodedField field)
    {
        if (field.Table.Categories is not TableValues categories)
            return Decoded(field);
        T[] values = [.. Restored(categories).Select(value => OfField(value, field.Table))];
        int[] codes = field.Block.Codes(field.Column);
        return row => values[codes[row]];
    }
}

/// <summary>Values that are learned as numbers; NaN is a missing one, and so is the zero of a key.</summary>
internal class NumberItem<T>(
    string name, PrimitiveDataViewType type, Func<T, double> read, Func<double, T> write) : TypedItem<T>(name, type)
    where T : struct, IEquatable<T>
{
    protected override void Take(T value, RowCells cells, int field)
    {
        double number = cells.Numbers[field] = read(value);
        cells.Inexact[field] = !write(number).Equals(value);
    }

    protected override (TableValues Values, bool AreExact) Learned(IReadOnlyList<T> values) =>
        (new() { Numbers = [.. values.Select(read)] }, values.All(value => write(read(value)).Equals(value)));

    protected override T[] Restored(TableValues values) => [.. (values.Numbers ?? []).Select(write)];

    protected override Func<int, T> Decoded(DecodedField field)
    {
        double[] numbers = field.Block.Numbers(field.Column);
        TableField table = field.Table;
        return row => OfField(write(numbers[row]), table);
    }
}

/// <summary>Times with an offset, which is the same in all rows of a column.</summary>
internal sealed class MomentItem() : NumberItem<DateTimeOffset>(
    "DateTimeOffset", DateTimeOffsetDataViewType.Instance, v => TableTimes.Read(v.UtcDateTime),
    v => new DateTimeOffset(TableTimes.ToTime(v), TimeSpan.Zero))
{
    protected override void Take(DateTimeOffset value, RowCells cells, int field)
    {
        base.Take(value, cells, field);
        cells.Offsets[field] = value.TotalOffsetMinutes;
    }

    protected override DateTimeOffset OfField(DateTimeOffset value, TableField field) =>
        value == DateTimeOffset.MinValue ? value : value.ToOffset(TimeSpan.FromMinutes(field.OffsetMinutes));
}

/// <summary>Texts; the empty one is missing.</summary>
internal sealed class TextItem() : TypedItem<ReadOnlyMemory<char>>("Text", TextDataViewType.Instance)
{
    protected override void Take(ReadOnlyMemory<char> value, RowCells cells, int field) => cells.Texts[field] = value;

    protected override (TableValues Values, bool AreExact) Learned(IReadOnlyList<ReadOnlyMemory<char>> values) =>
        (new() { Texts = [.. values.Select(v => v.ToString())] }, true);

    protected override ReadOnlyMemory<char>[] Restored(TableValues values) =>
        [.. (values.Texts ?? []).Select(text => text.AsMemory())];

    protected override Func<int, ReadOnlyMemory<char>> Decoded(DecodedField field) =>
        throw new InvalidOperationException("Texts are always categories.");
}
