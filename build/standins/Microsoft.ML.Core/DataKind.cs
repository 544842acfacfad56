namespace Microsoft.ML.Data;

public enum DataKind : byte
{
    SByte = 1,
    Byte = 2,
    Int16 = 3,
    UInt16 = 4,
    Int32 = 5,
    UInt32 = 6,
    Int64 = 7,
    UInt64 = 8,
    Single = 9,
    Double = 10,
    String = 11,
    Boolean = 12,
    TimeSpan = 13,
    DateTime = 14,
    DateTimeOffset = 15,
}

internal static class ColumnTypeExtensions
{
    private static readonly PrimitiveDataViewType[] Known =
    [
        NumberDataViewType.SByte, NumberDataViewType.Byte, NumberDataViewType.Int16, NumberDataViewType.UInt16,
        NumberDataViewType.Int32, NumberDataViewType.UInt32, NumberDataViewType.Int64, NumberDataViewType.UInt64,
        NumberDataViewType.Single, NumberDataViewType.Double, TextDataViewType.Instance, BooleanDataViewType.Instance,
    ];

    public static PrimitiveDataViewType PrimitiveTypeFromKind(DataKind kind) => Known[(int)kind - 1];

    /// <summary>The type whose values are held as that type, a string counting as text; null for none.</summary>
    public static PrimitiveDataViewType PrimitiveTypeFromTypeOrNull(Type type)
        => type == typeof(string) ? TextDataViewType.Instance : Array.Find(Known, known => known.RawType == type);

    public static DataKind GetRawKind(this PrimitiveDataViewType type)
        => (DataKind)(1 + Array.FindIndex(Known, known => known.RawType == type.RawType));
}
