using System.Text.Json.Serialization;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace GenerativeML;

/// <summary>
/// A type of values that tables can hold, between ML.NET and the two forms in which values are learned: numbers and
/// texts. Times are numbers of milliseconds.
/// </summary>
internal abstract class TableItem(string name, PrimitiveDataViewType type)
{
    private static readonly TableItem[] s_all =
    [
        new NumberItem<float>("Single", NumberDataViewType.Single, v => v, v => (float)v),
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
        new NumberItem<DateTimeOffset>(
            "DateTimeOffset", DateTimeOffsetDataViewType.Instance, v => TableTimes.Read(v.UtcDateTime),
            v => new DateTimeOffset(TableTimes.ToTime(v), TimeSpan.Zero)),
        new NumberItem<TimeSpan>("TimeSpan", TimeSpanDataViewType.Instance, TableTimes.Read, TableTimes.ToDuration),
        new TextItem(),
    ];

    /// <summary>What saved models call it.</summary>
    public string Name => name;

    /// <summary>The type in a schema, where the value is no key.</summary>
    public PrimitiveDataViewType Type => type;

    /// <summary>Whether values are texts; otherwise they are numbers.</summary>
    public bool IsText => this is TextItem;

    /// <summary>Whether values are times or durations, which are numbers of milliseconds.</summary>
    public bool IsTime => type is DateTimeDataViewType or DateTimeOffsetDataViewType or TimeSpanDataViewType;

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

    /// <summary>The values of an annotation, one for a scalar.</summary>
    public abstract TableValues ReadAnnotation(
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
}
